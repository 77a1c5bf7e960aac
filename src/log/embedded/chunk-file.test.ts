import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChunkFile } from './chunk-file.ts';
import { chunkKey, Tables } from './tables.ts';

const id = { topic: 'readings', topicId: 3, partition: 1 };

describe('ChunkFile', () => {
  let path: string;
  let tables: Tables;
  let file: ChunkFile;

  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'fleetcast-chunks-'));
    tables = new Tables(path, 0);
    file = new ChunkFile(join(path, 'data.mdb'), 'log');
  });

  afterEach(async () => {
    file.close();
    await tables.close();
    rmSync(path, { recursive: true, force: true });
  });

  it('finds what LMDB finds, and nothing else', () => {
    const write = fc.record({
      base: fc.integer({ min: 0, max: 400 }),
      // Within a page, in pages of its own, and just between.
      bytes: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 1900, max: 2100 }), fc.constant(65_000)),
      remove: fc.boolean(),
    });
    const wanted = new Map<number, Buffer>();
    fc.assert(
      fc.property(fc.array(fc.array(write, { maxLength: 40 }), { maxLength: 4 }), (transactions) => {
        for (const [t, writes] of transactions.entries()) {
          tables.write(() => {
            for (const { base, bytes, remove } of writes) {
              const value = Buffer.alloc(bytes, t + base);
              if (remove) tables.log.remove(chunkKey(id, base));
              else tables.log.put(chunkKey(id, base), value);
              if (remove) wanted.delete(base);
              else wanted.set(base, value);
            }
          });
        }
        tables.refresh();
        for (let base = 0; base <= 401; base++) {
          const found = file.get(chunkKey(id, base));
          expect(found === undefined).toBe(!wanted.has(base));
          if (found !== undefined) expect(found.equals(wanted.get(base)!)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
    expect(wanted.size).toBeGreaterThan(20);
  });

  it('finds a value that took the place of a longer one in the same transaction', () => {
    const short = Buffer.alloc(235, 1);
    tables.write(() => {
      tables.log.put(chunkKey(id, 1), Buffer.alloc(65_000));
      tables.log.put(chunkKey(id, 1), short);
    });
    tables.refresh();
    expect(file.get(chunkKey(id, 1))).toEqual(short);
  });

  it('finds nothing in a table that is not there', () => {
    const other = new ChunkFile(join(path, 'data.mdb'), 'no such table');
    tables.write(() => tables.log.put(chunkKey(id, 1), Buffer.from('1')));
    expect(other.get(chunkKey(id, 1))).toBeUndefined();
    other.close();
  });
});
