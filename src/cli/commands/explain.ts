import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { type ExplainedBucket, type Explanation, explain } from '../../retraining/explain.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLog } from '../opened.ts';
import { time } from '../options.ts';
import { type Terminal, textTable } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly origin?: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function addExplain(program: Command, terminal: Terminal): void {
  program
    .command('explain')
    .description('Where a forecast comes from: its readings, buckets, scaler and model; made again and compared.')
    .argument('<forecast>', 'its place, as partition/offset, or a series, as device/quantity (its newest forecast)')
    .option('--config <file>', CONFIG_HELP)
    .option('--origin <time>', 'with a series: the newest forecast at or before this event time', time)
    .option('--all', 'every bucket of the window, not only those that mattered most')
    .option('--json', 'as JSON')
    .action((forecast: string, options: Options) =>
      withLog(options, async ({ log, pipeline, registry }) => {
        const which = whichOf(forecast, options.origin);
        const explanation = await explain({ log, config: pipeline, models: registry, which, signal: terminal.signal });
        terminal.out(options.json ? JSON.stringify(explanation) : explanationText(explanation, options.all ?? false));
        if (!explanation.identical) {
          throw new FleetcastError('NOT_REPRODUCED', `the forecast differs in ${explanation.differences.join(', ')}`);
        }
      }),
    );
}

function whichOf(text: string, origin: number | undefined) {
  const place = /^(\d+)\/(\d+)$/.exec(text);
  if (place !== null) return { partition: Number(place[1]), offset: Number(place[2]) };
  const at = text.lastIndexOf('/');
  if (at < 1) throw new FleetcastError('USAGE', `${text} is neither partition/offset nor device/quantity`);
  const series = { device: text.slice(0, at), quantity: text.slice(at + 1) };
  return origin === undefined ? series : { ...series, origin };
}

const SHOWN = 12;
const iso = (ms: number) => new Date(ms).toISOString().slice(0, 16);
const short = (value: number) => (Number.isFinite(value) ? String(Number(value.toPrecision(6))) : '–');

export function explanationText(explanation: Explanation, all: boolean): string {
  const { forecast, model, scaler, interval, window, topic, partition, offset } = explanation;
  const measured = window.filter((bucket) => bucket.measured).length;
  const corrected = window.filter((bucket) => bucket.corrected).length;
  const { length: readings } = window.flatMap((bucket) => bucket.readings);
  const lines = [
    `forecast   ${forecast.device} ${forecast.quantity}, origin ${iso(forecast.origin)}, ${forecast.values.length} steps`,
    `place      ${topic}/${partition} offset ${offset}, caused by offset ${forecast.inputOffset} of the readings`,
    `made again ${explanation.identical ? 'identical, bit for bit' : `DIFFERS in ${explanation.differences.join(', ')}`}`,
    `model      ${model.family} ${model.name}${model.since < 0 ? '' : `, in use since offset ${model.since} (${model.reason})`}`,
    ...(model.trainedOn.length === 0
      ? []
      : [
          `trained on ${model.trainedOn.map(({ topic: t, partition: p, from, to }) => `${t}/${p} ${from}…${to - 1}`).join(', ')}, up to ${iso(model.trainEnd)}`,
        ]),
    `scaler     ${scaler.kind}: mean ${short(scaler.mean)}, deviation ${short(scaler.deviation)}`,
    `interval   ${(interval.level * 100).toFixed(0)} %: ± ${short(interval.halfWidths[0] ?? Number.NaN)} at the first step, ± ${short(interval.halfWidths.at(-1) ?? Number.NaN)} at the last`,
    `window     ${window.length} buckets, ${measured} measured from ${readings} readings, ${window.length - measured} filled, ${corrected} corrected`,
    '',
    all ? 'every bucket of the window:' : `the ${Math.min(SHOWN, window.length)} buckets that mattered most:`,
  ];
  const rows = all ? window : mostImportant(window);
  lines.push(
    textTable(
      ['bucket', 'value', 'contribution', 'readings', 'state'],
      rows.map((bucket) => [
        iso(bucket.start),
        short(bucket.value),
        short(bucket.contribution),
        offsetsText(bucket),
        bucket.corrected ? 'corrected' : bucket.measured ? 'measured' : 'filled',
      ]),
    ),
  );
  return lines.join('\n');
}

function mostImportant(window: readonly ExplainedBucket[]): ExplainedBucket[] {
  return [...window]
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
    .slice(0, SHOWN)
    .sort((a, b) => a.start - b.start);
}

function offsetsText({ readings }: ExplainedBucket): string {
  const shown = readings.slice(0, 3).map(({ offset }) => String(offset));
  return readings.length > 3 ? `${shown.join(', ')} and ${readings.length - 3} more` : shown.join(', ') || 'none';
}
