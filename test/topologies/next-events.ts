import type { NextEvent } from '../../src/events/records.ts';
import { buildArtefact } from '../../src/models/artefact.ts';
import { modelFromArtefact } from '../../src/models/load.ts';
import type { Tensor } from '../../src/models/model.ts';
import type { SequentialSpec } from '../../src/models/sequential/layers.ts';
import { sequentialArchitecture } from '../../src/models/sequential/model.ts';
import { type EventCode, type NextEventConfig, NextEventForecast } from '../../src/operators/next-event.ts';
import type { ServedModel } from '../../src/operators/served-model.ts';
import { TopologyBuilder } from '../../src/topology/builder.ts';
import { type TestDriverOptions, TopologyTestDriver } from '../../src/topology/test-driver.ts';
import { activation, ridgeArtefact } from '../readings.ts';

/** A topology from `events` to `next`: what each device is expected to report next. */
export function nextEvents(
  config: NextEventConfig,
  models: readonly ServedModel[],
  options: TestDriverOptions = {},
): TopologyTestDriver {
  const load = async (id: string) => models.find(({ model }) => model.id === id)!;
  const builder = new TopologyBuilder('next-events');
  builder
    .source<EventCode>('events', { topic: 'events', codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) } })
    .process<NextEvent>('expect', () => new NextEventForecast(config, load))
    .sink('next', { topic: 'next', encode: () => ({ key: null, value: null }) });
  return new TopologyTestDriver(builder.build(), options);
}

export function servedEvents(
  id: string,
  spec: SequentialSpec,
  weights: readonly Tensor[],
  { steps, codes }: Pick<NextEventConfig, 'steps' | 'codes'>,
): ServedModel {
  const shape = { lookback: steps, horizon: codes, season: 1 };
  const { formatVersion: _, arithmetic: __, ...draft } = ridgeArtefact(1, shape);
  const artefact = buildArtefact({
    ...draft,
    family: 'sequential',
    architecture: sequentialArchitecture(spec),
    weights,
  });
  return { artefact, model: modelFromArtefact(artefact, id) };
}

/** Puts a model in use, or none. */
export function activateEvents(driver: TopologyTestDriver, served: ServedModel | undefined, name = 'next-event'): void {
  driver.broadcast({ activation: activation(served?.model.id ?? '', 'champion', name), served, refusal: '' });
}
