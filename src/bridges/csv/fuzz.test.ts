import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { FleetcastError } from '../../errors.ts';
import type { Publisher } from '../mqtt/publisher.ts';
import { playCsv } from './player.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-csv-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Takes everything at once. */
function sink() {
  const sent: Record<string, unknown>[] = [];
  const publisher: Publisher = {
    publish: async (_topic, payload, _options, onAcknowledged) => {
      sent.push(JSON.parse(String(payload)) as Record<string, unknown>);
      onAcknowledged?.();
    },
    flush: async () => {},
    end: async () => {},
    published: 0,
    acknowledged: 0,
    refused: 0,
    lastRefusal: undefined,
    connected: true,
  };
  return { sent, publisher };
}

async function playText(bytes: Buffer | string): Promise<Record<string, unknown>[] | FleetcastError> {
  const file = join(folder, 'f.csv');
  writeFileSync(file, bytes);
  const { sent, publisher } = sink();
  try {
    const result = await playCsv({ file, publisher, now: Date.now });
    expect(result.published).toBe(sent.length);
    expect(result.rows).toBe(sent.length + Object.values(result.skipped).reduce((sum, count) => sum + count, 0));
    return sent;
  } catch (error) {
    expect(error).toBeInstanceOf(FleetcastError);
    return error as FleetcastError;
  }
}

describe('playCsv', () => {
  it('plays or refuses whatever a file holds, and every row is accounted for', async () => {
    const cell = fc.oneof(
      fc.constantFrom(
        '',
        'NaN',
        '-9999',
        '1,5',
        '"',
        '"a',
        'a"b',
        '1e999',
        '0x10',
        '∞',
        '2020-01-01',
        '99999-01-01',
        '\0',
      ),
      fc.string({ maxLength: 8 }),
      fc.double().map(String),
    );
    const file = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(fc.constantFrom(',', ';', '\t', '|'), fc.array(fc.array(cell, { maxLength: 5 }), { maxLength: 8 }))
        .map(([delimiter, rows]) =>
          ['time,a,b'.replaceAll(',', delimiter), ...rows.map((row) => row.join(delimiter))].join('\n'),
        ),
    );
    await fc.assert(
      fc.asyncProperty(file, async (content) => {
        const sent = await playText(content);
        if (sent instanceof FleetcastError) return;
        for (const each of sent) {
          for (const value of Object.values(each)) expect(Number.isFinite(value)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('gives back every number that was written', async () => {
    const rows = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 4e9 }), fc.double({ noNaN: true, noDefaultInfinity: true })),
      {
        minLength: 1,
        maxLength: 20,
      },
    );
    await fc.assert(
      fc.asyncProperty(rows, async (written) => {
        const text = written
          .map(([seconds, value]) => `${new Date(seconds * 1000).toISOString()},${value}`)
          .join('\r\n');
        const sent = await playText(`time,v\r\n${text}`);
        expect(sent).toEqual(
          written.map(([seconds, value]) => ({ time: seconds * 1000, v: value + 0 === 0 ? 0 : value })),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('does not collect a row without end', async () => {
    const refused = await playText(`time,a\n1600000000,"${'x'.repeat(3_000_000)}`);
    expect(refused).toBeInstanceOf(FleetcastError);
  });
});
