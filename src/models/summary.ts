import type { ModelArtefact } from './model.ts';
import { sequentialOf } from './sequential/model.ts';
import { planSequential } from './sequential/plan.ts';
import { summariseSequential } from './sequential/summary.ts';

interface Row {
  readonly layer: string;
  readonly output: string;
  readonly parameters: number;
}

/** The layers of a model as Keras prints them: name and type, output shape, parameters; totals below. */
export function summarise(artefact: ModelArtefact): string {
  if (artefact.family === 'sequential') {
    const spec = sequentialOf(artefact);
    return summariseSequential(spec.name, planSequential(spec));
  }
  const rows = layersOf(artefact);
  const total = rows.reduce((sum, row) => sum + row.parameters, 0);
  const number = (n: number) => n.toLocaleString('en-US');
  const cells = [
    ['Layer (type)', 'Output Shape', 'Param #'],
    ...rows.map((row) => [row.layer, row.output, number(row.parameters)]),
  ] as [string, string, string][];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]!.length)));
  const rule = (left: string, line: string, cross: string, right: string) =>
    left + widths.map((width) => line.repeat(width + 2)).join(cross) + right;
  const text = ([layer, output, parameters]: [string, string, string], bar: string) =>
    [layer.padEnd(widths[0]!), output.padEnd(widths[1]!), parameters.padStart(widths[2]!)]
      .map((cell) => ` ${cell} `)
      .reduce((line, cell) => line + cell + bar, bar);
  return [
    `Model: "${artefact.name}"`,
    rule('┏', '━', '┳', '┓'),
    text(cells[0]!, '┃'),
    rule('┡', '━', '╇', '┩'),
    cells
      .slice(1)
      .map((row) => text(row, '│'))
      .join(`\n${rule('├', '─', '┼', '┤')}\n`),
    rule('└', '─', '┴', '┘'),
    ` Total params: ${number(total)} (${bytes(4 * total)})`,
    ` Trainable params: ${number(total)} (${bytes(4 * total)})`,
    ' Non-trainable params: 0 (0.00 B)',
  ].join('\n');
}

function layersOf(artefact: ModelArtefact): Row[] {
  const { lookback, horizon, season } = artefact.shape;
  const count = (...names: string[]) =>
    artefact.weights.filter(({ name }) => names.includes(name)).reduce((sum, { data }) => sum + data.length, 0);
  const input = { layer: 'window (InputLayer)', output: `(None, ${lookback})`, parameters: 0 };
  const subtract = { layer: 'less_last_value (Subtract)', output: `(None, ${lookback})`, parameters: 0 };
  const add = { layer: 'plus_last_value (Add)', output: `(None, ${horizon})`, parameters: 0 };
  switch (artefact.family) {
    case 'segment-lstm': {
      const width = Number(artefact.architecture['width']);
      const segment = Math.min(season, lookback);
      const read = Math.floor(lookback / segment);
      const decoded = Math.ceil(horizon / segment);
      return [
        input,
        subtract,
        { layer: 'segments (Reshape)', output: `(None, ${read}, ${segment})`, parameters: 0 },
        {
          layer: 'embedding (Dense)',
          output: `(None, ${read}, ${width})`,
          parameters: count('embedding/kernel', 'embedding/bias'),
        },
        {
          layer: 'lstm (LSTM)',
          output: `(None, ${width})`,
          parameters: count('lstm/kernel', 'lstm/recurrent', 'lstm/bias'),
        },
        { layer: 'positions (Embedding)', output: `(None, ${decoded}, ${width})`, parameters: count('positions') },
        {
          layer: 'output (Dense)',
          output: `(None, ${decoded}, ${segment})`,
          parameters: count('output/kernel', 'output/bias'),
        },
        add,
      ];
    }
    case 'ridge':
      return [
        input,
        subtract,
        { layer: 'ridge (Dense)', output: `(None, ${horizon})`, parameters: count('ridge/kernel') },
        add,
      ];
    default:
      return artefact.weights.map(({ name, shape, data }) => ({
        layer: name,
        output: `(${shape.join(', ')})`,
        parameters: data.length,
      }));
  }
}

function bytes(count: number): string {
  if (count < 1024) return `${count.toFixed(2)} B`;
  if (count < 1024 ** 2) return `${(count / 1024).toFixed(2)} KB`;
  return `${(count / 1024 ** 2).toFixed(2)} MB`;
}
