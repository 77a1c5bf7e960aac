import { Script } from 'node:vm';
import jsonata from 'jsonata';
import { FleetcastError, messageOf } from '../../errors.ts';
import { checkBounds, type FormatLimits } from '../formats/bounds.ts';
import { Reject } from '../mapping/reject.ts';

/** JSONata over a decoded payload; wildcards of the topic are its variables (`$device`). Throws `Reject`. */
export type Expression = (value: unknown, variables: ReadonlyMap<string, string>) => unknown;

/** Steps and nesting of one evaluation: an expression that recurses without end must not hold up the bridge. */
const MAX_STEPS = 100_000;
const MAX_DEPTH = 200;
/** One step can take for ever (a regular expression that backtracks, a range of millions): such expressions are timed. */
const MAX_MS = 100;

/** @throws CONFIG_INVALID, with the place in the expression. */
export function compileExpression(source: string, limits: FormatLimits): Expression {
  let expression: jsonata.Expression;
  try {
    expression = jsonata(source);
  } catch (error) {
    const { message, position } = error as { message?: string; position?: number };
    throw new FleetcastError('CONFIG_INVALID', `JSONata: ${message ?? messageOf(error)} (character ${position ?? 0})`);
  }
  const evaluate = slowSteps(expression.ast()) ? timed : <T>(work: () => T) => work();
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
      result = evaluate(() => expression.evaluate(value, Object.fromEntries(variables)));
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

/** True where a single step may take long: regular expressions, ranges, and what makes expressions or long texts. */
function slowSteps(ast: unknown, seen = new Set<object>()): boolean {
  if (typeof ast !== 'object' || ast === null || seen.has(ast)) return false;
  seen.add(ast);
  const { type, value } = ast as { type?: unknown; value?: unknown };
  if (type === 'regex' || value instanceof RegExp || (type === 'binary' && value === '..')) return true;
  if (type === 'variable' && (value === 'eval' || value === 'pad')) return true;
  return Object.values(ast).some((part) => slowSteps(part, seen));
}

const JOB = Symbol.for('fleetcast.expression');
const caller = new Script(`globalThis[Symbol.for('fleetcast.expression')]()`);

/** Runs synchronous work that is ended after {@link MAX_MS}. Costs a tenth of a millisecond by itself. */
function timed<T>(work: () => T): T {
  const place = globalThis as unknown as Record<symbol, unknown>;
  place[JOB] = work;
  try {
    return caller.runInThisContext({ timeout: MAX_MS }) as T;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new Error(`it takes longer than ${MAX_MS} ms`);
  } finally {
    delete place[JOB];
  }
}
