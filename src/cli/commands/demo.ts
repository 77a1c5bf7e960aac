import { basename, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { connectPublisher, type Publisher } from '../../bridges/mqtt/publisher.ts';
import { createLogger } from '../../service/logging/logger.ts';
import { type Service, startService } from '../../service/service.ts';
import { BACKLOG_HOURS, DEMO_CONFIG, demoConfiguration } from '../demo/demo-configuration.ts';
import { clearDemoFolder, openDemoFolder, savePosition } from '../demo/demo-folder.ts';
import { type DemoProgress, demoLine, demoLines, demoResult, demoSummary, modelForecasts } from '../demo/display.ts';
import { Fleet } from '../demo/fleet.ts';
import { playFleet } from '../demo/fleet-player.ts';
import { duration, factor, whole } from '../options.ts';
import type { Terminal } from '../terminal.ts';

interface Options {
  readonly fresh?: boolean;
  readonly for?: number;
  readonly folder: string;
  readonly speed: number;
  readonly seed: number;
  readonly json?: boolean;
}

export function addDemo(program: Command, terminal: Terminal): void {
  program
    .command('demo')
    .description('Show it all: a broker, a fleet with its faults, a log, training, forecasts and the page.')
    .option('--fresh', 'begin anew instead of going on from the last run')
    .option('--for <duration>', 'end by itself after this time, with a summary', duration)
    .option('--speed <factor>', 'event time against real time, once the history is played', factor, 7200)
    .option('--folder <path>', 'where the demo keeps its log', join('.fleetcast', 'demo'))
    .option('--seed <n>', 'of the simulated fleet, for a new folder', whole(0), 1)
    .option('--json', 'the summary as JSON')
    .action((options: Options) => demo(options, terminal));
}

async function demo(options: Options, terminal: Terminal): Promise<void> {
  const started = performance.now();
  const folder = resolve(options.folder);
  if (options.fresh) clearDemoFolder(folder);
  const position = openDemoFolder(folder);
  const seed = position?.seed ?? options.seed;
  const hours = position?.hours ?? 0;
  savePosition(folder, seed, hours);
  const logger = createLogger({ level: 'warn', file: join(folder, 'demo.log') });
  terminal.note(hours === 0 ? 'starting a new demo' : `going on from hour ${hours} (--fresh begins anew)`);

  const service = await startService({ configuration: demoConfiguration(folder), logger, anyPort: true });
  const stop = new AbortController();
  const timer = options.for === undefined ? undefined : setTimeout(() => stop.abort(), options.for);
  terminal.signal.addEventListener('abort', () => stop.abort(), { once: true });
  if (terminal.signal.aborted) stop.abort();
  let failure: unknown;
  void service.failed.then((error) => {
    failure = error;
    stop.abort();
  });
  let display: Display | undefined;
  try {
    terminal.note(`page: ${service.pageUrl}`);
    const config = relative(process.cwd(), join(folder, DEMO_CONFIG));
    terminal.note(`look inside: ${ownCommand()} tail forecasts --follow --config ${config}`);
    const fleet = new Fleet(seed);
    fleet.skipTo(hours);
    display = new Display(service, fleet, options.speed, started, terminal);
    const publisher = await connectFleet(service.brokerUrl, stop.signal);
    try {
      await playFleet({
        fleet,
        publisher,
        backlogHours: BACKLOG_HOURS,
        speed: options.speed,
        durable: () => service.status().bridge?.acknowledged ?? 0,
        onDurable: (done) => savePosition(folder, seed, done),
        signal: stop.signal,
      });
    } finally {
      await publisher.end(2_000);
    }
  } finally {
    clearTimeout(timer);
    display?.close();
    const status = service.status();
    const elapsed = performance.now() - started;
    // A log that has turned out damaged may not even close: the damage is what the user must hear of.
    await service.stop().catch((error: unknown) => {
      failure ??= error;
    });
    const first = display?.firstModelForecast;
    terminal.out(
      options.json ? JSON.stringify(demoResult(status, elapsed, first)) : demoSummary(status, elapsed, first),
    );
  }
  if (failure !== undefined) throw failure;
}

const CONNECT_TRIES = 5;

/** The broker runs in this process: while the process restores its state, its answer can be late. */
async function connectFleet(url: string, signal: AbortSignal): Promise<Publisher> {
  for (let tries = 1; ; tries++) {
    try {
      return await connectPublisher({ url, protocol: '3.1.1', clientId: 'demo-fleet' });
    } catch (error) {
      if (tries === CONNECT_TRIES || signal.aborted) throw error;
    }
  }
}

/** How this program was called: `npm run demo` works before anything is linked. */
function ownCommand(): string {
  const called = process.argv[1] ?? '';
  return basename(called) === 'main.js' ? `node ${relative(process.cwd(), called)}` : 'fleetcast';
}

const REDRAW_MS = 250;
const LINE_MS = 5_000;

class Display {
  /** Milliseconds from the start to the first forecast by a trained model. */
  firstModelForecast: number | undefined;
  readonly #timer: NodeJS.Timeout;
  #lastLine = 0;

  constructor(service: Service, fleet: Fleet, speed: number, started: number, terminal: Terminal) {
    this.#timer = setInterval(() => {
      const status = service.status();
      const elapsed = performance.now() - started;
      const { pageUrl = '' } = service;
      const progress: DemoProgress = {
        status,
        pageUrl,
        time: fleet.time,
        hours: fleet.hour,
        backlogHours: BACKLOG_HOURS,
        speed,
        elapsed,
      };
      if (this.firstModelForecast === undefined && modelForecasts(status) > 0) {
        this.firstModelForecast = elapsed;
        terminal.note(`first forecast by a trained model after ${Math.round(elapsed / 1000)} s`);
      }
      if (terminal.interactive) terminal.redraw(demoLines(progress));
      else if (elapsed - this.#lastLine > LINE_MS) {
        this.#lastLine = elapsed;
        terminal.note(demoLine(progress));
      }
    }, REDRAW_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
