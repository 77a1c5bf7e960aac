import { excerpt, Reject } from '../mapping/reject.ts';
import type { Decoder, FormatLimits } from './bounds.ts';
import { textOf } from './text.ts';

export interface Line {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Integers beyond 2^53 come as the nearest number; booleans and text as they are. */
  readonly fields: Readonly<Record<string, number | string | boolean>>;
  /** Digits as they stand: nanoseconds do not fit into a number. */
  readonly time?: string;
}

/**
 * InfluxDB line protocol (v1 and v2): one object for each line. Comments and empty lines are left out; escapes as the
 * specification has them (`\,`, `\=`, `\ `; in text `\"` and `\\`).
 */
export function lineProtocolDecoder(limits: FormatLimits): Decoder {
  return (payload): Line[] => {
    const reader = new Reader(textOf(payload), limits.maxNodes);
    const lines: Line[] = [];
    while (reader.nextLine()) lines.push(reader.line());
    if (lines.length === 0) throw new Reject('malformed', 'no line of line protocol');
    return lines;
  };
}

class Reader {
  readonly #text: string;
  #left: number;
  #at = 0;
  #start = 0;

  constructor(text: string, maxNodes: number) {
    this.#text = text;
    this.#left = maxNodes;
  }

  /** Goes to the first character of the next line that says something. */
  nextLine(): boolean {
    for (;;) {
      const blank = /[\s]*(#[^\n]*)?/y;
      blank.lastIndex = this.#at;
      const found = blank.exec(this.#text)![0];
      this.#at += found.length;
      if (found === '') break;
    }
    this.#start = this.#at;
    return this.#at < this.#text.length;
  }

  line(): Line {
    const measurement = this.#name(/[, ]/);
    const tags = Object.create(null) as Record<string, string>;
    while (this.#take(',')) {
      const key = this.#name(/[=, ]/);
      if (!this.#take('=')) this.#fail();
      tags[key] = this.#name(/[, ]/);
      this.#count();
    }
    this.#spaces();
    const fields = Object.create(null) as Record<string, number | string | boolean>;
    do {
      const key = this.#name(/[=, ]/);
      if (!this.#take('=')) this.#fail();
      fields[key] = this.#value();
      this.#count();
    } while (this.#take(','));
    const time = this.#time();
    return time === undefined ? { measurement, tags, fields } : { measurement, tags, fields, time };
  }

  #name(end: RegExp): string {
    let result = '';
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]!;
      if (char === '\n' || end.test(char)) break;
      const next = this.#text[this.#at + 1] ?? '';
      if (char === '\\' && /[,= ]/.test(next)) {
        result += next;
        this.#at++;
      } else result += char;
    }
    return result === '' ? this.#fail() : result;
  }

  #value(): number | string | boolean {
    if (this.#text[this.#at] === '"') return this.#quoted();
    const token = /[^,\s]*/y;
    token.lastIndex = this.#at;
    const text = token.exec(this.#text)![0];
    this.#at += text.length;
    if (text.length <= 60 && /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text);
    if (/^[+-]?\d{1,20}[iu]$/.test(text)) return Number(text.slice(0, -1));
    if (/^(t|T|true|True|TRUE)$/.test(text)) return true;
    if (/^(f|F|false|False|FALSE)$/.test(text)) return false;
    return this.#fail();
  }

  #quoted(): string {
    const token = /"((?:[^"\\]|\\.)*)"/sy;
    token.lastIndex = this.#at;
    const found = token.exec(this.#text);
    if (found === null) return this.#fail();
    this.#at += found[0].length;
    return found[1]!.replaceAll(/\\(["\\])/g, '$1');
  }

  #time(): string | undefined {
    const token = /[ \t]*(-?\d{1,20})?[ \t]*\r?(?=\n|$)/y;
    token.lastIndex = this.#at;
    const found = token.exec(this.#text);
    if (found === null) return this.#fail();
    this.#at += found[0].length;
    return found[1];
  }

  #spaces(): void {
    if (!this.#take(' ')) this.#fail();
    while (this.#take(' '));
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #count(): void {
    if (--this.#left < 0) throw new Reject('too-many-values', 'too many tags and fields in one payload');
  }

  #fail(): never {
    const line = this.#text.slice(this.#start, this.#start + 60);
    throw new Reject(
      'malformed',
      `${excerpt(line)}: not line protocol from character ${this.#at - this.#start + 1} on`,
    );
  }
}
