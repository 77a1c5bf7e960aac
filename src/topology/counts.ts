/** What nodes have counted, by node and stable reason. */
export class Counts {
  readonly #byNode = new Map<string, Map<string, number>>();
  /** Off while a task replays: what is replayed was counted when it ran first. */
  enabled = true;

  add(node: string, reason: string, by: number): void {
    if (!this.enabled) return;
    let reasons = this.#byNode.get(node);
    if (reasons === undefined) {
      reasons = new Map();
      this.#byNode.set(node, reasons);
    }
    reasons.set(reason, (reasons.get(reason) ?? 0) + by);
  }

  /** Takes over what another has counted. */
  addAll(counts: Counts): void {
    for (const [node, reasons] of counts.#byNode) for (const [reason, by] of reasons) this.add(node, reason, by);
  }

  get(node: string, reason: string): number {
    return this.#byNode.get(node)?.get(reason) ?? 0;
  }

  /** Node to reason to number, as plain data. */
  toJSON(): Record<string, Record<string, number>> {
    return Object.fromEntries([...this.#byNode].map(([node, reasons]) => [node, Object.fromEntries(reasons)]));
  }
}
