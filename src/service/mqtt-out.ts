import type { ConnectionOptions } from '../bridges/mqtt/connection.ts';
import { connectPublisher } from '../bridges/mqtt/publisher.ts';
import { OutBridge, type OutStatus } from '../bridges/out/out-bridge.ts';
import type { OutConfig } from '../bridges/out/out-config.ts';
import { messageOf } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Logger } from './logging/logger.ts';

export interface MqttOut {
  /** Undefined until the broker could be reached for the first time. */
  readonly status: () => OutStatus | undefined;
  readonly stop: () => Promise<void>;
}

/** Publishes forecasts and alerts as soon as the broker can be reached; one that is away keeps nothing from starting. */
export function startMqttOut(options: {
  readonly log: EventLog;
  readonly config: OutConfig;
  readonly connection: ConnectionOptions;
  readonly clientId: string;
  readonly group: string;
  readonly topics: { readonly forecasts: string; readonly alerts: string };
  readonly logger: Logger;
}): MqttOut {
  const { log, config, topics, group, logger } = options;
  let bridge: OutBridge | undefined;
  let stopping = false;
  let wake = () => {};
  const run = async (): Promise<() => Promise<void>> => {
    for (let wait = 250; !stopping; wait = Math.min(wait * 2, 30_000)) {
      try {
        const publisher = await connectPublisher({ ...options.connection, clientId: options.clientId });
        bridge = new OutBridge({
          log,
          publisher,
          config,
          topics,
          group,
          onEvent: ({ message }) => logger.warn({ part: 'mqtt-out' }, message),
        });
        await bridge.start();
        return async () => {
          await bridge?.stop();
          await publisher.end(1_000);
        };
      } catch (error) {
        logger.warn({ err: error }, `forecasts are not published yet: ${messageOf(error)}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, wait).unref();
        });
      }
    }
    return async () => {};
  };
  const running = run();
  return {
    status: () => bridge?.status(),
    stop: async () => {
      stopping = true;
      wake();
      await (await running)();
    },
  };
}
