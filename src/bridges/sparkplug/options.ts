/** How to be a Sparkplug B host; all of it may be left out. */
export interface SparkplugOptions {
  /** Ask edge nodes for their births (NCMD) where an alias is not known or a message is missing. Default true. */
  readonly rebirth?: boolean;
  /** No node is asked more often. Default 10,000. */
  readonly rebirthEveryMs?: number;
  /** So long a message may come after a later one before it counts as missing (at most 16 of them). Default 0. */
  readonly reorderMs?: number;
  /** Metrics (with `*`) that are left out. Control metrics and bdSeq always are. */
  readonly exclude?: readonly string[];
  /** Edge nodes, and devices and metrics over all of them. Default 10,000 and 500,000. */
  readonly maxNodes?: number;
  readonly maxMetrics?: number;
}
