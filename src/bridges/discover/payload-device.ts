/** Names of fields that tell who speaks, the likeliest first. */
const NAMES =
  /^(?:device_?id|dev_?id|dev_?eui|eui|mac|imei|serial(?:_?(?:no|number))?|sn|node_?id|sensor_?id|unit_?id|meter_?id|asset_?id|station_?id|device|node|sensor|station|asset|machine|meter|addr(?:ess)?|id)$/i;
const MAX_VALUES = 1_000;

/** Watches whether the messages of one topic are from several devices that only the payload tells. */
export class PayloadDevices {
  readonly #fields = new Map<string, Map<string, { count: number; readonly values: Set<unknown> }>>();
  #messages = 0;

  add(topic: string, payload: unknown): void {
    this.#messages++;
    if (payload === null || typeof payload !== 'object' || Array.isArray(payload)) return;
    for (const [name, value] of Object.entries(payload)) {
      if (!NAMES.test(name) || (typeof value !== 'string' && typeof value !== 'number') || value === '') continue;
      const topics = this.#fields.get(name) ?? new Map();
      this.#fields.set(name, topics);
      const seen = topics.get(topic) ?? { count: 0, values: new Set() };
      topics.set(topic, seen);
      seen.count++;
      if (seen.values.size < MAX_VALUES) seen.values.add(value);
    }
  }

  /** The field that tells the devices of a topic apart, or undefined. One that is new in most messages numbers these. */
  field(): string | undefined {
    for (const [name, topics] of this.#fields) {
      const seen = [...topics.values()];
      const total = seen.reduce((sum, { count }) => sum + count, 0);
      const distinct = seen.reduce((sum, { values }) => sum + values.size, 0);
      if (total === this.#messages && distinct * 2 <= total && seen.some(({ values }) => values.size > 1)) return name;
    }
    return undefined;
  }
}
