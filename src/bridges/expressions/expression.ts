import jsonata from 'jsonata';
import { FleetcastError, messageOf } from '../../errors.ts';
import { checkBounds, type FormatLimits } from '../formats/bounds.ts';
import { Reject } from '../mapping/reject.ts';

/** JSONata over a decoded payload; wildcards of the topic are its variables (`$device`). Throws `Reject`. */
export type Expression = (value: unknown, variables: ReadonlyMap<string, string>) => unknown;

/** Steps and nesting of one evaluation: an expression that recurses without end must not hold up the bridge. */
const MAX_STEPS = 100_000;
const MAX_DEPTH = 200;

/** @throws CONFIG_INVALID, with the place in the expression. */
export function compileExpression(source: string, limits: FormatLimits): Expression {
  let expression: jsonata.Expression;
  try {
    expression = jsonata(source);
  } catch (error) {
    const { message, position } = error as { message?: string; position?: number };
    throw new FleetcastError('CONFIG_INVALID', `JSONata: ${message ?? messageOf(error)} (character ${position ?? 0})`);
  }
  let steps = 0;
  let depth = 0;
  // The two hooks that JSONata calls around each step, which its own page uses to bound what visitors type.
  expression.assign('__evaluate_entry', () => {
    if (++steps > MAX_STEPS || ++depth > MAX_DEPTH) throw new Error('it takes too many steps');
  });
  expression.assign('__evaluate_exit', () => {
    depth--;
  });
  return (value, variables) => {
    steps = 0;
    depth = 0;
    let result: unknown;
    try {
      result = expression.evaluate(value, Object.fromEntries(variables));
    } catch (error) {
      throw new Reject(
        'expression-failed',
        `JSONata: ${String((error as { message?: unknown }).message).slice(0, 200)}`,
      );
    }
    if (result === undefined) throw new Reject('no-values', 'the expression gives nothing for this message');
    checkBounds(result, limits);
    return result;
  };
}
