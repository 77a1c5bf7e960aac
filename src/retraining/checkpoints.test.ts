import { expect, it } from 'vitest';
import { checkpointRecord } from './checkpoints.ts';
import type { TrainingRequest } from './request.ts';

it('a checkpoint goes onto the log up to 12 MiB: width 128 at horizon 96 has 1,660,808 bytes', () => {
  const request = { name: 'default', time: 7 } as TrainingRequest;
  expect(checkpointRecord('models', request, new Uint8Array(1_660_808))?.value).toHaveLength(1_660_816);
  expect(checkpointRecord('models', request, new Uint8Array(12 * 2 ** 20 + 1))).toBeUndefined();
});
