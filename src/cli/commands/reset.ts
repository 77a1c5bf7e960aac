import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { forecastingTopology } from '../../pipelines/forecasting.ts';
import { groupOf } from '../../service/engine/engine-options.ts';
import { openExistingLog } from '../../service/open-log.ts';
import { namesOf, pipelineOf } from '../../service/pipeline-settings.ts';
import { type ResetReport, resetGroup } from '../../topology/reset.ts';
import { CONFIG_HELP, type ConfigOption, configured } from '../configured.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export function addReset(program: Command, terminal: Terminal): void {
  program
    .command('reset')
    .description(
      'Begin anew: drop the stored state and the progress of the pipeline, which then reads its input again.',
    )
    .option('--config <file>', CONFIG_HELP)
    .option('--dry-run', 'change nothing, only say what would be dropped')
    .option('--yes', 'do it')
    .option('--json', 'as JSON')
    .action(async (options: Options) => {
      const configuration = configured(options);
      const topics = namesOf(configuration);
      const group = groupOf(configuration);
      // Nothing runs: no model is ever asked for.
      const models = { load: () => Promise.reject(new Error('not running')) };
      const topology = forecastingTopology(pipelineOf(configuration), models);
      const log = await openExistingLog(configuration);
      try {
        const dryRun = options.yes !== true || options.dryRun === true;
        const report = await resetGroup({ log, topology, group, stateTopic: topics.state, now: Date.now(), dryRun });
        if (options.json) terminal.out(JSON.stringify({ group, dropped: !dryRun, ...report }));
        else for (const line of describe(report, group, topics.state, dryRun)) terminal.out(line);
        if (dryRun && options.dryRun !== true) {
          throw new FleetcastError('USAGE', 'nothing was dropped: add --yes to do it, or --dry-run only to look');
        }
      } finally {
        await log.close();
      }
    });
}

function* describe(
  { offsets, tasks, stores, repartitions, resumed, records }: ResetReport,
  group: string,
  state: string,
  dryRun: boolean,
) {
  if (resumed) yield `an earlier reset of ${group} was cut off; ${dryRun ? '--yes finishes it' : 'it is finished now'}`;
  else if (offsets.length === 0 && records === 0) {
    yield `nothing to drop: ${group} has neither state nor progress`;
    return;
  }
  const verb = dryRun ? 'would drop' : 'dropped';
  yield `${verb} of the group ${group}:`;
  const keys = tasks.reduce((sum, task) => sum + task.keys, 0);
  yield `  state of ${tasks.length} tasks with ${keys} keys (${records} records of the topic ${state})`;
  for (const [store, count] of Object.entries(stores)) yield `    ${store}: ${count} keys`;
  for (const { topic, partition, offset, earliest } of offsets) {
    yield `  progress in ${topic}/${partition}: from offset ${offset} back to ${earliest}`;
  }
  for (const { topic, records } of repartitions)
    yield `  ${records} records of the topic ${topic}, which is the pipeline's own`;
  yield 'kept: readings, history, models, forecasts and every other topic';
  yield 'the next run reads what is left of its input again, and writes the outputs of it a second time';
}
