import type { ServerResponse } from 'node:http';
import { seriesDetail } from '../view/queries.ts';
import type { PageSource } from './page-source.ts';

interface Listener {
  readonly response: ServerResponse;
  readonly device: string;
  readonly quantity: string;
  series: string;
}

const PERIOD_MS = 1_000;
const LISTENERS = 100;
const POINTS = 168;

/** Server-sent events: `status` once a second, and `series` whenever the chosen series has changed. */
export class Broadcast {
  readonly #source: PageSource;
  readonly #now: () => number;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;

  constructor(source: PageSource, now: () => number) {
    this.#source = source;
    this.#now = now;
  }

  add(response: ServerResponse, device: string, quantity: string): void {
    if (this.#listeners.size >= LISTENERS) {
      response.writeHead(503, { 'content-type': 'text/plain' }).end('too many listeners');
      return;
    }
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    const listener = { response, device, quantity, series: '' };
    this.#listeners.add(listener);
    response.on('close', () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#rest();
    });
    this.#send(listener, JSON.stringify(this.#source.status()));
    this.#timer ??= setInterval(() => this.#sendAll(), PERIOD_MS);
  }

  close(): void {
    this.#rest();
    for (const { response } of this.#listeners) response.end();
    this.#listeners.clear();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sendAll(): void {
    const status = JSON.stringify(this.#source.status());
    for (const listener of this.#listeners) this.#send(listener, status);
  }

  #send(listener: Listener, status: string): void {
    const { response, device, quantity } = listener;
    // A reader that does not keep up gets the next state, not a queue of old ones.
    if (response.writableNeedDrain) return;
    let text = `event: status\nid: ${this.#now()}\ndata: ${status}\n\n`;
    if (device !== '') {
      const series = JSON.stringify(seriesDetail(this.#source.view, device, quantity, POINTS) ?? null);
      if (series !== listener.series) text += `event: series\ndata: ${series}\n\n`;
      listener.series = series;
    }
    response.write(text);
  }
}
