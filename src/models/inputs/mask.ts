import { calendarSize } from './calendar.ts';
import type { InputLayout } from './row.ts';

/** Names of the inputs that {@link maskInput} can take away: the quantities, the parts of the calendar, the statics. */
export function inputNames({ inputs }: InputLayout): string[] {
  return [...inputs.quantities, ...inputs.calendar, ...inputs.statics.map(({ name }) => name)];
}

/** Takes one input out of the row at `row[at …]`, as if the device had none. @param input its place in `inputNames` */
export function maskInput(layout: InputLayout, input: number, row: Float32Array, at: number): void {
  const { quantities, calendar, statics } = layout.inputs;
  const { lookback } = layout.shape;
  if (input < quantities.length) {
    row.fill(0, at + input * lookback, at + (input + 1) * lookback);
    const present = calendar.reduce((sum, one) => sum + calendarSize(one), statics.length);
    clear(layout, row, at, present + input, 1);
    return;
  }
  let place = 0;
  for (let i = 0; i < input - quantities.length; i++) place += sizeOf(layout, i);
  clear(layout, row, at, place, sizeOf(layout, input - quantities.length));
}

/** Whether the input was there when the row was made; the calendar always is. */
export function isPresent(layout: InputLayout, input: number, row: Float32Array): boolean {
  const { quantities, calendar, statics } = layout.inputs;
  if (input >= quantities.length) return true;
  const present = calendar.reduce((sum, one) => sum + calendarSize(one), statics.length);
  return row[layout.vectors + present + input] === 1;
}

/** Numbers of a covariate, calendar first. */
function sizeOf({ inputs }: InputLayout, covariate: number): number {
  return covariate < inputs.calendar.length ? calendarSize(inputs.calendar[covariate]!) : 1;
}

function clear(layout: InputLayout, row: Float32Array, at: number, place: number, count: number): void {
  for (let s = 0; s < layout.encoded + layout.decoded; s++) {
    const from = at + layout.vectors + s * layout.covariates + place;
    row.fill(0, from, from + count);
  }
}
