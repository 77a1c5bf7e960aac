import { excerpt, Reject } from '../mapping/reject.ts';
import type { Decoder, FormatLimits } from './bounds.ts';
import { numberOrText, textOf } from './text.ts';

/**
 * `t=21.5,h=40;ok=1`, `temp:21.5 hum:40`, `t=21.5&h=40`, `name="two words"`: pairs separated by comma, semicolon,
 * ampersand, bar or white space.
 */
export function keyValueDecoder(limits: FormatLimits): Decoder {
  return (payload) => {
    const text = textOf(payload).trim();
    const result = Object.create(null) as Record<string, unknown>;
    const pair = /\s*([^\s=:,;&|"]+)\s*[=:]\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;&|"]*))\s*(?:[,;&|]+|(?=\s|$))?/y;
    let count = 0;
    let at = 0;
    while (at < text.length) {
      pair.lastIndex = at;
      const found = pair.exec(text);
      if (found === null) throw new Reject('malformed', `${excerpt(text.slice(at))} is not key=value`);
      if (++count > limits.maxNodes) throw new Reject('too-many-values', `more than ${limits.maxNodes} pairs`);
      const [, name = '', quoted, plain = ''] = found;
      result[name] = quoted === undefined ? numberOrText(plain) : quoted.replaceAll(/\\(.)/gs, '$1');
      at = pair.lastIndex;
    }
    if (count === 0) throw new Reject('malformed', 'no pair of key and value');
    return result;
  };
}
