// The cards below the chart, and the tiles above it.
import uPlot from '/vendor/uplot.js';
import {
  color,
  count,
  duration,
  element,
  modelName,
  number,
  percent,
  rate,
  setText,
  table,
  time,
  whole,
} from './format.js';

const byId = (id) => document.getElementById(id);
const HEALTH = { ok: 'running', idle: 'idle', starting: 'starting', degraded: 'degraded', stuck: 'stuck' };
const NAIVE = ['last-value', 'seasonal-naive', 'naive-mix'];

export function drawStatus(status) {
  drawTiles(status);
  drawModel(status.model);
  drawTraining(status.training, status.model);
  drawFlow(status);
  drawDrops(status);
  drawNotes(status.notes);
}

export function drawHealth(state, problems) {
  const badge = byId('health');
  badge.className = `badge ${state}`;
  setText(badge, HEALTH[state] ?? state);
  const box = byId('problems');
  box.hidden = problems.length === 0;
  setText(box, problems.join(' · '));
}

function drawTiles({ totals, rates, drops, model, health }) {
  drawHealth(health.status, health.problems);
  setText(byId('tile-devices'), whole(totals.devices));
  setText(byId('tile-readings'), rate(rates.readings));
  setText(byId('tile-forecasts'), rate(rates.forecasts));
  setText(byId('tile-drops'), whole(drops.reduce((sum, drop) => sum + drop.count, 0)));
  setText(byId('tile-model'), model.id === '' ? 'naive' : modelName(model.id));
}

function drawModel(model) {
  const parts = [];
  if (model.id === '') {
    parts.push(
      element('p', { class: 'big' }, 'Naive forecasts'),
      element(
        'p',
        { class: 'muted' },
        'No trained model serves yet: each series has the better of last value and seasonal naive.',
      ),
    );
  } else {
    const since = model.since > 0 ? ` since ${time(model.since)} UTC` : '';
    parts.push(
      element('p', { class: 'big' }, `${model.family || 'model'} ${modelName(model.id)}`),
      element('p', { class: 'muted' }, `“${model.name}”${since}`),
    );
    const verdict = compare(model.errors, model.id);
    if (verdict !== undefined) {
      const { share, naive, scored } = verdict;
      const kind = share < 1 ? 'better' : 'worse';
      parts.push(
        element(
          'p',
          {},
          element('span', { class: kind }, `${percent(Math.abs(1 - share))} ${kind}`),
          ` than ${modelName(naive)} on ${span(scored)}`,
        ),
      );
    }
  }
  if (model.errors.length > 0) {
    const largest = Math.max(...model.errors.map(({ error }) => error));
    parts.push(
      table(
        ['forecaster', ['error (σ)', 'number'], ['in interval', 'number'], ['values scored', 'number']],
        model.errors.map((row) => {
          const bar = element('span', { class: `bar ${row.role}` });
          bar.style.width = `${Math.max(3, (100 * row.error) / largest)}%`;
          const name = element('span', {}, `${modelName(row.model)}${row.role === 'champion' ? ' (in use)' : ''}`, bar);
          return [
            name,
            [number(row.error), 'number'],
            [percent(row.coverage), 'number'],
            [whole(row.scored), 'number'],
          ];
        }),
      ),
    );
  } else parts.push(element('p', { class: 'muted' }, 'Errors appear when the first forecasts meet their actuals.'));
  byId('model').replaceChildren(...parts);
}

function compare(errors, id) {
  const mine = errors.find((row) => row.model === id);
  const naive = errors.find((row) => NAIVE.includes(row.model));
  if (mine === undefined || naive === undefined || !(naive.error > 0)) return undefined;
  return { share: mine.error / naive.error, naive: naive.model, scored: mine.scored };
}

/** Older errors fade: the newest 5,000 weigh as much as all before them. */
function span(scored) {
  const all = `the ${whole(scored)} forecast values scored while it was in use`;
  return scored > 5000 ? `the latest values: the newest 5,000 weigh half of ${all}` : all;
}

