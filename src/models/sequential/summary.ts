import type { PlannedLayer } from './plan.ts';
import { countOf } from './plan.ts';

/** Inner widths of the columns, as Keras prints them at its default width of 79. */
const WIDTHS = [31, 22, 13] as const;

/**
 * The summary that Keras 3 prints for the model before it is compiled, character for character.
 * @param plan see `planSequential`
 */
export function summariseSequential(name: string, plan: readonly PlannedLayer[]): string {
  const rows = plan.map(({ layer, output, weights }) => {
    // Keras counts the rows that the mean of a Normalization was taken over as a parameter, a 64-bit integer.
    const extra = layer.type === 'Normalization' ? 1 : 0;
    const count = countOf(weights) + extra;
    const sizes = [null, ...output].map((n) => n ?? 'None');
    return { label: `${layer.name} (${layer.type})`, shape: `(${sizes.join(', ')})`, count, weights, extra };
  });
  const lines = [
    `Model: "${name}"`,
    rule('┏', '━', '┳', '┓'),
    ...line(['Layer (type)', 'Output Shape', 'Param #'], '┃'),
    rule('┡', '━', '╇', '┩'),
  ];
  rows.forEach(({ label, shape, count }, i) => {
    if (i > 0) lines.push(rule('├', '─', '┼', '┤'));
    lines.push(...line([label, shape, count.toLocaleString('en-US')], '│'));
  });
  const trainable = rows.reduce((sum, row) => sum + countOf(row.weights.filter((weight) => weight.trainable)), 0);
  const all = rows.reduce((sum, row) => sum + row.count, 0);
  const extra = rows.reduce((sum, row) => sum + row.extra, 0);
  lines.push(
    rule('└', '─', '┴', '┘'),
    ` Total params: ${total(all, 4 * (all + extra))}`,
    ` Trainable params: ${total(trainable, 4 * trainable)}`,
    ` Non-trainable params: ${total(all - trainable, 4 * (all - trainable + extra))}`,
  );
  return lines.join('\n');
}

function total(count: number, bytes: number): string {
  return `${count.toLocaleString('en-US')} (${readable(bytes)})`;
}

function readable(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size.toFixed(2)} ${units[unit]}`;
}

function rule(left: string, dash: string, cross: string, right: string): string {
  return left + WIDTHS.map((width) => dash.repeat(width + 2)).join(cross) + right;
}

function line(cells: readonly [string, string, string], bar: string): string[] {
  const folded = cells.map((cell, i) => fold(cell, WIDTHS[i]!));
  const height = Math.max(...folded.map((parts) => parts.length));
  return Array.from({ length: height }, (_, row) => {
    const parts = folded.map((of, i) =>
      i === 2 ? (of[row] ?? '').padStart(WIDTHS[i]!) : (of[row] ?? '').padEnd(WIDTHS[i]!),
    );
    return bar + parts.map((part) => ` ${part} `).join(bar) + bar;
  });
}

/** Breaks at spaces, and inside a word only where it is longer than the column. */
function fold(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length <= width) {
      line += ` ${word}`;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (line.length > width) {
      lines.push(line.slice(0, width));
      line = line.slice(width);
    }
  }
  lines.push(line);
  return lines;
}
