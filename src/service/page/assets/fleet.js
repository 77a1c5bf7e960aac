// The list of devices: search, status, order, pages.
import { count, duration, element, number, setText } from './format.js';

const STATUSES = [
  ['', 'all'],
  ['live', 'live'],
  ['quiet', 'quiet'],
  ['waiting', 'waiting'],
  ['alerting', 'alerts'],
];
const PERIOD_MS = 2_000;
const byId = (id) => document.getElementById(id);

export class FleetList {
  /** Both are called with a row of /api/devices. */
  constructor({ onChoose, onGrown }) {
    this.onChoose = onChoose;
    this.onGrown = onGrown;
    this.quantities = 0;
    this.status = '';
    this.page = 1;
    this.chosen = '';
    this.request = 0;
    const again = () => {
      this.page = 1;
      this.load();
    };
    byId('search').addEventListener('input', again);
    byId('sort').addEventListener('change', again);
    byId('filter').addEventListener('submit', (event) => event.preventDefault());
    byId('previous').addEventListener('click', () => this.turn(-1));
    byId('next').addEventListener('click', () => this.turn(1));
    this.chips = STATUSES.map(([status, label]) => {
      const chip = element('button', { type: 'button', 'aria-pressed': String(status === '') }, label);
      chip.addEventListener('click', () => {
        this.status = status;
        again();
      });
      return chip;
    });
    byId('status-filter').append(...this.chips);
    setInterval(() => document.visibilityState === 'visible' && this.load(), PERIOD_MS);
  }

  turn(by) {
    this.page += by;
    this.load();
  }

  async load() {
    const request = ++this.request;
    const query = new URLSearchParams({
      search: byId('search').value,
      sort: byId('sort').value,
      status: this.status,
      page: String(this.page),
      size: '25',
    });
    try {
      const response = await fetch(`/api/devices?${query}`);
      if (!response.ok || request !== this.request) return;
      this.draw(await response.json());
    } catch {
      // The live connection shows that the service is away; the list stays as it is.
    }
  }

  draw(page) {
    this.page = page.page;
    this.rows = page.devices;
    const list = byId('devices');
    const focused = document.activeElement?.dataset?.device;
    list.replaceChildren(...page.devices.map((row) => this.item(row)));
    if (focused) list.querySelector(`[data-device="${CSS.escape(focused)}"]`)?.focus();
    if (page.devices.length === 0) {
      list.append(element('li', { class: 'muted' }, page.total === 0 ? 'No device matches.' : 'None on this page.'));
    }
    setText(byId('page-of'), `${page.page} of ${page.pages} · ${count(page.total, 'device')}`);
    byId('previous').disabled = page.page <= 1;
    byId('next').disabled = page.page >= page.pages;
    STATUSES.forEach(([status, label], i) => {
      const counted = page.counts[status];
      setText(this.chips[i], counted === undefined ? label : `${label} ${counted.toLocaleString('en')}`);
      this.chips[i].setAttribute('aria-pressed', String(status === this.status));
    });
    if (this.chosen === '' && page.devices.length > 0) this.onChoose(page.devices[0]);
    const mine = page.devices.find((row) => row.device === this.chosen);
    if (mine !== undefined && mine.quantities.length > this.quantities) this.onGrown(mine);
  }

  item(row) {
    const values = row.quantities.map(({ quantity, last }) => `${quantity} ${number(last)}`).join(' · ');
    const seen = row.lastSeen === 0 ? 'never' : duration(Date.now() - row.lastSeen);
    const side = row.alerts > 0 ? `${row.alerts} alert${row.alerts === 1 ? '' : 's'}` : seen;
    const button = element(
      'button',
      { type: 'button', 'data-device': row.device, 'aria-current': String(row.device === this.chosen) },
      element('span', { class: `dot ${row.status}`, role: 'img', 'aria-label': row.status, title: row.status }),
      element('span', { class: 'name' }, row.device),
      element('span', { class: 'side', title: 'last heard of' }, side),
      element('span', { class: 'values' }, values || 'no bucket has closed yet'),
    );
    button.addEventListener('click', () => this.onChoose(row));
    return element('li', {}, button);
  }

  /** @param quantities how many the page knows of it */
  mark(device, quantities) {
    this.chosen = device;
    this.quantities = quantities;
    for (const button of byId('devices').querySelectorAll('button')) {
      button.setAttribute('aria-current', String(button.dataset.device === device));
    }
  }
}
