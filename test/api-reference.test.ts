import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

/** In constructors that only the library calls, and names of type parameters. */
const INTERNAL: ReadonlySet<string> = new Set(['GraphDraft', 'Origin', 'Row']);

it('every type of ours that the API reference names has a section of its own', () => {
  const root = new URL('../src/', import.meta.url);
  const ours = new Set(
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .flatMap((file) => [
        ...readFileSync(new URL(file, root), 'utf8').matchAll(/^export (?:interface|type|class) (\w+)/gm),
      ])
      .map(([, name]) => name!),
  );
  const page = read('docs/api.md');
  const sections = new Set([...page.matchAll(/^## (\S+)$/gm)].map(([, name]) => name!));
  const signatures = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text!).join('\n');
  const named = new Set(signatures.match(/\b[A-Z]\w+\b/g));
  expect(named.size).toBeGreaterThan(50);
  expect([...named].filter((name) => ours.has(name) && !sections.has(name) && !INTERNAL.has(name))).toEqual([]);
});

it('the API reference has a section for every export, and no other (npm run docs:api writes it)', () => {
  const exported = [...read('src/index.ts').matchAll(/export (?:type )?\{([^}]*)\}/g)]
    .flatMap(([, names]) => names!.split(','))
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== '');
  const sections = [...read('docs/api.md').matchAll(/^## (\S+)$/gm)].map(([, name]) => name!);
  expect(sections).toEqual([...exported].sort());
});
