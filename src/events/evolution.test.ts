import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { breaks, RULES, releasedOf } from '../../test/schema-evolution.ts';
import { decode, encode, headerFor, learnSchema, writerOf } from './codec.ts';
import { releasedSchemas } from './released-schemas.ts';
import { compileSchema, fingerprint, SCHEMA_NAMES, type SchemaName, schemaText } from './schema-registry.ts';

interface Field {
  name: string;
  type: unknown;
  default?: unknown;
}
const edited = (name: SchemaName, edit: (fields: Field[]) => Field[]): string => {
  const schema = JSON.parse(schemaText(name)) as { fields: Field[] };
  return JSON.stringify({ ...schema, fields: edit(schema.fields) });
};

// `RELEASE_SCHEMAS=1` keeps today's schemas as released ones: part of making a release.
if (process.env['RELEASE_SCHEMAS'] === '1') {
  for (const name of SCHEMA_NAMES) {
    const text = schemaText(name);
    const mark = fingerprint(compileSchema(text)).toString('hex');
    const released = releasedOf(name);
    if (released.some((each) => each.fingerprint === mark)) continue;
    const base = name.replace(/(?<!^)([A-Z])/g, '-$1').toLowerCase();
    const file = `${base}.${(released.at(-1)?.version ?? 0) + 1}.${mark}.avsc`;
    writeFileSync(new URL(`../../schemas/released/${file}`, import.meta.url), text);
  }
}

describe('released schemas', () => {
  test.each(SCHEMA_NAMES)("today's %s goes with every version released", (name) => {
    expect(releasedOf(name).length).toBeGreaterThan(0);
    expect(breaks(name, schemaText(name))).toEqual([]);
  });

  test('are as they were released', () => {
    for (const { name, version, text, fingerprint: kept } of releasedSchemas()) {
      expect({ name, version, fingerprint: fingerprint(compileSchema(text)).toString('hex') }).toEqual({
        name,
        version,
        fingerprint: kept,
      });
    }
  });

  test('an edit that breaks readers is found', () => {
    const renamed = edited('Forecast', ([first, ...rest]) => [{ ...first!, name: 'sensor' }, ...rest]);
    expect(breaks('Forecast', renamed).join('\n')).toMatch(/today's reader cannot read version 1/);
    const added = edited('Forecast', (fields) => [...fields, { name: 'unit', type: 'string' }]);
    expect(breaks('Forecast', added).join('\n')).toMatch(/today's reader cannot read version 1/);
    const removed = edited('Forecast', (fields) => fields.filter(({ name }) => name !== 'level'));
    expect(breaks('Forecast', removed).join('\n')).toMatch(/readers of version 1 cannot read today's/);
    const narrowed = edited('Alert', (fields) =>
      fields.map((f) => (f.type === 'double' ? { ...f, type: 'float' } : f)),
    );
    expect(breaks('Alert', narrowed).join('\n')).toMatch(/cannot read version 1/);
  });

  test('an edit that keeps the rule is not', () => {
    const added = edited('Forecast', (fields) => [...fields, { name: 'unit', type: 'string', default: '' }]);
    expect(breaks('Forecast', added)).toEqual([]);
    const removed = edited('StateSnapshot', (fields) => fields.filter(({ name }) => name !== 'task'));
    expect(RULES.StateSnapshot).toBe('backward');
    expect(breaks('StateSnapshot', removed)).toEqual([]);
  });
});

describe('records of another version', () => {
  test("are read as today's: what is missing has its default, what is too much is left out", () => {
    const earlier = edited('Reading', (fields) =>
      fields.filter(({ name }) => name !== 'retained' && name !== 'fingerprint'),
    );
    const later = edited('Reading', (fields) => [...fields, { name: 'unit', type: 'string', default: '' }]);
    const value = { device: 'd', time: 7, values: { t: 1.5 }, redelivered: true, unit: 'K' };
    for (const text of [earlier, later]) {
      const type = compileSchema(text);
      const header = Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint(type)]);
      const bytes = Buffer.concat([header, type.toBuffer({ retained: false, fingerprint: '', ...value })]);
      expect(() => decode('Reading', bytes)).toThrow(expect.objectContaining({ code: 'CODEC_UNKNOWN_SCHEMA' }));
      expect(learnSchema(text)).toEqual(header);
      expect({ ...decode<object>('Reading', bytes) }).toEqual({
        device: 'd',
        time: 7,
        values: { t: 1.5 },
        retained: false,
        redelivered: true,
        fingerprint: '',
      });
      expect(writerOf(bytes)).toMatchObject({ name: 'Reading', text });
      // A count that the bytes cannot hold is refused here too.
      const claims = Buffer.concat([header, Buffer.from([2, 0x64, 14, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0])]);
      expect(() => decode('Reading', claims)).toThrow(expect.objectContaining({ code: 'CODEC_MALFORMED' }));
    }
  });

  test('of schemas that are not ours or do not go with ours are not taken', () => {
    expect(learnSchema('{"type":"record","name":"Other","fields":[]}')).toBeUndefined();
    expect(learnSchema(edited('Tick', () => [{ name: 'when', type: 'string' }]))).toBeUndefined();
    expect(learnSchema('not a schema')).toBeUndefined();
    expect(learnSchema(schemaText('Tick'))).toEqual(headerFor('Tick'));
    expect(decode('Tick', encode('Tick', { time: 3 }))).toMatchObject({ time: 3 });
  });
});
