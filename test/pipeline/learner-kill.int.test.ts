import { afterAll, describe, expect, it } from 'vitest';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { startKafka } from '../log/kafka-broker.ts';
import { type ActivationText, continueAZombie, mortalLearners, TRAINING, tryPoorModels } from './learner-kills.ts';
import { kinds, newWorld, play } from './world.ts';

// A dead learner is missed after a second, not after six.
const kafka = await startKafka(1, { properties: () => 'group.min.session.timeout.ms=500' });
const { learnersOn, killAll } = mortalLearners();

afterAll(async () => {
  killAll();
  await kafka?.stop();
});

const COMMITS = TRAINING.filter((step) => !['reading', 'training', 'evaluating'].includes(step));

describe.skipIf(kafka === undefined)('a learner on Kafka that is killed', () => {
  it('is followed by one that goes on, in and after every commit; nothing is done twice', async () => {
    const place = { brokers: kafka!.brokers, prefix: `kills-${process.pid}-${Date.now()}.` };
    const log = await openKafkaLog(place);
    const world = await newWorld(log);
    const { dieAt } = learnersOn(place);
    const wave = (hour: number) => (hour < 300 ? 12 : 17);
    /** One that dies while the transaction is under way, whichever way that ends, and one that dies when it is done. */
    const die = async (what: string): Promise<void> => {
      const count = async () => (await kinds(log)).filter((kind) => kind === what).length;
      const before = await count();
      await dieAt(`during ${what}`);
      await dieAt(`after ${what}`, async () => (await count()) > before);
    };

    await play(world, 180, wave);
    for (const what of [...COMMITS, 'promoted']) await die(what);
    expect(await kinds(log)).toEqual(['requested', 'trained', 'promoted']);

    await play(world, 320, wave);
    await die('shadowed');
    await play(world, 100, wave);
    await die('promoted');
    await play(world, 100, wave);
    await die('retired');
    const story = ['requested', 'trained', 'promoted', 'requested', 'trained', 'shadowed', 'promoted'];
    expect(await kinds(log)).toEqual([...story, 'shadowed', 'retired']);

    const [first, second] = (await world.registry.list()).map(({ id }) => id);
    const sofar: ActivationText[] = [
      ['champion', first!],
      ['challenger', second!],
      ['champion', second!],
      ['challenger', first!],
      ['challenger', ''],
    ];
    await tryPoorModels(world, { sofar, wave }, die);
  }, 420_000);

  it.skipIf(process.platform !== 'linux')(
    'is not heard when it comes back after another has taken over',
    async () => {
      const place = { brokers: kafka!.brokers, prefix: `zombie-${process.pid}-${Date.now()}.` };
      const world = await newWorld(await openKafkaLog(place));
      await play(world, 180, () => 12);
      await continueAZombie(world, learnersOn(place));
    },
    120_000,
  );
});
