import { compileFormat, type SimpleFormat } from '../formats/format.ts';
import type { PresetConfig } from '../mapping/config.ts';
import { Reject } from '../mapping/reject.ts';
import type { Sample } from './collector.ts';

type Json = Readonly<Record<string, unknown>>;
/** The payload that a network server has passed on undecoded; undefined where it decoded it, or there is none. */
type Undecoded = (json: Json) => Buffer | undefined;

const base64 = (found: unknown, isDecoded: boolean) =>
  isDecoded || typeof found !== 'string' || found === '' ? undefined : Buffer.from(found, 'base64');

const UNDECODED: Readonly<Record<string, Undecoded>> = {
  'the-things-stack': (json) => {
    const uplink = ((json['data'] as Json | undefined) ?? json)['uplink_message'] as Json | undefined;
    return base64(uplink?.['frm_payload'], uplink?.['decoded_payload'] !== undefined);
  },
  chirpstack: (json) => base64(json['data'], json['object'] !== undefined),
  loriot: (json) =>
    json['decoded'] === undefined && typeof json['data'] === 'string' && json['cmd'] !== undefined
      ? Buffer.from(json['data'], 'hex')
      : undefined,
};
/** Formats that tell themselves, most of the time. */
const CODECS: readonly SimpleFormat[] = ['milesight', 'cayenne-lpp'];
const LIMITS = { maxDepth: 16, maxNodes: 20_000 };

/** For network servers that pass payloads on as they are: the codec that reads all of them, or a note that one is needed. */
export function withCodec(
  entry: PresetConfig,
  samples: readonly Sample[],
): { readonly entry: PresetConfig; readonly notes: readonly string[] } {
  const undecoded = UNDECODED[entry.preset];
  if (undecoded === undefined || entry.codec !== undefined) return { entry, notes: [] };
  const payloads = samples.flatMap(({ payload }) => {
    const found = undecodedIn(payload, undecoded);
    return found === undefined || found.length === 0 ? [] : [found];
  });
  if (payloads.length === 0) return { entry, notes: [] };
  const [codec, ...more] = CODECS.filter((format) => readsAll(format, payloads));
  const what = `${payloads.length} payloads were not decoded by the network server`;
  if (codec === undefined || more.length > 0) {
    const note = `${what}: give their device a decoder there, or \`codec\` here; until then only rssi and snr come of them`;
    return { entry, notes: [note] };
  }
  return { entry: { ...entry, codec }, notes: [`${what}; ${codec} reads all of them: check that its values can be`] };
}

function undecodedIn(payload: Uint8Array, undecoded: Undecoded): Buffer | undefined {
  try {
    const json: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    return json === null || typeof json !== 'object' ? undefined : undecoded(json as Json);
  } catch {
    return undefined;
  }
}

function readsAll(format: SimpleFormat, payloads: readonly Buffer[]): boolean {
  const decode = compileFormat(format, LIMITS);
  return payloads.every((payload) => {
    let whole = true;
    let values: unknown;
    try {
      values = decode(payload, () => {
        whole = false;
      });
    } catch (error) {
      if (error instanceof Reject) return false;
      throw error;
    }
    return whole && Object.entries(values as Record<string, number>).every(([name, value]) => canBe(name, value));
  });
}

/** The same bytes in another order are a temperature that no sensor has. */
function canBe(name: string, value: number): boolean {
  if (/temperature/.test(name)) return value >= -60 && value <= 150;
  return !/humidity/.test(name) || (value >= 0 && value <= 100);
}
