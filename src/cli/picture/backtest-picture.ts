import { Info, parse, type Spec, View } from 'vega';
import { type Backtest, deviceError, devicesOf, LOOP, ONCE } from '../../retraining/backtest.ts';

const NAMES = [LOOP, ONCE, 'last-value', 'seasonal-naive'];
const COLOURS = ['#0b6e99', '#d9730d', '#c4c2bd', '#5f5d5a'];
const WIDTH = 640;
const HEIGHT = 190;

interface Row {
  readonly x: number | string;
  readonly name: string;
  readonly mae: number;
}

/** A backtest as SVG: mean absolute error by period, by horizon step and by device, of each forecaster. */
export async function backtestPicture(result: Backtest): Promise<string> {
  const periods = result.periods.flatMap(({ from, rows }) =>
    named(rows).map(({ name, mae }) => ({ x: from, name, mae })),
  );
  const steps = named(result.total).flatMap(({ name, maeByStep }) =>
    maeByStep.map((mae, h) => ({ x: h + 1, name, mae })),
  );
  const devices = devicesOf(result.total)
    .slice(0, 12)
    .flatMap((x) => named(result.total).map((row) => ({ x, name: row.name, mae: deviceError(row, x) })));
  const spec: Spec = {
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    padding: 12,
    background: 'white',
    layout: { columns: 1, padding: 34 },
    title: { text: 'Backtest: mean absolute error, in deviations of each series', anchor: 'start', offset: 14 },
    data: [
      { name: 'periods', values: periods.filter(finite) },
      { name: 'steps', values: steps.filter(finite) },
      { name: 'devices', values: devices.filter(finite) },
    ],
    scales: [{ name: 'colour', type: 'ordinal', domain: NAMES, range: COLOURS }],
    legends: [{ stroke: 'colour', symbolType: 'stroke', symbolStrokeWidth: 3, orient: 'top', direction: 'horizontal' }],
    marks: [
      panel('periods', 'by period (start)', 'time'),
      panel('steps', 'by horizon step', 'linear'),
      panel('devices', 'by device', 'band'),
    ],
  };
  return new View(parse(spec), { renderer: 'none', logLevel: Info }).toSVG();
}

function named<T extends { readonly name: string }>(rows: readonly T[]): T[] {
  return rows.filter(({ name }) => NAMES.includes(name));
}

function finite({ mae }: Row): boolean {
  return Number.isFinite(mae);
}

function panel(data: string, title: string, kind: 'time' | 'linear' | 'band') {
  const x = `${data}-x`;
  const y = `${data}-y`;
  const inner = `${data}-inner`;
  const domain = { data, field: 'x' };
  const marks =
    kind === 'band'
      ? [
          {
            type: 'rect',
            from: { data },
            encode: {
              update: {
                x: { scale: x, field: 'x', offset: { scale: inner, field: 'name' } },
                width: { scale: inner, band: 0.9 },
                y: { scale: y, field: 'mae' },
                y2: { scale: y, value: 0 },
                fill: { scale: 'colour', field: 'name' },
              },
            },
          },
        ]
      : [
          {
            type: 'group',
            from: { facet: { name: `${data}-of`, data, groupby: 'name' } },
            marks: [
              {
                type: 'line',
                from: { data: `${data}-of` },
                sort: { field: 'datum.x' },
                encode: {
                  update: {
                    x: { scale: x, field: 'x' },
                    y: { scale: y, field: 'mae' },
                    stroke: { scale: 'colour', field: 'name' },
                    strokeWidth: { value: 2 },
                  },
                },
              },
            ],
          },
        ];
  return {
    type: 'group',
    title: { text: title, anchor: 'start', fontWeight: 'normal', offset: 6 },
    encode: { update: { width: { value: WIDTH }, height: { value: HEIGHT } } },
    scales: [
      kind === 'band'
        ? { name: x, type: 'band', domain, range: [0, WIDTH], padding: 0.2 }
        : { name: x, type: kind === 'time' ? 'utc' : 'linear', domain, range: [0, WIDTH], zero: false },
      { name: y, type: 'linear', domain: { data, field: 'mae' }, range: [HEIGHT, 0], zero: true, nice: true },
      ...(kind === 'band'
        ? [{ name: inner, type: 'band', domain: NAMES, range: { signal: `[0, bandwidth('${x}')]` } }]
        : []),
    ],
    axes: [
      { orient: 'bottom', scale: x, labelOverlap: true, ...(kind === 'linear' ? { format: 'd' } : {}) },
      { orient: 'left', scale: y, grid: true, tickCount: 5, format: '.2f' },
    ],
    marks,
  } as NonNullable<Spec['marks']>[number];
}
