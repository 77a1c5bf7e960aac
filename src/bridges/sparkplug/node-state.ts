/** What an alias stands for. */
export interface AliasTarget {
  readonly name: string;
  readonly datatype: number | undefined;
}

/** A birth certificate, of an edge node (device empty) or of one of its devices, as it is kept over restarts. */
export interface Certificate {
  readonly group: string;
  readonly node: string;
  readonly device: string;
  readonly online: boolean;
  /** When it was born or died, by its own clock. */
  readonly since: number;
  /** Identifies the node's birth: device certificates of an earlier one are void. */
  readonly birth: string;
  readonly bdSeq: string | undefined;
  /** Name, alias (or null) and data type (or null) of each metric. */
  readonly metrics: readonly (readonly [name: string, alias: string | null, datatype: number | null])[];
}

/** An edge node, as births, data and deaths have left it. */
export class NodeState {
  readonly group: string;
  readonly node: string;
  /** Of the node itself under the empty name. */
  readonly certificates = new Map<string, Certificate>();
  /** Aliases are unique within an edge node and all its devices. */
  readonly #aliases = new Map<string, AliasTarget>();
  readonly #byName = new Map<string, Map<string, number | undefined>>();
  birth = '';
  /** Undefined until the first message that has one, and after a restart. */
  lastSeq: number | undefined;
  /** Messages that later ones have overtaken, and when the first of those arrived. */
  readonly #missing = new Set<number>();
  #missingSince = 0;
  /** Arrival of the message that a rebirth was last asked for. */
  askedAt = Number.NEGATIVE_INFINITY;

  constructor(group: string, node: string) {
    this.group = group;
    this.node = node;
  }

  /** What this node makes the host remember: certificates and their metrics. */
  get size(): number {
    let size = this.certificates.size;
    for (const names of this.#byName.values()) size += names.size;
    return size;
  }

  /** Takes a certificate into use; one of the node voids those of its devices. Duplicate aliases stand for nothing. */
  accept(certificate: Certificate): void {
    if (certificate.device === '' && certificate.birth !== this.birth) {
      this.birth = certificate.birth;
      this.#missing.clear();
      this.#aliases.clear();
      this.#byName.clear();
      for (const [device, old] of this.certificates) {
        if (device !== '') this.certificates.set(device, { ...old, online: false, since: certificate.since });
      }
    }
    this.certificates.set(certificate.device, certificate);
    const names = new Map<string, number | undefined>();
    const seen = new Set<string>();
    for (const [name, alias, datatype] of certificate.metrics) {
      names.set(name, datatype ?? undefined);
      if (alias === null) continue;
      if (seen.has(alias)) this.#aliases.delete(alias);
      else this.#aliases.set(alias, { name, datatype: datatype ?? undefined });
      seen.add(alias);
    }
    this.#byName.set(certificate.device, names);
  }

  alias(alias: string): AliasTarget | undefined {
    return this.#aliases.get(alias);
  }

  /** Data type of a named metric, as born. */
  datatype(device: string, name: string): number | undefined {
    return this.#byName.get(device)?.get(name);
  }

  /**
   * False where a message is missing: one that does not follow the one before, or, with `reorderMs`, one that has not come
   * that long after a later one.
   */
  follows(seq: number | undefined, arrival: number, reorderMs: number): boolean {
    if (seq === undefined) return true;
    if (this.#missing.delete(seq)) return !this.#overdue(arrival, reorderMs);
    const expected = ((this.lastSeq ?? seq - 1) + 1) % 256;
    const ahead = (seq - expected + 256) % 256;
    this.lastSeq = seq;
    if (ahead === 0) return !this.#overdue(arrival, reorderMs);
    if (reorderMs === 0 || ahead > MOST_MISSING || this.#missing.size + ahead > MOST_MISSING) {
      this.#missing.clear();
      return false;
    }
    if (this.#missing.size === 0) this.#missingSince = arrival;
    for (let i = 0; i < ahead; i++) this.#missing.add((expected + i) % 256);
    return !this.#overdue(arrival, reorderMs);
  }

  #overdue(arrival: number, reorderMs: number): boolean {
    if (this.#missing.size === 0 || arrival - this.#missingSince < reorderMs) return false;
    this.#missing.clear();
    return true;
  }
}

/** Messages that may come late; with more of them missing it is no matter of order. */
const MOST_MISSING = 16;
