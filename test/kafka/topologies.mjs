// Topologies that the processes of the Kafka tests run, from the built package.
import { forecastingTopology } from '../../dist/pipelines/forecasting.js';
import { ModelRegistry } from '../../dist/pipelines/model-registry.js';
import { pipelineConfig } from '../../dist/pipelines/pipeline-config.js';
import { TopologyBuilder } from '../../dist/topology/builder.js';
import { joins } from './joins-topology.mjs';
import { Sum } from './sum.mjs';

const HOUR = 3_600_000;
export const config = pipelineConfig({
  shape: { lookback: 12, horizon: 4, season: 6 },
  segment: 12,
  flushEvery: 20_000,
  idle: 6 * HOUR,
});

/**
 * The second version has one more node with state behind the first, which keeps its name and so its state; what it adds
 * goes to a topic of its own.
 */
function sums(version) {
  const builder = new TopologyBuilder('sums');
  // The third version has a source before the one that there was.
  const decode = ({ value, timestamp }) => ({ kind: 'record', value: Number(value.toString()), time: timestamp });
  const encode = ({ key, value }) => ({ key, value: Buffer.from(value) });
  const before = version > 2 ? builder.source('before', { topic: 'before', codec: { decode } }) : undefined;
  const source = builder.source('in', { topic: 'in', codec: { decode } });
  const summed = (before?.merge(source) ?? source).process('sum', () => new Sum());
  summed.sink('out-log', { topic: 'out', encode });
  if (version > 1) {
    summed
      .map('one', () => 1)
      .process('seen', () => new Sum())
      .sink('seen-log', { topic: 'seen', encode });
  }
  return builder.build();
}

export function topologyOf(name, log) {
  if (name === 'forecasting') {
    return forecastingTopology(config, new ModelRegistry({ log, topic: config.topics.models }));
  }
  if (name === 'joins') return joins();
  return sums(Number(name.slice(-1)));
}
