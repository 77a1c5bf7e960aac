import type { ExplainedBucket, Explanation } from './explain.ts';
import { textTable } from './text-table.ts';

const SHOWN = 12;
const iso = (ms: number) => new Date(ms).toISOString().slice(0, 16);
const short = (value: number | null) =>
  value !== null && Number.isFinite(value) ? String(Number(value.toPrecision(6))) : '–';

/** An explanation for people. @param all every bucket of the window, not only those that mattered most */
export function explanationText(explanation: Explanation, all: boolean): string {
  const { forecast, model, scaler, interval, window, topic, partition, offset } = explanation;
  const measured = window.filter((bucket) => bucket.measured).length;
  const corrected = window.filter((bucket) => bucket.corrected).length;
  const { length: readings } = window.flatMap((bucket) => bucket.readings);
  const seen = isSeen(explanation);
  const lines = [
    `forecast   ${forecast.device} ${forecast.quantity}, origin ${iso(forecast.origin)}, ${forecast.values.length} steps`,
    `place      ${topic}/${partition} offset ${offset}, caused by offset ${forecast.inputOffset} of the readings`,
    `made again ${madeAgain(explanation)}`,
    ...goneText(explanation),
    `model      ${model.family === 'unknown' ? `${model.name}; its artefact is gone from the log` : `${model.family} ${model.name}`}${sinceText(explanation)}`,
    ...(model.trainedOn.length === 0
      ? []
      : [
          `trained on ${model.trainedOn.map(({ topic: t, partition: p, from, to }) => `${t}/${p} ${from}…${to - 1}`).join(', ')}, up to ${iso(model.trainEnd)}`,
        ]),
    model.family === 'unknown' || scaler.mean === null || scaler.deviation === null
      ? 'scaler     cannot be told: its readings are gone'
      : `scaler     ${scaler.kind}: mean ${short(scaler.mean)}, deviation ${short(scaler.deviation)}`,
    `interval   ${(interval.level * 100).toFixed(0)} %: ± ${short(interval.halfWidths[0] ?? Number.NaN)} at the first step, ± ${short(interval.halfWidths.at(-1) ?? Number.NaN)} at the last`,
    seen
      ? `window     ${window.length} buckets, ${measured} measured from ${readings} readings, ${window.length - measured} filled, ${corrected} corrected`
      : `window     cannot be told; of its time ${readings} readings in ${window.length} buckets are left`,
  ];
  if (window.length === 0) return lines.join('\n');
  lines.push('', heading(explanation, all), '');
  const rows = all || !seen ? window : isNaive(explanation) ? window.filter(counts) : mostImportant(window);
  lines.push(
    textTable(
      ['bucket', 'value', 'contribution', 'readings', 'state'],
      rows.map((bucket) => [
        iso(bucket.start),
        short(bucket.value),
        short(bucket.contribution),
        offsetsText(bucket),
        seen ? (bucket.corrected ? 'corrected' : bucket.measured ? 'measured' : 'filled') : 'what is left',
      ]),
    ),
  );
  if (explanation.inputs.length > 0) {
    const rows = explanation.inputs.map(({ name, present, contribution }) => [
      name,
      short(contribution),
      present ? '' : 'masked: the device had none',
    ]);
    lines.push(
      '',
      `what the model saw beside it\ncontribution: by how much the forecast's mean would change without it, in the unit of ${forecast.quantity}`,
      '',
      textTable(['input', 'contribution', ''], rows),
    );
  }
  return lines.join('\n');
}

/** Whether the window is the one that the model saw. */
const isSeen = ({ whole, valuesIdentical, model }: Explanation) =>
  whole || (valuesIdentical && model.family !== 'unknown');

function madeAgain({ identical, differences, valuesIdentical }: Explanation): string {
  if (identical === true) return 'identical, bit for bit';
  if (identical === false) return `DIFFERS in ${differences.join(', ')}`;
  return valuesIdentical
    ? 'the values are identical, bit for bit; the rest (the interval, which earlier forecasts set) cannot be recomputed'
    : 'cannot be recomputed';
}

function goneText({ gone, forecast }: Explanation): string[] {
  if (gone === undefined) return [];
  const { topic, partition, firstKept } = gone;
  const caused = forecast.inputOffset < firstKept ? ', that which caused the forecast among them' : '';
  return [
    `gone       ${topic}/${partition} offsets 0…${firstKept - 1}, taken by retention${caused}; the first kept is ${firstKept}`,
  ];
}

function sinceText({ model }: Explanation): string {
  if (model.since === null) return '; the record that brought it into use is gone';
  return model.since < 0 ? '' : `, in use since offset ${model.since} (${model.reason})`;
}

const isNaive = ({ model }: Explanation) => model.family === 'naive';
const counts = ({ contribution }: ExplainedBucket) => contribution !== 0;

/** What the table below shows, and in which unit. */
function heading(explanation: Explanation, all: boolean): string {
  const { forecast, window } = explanation;
  const unit = `in the unit of ${forecast.quantity}`;
  if (!isSeen(explanation))
    return 'readings of that time that are still on the log; whether the model saw more is not known';
  if (isNaive(explanation)) {
    const which = `the buckets that it copies, and no others: a naive forecast is made of nothing else`;
    return `${all ? 'every bucket of the window; those with a contribution are ' : ''}${which}\ncontribution: its share of the mean of the forecast, ${unit}`;
  }
  const which = all ? 'every bucket of the window' : `the ${Math.min(SHOWN, window.length)} buckets that mattered most`;
  return `${which}\ncontribution: by how much the forecast's mean would change if the bucket had the window's mean, ${unit}`;
}

function mostImportant(window: readonly ExplainedBucket[]): ExplainedBucket[] {
  return [...window]
    .sort((a, b) => Math.abs(b.contribution ?? 0) - Math.abs(a.contribution ?? 0))
    .slice(0, SHOWN)
    .sort((a, b) => a.start - b.start);
}

function offsetsText({ readings }: ExplainedBucket): string {
  const shown = readings.slice(0, 3).map(({ offset }) => String(offset));
  return readings.length > 3 ? `${shown.join(', ')} and ${readings.length - 3} more` : shown.join(', ') || 'none';
}
