// Actual readings against forecasts: one chart, redrawn in place as buckets close.
import uPlot from '/vendor/uplot.js';
import { color, element, modelName, number, table, time } from './format.js';

const HEIGHT = 340;
const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC');

export class SeriesChart {
  constructor(target) {
    this.target = target;
    this.detail = null;
    this.plot = null;
    new ResizeObserver(() => this.resize()).observe(target);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.rebuild());
  }

  /** @param detail as /api/series gives it, or null */
  show(detail) {
    const same = this.detail?.device === detail?.device && this.detail?.quantity === detail?.quantity;
    this.detail = detail;
    if (detail === null) {
      this.plot?.destroy();
      this.plot = null;
      this.target.replaceChildren(element('p', { class: 'muted' }, 'Nothing to show yet: no bucket has closed.'));
      return;
    }
    if (same && this.plot) this.plot.setData(columns(detail));
    else this.rebuild();
    this.target.setAttribute('aria-label', describe(detail));
  }

  rebuild() {
    if (this.detail === null) return;
    this.plot?.destroy();
    this.target.replaceChildren();
    this.plot = new uPlot(this.options(), columns(this.detail), this.target);
  }

  resize() {
    const width = this.target.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  options() {
    const axis = { stroke: color('soft'), grid: { stroke: color('line'), width: 1 }, ticks: { stroke: color('line') } };
    const value = (_plot, raw) => number(raw, 4);
    return {
      width: Math.max(this.target.clientWidth, 200),
      height: HEIGHT,
      tzDate: utc,
      cursor: { points: { size: 6 } },
      scales: { x: { time: true } },
      axes: [
        { ...axis, space: 70, values: (_plot, ticks) => ticks.map(tickText) },
        { ...axis, size: 62, values: (_plot, ticks) => ticks.map((tick) => number(tick, 4)) },
      ],
      series: [
        { label: 'time (UTC)', value: (_plot, raw) => (raw === null ? '–' : time(raw * 1000)) },
        { label: 'high', stroke: 'transparent', points: { show: false }, value },
        { label: 'low', stroke: 'transparent', points: { show: false }, value },
        {
          label: 'forecast 1 step ahead',
          stroke: color('forecast'),
          width: 1,
          dash: [2, 3],
          points: { show: false },
          value,
        },
        { label: 'actual', stroke: color('actual'), width: 2, points: { show: false }, value },
        { label: 'forecast', stroke: color('forecast'), width: 2.5, points: { show: false }, value },
      ],
      bands: [{ series: [1, 2], fill: color('band') }],
      hooks: { draw: [(plot) => this.markOrigin(plot)] },
    };
  }

  /** A line where the past ends. */
  markOrigin(plot) {
    const origin = this.detail?.forecast?.origin;
    if (origin === undefined || origin === null) return;
    const x = Math.round(plot.valToPos(origin / 1000, 'x', true));
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = color('soft');
    ctx.setLineDash([4, 4]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}

/** The day at midnight, the hour between. */
function tickText(seconds) {
  const text = new Date(seconds * 1000).toISOString();
  return text.slice(11, 16) === '00:00' ? text.slice(5, 10) : text.slice(11, 16);
}

/** Columns of the chart: time, high, low, one step ahead, actual, forecast. The forecast starts at the last actual. */
export function columns({ points, forecast }) {
  const rows = points.map(([at, actual, expected, lower, upper]) => [at / 1000, upper, lower, expected, actual, null]);
  if (forecast !== null) {
    const known = new Map(rows.map((row) => [row[0], row]));
    const last = rows.at(-1);
    if (last && last[0] * 1000 + forecast.interval === forecast.origin) last[5] = last[4];
    forecast.values.forEach((value, i) => {
      const at = (forecast.origin + i * forecast.interval) / 1000;
      const row = known.get(at);
      if (row) row[5] = value;
      else rows.push([at, forecast.upper[i] ?? null, forecast.lower[i] ?? null, null, null, value]);
    });
  }
  rows.sort((a, b) => a[0] - b[0]);
  return [0, 1, 2, 3, 4, 5].map((column) => rows.map((row) => row[column]));
}

function describe({ device, quantity, points, forecast }) {
  const last = points.at(-1);
  const now = last ? `last value ${number(last[1], 4)} at ${time(last[0])} UTC` : 'no closed bucket yet';
  if (forecast === null) return `${device} ${quantity}: ${now}; no forecast yet`;
  const next = `next ${number(forecast.values[0], 4)}, in ${forecast.values.length} steps ${number(forecast.values.at(-1), 4)}`;
  return `${device} ${quantity}: ${now}; forecast by ${modelName(forecast.model)}: ${next}`;
}

export function forecastTable(forecast) {
  if (forecast === null) return element('p', { class: 'muted' }, 'No forecast yet.');
  return table(
    ['time (UTC)', ['low', 'number'], ['forecast', 'number'], ['high', 'number']],
    forecast.values.map((value, i) => [
      time(forecast.origin + i * forecast.interval),
      [number(forecast.lower[i], 4), 'number'],
      [number(value, 4), 'number'],
      [number(forecast.upper[i], 4), 'number'],
    ]),
  );
}
