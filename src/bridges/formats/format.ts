import { FleetcastError } from '../../errors.ts';
import { type AvroOptions, avroDecoder } from './avro.ts';
import type { Decoder, FormatLimits } from './bounds.ts';
import { decodeCayenneLpp } from './cayenne-lpp.ts';
import { cborDecoder } from './cbor.ts';
import { type CsvLineOptions, csvLineDecoder } from './csv-line.ts';
import { jsonDecoder } from './json.ts';
import { jsonOrTextDecoder } from './json-or-text.ts';
import { keyValueDecoder } from './key-value.ts';
import { lineProtocolDecoder } from './line-protocol.ts';
import { decodeMilesight } from './milesight.ts';
import { messagePackDecoder } from './msgpack.ts';
import { decodeNumber } from './number.ts';
import { relaxedJsonDecoder } from './relaxed-json.ts';
import { decodeRuuvi } from './ruuvi.ts';
import { decodeTextWithUnit } from './text-with-unit.ts';

/** How a payload is written: a name, or a name with what the format needs to know. */
export type PayloadFormat =
  | SimpleFormat
  | ({ readonly type: 'csv' } & CsvLineOptions)
  | ({ readonly type: 'avro' } & AvroOptions);

export type SimpleFormat = keyof typeof SIMPLE | 'csv';

const SIMPLE = {
  json: jsonDecoder,
  'json-or-text': jsonOrTextDecoder,
  'relaxed-json': relaxedJsonDecoder,
  number: () => decodeNumber,
  text: () => decodeTextWithUnit,
  'key-value': keyValueDecoder,
  'line-protocol': lineProtocolDecoder,
  msgpack: messagePackDecoder,
  cbor: cborDecoder,
  'cayenne-lpp': () => decodeCayenneLpp,
  milesight: () => decodeMilesight,
  ruuvi: () => decodeRuuvi,
} as const satisfies Record<string, (limits: FormatLimits) => Decoder>;

/** Every name that `format` may have. */
export const FORMAT_NAMES: readonly string[] = [...Object.keys(SIMPLE), 'csv', 'avro'];

/** @throws CONFIG_INVALID for a format that is not known or lacks what it needs. */
export function compileFormat(format: PayloadFormat, limits: FormatLimits): Decoder {
  const options = typeof format === 'string' ? { type: format } : format;
  if (options.type === 'csv') return csvLineDecoder(options as CsvLineOptions, limits);
  if (options.type === 'avro') {
    const { schema } = options as AvroOptions;
    if (schema === undefined) throw new FleetcastError('CONFIG_INVALID', 'format avro needs the schema');
    return avroDecoder(options as AvroOptions, limits);
  }
  const make = Object.hasOwn(SIMPLE, options.type) ? SIMPLE[options.type] : undefined;
  if (make !== undefined) return make(limits);
  const known = FORMAT_NAMES.join(', ');
  throw new FleetcastError('CONFIG_INVALID', `format ${JSON.stringify(options.type)} is not known; known: ${known}`);
}
