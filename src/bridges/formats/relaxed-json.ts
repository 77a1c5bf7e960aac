import { excerpt, Reject } from '../mapping/reject.ts';
import type { Decoder, FormatLimits } from './bounds.ts';
import { numberOrText, textOf } from './text.ts';

/**
 * JSON as people write it by hand and small devices print it: names without quotes, single quotes, a comma too many.
 * Words without quotes are text, but for true, false and null.
 */
export function relaxedJsonDecoder(limits: FormatLimits): Decoder {
  return (payload) => new Reader(textOf(payload), limits).read();
}

class Reader {
  readonly #text: string;
  readonly #limits: FormatLimits;
  #at = 0;
  #nodes = 0;

  constructor(text: string, limits: FormatLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  read(): unknown {
    const value = this.#value(0);
    if (this.#peek() !== '') this.#fail();
    return value;
  }

  #value(depth: number): unknown {
    if (++this.#nodes > this.#limits.maxNodes) {
      throw new Reject('too-many-values', `more than ${this.#limits.maxNodes} values in one payload`);
    }
    const first = this.#peek();
    if (first !== '{' && first !== '[') return this.#plain();
    if (depth >= this.#limits.maxDepth) {
      throw new Reject('too-deep', `nested more than ${this.#limits.maxDepth} levels`);
    }
    this.#at++;
    return first === '{' ? this.#object(depth) : this.#list(depth);
  }

  #object(depth: number): Record<string, unknown> {
    const result = Object.create(null) as Record<string, unknown>;
    while (this.#peek() !== '}') {
      const name = String(this.#plainText());
      if (this.#peek() !== ':') this.#fail();
      this.#at++;
      result[name] = this.#value(depth + 1);
      this.#separator('}');
    }
    this.#at++;
    return result;
  }

  #list(depth: number): unknown[] {
    const result: unknown[] = [];
    while (this.#peek() !== ']') {
      result.push(this.#value(depth + 1));
      this.#separator(']');
    }
    this.#at++;
    return result;
  }

  #separator(end: string): void {
    const next = this.#peek();
    if (next === ',') this.#at++;
    else if (next !== end) this.#fail();
  }

  #plain(): unknown {
    const quoted = /["']/.test(this.#peek());
    const text = this.#plainText();
    if (quoted) return text;
    if (text === 'true') return true;
    if (text === 'false') return false;
    return text === 'null' ? null : numberOrText(text);
  }

  #plainText(): string {
    this.#peek();
    const token = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|[^\s,:{}[\]"']+/sy;
    token.lastIndex = this.#at;
    const found = token.exec(this.#text);
    if (found === null) return this.#fail();
    this.#at = token.lastIndex;
    const inner = found[1] ?? found[2];
    return inner === undefined
      ? found[0]
      : inner.replaceAll(/\\(u[0-9a-fA-F]{4}|.)/gs, (_, code: string) => unescaped(code));
  }

  /** The next character that is not white space, or an empty text at the end. */
  #peek(): string {
    while (this.#at < this.#text.length && /\s/.test(this.#text[this.#at]!)) this.#at++;
    return this.#text[this.#at] ?? '';
  }

  #fail(): never {
    throw new Reject('not-json', `${excerpt(this.#text)} cannot be read from character ${this.#at + 1} on`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

function unescaped(code: string): string {
  return code.length === 5 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (ESCAPES[code] ?? code);
}
