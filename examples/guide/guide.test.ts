import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The lines between `// region name` and `// endregion`, without their common indentation. */
function region(source: string, name: string): string {
  const match = new RegExp(`^( *)// region ${name}\\n([\\s\\S]*?)\\n *// endregion`, 'm').exec(source);
  if (match === null) throw new Error(`there is no region ${name}`);
  const indent = match[1]!.length;
  return match[2]!
    .split('\n')
    .map((line) => line.slice(indent))
    .join('\n');
}

describe('the guide', () => {
  const blocks = [...read('docs/guide.md').matchAll(/(?:<!-- (\S+) (\S+) -->\n)?```ts\n([\s\S]*?)\n```/g)];

  it.each(
    blocks.map(([, file, name, code]) => [`${file} ${name}`, file, name, code] as const),
  )('shows %s as it is tested', (_, file, name, code) => {
    expect(file, 'every block names the test that it is part of').toBeDefined();
    expect(code).toBe(region(read(file!), name!));
  });
});