function drawTraining(training, model) {
  const parts = [];
  const words = {
    off: 'Off',
    waiting: 'Waiting',
    preparing: 'Preparing',
    training: 'Training',
    idle: 'Done',
    failed: 'Failed',
  };
  parts.push(element('p', { class: 'big' }, words[training.state] ?? training.state));
  if (training.model) parts.push(element('p', {}, `Model ${modelName(training.model)}`));
  if (training.message) parts.push(element('p', { class: 'muted' }, training.message));
  if (training.state === 'training' && training.steps > 0) {
    const label = `step ${whole(training.step)} of ${whole(training.steps)}`;
    parts.push(element('progress', { max: String(training.steps), value: String(training.step), 'aria-label': label }));
  }
  if (training.epochs > 0) {
    parts.push(
      table(
        ['epoch', ['loss', 'number'], ['validation', 'number'], ['time left', 'number']],
        [
          [
            `${training.epoch} of ${training.epochs}`,
            [number(training.loss), 'number'],
            [number(training.validationLoss), 'number'],
            [training.state === 'training' ? duration(training.remainingMs) : '–', 'number'],
          ],
        ],
      ),
    );
  }
  if (training.state !== 'training' && training.model === model.id) parts.push(...heldOut(model));
  if (training.losses.length > 1) parts.push(sparkline(training.losses));
  byId('training').replaceChildren(...parts);
}

/** What the training of the model in use has told of data that it had not seen. */
function heldOut({ id, metrics }) {
  const rows = [
    ['model in use', metrics['test.mae'], metrics['test.mse']],
    ['seasonal naive', metrics['test.mae.seasonal-naive'], metrics['test.mse.seasonal-naive']],
    ['last value', metrics['test.mae.last-value'], metrics['test.mse.last-value']],
  ].filter(([, mae]) => Number.isFinite(mae));
  if (id === '' || rows.length === 0) return [];
  return [
    element('p', { class: 'muted' }, 'Errors on the part of the history that was held out:'),
    table(
      ['forecaster', ['MAE (σ)', 'number'], ['MSE (σ²)', 'number']],
      rows.map(([name, mae, mse]) => [name, [number(mae), 'number'], [number(mse), 'number']]),
    ),
  ];
}

function sparkline(values) {
  const [width, height] = [300, 48];
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const at = (value, i) =>
    `${((i / (values.length - 1)) * width).toFixed(1)},${(height - 3 - ((value - low) / span) * (height - 6)).toFixed(1)}`;
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('width', '100%');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `validation loss from ${number(values[0])} to ${number(values.at(-1))}`);
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
  line.setAttribute('points', values.map(at).join(' '));
  line.setAttribute('fill', 'none');
  line.setAttribute('stroke', color('accent'));
  line.setAttribute('stroke-width', '2');
  svg.append(line);
  return svg;
}

const KEPT = 180;
const flow = [[], [], []];
let plot = null;

function drawFlow({ now, rates, tasks, bridge, log }) {
  flow[0].push(now / 1000);
  flow[1].push(rates.readings);
  flow[2].push(rates.forecasts);
  for (const column of flow) column.splice(0, column.length - KEPT);
  const target = byId('flow-chart');
  if (plot === null) plot = flowPlot(target);
  else plot.setData(flow);
  if (plot.width !== target.clientWidth) plot.setSize({ width: target.clientWidth, height: 110 });
  const lag = tasks.reduce((sum, task) => sum + task.lag, 0);
  const running = tasks.filter((task) => task.state === 'running').length;
  const rows = [
    ['log', `${log.kind}${log.where ? `, ${log.where}` : ''}`],
    ['tasks', `${running} of ${tasks.length} running, ${whole(lag)} records to go${restoring(tasks)}`],
  ];
  if (bridge) {
    const state = bridge.logDown ? 'waits for the log' : bridge.connected ? 'connected' : 'not connected';
    rows.unshift([
      'bridge',
      `${state}, ${bridge.url}; ${whole(bridge.acknowledged)} of ${whole(bridge.received)} acknowledged, ` +
        `${whole(bridge.perSecond)} a second, ${whole(bridge.inFlight)} in flight`,
    ]);
  }
  if (bridge?.presence) {
    const { online, offline, gone } = bridge.presence;
    const names = gone.slice(0, 5).map(({ device }) => device);
    const list = names.length === 0 ? '' : `: ${names.join(', ')}${offline > names.length ? ' …' : ''}`;
    rows.push(['presence', `${whole(online)} online, ${whole(offline)} offline${list}`]);
  }
  byId('flow').replaceChildren(
    table(
      ['', ''],
      rows.map(([name, value]) => [[name, 'muted'], value]),
    ),
  );
}

