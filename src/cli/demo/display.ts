import { isNaiveName } from '../../operators/baselines.ts';
import type { ServiceStatus } from '../../service/status.ts';
import { durationText, progressBar, textTable } from '../terminal.ts';
import { STATION } from './fleet.ts';

export interface DemoProgress {
  readonly status: ServiceStatus;
  readonly pageUrl: string;
  /** Event time of the fleet. */
  readonly time: number;
  readonly hours: number;
  readonly backlogHours: number;
  readonly speed: number;
  /** Milliseconds since the demo was started. */
  readonly elapsed: number;
}

const whole = (value: number) => Math.round(value).toLocaleString('en');

export function modelForecasts(status: ServiceStatus): number {
  return Object.entries(status.model.forecasts).reduce((sum, [model, n]) => (isNaiveName(model) ? sum : sum + n), 0);
}

/** What a terminal shows, redrawn in place. */
export function demoLines(progress: DemoProgress): string[] {
  const { status, hours, backlogHours } = progress;
  const { totals, rates, health } = status;
  const date = new Date(progress.time).toISOString().slice(0, 13).replace('T', ' ');
  const pace = hours < backlogHours ? 'catching up' : `${progress.speed}x`;
  const lag = status.tasks.reduce((sum, task) => sum + task.lag, 0);
  const lines = [
    '',
    `page       ${progress.pageUrl}`,
    `look at    ${STATION}, a real weather station among them: ${progress.pageUrl}/#${STATION}/temperature`,
    `fleet      ${totals.devices} devices · ${date} h · ${pace} · ${whole(rates.readings)} readings/s · ${whole(totals.readings)} in all`,
  ];
  if (hours < backlogHours)
    lines.push(`history    ${progressBar(hours / backlogHours)}  hour ${hours} of ${backlogHours}`);
  lines.push(`training   ${trainingText(status)}`);
  lines.push(
    `forecasts  ${whole(rates.forecasts)}/s · ${whole(totals.forecasts)} in all, ${whole(modelForecasts(status))} by models · ${whole(lag)} records to go`,
  );
  if (status.model.errors.length > 0) lines.push(`error      ${errorText(status)}`);
  lines.push(`not taken  ${dropText(status)}`);
  if (health.problems.length > 0) lines.push(`health     ${health.problems.join(' · ')}`);
  lines.push('', 'Ctrl-C ends it; the next start goes on from here');
  return lines;
}

/** One line for those who read a file instead. */
export function demoLine(progress: DemoProgress): string {
  const { status, hours, backlogHours } = progress;
  const { totals } = status;
  const pace = hours < backlogHours ? `history ${Math.floor((100 * hours) / backlogHours)} %` : `${progress.speed}x`;
  return [
    `${durationText(progress.elapsed).padStart(5)}`,
    pace,
    `${whole(totals.readings)} readings`,
    `${whole(totals.forecasts)} forecasts (${whole(modelForecasts(status))} by models)`,
    `training: ${trainingText(status)}`,
  ].join(' · ');
}

function trainingText({ training }: ServiceStatus): string {
  const { state, epoch, epochs, step, steps, loss, validationLoss, remainingMs, message } = training;
  if (state !== 'training') return message === '' ? state : `${state}: ${message}`;
  const left = Number.isFinite(remainingMs) ? ` · ${durationText(remainingMs)} left` : '';
  return `${progressBar(step / steps)}  epoch ${epoch} of ${epochs} · loss ${fixed(loss)} · validation ${fixed(validationLoss)}${left}`;
}

function errorText({ model }: ServiceStatus): string {
  return model.errors.map(({ model: id, error }) => `${nameOf(id)} ${fixed(error)}`).join(' · ');
}

function dropText({ drops }: ServiceStatus): string {
  const byReason = new Map<string, number>();
  for (const { reason, count } of drops) byReason.set(reason, (byReason.get(reason) ?? 0) + count);
  const parts = [...byReason].sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${count} ${reason}`);
  return parts.join(', ') || 'nothing';
}

function nameOf(id: string): string {
  return isNaiveName(id) ? id.replace('-', ' ') : `model ${id.replace(/^ridge:/, '').slice(0, 8)}`;
}

const fixed = (value: number) => (Number.isFinite(value) ? value.toFixed(3) : '–');

/** What the demo has done, for the end. */
export function demoSummary(status: ServiceStatus, elapsed: number, firstModelForecast: number | undefined): string {
  const { totals, model, drops } = status;
  const lines = [
    '',
    `ran           ${durationText(elapsed)}`,
    `readings      ${whole(totals.readings)} of ${totals.devices} devices, ${totals.series} series`,
    `forecasts     ${whole(totals.forecasts)}, of which ${whole(modelForecasts(status))} by trained models`,
    `model         ${model.id === '' ? 'none yet: naive forecasts' : `${model.family} ${model.id.slice(0, 12)}`}${
      firstModelForecast === undefined ? '' : `, first forecast after ${durationText(firstModelForecast)}`
    }`,
    '',
  ];
  if (model.errors.length > 0) {
    lines.push('live error (mean absolute, in deviations of the series)');
    const rows = model.errors.map((row) => [
      nameOf(row.model),
      fixed(row.error),
      `${(row.coverage * 100).toFixed(0)} %`,
      whole(row.scored),
    ]);
    lines.push(textTable(['forecaster', 'error', 'in interval', 'scored'], rows), '');
  }
  if (drops.length > 0) {
    const rows = [...drops]
      .sort((a, b) => b.count - a.count)
      .map((drop) => [drop.reason, drop.where, drop.kept ? 'dead letter' : 'counted', whole(drop.count)]);
    lines.push('not taken', textTable(['reason', 'where', 'what became of it', 'count'], rows));
  } else lines.push('not taken     nothing');
  return lines.join('\n');
}

/** The same for scripts. */
export function demoResult(status: ServiceStatus, elapsed: number, firstModelForecast: number | undefined): object {
  const { totals, model, drops } = status;
  return {
    elapsedMs: Math.round(elapsed),
    readings: totals.readings,
    forecasts: totals.forecasts,
    modelForecasts: modelForecasts(status),
    firstModelForecastMs: firstModelForecast === undefined ? null : Math.round(firstModelForecast),
    model: model.id,
    errors: model.errors,
    drops,
  };
}
