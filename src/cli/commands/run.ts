import type { Command } from 'commander';
import { createLogger } from '../../service/logging/logger.ts';
import { startPatiently } from '../../service/patient-start.ts';
import { planStart } from '../../service/plan-start.ts';
import { CONFIG_HELP, type ConfigOption, configured } from '../configured.ts';
import type { Terminal } from '../terminal.ts';

export function addRun(program: Command, terminal: Terminal): void {
  program
    .command('run')
    .description('Run the service: bridge, topology, learner and page.')
    .option('--config <file>', CONFIG_HELP)
    .option('--dry-run', 'only say which topics would be created, and which exist as wanted')
    .option(
      '--shorten-retention',
      'on the embedded log: topics keep as little as the configuration says from now on, and lose what is beyond it',
    )
    .action(async (options: ConfigOption & { readonly dryRun?: boolean; readonly shortenRetention?: boolean }) => {
      const configuration = configured(options);
      const { shortenRetention = false } = options;
      if (options.dryRun === true) {
        const lines = await planStart(configuration, shortenRetention ? 'apply' : 'lengthen');
        for (const line of lines) terminal.out(line);
        return;
      }
      const { level, file } = configuration.logging;
      const logger = createLogger({ level, ...(file === undefined ? {} : { file }) });
      const service = await startPatiently({ configuration, logger, shortenRetention }, terminal.signal);
      if (service === undefined) return;
      terminal.note(`readings from ${service.brokerUrl}`);
      if (service.pageUrl !== undefined) terminal.note(`page at ${service.pageUrl}`);
      terminal.note('running; Ctrl-C ends it');
      let failure: unknown;
      await new Promise<void>((resolve) => {
        if (terminal.signal.aborted) resolve();
        terminal.signal.addEventListener('abort', () => resolve(), { once: true });
        void service.failed.then((error) => {
          failure = error;
          resolve();
        });
      });
      terminal.note('ending');
      // A log that has turned out damaged may not even close: the damage is what the user must hear of.
      await service.stop().catch((error: unknown) => {
        if (failure === undefined) throw error;
      });
      if (failure !== undefined) throw failure;
    });
}
