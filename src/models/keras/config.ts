import { snakeCase } from '../sequential/configuration.ts';
import type { Layer, RowShape, SequentialSpec } from '../sequential/layers.ts';
import { isRecord, type Origin, parseLayer, shown } from '../sequential/parse.ts';
import { planSequential } from '../sequential/plan.ts';
import { invalid, KERAS_LIMITS } from './limits.ts';

/** What the description in a Keras file says. */
export interface KerasDescription {
  readonly spec: SequentialSpec;
  /** Keras's settings of each layer of the model, as they stand in the file. */
  readonly settings: readonly Readonly<Record<string, unknown>>[];
  /** Group of each layer in the weights of a `.keras` file. */
  readonly groups: readonly string[];
}

interface Entry {
  readonly className: string;
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inbound: unknown;
  /** Group in the weights of a `.keras` file. */
  readonly group: string;
}

/**
 * @param config JSON of the model, from an untrusted file
 * @param origin generation of Keras that wrote it
 * @throws MODEL_INVALID
 */
export function readDescription(json: string, origin: Origin): KerasDescription {
  let model: unknown;
  try {
    model = JSON.parse(json);
  } catch {
    throw invalid("the model's description is no JSON");
  }
  const config = isRecord(model) ? model['config'] : undefined;
  const className = isRecord(model) ? model['class_name'] : undefined;
  const functional = className === 'Functional' || className === 'Model';
  if (!isRecord(config) || (className !== 'Sequential' && !functional)) {
    throw invalid(`models of class ${shown(className)} are not known; Sequential and Functional are`);
  }
  const entries = readEntries(config['layers'], !functional);
  const chain = functional ? followChain(entries, config) : entries;
  const layers = chain.filter(({ className: type }) => type !== 'InputLayer');
  const parsed = layers.map(({ className: type, name, config: settings }) => parseLayer(type, settings, name, origin));
  const name = typeof config['name'] === 'string' ? config['name'].slice(0, 200) : 'model';
  const spec = { name, layers: parsed, inputShape: inputShape(chain, config, model, parsed) };
  checkAxes(spec, layers);
  return { spec, settings: layers.map((entry) => entry.config), groups: layers.map((entry) => entry.group) };
}

function readEntries(list: unknown, sequential: boolean): Entry[] {
  if (!Array.isArray(list)) throw invalid("the model's description has no layers");
  if (list.length > KERAS_LIMITS.layers) throw invalid(`the model has ${list.length} layers`);
  // Groups are called after the class, not after the layer, and counted in the order of the description.
  const used = new Map<string, number>();
  return list.map((item: unknown) => {
    const className = isRecord(item) ? item['class_name'] : undefined;
    const config = isRecord(item) ? item['config'] : undefined;
    if (typeof className !== 'string' || !isRecord(config)) throw invalid('a layer without class or settings');
    const base = snakeCase(className.slice(0, 200));
    const count = used.get(base) ?? 0;
    if (!(sequential && className === 'InputLayer')) used.set(base, count + 1);
    const name = (item as Record<string, unknown>)['name'] ?? config['name'];
    return {
      className,
      name: typeof name === 'string' ? name : base,
      config,
      inbound: (item as Record<string, unknown>)['inbound_nodes'],
      group: count === 0 ? base : `${base}_${count}`,
    };
  });
}

/** Layers by which a model that `exportArtefact` has written is known. */
const OWN_EXPORT = ['last_value', 'plus_last_value'];

