// Ties the page together: which series is chosen, and the live connection.
import { forecastTable, SeriesChart } from './chart.js';
import { FleetList } from './fleet.js';
import { element, modelName, number, percent, setText, time } from './format.js';
import './models.js';
import { drawHealth, drawLetters, drawStatus, rebuildFlow } from './panels.js';

const byId = (id) => document.getElementById(id);
const chart = new SeriesChart(byId('chart'));
let chosen = fromAddress();
let source;

const fleet = new FleetList({
  onChoose: (row) => {
    const known = row.quantities.some(({ quantity }) => quantity === chosen.quantity);
    choose({ device: row.device, quantity: known ? chosen.quantity : (row.quantities[0]?.quantity ?? '') }, row);
  },
  // The chosen device has quantities that were not there before.
  onGrown: (row) => choose({ device: row.device, quantity: chosen.quantity || row.quantities[0].quantity }, row),
});

function fromAddress() {
  const [device = '', quantity = ''] = location.hash.slice(1).split('/').map(decodeURIComponent);
  return { device, quantity };
}

function choose(next, row) {
  chosen = next;
  history.replaceState(null, '', `#${encodeURIComponent(next.device)}/${encodeURIComponent(next.quantity)}`);
  fleet.mark(next.device, row?.quantities.length ?? 0);
  setText(byId('series-title'), next.quantity === '' ? next.device : `${next.device} · ${next.quantity}`);
  byId('quantities').replaceChildren(
    ...(row?.quantities ?? []).map(({ quantity }) => {
      const pressed = String(quantity === next.quantity);
      const button = element('button', { type: 'button', 'aria-pressed': pressed }, quantity);
      button.addEventListener('click', () => choose({ device: next.device, quantity }, row));
      return button;
    }),
  );
  byId('explain-box').open = false;
  connect();
}

function connect() {
  source?.close();
  source = new EventSource(`/api/live?${new URLSearchParams(chosen)}`);
  source.addEventListener('status', (event) => drawStatus(JSON.parse(event.data)));
  source.addEventListener('series', (event) => drawSeries(JSON.parse(event.data)));
  source.addEventListener('error', () => drawHealth('offline', ['The service does not answer; trying again.']));
}

function drawSeries(detail) {
  chart.show(detail);
  const forecast = detail?.forecast ?? null;
  const facts = [];
  const last = detail?.points.at(-1);
  if (last) facts.push(`last bucket ${number(last[1], 4)} (${time(last[0])} UTC)`);
  if (forecast) {
    facts.push(`forecast by ${modelName(forecast.model)}, ${percent(forecast.level)} interval`);
    facts.push(`caused by offset ${forecast.inputOffset.toLocaleString('en')}`);
  }
  if (detail?.alerts) facts.push(`${detail.alerts} alert${detail.alerts === 1 ? '' : 's'}`);
  setText(byId('series-facts'), facts.join(' · '));
  byId('forecast-table').replaceChildren(...(forecastTable(forecast).childNodes ?? []));
}

/** Runs the recorded input again: asked for only when somebody wants to see it. */
async function explain() {
  const target = byId('explanation');
  if (!byId('explain-box').open) return;
  setText(target, 'The readings that led to it are run again …');
  const response = await fetch(`/api/explain?${new URLSearchParams(chosen)}`).catch(() => undefined);
  const answer = await response?.json().catch(() => undefined);
  const text = answer?.text ?? answer?.error ?? 'The service does not answer.';
  // Sentences wrap, tables keep their columns and scroll.
  const parts = text.split('\n\n');
  target.replaceChildren(
    ...parts.map((each) => element('div', { class: each.includes('──') ? 'scroll' : 'wrapped' }, `${each}\n\n`)),
  );
}

async function start() {
  if (chosen.device === '') {
    connect();
    await fleet.load();
    return;
  }
  fleet.chosen = chosen.device;
  await fleet.load();
  const response = await fetch(`/api/devices?${new URLSearchParams({ search: chosen.device, size: '200' })}`);
  const page = response.ok ? await response.json() : { devices: [] };
  choose(
    chosen,
    page.devices.find((row) => row.device === chosen.device),
  );
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', rebuildFlow);
byId('explain-box').addEventListener('toggle', explain);
byId('letters-box').addEventListener('toggle', drawLetters);
setInterval(drawLetters, 3_000);
start();
