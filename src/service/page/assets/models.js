// The life of the models, how they do on the stream, and the buttons that change them.
import { color, element, modelName, number, percent, table, time } from './format.js';

const box = document.getElementById('models-box');
const target = document.getElementById('models');
const PERIOD_MS = 5_000;
const WORDS = {
  trained: 'trained',
  shadowed: 'in shadow',
  promoted: 'in use',
  rejected: 'rejected',
  rolled_back: 'in use again',
  retired: 'retired',
};
/** Models whose details are open: a redraw leaves them so. */
const open = new Set();

async function draw() {
  if (!box.open || document.visibilityState !== 'visible') return;
  const response = await fetch('/api/models').catch(() => undefined);
  if (!response?.ok) return;
  const { actions, models, baselines, driftSince } = await response.json();
  if (models.length === 0) {
    target.replaceChildren(element('p', { class: 'muted' }, 'None yet.'));
    return;
  }
  const parts = [];
  if (driftSince) {
    parts.push(element('p', { class: 'worse', id: 'drift' }, `The error has risen since ${time(driftSince)} UTC.`));
  } else parts.push(element('p', { class: 'muted', id: 'drift' }, 'No drift of the error.'));
  parts.push(...models.map((model) => card(model, baselines, actions)));
  if (actions) {
    const question = 'Put the model before the present one in use again?';
    parts.push(change('Roll back', '/api/models/rollback', {}, question));
  }
  target.replaceChildren(...parts);
}

function card(model, baselines, actions) {
  const { metrics, trainedOn, life, live } = model;
  const details = element('details', { class: 'life' });
  details.open = open.has(model.id);
  details.addEventListener('toggle', () => (details.open ? open.add(model.id) : open.delete(model.id)));
  const summary = element(
    'summary',
    {},
    `${model.family} ${modelName(model.id)} `,
    element('span', { class: 'tag' }, model.status),
    element(
      'span',
      { class: 'muted' },
      ` held out ${number(metrics['test.mae'])} σ${live ? ` · live ${live.scored.toLocaleString('en')} values scored` : ''}`,
    ),
  );
  const ranges = trainedOn.ranges.map(({ topic, partition, from, to }) => `${topic}/${partition} ${from}–${to - 1}`);
  details.append(
    summary,
    element(
      'p',
      { class: 'muted' },
      `Trained on ${trainedOn.windows.toLocaleString('en')} windows up to ${time(trainedOn.until)} UTC (${ranges.join(', ')}), seed ${trainedOn.seed}, ${trainedOn.trainer}${trainedOn.parent ? `, from ${modelName(trainedOn.parent)}` : ''}.`,
    ),
    table(
      ['when (UTC)', 'what', 'why'],
      life.map(({ kind, time: at, reason }) => [time(at), WORDS[kind] ?? kind, reason]),
    ),
  );
  if (live) {
    const naive = baselines.find(({ model: name }) => name === 'seasonal-naive');
    const naiveAt = new Map((naive?.steps ?? []).map(({ step, error }) => [step, error]));
    details.append(
      table(
        ['step', ['error (σ)', 'number'], ['naive', 'number'], ['in interval', 'number']],
        live.steps.map(({ step, error, coverage }) => [
          String(step),
          [number(error), 'number'],
          [number(naiveAt.get(step)), 'number'],
          [percent(coverage), 'number'],
        ]),
      ),
      ...lines('Error by day, in σ', live.days, 'error', naive?.days),
      ...lines('Share inside the interval by day', live.days, 'coverage'),
    );
  } else
    details.append(element('p', { class: 'muted' }, 'Nothing scored on the stream since this process began to look.'));
  if (actions && model.status !== 'champion') {
    details.append(change('Promote', '/api/models/promote', { id: model.id }, `Put ${modelName(model.id)} in use?`));
  }
  if (actions && ['champion', 'shadow'].includes(model.status)) {
    details.append(change('Retire', '/api/models/retire', { id: model.id }, `Take ${modelName(model.id)} out of use?`));
  }
  return details;
}

/** A small chart over days, with the naive forecast's line beside it. */
function lines(title, days, field, naive = []) {
  if (days.length < 2) return [];
  const known = new Set(days.map(({ day }) => day));
  const others = naive.filter(({ day }) => known.has(day));
  const [width, height, left] = [320, 70, 34];
  const values = [...days, ...others].map((row) => row[field]);
  const [low, high] = field === 'coverage' ? [Math.min(0.5, ...values), 1] : [0, Math.max(...values)];
  const [first, last] = [days[0].day, days.at(-1).day];
  const at = (row) =>
    `${(left + ((row.day - first) / (last - first)) * (width - left - 4)).toFixed(1)},${(height - 6 - ((row[field] - low) / (high - low || 1)) * (height - 14)).toFixed(1)}`;
  const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, width: '100%', role: 'img' });
  svg.setAttribute('aria-label', `${title}: ${number(values[0])} at first, ${number(days.at(-1)[field])} at last`);
  const line = (rows, stroke) =>
    shape('polyline', { points: rows.map(at).join(' '), fill: 'none', stroke, 'stroke-width': '1.8' });
  if (others.length > 1) svg.append(line(others, color('soft')));
  svg.append(line(days, color('accent')));
  for (const [y, value] of [
    [12, high],
    [height - 6, low],
  ]) {
    const text = shape('text', { x: '0', y: String(y), fill: color('soft'), 'font-size': '10' });
    text.textContent = field === 'coverage' ? percent(value) : number(value, 2);
    svg.append(text);
  }
  const caption = `${title}${others.length > 1 ? ' (grey: seasonal naive)' : ''}, ${time(first).slice(0, 10)} to ${time(last).slice(0, 10)}`;
  return [element('figure', {}, svg, element('figcaption', { class: 'muted' }, caption))];
}

function shape(tag, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function change(label, path, body, question) {
  const made = element('button', { type: 'button' }, label);
  made.addEventListener('click', async () => {
    if (!confirm(question)) return;
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) alert((await response.json()).error);
    await draw();
  });
  return made;
}

box.addEventListener('toggle', draw);
setInterval(draw, PERIOD_MS);
