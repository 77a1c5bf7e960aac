import type { Decoder, OnRest } from '../formats/bounds.ts';
import { compileFormat } from '../formats/format.ts';
import type { InnerConfig, MappingLimits } from './config.ts';
import { formatLimits } from './limits.ts';
import { compilePath } from './path.ts';
import { excerpt, Reject } from './reject.ts';

/** Decodes the payload that stands in a field of a payload. Throws {@link Reject}. */
export type Inner = (root: unknown, part: unknown, onRest: OnRest) => unknown;

/** @throws CONFIG_INVALID for a path or a format that does not compile. */
export function compileInner(config: InnerConfig, limits: MappingLimits): Inner {
  const path = compilePath(config.path);
  const strict = compileFormat(config.format, formatLimits(limits));
  const decode = config.lenient === true ? orNothing(strict) : strict;
  const encoding = config.encoding ?? 'base64';
  return (root, part, onRest) => {
    const found = path.get(path.fromRoot ? root : part);
    // A device that had nothing to say sends an empty uplink.
    if (found === undefined || found === null || found === '') {
      throw new Reject('no-values', `nothing at ${config.path}`);
    }
    if (found instanceof Uint8Array) return decode(found, onRest);
    if (encoding === 'text' && typeof found === 'object') return found;
    if (typeof found !== 'string') throw new Reject('malformed', `${config.path} is ${excerpt(found)}, not text`);
    if (encoding === 'text') return decode(Buffer.from(found), onRest);
    if (!(encoding === 'hex' ? HEX : BASE64).test(found)) {
      throw new Reject('malformed', `${excerpt(found)} at ${config.path} is not ${encoding}`);
    }
    return decode(Buffer.from(found, encoding), onRest);
  };
}

function orNothing(decode: Decoder): Decoder {
  return (payload, onRest) => {
    try {
      return decode(payload, onRest);
    } catch (error) {
      if (error instanceof Reject) throw new Reject('no-values', error.message);
      throw error;
    }
  };
}

const HEX = /^(?:[0-9a-fA-F]{2})+$/;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
