import type { DeviceView, FleetView, SeriesView } from './fleet-view.ts';
import type { Point } from './ring.ts';

export type DeviceStatus = 'live' | 'quiet' | 'waiting';

export interface DeviceRow {
  readonly device: string;
  readonly status: DeviceStatus;
  readonly lastSeen: number;
  readonly readings: number;
  readonly alerts: number;
  readonly deadLetters: number;
  readonly quantities: readonly { readonly quantity: string; readonly last: number | null; readonly model: string }[];
}

export interface DevicePage {
  readonly total: number;
  readonly page: number;
  readonly pages: number;
  readonly counts: Readonly<Record<DeviceStatus, number>>;
  readonly devices: readonly DeviceRow[];
}

export interface DeviceQuery {
  /** Part of the name of a device or of one of its quantities, without regard to case. */
  readonly search: string;
  readonly status: DeviceStatus | 'alerting' | '';
  readonly sort: 'name' | 'seen' | 'alerts';
  readonly page: number;
  readonly size: number;
}

/** Quiet: no reading for so long, by ingest time. */
const QUIET_MS = 60_000;

export function deviceStatus(device: DeviceView, now: number, quietMs = QUIET_MS): DeviceStatus {
  if (now - device.lastSeen > quietMs) return 'quiet';
  for (const series of device.series.values()) if (series.forecast !== undefined) return 'live';
  return 'waiting';
}

/** One page of the fleet. */
export function devicePage(view: FleetView, query: DeviceQuery, now: number, quietMs?: number): DevicePage {
  const needle = query.search.trim().toLowerCase();
  const counts: Record<DeviceStatus, number> = { live: 0, quiet: 0, waiting: 0 };
  const found: DeviceView[] = [];
  for (const device of view.devices.values()) {
    const status = deviceStatus(device, now, quietMs);
    counts[status] += 1;
    if (query.status === 'alerting' ? device.alerts === 0 : query.status !== '' && query.status !== status) continue;
    if (needle !== '' && !matches(device, needle)) continue;
    found.push(device);
  }
  found.sort((a, b) => {
    if (query.sort === 'seen' && a.lastSeen !== b.lastSeen) return b.lastSeen - a.lastSeen;
    if (query.sort === 'alerts' && a.alerts !== b.alerts) return b.alerts - a.alerts;
    return a.name < b.name ? -1 : 1;
  });
  const pages = Math.max(1, Math.ceil(found.length / query.size));
  const page = Math.min(Math.max(1, query.page), pages);
  const shown = found.slice((page - 1) * query.size, page * query.size);
  return { total: found.length, page, pages, counts, devices: shown.map((device) => row(device, now, quietMs)) };
}

function matches(device: DeviceView, needle: string): boolean {
  if (device.name.toLowerCase().includes(needle)) return true;
  for (const quantity of device.series.keys()) if (quantity.toLowerCase().includes(needle)) return true;
  return false;
}

function row(device: DeviceView, now: number, quietMs?: number): DeviceRow {
  return {
    device: device.name,
    status: deviceStatus(device, now, quietMs),
    lastSeen: device.lastSeen,
    readings: device.readings,
    alerts: device.alerts,
    deadLetters: device.deadLetters,
    quantities: [...device.series.values()]
      .map((series) => ({
        quantity: series.quantity,
        last: finite(series.last),
        model: series.forecast?.model ?? '',
      }))
      .sort((a, b) => (a.quantity < b.quantity ? -1 : 1)),
  };
}

export interface SeriesDetail {
  readonly device: string;
  readonly quantity: string;
  readonly alerts: number;
  /** Closed buckets and what had been forecast for them one step ahead; null where there is nothing. */
  readonly points: readonly (readonly [
    time: number,
    actual: number | null,
    expected: number | null,
    lower: number | null,
    upper: number | null,
  ])[];
  readonly forecast: {
    readonly origin: number;
    readonly interval: number;
    readonly model: string;
    readonly level: number;
    readonly inputOffset: number;
    readonly values: readonly (number | null)[];
    readonly lower: readonly (number | null)[];
    readonly upper: readonly (number | null)[];
  } | null;
}

export function seriesDetail(
  view: FleetView,
  device: string,
  quantity: string,
  count: number,
): SeriesDetail | undefined {
  const series = view.devices.get(device)?.series.get(quantity);
  if (series === undefined) return undefined;
  return {
    device,
    quantity,
    alerts: series.alerts,
    points: (series.ring?.points(count) ?? []).map(flat),
    forecast: forecastOf(series),
  };
}

function forecastOf(series: SeriesView): SeriesDetail['forecast'] {
  const { forecast } = series;
  if (forecast === undefined) return null;
  const { origin, interval, model, level, inputOffset } = forecast;
  return {
    origin,
    interval,
    model,
    level,
    inputOffset,
    values: forecast.values.map(finite),
    lower: forecast.lower.map(finite),
    upper: forecast.upper.map(finite),
  };
}

function flat(point: Point): SeriesDetail['points'][number] {
  const { time, actual, expected, lower, upper } = point;
  return [time, finite(actual), finite(expected), finite(lower), finite(upper)];
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
