import { ModelRegistry } from '../../pipelines/model-registry.ts';
import type { ThreadModule } from '../../topology/threads/messages.ts';
import type { LoadedConfiguration } from '../configuration/load.ts';
import { openLog } from '../open-log.ts';
import { namesOf } from '../pipeline-settings.ts';
import { engineOptionsOf } from './engine-options.ts';
import { verificationClient } from './verification-desk.ts';

/** Crosses to the threads by structured clone. */
export interface PipelineThreadArgs {
  readonly configuration: LoadedConfiguration;
  /** Name of the desk that compares models for all threads. */
  readonly desk: string;
  /** See `openLog`. */
  readonly connectMs: number | undefined;
}

/** Entry of a thread of the service: the forecasting topology on a log of the thread's own. */
const make: ThreadModule<PipelineThreadArgs> = async ({ configuration, desk, connectMs }) => {
  const log = await openLog(configuration, () => {}, connectMs);
  const client = verificationClient(desk);
  const { models } = namesOf(configuration);
  const registry = new ModelRegistry({ log, topic: models, verify: (id, bytes) => client.verify(id, bytes) });
  return {
    options: { ...engineOptionsOf(configuration, registry), log },
    close: async () => {
      client.close();
      await log.close();
    },
  };
};

export default make;
