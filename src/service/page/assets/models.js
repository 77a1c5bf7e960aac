// The life of the models, and the buttons that change it.
import { element, modelName, number, table, time } from './format.js';

const box = document.getElementById('models-box');
const target = document.getElementById('models');
const PERIOD_MS = 5_000;

async function draw() {
  if (!box.open || document.visibilityState !== 'visible') return;
  const response = await fetch('/api/models').catch(() => undefined);
  if (!response?.ok) return;
  const { actions, models } = await response.json();
  if (models.length === 0) {
    target.replaceChildren(element('p', { class: 'muted' }, 'None yet.'));
    return;
  }
  const rows = models.map((model) => {
    const what = element('span', {}, `${modelName(model.id)} `, element('span', { class: 'tag' }, model.status));
    what.append(element('div', { class: 'muted' }, `${model.family}, ${time(model.createdAt)} UTC: ${model.reason}`));
    const cells = [
      what,
      [number(model.metrics['test.mae']), 'number'],
      [number(model.metrics['test.mae.seasonal-naive']), 'number'],
    ];
    return actions ? [...cells, button(model)] : cells;
  });
  const head = ['model', ['MAE (σ)', 'number'], ['naive', 'number']];
  target.replaceChildren(table(actions ? [...head, ''] : head, rows));
  if (actions)
    target.append(
      change('Roll back', '/api/models/rollback', {}, 'Put the model before the present one in use again?'),
    );
}

function button(model) {
  if (model.status === 'champion') return '';
  return change('Promote', '/api/models/promote', { id: model.id }, `Put ${modelName(model.id)} in use?`);
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
