import { expect, it } from 'vitest';
import { jsonCodec, type SourceCodec, TopologyBuilder, TopologyTestDriver } from '../../src/index.ts';

const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});

interface Command {
  readonly open: boolean;
}
interface Report {
  readonly position: number;
}
const unused = <T>(): SourceCodec<T> => ({ decode: () => ({ kind: 'skip', reason: 'unused' }) });

it('joins two streams within a bound of event time', async () => {
  // region stream-join
  const builder = new TopologyBuilder('valves');
  const commands = builder.source<Command>('commands', { topic: 'commands', codec: unused<Command>() });
  const reports = builder.source<Report>('reports', { topic: 'reports', codec: unused<Report>() });

  // What a valve reports within half a minute of a command, before or after it; and commands without any report.
  const answers = commands.join(
    'answered',
    reports,
    { kind: 'left', withinMs: 30_000, graceMs: 5_000, left: jsonCodec<Command>(), right: jsonCodec<Report>() },
    ({ open }, report, valve) => ({ valve, open, position: report?.position }),
  );
  const { done, silent } = answers.split('outcome', {
    done: ({ position }) => position !== undefined,
    silent: () => true,
  });
  done.sink('done', { topic: 'done', encode });
  silent.sink('silent', { topic: 'alarms', encode });
  answers.output<Command | Report>('late').sink('late', { topic: 'late', encode });
  // endregion

  // region stream-join-driver
  const driver = new TopologyTestDriver(builder.build());
  driver.pipe('commands', 'north', { open: true }, 10_000);
  driver.pipe('reports', 'north', { position: 40 }, 15_000);
  driver.pipe('reports', 'north', { position: 100 }, 39_000);
  driver.pipe('commands', 'south', { open: false }, 20_000);
  await driver.restart();
  expect(driver.values('done')).toEqual([
    { valve: 'north', open: true, position: 40 },
    { valve: 'north', open: true, position: 100 },
  ]);
  // The watermark of the valve passes, or the ticks say that it has been quiet: nothing can come any more.
  driver.pipe('reports', 'south', { position: 0 }, 60_001);
  driver.tick(200_000);
  expect(driver.values('silent')).toEqual([{ valve: 'south', open: false }]);
  driver.pipe('commands', 'north', { open: false }, 1_000);
  expect(driver.values('late')).toEqual([{ open: false }]);
  // endregion
  expect(driver.records('done').map(({ time }) => time)).toEqual([15_000, 39_000]);
});
