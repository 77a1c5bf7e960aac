import { Command } from 'commander';
import { version } from '../service/version.ts';
import { addBacktest } from './commands/backtest.ts';
import { addCheck } from './commands/check.ts';
import { addDeadLetters } from './commands/dead-letters.ts';
import { addDemo } from './commands/demo.ts';
import { addDescribe } from './commands/describe.ts';
import { addDiscover } from './commands/discover.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEvaluate } from './commands/evaluate.ts';
import { addExplain } from './commands/explain.ts';
import { addExportKeras } from './commands/export-keras.ts';
import { addFleet } from './commands/fleet.ts';
import { addHistory } from './commands/history.ts';
import { addImportKeras } from './commands/import-keras.ts';
import { addInit } from './commands/init.ts';
import { addModels } from './commands/models.ts';
import { addPublish } from './commands/publish.ts';
import { addRebuild } from './commands/rebuild.ts';
import { addReplay } from './commands/replay.ts';
import { addReset } from './commands/reset.ts';
import { addRun } from './commands/run.ts';
import { addTail } from './commands/tail.ts';
import { addTrain } from './commands/train.ts';
import { addTrainEvents } from './commands/train-events.ts';
import { failureOf, failureText } from './failure.ts';
import type { Terminal } from './terminal.ts';

type AddCommand = (program: Command, terminal: Terminal) => void;

const COMMANDS: readonly AddCommand[] = [
  addDemo,
  addFleet,
  addInit,
  addDiscover,
  addCheck,
  addRun,
  addPublish,
  addTail,
  addDeadLetters,
  addTrain,
  addTrainEvents,
  addEvaluate,
  addModels,
  addImportKeras,
  addExportKeras,
  addHistory,
  addReplay,
  addExplain,
  addRebuild,
  addBacktest,
  addDescribe,
  addReset,
  addDoctor,
];

/** Runs one command line. @returns the exit code: 0 done, 1 failed, 2 called or configured wrongly. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = new Command('fleetcast')
    .description('From MQTT readings to forecasts that keep themselves up to date.')
    .version(version())
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: () => {},
      outputError: () => {},
    });
  for (const add of COMMANDS) add(program, terminal);
  try {
    if (args.length === 0) {
      terminal.out(program.helpInformation().trimEnd());
      return 2;
    }
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    const failure = failureOf(error);
    if (failure === undefined) return 0;
    if (args.includes('--json')) terminal.note(JSON.stringify({ error: failure }));
    else terminal.note(failureText(failure));
    if (failure.code === 'UNEXPECTED' && process.env['FLEETCAST_DEBUG']) terminal.note(String((error as Error).stack));
    return failure.exitCode;
  }
}
