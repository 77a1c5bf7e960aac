import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, it } from 'vitest';

const resolve = createRequire(import.meta.url).resolve;

it('gives consumers the schemas, and nothing of the inside', () => {
  const schemas = readdirSync(new URL('../schemas/', import.meta.url)).filter((name) => name.endsWith('.avsc'));
  expect(schemas).toContain('forecast.avsc');
  for (const name of schemas) {
    const schema = JSON.parse(readFileSync(resolve(`fleetcast/schemas/${name}`), 'utf8')) as { type: string };
    expect(schema.type, name).toBe('record');
  }
  expect(() => resolve('fleetcast/dist/log/event-log.js')).toThrow(/not defined by "exports"/);
});