/** The layers of a functional model in the order in which they are called. Only one chain from one input is known. */
function followChain(entries: readonly Entry[], config: Readonly<Record<string, unknown>>): Entry[] {
  const [first] = historyOf(config['input_layers'], 'input_layers');
  const [last] = historyOf(config['output_layers'], 'output_layers');
  if (OWN_EXPORT.every((name) => entries.some((entry) => entry.name === name))) {
    throw invalid(
      'it is an export of fleetcast for Keras, whose layers are no chain: the model itself is on the log that it was ' +
        'exported from, where "fleetcast models promote" puts it in use',
    );
  }
  const after = new Map<string, Entry>();
  for (const entry of entries) {
    if (entry.className === 'InputLayer') continue;
    const sources = sourcesOf(entry);
    if (sources.length !== 1) {
      throw invalid(
        `layer ${entry.name} (${entry.className}) has ${sources.length} inputs; only chains of layers are known`,
      );
    }
    if (after.has(sources[0]!)) {
      throw invalid(`layer ${sources[0]} leads to more than one layer; only chains of layers are known`);
    }
    after.set(sources[0]!, entry);
  }
  const input = entries.find(({ name, className }) => name === first && className === 'InputLayer');
  if (input === undefined) throw invalid(`the input layer ${shown(first)} is missing`);
  const chain = [input];
  while (chain.length <= entries.length) {
    const next = after.get(chain.at(-1)!.name);
    if (next === undefined) break;
    chain.push(next);
  }
  if (chain.length !== entries.length || chain.at(-1)!.name !== last) {
    throw invalid('the layers are not one chain from one input to one output');
  }
  return chain;
}

/** Names of the layers whose output a layer takes. Keras 2: `[[[name, 0, 0, {}]]]`; Keras 3: tensors in the arguments. */
function sourcesOf({ inbound, name }: Entry): string[] {
  if (!Array.isArray(inbound) || inbound.length !== 1) {
    throw invalid(`layer ${name} is used ${Array.isArray(inbound) ? inbound.length : 0} times; only chains are known`);
  }
  const node: unknown = inbound[0];
  if (isRecord(node)) {
    const args: unknown[] = Array.isArray(node['args']) ? node['args'] : [];
    return args.map((tensor) => {
      const config = isRecord(tensor) && isRecord(tensor['config']) ? tensor['config'] : {};
      return historyOf(config['keras_history'], `inputs of layer ${name}`)[0]!;
    });
  }
  if (!Array.isArray(node)) throw invalid(`layer ${name} has no inputs`);
  return node.map((source: unknown) => historyOf(source, `inputs of layer ${name}`)[0]!);
}

/** `[name, 0, 0]`, or a list with that alone. */
function historyOf(value: unknown, what: string): [string] {
  const history: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (!Array.isArray(history) || typeof history[0] !== 'string' || history[1] !== 0 || history[2] !== 0) {
    throw invalid(`${what}: only models with one input and one output, in one chain, are known`);
  }
  return [history[0]];
}

function inputShape(
  chain: readonly Entry[],
  config: Readonly<Record<string, unknown>>,
  model: unknown,
  layers: readonly Layer[],
): RowShape {
  const first = chain[0]?.config ?? {};
  const build = isRecord(model) && isRecord(model['build_config']) ? model['build_config']['input_shape'] : undefined;
  const found = first['batch_shape'] ?? first['batch_input_shape'] ?? config['build_input_shape'] ?? build;
  if (found === undefined || found === null) {
    if (layers[0]?.type === 'Embedding') return [null];
    throw invalid('the file does not tell the shape of the input: build the model before saving it');
  }
  if (!Array.isArray(found) || found.length < 2 || found.length > 4) throw invalid(`input shape: ${shown(found)}`);
  return found.slice(1).map((n: unknown) => {
    if (n !== null && !Number.isInteger(n)) throw invalid(`input shape: ${shown(n)}`);
    return n as number | null;
  });
}

/** An axis that is counted from the start has to be the last one. */
function checkAxes(spec: SequentialSpec, entries: readonly Entry[]): void {
  planSequential(spec).forEach(({ layer, input }, i) => {
    const axis = entries[i]!.config['axis'];
    const value: unknown = Array.isArray(axis) ? axis[0] : axis;
    if (typeof value === 'number' && value >= 0 && value !== input.length && 'axis' in entries[i]!.config) {
      throw invalid(`layer ${layer.name} (${layer.type}): axis ${value}: only the last axis is known`);
    }
  });
}
