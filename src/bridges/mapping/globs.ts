/** Compiles names in which `*` stands for anything. */
export function globs(patterns: readonly string[] | undefined): ((name: string) => boolean) | undefined {
  if (patterns === undefined || patterns.length === 0) return undefined;
  const exact = new Set(patterns.filter((each) => !each.includes('*')));
  const wild = patterns.filter((each) => each.includes('*')).map((each) => each.split('*'));
  return (name) => exact.has(name) || wild.some((pieces) => globMatches(name, pieces));
}

function globMatches(name: string, pieces: readonly string[]): boolean {
  const first = pieces[0]!;
  const last = pieces.at(-1)!;
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= name.length - last.length;
}
