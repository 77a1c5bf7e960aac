import type { Command } from 'commander';
import { replayDeadLetters } from '../../bridges/dead-letters/replay.ts';
import { openExistingLog } from '../../service/open-log.ts';
import { namesOf } from '../../service/pipeline-settings.ts';
import { mappingOf } from '../../service/service.ts';
import { CONFIG_HELP, type ConfigOption, configured } from '../configured.ts';
import { defined, list } from '../options.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly reason?: string[];
  readonly mqttTopic?: string;
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function addDeadLetters(program: Command, terminal: Terminal): void {
  const letters = program
    .command('dead-letters')
    .description('What could not go on (fleetcast tail dead-letters shows it): put it through again.');
  letters
    .command('replay')
    .description(
      'Put dead letters through the mapping again, after it was mended; each once, however chosen, unless --all.',
    )
    .option('--config <file>', CONFIG_HELP)
    .option('--reason <names>', 'only those with these reasons, separated by commas', list)
    .option('--mqtt-topic <filter>', 'only those whose MQTT topic matches this filter')
    .option('--all', 'from the oldest on, also what was put through before')
    .option('--dry-run', 'change nothing, only say what would come of it')
    .option('--json', 'as JSON')
    .action(async (options: Options) => {
      const configuration = configured(options);
      const mapping = mappingOf(configuration);
      const log = await openExistingLog(configuration);
      try {
        const { reason, mqttTopic, all, dryRun } = options;
        const result = await replayDeadLetters({
          log,
          mapping,
          topics: namesOf(configuration),
          now: Date.now,
          signal: terminal.signal,
          ...defined({ reasons: reason, mqttTopic, all, dryRun }),
        });
        if (options.json) return terminal.out(JSON.stringify(result));
        const { letters: read, mended, again, readings, skipped, cut, stillBad, forgotten } = result;
        const bad = Object.values(stillBad).reduce((sum, count) => sum + count, 0);
        const why = Object.entries(stillBad).map(([name, count]) => `${name} ${count}`);
        terminal.out(
          `${read} dead letters: ${mended} mended, ` +
            (again > 0 ? `${again} that the pipeline had turned away and now judges again, ` : '') +
            `${readings} readings${dryRun ? ', not written' : ''}; ${bad} still bad${why.length > 0 ? ` (${why.join(', ')})` : ''}, ${skipped} left out` +
            (cut > 0 ? `, ${cut} passed over of which only the beginning is kept` : '') +
            (forgotten > 0 ? `; ${forgotten} of those still bad are too many to remember: --all tries them again` : ''),
        );
      } finally {
        await log.close();
      }
    });
}
