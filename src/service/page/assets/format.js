// How numbers, times and names are written on the page.

const NAMES = { 'last-value': 'last value', 'seasonal-naive': 'seasonal naive', 'naive-mix': 'naive mix' };

export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(2);
  return value.toLocaleString('en', { maximumSignificantDigits: Math.max(digits, Math.ceil(Math.log10(size + 1))) });
}

export const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '–');

/** A number with its noun: `1 device`, `2 devices`. */
export const count = (value, noun) => `${whole(value)} ${noun}${value === 1 ? '' : 's'}`;

export function rate(value) {
  if (!Number.isFinite(value)) return '–';
  return value >= 10 ? whole(value) : value.toFixed(1);
}

export const percent = (share) => (Number.isFinite(share) ? `${(share * 100).toFixed(0)} %` : '–');

export function modelName(id) {
  if (id === '') return 'none yet';
  if (NAMES[id]) return NAMES[id];
  const [family, hash] = id.includes(':') ? id.split(':') : ['', id];
  return family === '' ? hash.slice(0, 8) : `${family} ${hash.slice(0, 8)}`;
}

export function time(ms) {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

export function duration(ms) {
  if (!Number.isFinite(ms)) return '–';
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** An element with text and attributes; texts are never read as HTML. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') made.className = value;
    else if (name in made && typeof value !== 'string') made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Sets the text only where it differs: selections and screen readers are left in peace. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** A table from rows of cells; a cell that is an array is `[content, class]`. */
export function table(head, rows) {
  const cell = (tag, content) => {
    const [value, kind] = Array.isArray(content) ? content : [content, ''];
    return element(tag, kind === '' ? {} : { class: kind }, value);
  };
  return element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...head.map((each) => cell('th', each)))),
    element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row.map((each) => cell('td', each))))),
  );
}