function flowPlot(target) {
  const axis = { stroke: color('soft'), grid: { stroke: color('line'), width: 1 }, ticks: { show: false } };
  const value = (_plot, raw) => rate(raw ?? Number.NaN);
  return new uPlot(
    {
      width: Math.max(200, target.clientWidth),
      height: 110,
      cursor: { points: { size: 5 } },
      scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
      axes: [{ show: false }, { ...axis, size: 46, space: 26 }],
      series: [
        { value: (_plot, raw) => (raw === null ? '–' : new Date(raw * 1000).toLocaleTimeString('en-GB')) },
        { label: 'readings / s', stroke: color('accent'), width: 1.5, points: { show: false }, value },
        { label: 'forecasts / s', stroke: color('forecast'), width: 1.5, points: { show: false }, value },
      ],
    },
    flow,
    target,
  );
}

export function rebuildFlow() {
  plot?.destroy();
  plot = null;
  byId('flow-chart').replaceChildren();
}

function drawDrops({ drops, onLog, startedAt }) {
  const letters = `The log holds ${count(onLog.deadLetters, 'dead letter')}, of all processes and from before as well.`;
  const held = onLog.deadLetters > 0 ? [element('p', { class: 'muted' }, letters)] : [];
  if (drops.length === 0) {
    const nothing = `Nothing since this process started, ${time(startedAt)} UTC.`;
    byId('drops').replaceChildren(element('p', { class: 'muted' }, nothing), ...held);
    return;
  }
  byId('drops').replaceChildren(
    ...held,
    table(
      ['reason', 'where', 'what became of it', ['count', 'number']],
      [...drops]
        .sort((a, b) => b.count - a.count)
        .map((drop) => [drop.reason, drop.where, drop.kept ? 'dead letter' : 'counted', [whole(drop.count), 'number']]),
    ),
  );
}

/** What happened although every record went on. */
const NOTES = {
  'naive-kept': 'the naive forecast went out: the model has lately been worse',
  'no-model': 'an event came before a model of events was in use',
  'late-corrected': 'a late reading corrected its bucket',
  'closed-idle': 'a bucket closed because its device was quiet',
  'gap-buckets': 'a bucket without a reading',
  'model-not-finite': 'the model gave no number, a naive forecast went out',
};

function drawNotes(notes) {
  if (notes.length === 0) {
    byId('notes').replaceChildren(element('p', { class: 'muted' }, 'Nothing.'));
    return;
  }
  byId('notes').replaceChildren(
    table(
      ['what', 'where', ['count', 'number']],
      [...notes]
        .sort((a, b) => b.count - a.count)
        .map(({ reason, where, count }) => [NOTES[reason] ?? reason, where, [whole(count), 'number']]),
    ),
  );
}

export async function drawLetters() {
  const box = byId('letters-box');
  if (!box.open) return;
  const response = await fetch('/api/dead-letters?limit=20').catch(() => undefined);
  if (!response?.ok) return;
  const letters = await response.json();
  byId('letters').replaceChildren(
    ...(letters.length === 0 ? [element('p', { class: 'muted' }, 'None.')] : []),
    ...letters.map((letter) =>
      element(
        'div',
        { class: 'letter' },
        element('span', { class: 'tag' }, letter.reason),
        ` ${letter.mqttTopic || letter.device || letter.origin} · ${time(letter.time)} UTC`,
        element('div', { class: 'muted' }, letter.message),
        element('code', {}, letter.payload.slice(0, 160)),
      ),
    ),
  );
}

/** How far the state of tasks that begin is back. */
function restoring(tasks) {
  const begun = tasks.filter(({ restored, state }) => restored < 1 && /restoring|replaying/.test(state));
  if (begun.length === 0) return '';
  const share = begun.reduce((sum, { restored }) => sum + restored, 0) / begun.length;
  return `; ${begun.length} restoring, ${Math.floor(share * 100)} %`;
}
