import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

it('the API reference has a section for every export, and no other (npm run docs:api writes it)', () => {
  const exported = [...read('src/index.ts').matchAll(/export (?:type )?\{([^}]*)\}/g)]
    .flatMap(([, names]) => names!.split(','))
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== '');
  const sections = [...read('docs/api.md').matchAll(/^## (\S+)$/gm)].map(([, name]) => name!);
  expect(sections).toEqual([...exported].sort());
});
