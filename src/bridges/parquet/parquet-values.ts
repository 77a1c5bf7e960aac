import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { fileWriter, parquetWriteRows } from 'hyparquet-writer';
import { FleetcastError, isFleetcastError, messageOf } from '../../errors.ts';
import type { ValueRow } from '../csv/value-rows.ts';

const COLUMNS = ['device', 'quantity', 'time', 'value'] as const;
const GROUP = 100_000;

/** Writes values as Parquet, Snappy: device, quantity (string), time (timestamp), value (double), readings (int32). */
export async function writeParquet(file: string, rows: Iterable<ValueRow>): Promise<void> {
  try {
    await parquetWriteRows({
      writer: fileWriter(file),
      columns: [
        { name: 'device', type: 'STRING', nullable: false },
        { name: 'quantity', type: 'STRING', nullable: false },
        { name: 'time', type: 'TIMESTAMP', nullable: false },
        { name: 'value', type: 'DOUBLE', nullable: false },
        { name: 'readings', type: 'INT32', nullable: false },
      ],
      rows: records(rows),
      rowGroupSize: GROUP,
    });
  } catch (cause) {
    throw new FleetcastError('PARQUET_INVALID', `cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}

function* records(rows: Iterable<ValueRow>): Generator<Record<string, unknown>> {
  for (const { device, quantity, time, value, count } of rows) {
    yield { device, quantity, time: new Date(time), value, readings: count };
  }
}

/**
 * The values of a Parquet file with the columns device, quantity, time (timestamp, or milliseconds since the epoch), value
 * and, if any, readings. Uncompressed or Snappy.
 * @throws PARQUET_INVALID, naming file and row
 */
export async function* parquetValues(file: string): AsyncGenerator<ValueRow> {
  const failed = (cause: unknown): FleetcastError =>
    isFleetcastError(cause) ? cause : new FleetcastError('PARQUET_INVALID', `${file}: ${messageOf(cause)}`, { cause });
  try {
    const buffer = await asyncBufferFromFile(file);
    const metadata = await parquetMetadataAsync(buffer);
    const names = metadata.schema.slice(1).map(({ name }) => name);
    const missing = COLUMNS.filter((name) => !names.includes(name));
    if (missing.length > 0) throw new FleetcastError('PARQUET_INVALID', `${file} has no column ${missing.join(', ')}`);
    const columns = [...COLUMNS, ...(names.includes('readings') ? ['readings'] : [])];
    const total = Number(metadata.num_rows);
    for (let from = 0; from < total; from += GROUP) {
      const rowEnd = Math.min(total, from + GROUP);
      const group = await parquetReadObjects({ file: buffer, metadata, columns, rowStart: from, rowEnd });
      for (const [i, row] of group.entries()) yield checked(row, file, from + i + 1);
    }
  } catch (cause) {
    throw failed(cause);
  }
}

function checked(row: Record<string, unknown>, file: string, number: number): ValueRow {
  const { device, quantity, time: at, value, readings = 1 } = row;
  const time = at instanceof Date ? at.getTime() : typeof at === 'string' ? Date.parse(at) : Number(at);
  const count = Number(readings);
  if (typeof device !== 'string' || typeof quantity !== 'string' || device === '' || quantity === '') {
    throw new FleetcastError('PARQUET_INVALID', `${file}, row ${number}: no device or no quantity`);
  }
  if (!Number.isFinite(time) || typeof value !== 'number' || !Number.isFinite(value) || !(count >= 1)) {
    throw new FleetcastError('PARQUET_INVALID', `${file}, row ${number}: time, value or readings is no number`);
  }
  return { device, quantity, time, value, count };
}
