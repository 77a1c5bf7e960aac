import { expect, it } from 'vitest';
import type { ModelEvent } from '../events/records.ts';
import type { ModelRegistry } from '../pipelines/model-registry.ts';
import { ModelWatch } from './model-watch.ts';
import { FleetView } from './view/fleet-view.ts';

it('never tells of a model in use without what its artefact says', async () => {
  const view = new FleetView(Date.now);
  const reads = new Map<string, () => void>();
  const find = (id: string) =>
    new Promise((resolve, reject) => {
      const found = { artefact: { family: `family of ${id}`, metrics: { 'test.mae': 1 } } };
      reads.set(id, () => (id === 'gone' ? reject(new Error('no model')) : resolve(found)));
    });
  const watch = new ModelWatch(view, { find } as unknown as ModelRegistry, 'default', async () => new Map());
  const promote = (modelId: string, kind: ModelEvent['kind'] = 'promoted') =>
    view.onModelEvent({ type: 'ModelEvent', name: 'default', kind, modelId, time: 7, reason: '', details: '{}' });
  const told = () => [watch.part().id, watch.part().family];
  const read = async (id: string) => {
    reads.get(id)!();
    await new Promise((resolve) => setImmediate(resolve));
  };
  promote('a');
  expect(told()).toEqual(['', '']);
  await read('a');
  expect(told()).toEqual(['a', 'family of a']);
  promote('b');
  expect(told()).toEqual(['a', 'family of a']);
  await read('b');
  expect(told()).toEqual(['b', 'family of b']);
  promote('b', 'retired');
  expect(told()).toEqual(['', '']);
  promote('gone');
  expect(told()).toEqual(['', '']);
  await read('gone');
  expect(told()).toEqual(['gone', '']);
});
