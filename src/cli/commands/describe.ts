import type { Command } from 'commander';
import { forecastingTopology } from '../../pipelines/forecasting.ts';
import { pipelineOf } from '../../service/pipeline-settings.ts';
import { describeDot, describeMermaid, describeText } from '../../topology/describe.ts';
import { CONFIG_HELP, type ConfigOption, configured } from '../configured.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly mermaid?: boolean;
  readonly dot?: boolean;
}

export function addDescribe(program: Command, terminal: Terminal): void {
  program
    .command('describe')
    .description('Show the topology that the configuration makes, as text.')
    .option('--config <file>', CONFIG_HELP)
    .option('--mermaid', 'as a Mermaid flowchart')
    .option('--dot', 'as a graph for Graphviz')
    .action((options: Options) => {
      // Nothing runs: no model is ever asked for.
      const models = { load: () => Promise.reject(new Error('not running')) };
      const topology = forecastingTopology(pipelineOf(configured(options)), models);
      const draw = options.mermaid ? describeMermaid : options.dot ? describeDot : describeText;
      terminal.out(draw(topology).trimEnd());
    });
}
