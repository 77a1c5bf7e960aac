import type avro from 'avsc';
import { releasedSchemas } from '../src/events/released-schemas.ts';
import { compileSchema, SCHEMA_NAMES, type SchemaName, schemaText } from '../src/events/schema-registry.ts';

/**
 * `backward`: today's reader reads what any released writer wrote. `full`: and any released reader reads what is written
 * today; for what consumers read and what two versions exchange during a rolling upgrade.
 */
export const RULES: Readonly<Record<SchemaName, 'backward' | 'full'>> = {
  Reading: 'full',
  Tick: 'full',
  Activation: 'full',
  DeadLetter: 'full',
  HistorySegment: 'full',
  HistoryFlush: 'full',
  Forecast: 'full',
  NextEvent: 'full',
  Score: 'full',
  Alert: 'full',
  ModelEvent: 'full',
  StateSnapshot: 'backward',
  ModelArtefact: 'backward',
};

/** Why one version cannot be read as the other, or undefined. Values are read too, not only the schemas compared. */
function obstacle(reader: avro.Type, writer: avro.Type): string | undefined {
  try {
    const resolver = reader.createResolver(writer);
    for (let i = 0; i < 20; i++) {
      const value = reader.fromBuffer(writer.toBuffer(writer.random()), resolver);
      if (!reader.isValid(value)) return `reads ${JSON.stringify(value)}, which is not valid`;
    }
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What an edit of a schema would break, a line for each: empty where it may be released. */
export function breaks(name: SchemaName, text: string): string[] {
  const today = compileSchema(text);
  const result: string[] = [];
  for (const released of releasedOf(name)) {
    const then = compileSchema(released.text);
    const backward = obstacle(today, then);
    if (backward !== undefined)
      result.push(`${name}: today's reader cannot read version ${released.version}: ${backward}`);
    if (RULES[name] === 'backward') continue;
    const forward = obstacle(then, today);
    if (forward !== undefined)
      result.push(`${name}: readers of version ${released.version} cannot read today's: ${forward}`);
  }
  return result;
}

export function releasedOf(name: SchemaName): ReturnType<typeof releasedSchemas> {
  const own = compileSchema(schemaText(name)).name;
  return releasedSchemas()
    .filter((released) => compileSchema(released.text).name === own)
    .sort((a, b) => a.version - b.version);
}

export { SCHEMA_NAMES };
