/**
 * Spreads partitions 0..n−1 over members so that counts differ by at most one and as few partitions as possible move.
 * The result depends on the arguments only (not on the order of `members`), so every process works it out alone.
 *
 * @param owners present owner of each partition; undefined, or a name that is no member, where there is none.
 * @returns the member of each partition; empty where there are no members.
 */
export function stickyAssignment(
  partitions: number,
  members: readonly string[],
  owners: readonly (string | undefined)[],
): string[] {
  if (members.length === 0) return [];
  const held = new Map<string, number[]>([...members].sort().map((member) => [member, []]));
  for (let p = 0; p < partitions; p++) held.get(owners[p] ?? '')?.push(p);

  // Those who hold most may hold one more than the others: that moves the fewest.
  const order = [...held.keys()].sort((a, b) => held.get(b)!.length - held.get(a)!.length || (a < b ? -1 : 1));
  const least = Math.floor(partitions / order.length);
  const extra = partitions % order.length;
  const result = new Array<string>(partitions);
  const wanting: string[] = [];
  for (const [rank, member] of order.entries()) {
    const quota = least + (rank < extra ? 1 : 0);
    const kept = held.get(member)!.slice(0, quota);
    for (const p of kept) result[p] = member;
    for (let i = kept.length; i < quota; i++) wanting.push(member);
  }
  let next = 0;
  for (let p = 0; p < partitions; p++) result[p] ??= wanting[next++]!;
  return result;
}
