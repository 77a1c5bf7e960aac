import type { Command } from 'commander';
import { connectPublisher } from '../../bridges/mqtt/publisher.ts';
import { BACKLOG_HOURS } from '../demo/demo-configuration.ts';
import { Fleet } from '../demo/fleet.ts';
import { playFleet } from '../demo/fleet-player.ts';
import { duration, factor, whole } from '../options.ts';
import type { Terminal } from '../terminal.ts';

interface Options {
  readonly broker: string;
  readonly seed: number;
  readonly speed: number;
  readonly backlog: number;
  readonly for?: number;
}

export function addFleet(program: Command, terminal: Terminal): void {
  program
    .command('fleet')
    .description("Publish the demo's fleet (a weather station and 50 devices, with their faults) to a broker.")
    .requiredOption('--broker <url>', 'such as mqtt://127.0.0.1:1883')
    .option('--seed <n>', 'of the simulated devices', whole(0), 1)
    .option('--backlog <hours>', 'hours that are played as fast as the broker takes them', whole(0), BACKLOG_HOURS)
    .option('--speed <factor>', 'event time against real time, after that', factor, 7200)
    .option('--for <duration>', 'end by itself after this time', duration)
    .action((options: Options) => playTo(options, terminal));
}

async function playTo(options: Options, terminal: Terminal): Promise<void> {
  const stop = new AbortController();
  const timer = options.for === undefined ? undefined : setTimeout(() => stop.abort(), options.for);
  terminal.signal.addEventListener('abort', () => stop.abort(), { once: true });
  if (terminal.signal.aborted) stop.abort();
  const fleet = new Fleet(options.seed);
  const publisher = await connectPublisher({ url: options.broker });
  try {
    terminal.note(`publishing ${fleet.deviceCount} devices to ${options.broker}`);
    await playFleet({
      fleet,
      publisher,
      backlogHours: options.backlog,
      speed: options.speed,
      durable: () => publisher.acknowledged,
      onDurable: () => {},
      signal: stop.signal,
    });
    terminal.out(`${fleet.hour} hours · ${publisher.acknowledged} messages acknowledged`);
  } finally {
    clearTimeout(timer);
    await publisher.end();
  }
}
