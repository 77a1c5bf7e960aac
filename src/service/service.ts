import { resolve } from 'node:path';
import { compileMapping, type Mapping } from '../bridges/mapping/mapping.ts';
import { type BridgeEvent, MqttBridge } from '../bridges/mqtt/bridge.ts';
import type { ConnectionOptions } from '../bridges/mqtt/connection.ts';
import { refuseLoop } from '../bridges/out/out-config.ts';
import { FleetcastError, isFleetcastError } from '../errors.ts';
import type { ModelEvent } from '../events/records.ts';
import type { EventLog } from '../log/event-log.ts';
import { forecastingTopology } from '../pipelines/forecasting.ts';
import { ARTEFACT_PATIENCE_MS, ModelRegistry } from '../pipelines/model-registry.ts';
import { explain } from '../retraining/explain.ts';
import { explanationText } from '../retraining/explanation-text.ts';
import { checkHistoryInterval } from '../retraining/history-interval.ts';
import { Learner, type LearnerEvent } from '../retraining/learner.ts';
import { promote, requestTraining, retire, rollBack } from '../retraining/lifecycle.ts';
import { choiceIn } from '../retraining/model-choice.ts';
import { readModelLines } from '../retraining/model-line.ts';
import { describeMermaid, describeText } from '../topology/describe.ts';
import type { LoadedConfiguration } from './configuration/load.ts';
import { mappingConfig } from './configuration/mapping-section.ts';
import { outConfig } from './configuration/out-section.ts';
import { resolveSecret } from './configuration/secret.ts';
import { dropsOf, notesOf } from './drops.ts';
import { EMBEDDED_BRIDGE, outClientId, startEmbeddedBroker } from './embedded-broker.ts';
import { startEngine } from './engine/start-engine.ts';
import { healthOf } from './health.ts';
import { type HttpServer, startHttp } from './http/server.ts';
import { damped } from './logging/damped.ts';
import type { Logger } from './logging/logger.ts';
import { Metrics } from './metrics/metrics.ts';
import { ModelWatch } from './model-watch.ts';
import { startMqttOut } from './mqtt-out.ts';
import { logPlace, openLog } from './open-log.ts';
import { ensureOwnTopics } from './own-topics.ts';
import { learnerOf, namesOf, pipelineOf } from './pipeline-settings.ts';
import { presenceOf } from './presence.ts';
import type { ServiceStatus } from './status.ts';
import { taskPart } from './task-part.ts';
import { TrainingWatch } from './training-watch.ts';
import { version } from './version.ts';
import { FleetView } from './view/fleet-view.ts';
import { ViewFollower } from './view/follower.ts';

export interface ServiceOptions {
  readonly configuration: LoadedConfiguration;
  readonly logger: Logger;
  /** Takes free ports where the configured ones are taken. */
  readonly anyPort?: boolean;
  /** A log that is open already; the caller closes it. Default: the configured one. */
  readonly log?: EventLog;
  /** Applies the configured retention to topics of the embedded log also where records go for it. Default false. */
  readonly shortenRetention?: boolean;
  /** How long the log may take to answer before the start fails; only Kafka takes any time. Default 30,000. */
  readonly connectMs?: number;
  /** Called before the page takes its port. */
  readonly beforePage?: () => Promise<void>;
  readonly now?: () => number;
  readonly onLearnerEvent?: (event: LearnerEvent) => void;
}

export interface Service {
  readonly status: () => ServiceStatus;
  readonly view: FleetView;
  readonly log: EventLog;
  /** Address of the page, or undefined where it is switched off. */
  readonly pageUrl: string | undefined;
  /** Address of the MQTT broker that the bridge listens to. */
  readonly brokerUrl: string;
  /** Settles with an error after which the service cannot go on and has to be stopped; else never. */
  readonly failed: Promise<unknown>;
  /** Ends everything in the reverse order, clean: what was acknowledged is on the log, and the next start resumes. */
  stop(): Promise<void>;
}

/**
 * Puts everything together: log, engine, learner, view, page, and last the bridge, so that nothing is taken before it can
 * be handled. What has been started is ended again where a later part cannot start.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const ends: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) {
      await end().catch((error: unknown) => options.logger.error({ err: error }, 'a part did not end cleanly'));
    }
  };
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<unknown>((resolve) => {
    fail = resolve;
  });
  try {
    return { ...(await startParts(options, ends, fail)), failed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(
  options: ServiceOptions,
  ends: (() => Promise<void>)[],
  fail: (error: unknown) => void,
): Promise<Omit<Service, 'stop' | 'failed'>> {
  const { configuration, logger, now = Date.now, anyPort = false } = options;
  const { broker: brokerSection, learner: learnerSection, http: httpSection, folder } = configuration;
  const startedAt = now();
  const topics = namesOf(configuration);
  const pipeline = pipelineOf(configuration);
  const mapping = mappingOf(configuration);
  const out = outConfig(configuration.out);
  if (out !== undefined) refuseLoop(out, mapping);

  const onLogError = (error: unknown): void => {
    if (isFleetcastError(error, 'DATA_FOLDER_DAMAGED')) fail(error);
    else logger.warn({ err: error }, 'the log was not cleaned');
  };
  const log = options.log ?? (await openLog(configuration, onLogError, options.connectMs));
  if (options.log === undefined) ends.push(() => log.close());
  const retention = options.shortenRetention === true ? 'apply' : 'lengthen';
  await ensureOwnTopics(log, configuration, { retention, onNote: (message) => logger.warn(message) });
  await checkHistoryInterval(log, topics.history, pipeline.interval);

  const registry = new ModelRegistry({ log, topic: topics.models });
  const topology = forecastingTopology(pipeline, registry);
  const engine = await startEngine({
    configuration,
    log,
    registry,
    logger,
    connectMs: options.connectMs,
    givenLog: options.log !== undefined,
    onLost: fail,
  });
  ends.push(() => engine.stop());

  const view = new FleetView(now);
  const follower = new ViewFollower({
    log,
    topics,
    view,
    // While brokers are away every partition says the same.
    onEvent: damped(
      ({ message }) => message.replace(/^\S+: /, ''),
      ({ topic, message }, more) => logger.warn({ topic, ...more }, message),
    ),
    onModelEvent: ({ kind, modelId }) => {
      // Compared and ready before its activation comes, whoever has trained it. A task that meets one that is not waits.
      if (kind === 'trained') registry.load(modelId).catch(() => undefined);
    },
  });
  await follower.start();
  ends.push(() => follower.stop());

  const training = new TrainingWatch();
  let learner: Learner | undefined;
  if (learnerSection.enabled) {
    learner = new Learner({
      log,
      topics,
      registry,
      ...learnerOf(configuration),
      now,
      memberId: `learner-${process.pid}`,
      onStage: (stage, detail) => training.onStage(stage, detail),
      onProgress: (progress) => training.onProgress(progress),
      onEvent: (event) => {
        onLearnerEvent(event, training, logger, registry);
        options.onLearnerEvent?.(event);
      },
    });
    await learner.start();
    ends.push(() => learner!.stop());
  }

  const connection = brokerSection.url === undefined ? undefined : connectionOf(configuration);
  const embedded =
    connection === undefined
      ? await startEmbeddedBroker(configuration, mapping, {
          anyPort,
          onEvent: damped(
            ({ type, reason, clientId }) => `${type} ${reason} ${clientId}`,
            (event, more) => logger.warn({ ...event, ...more }, 'the broker refused'),
          ),
        })
      : undefined;
  if (embedded !== undefined) ends.push(() => embedded.broker.close());
  const toBroker = connection ?? embedded!.connection;
  if (out !== undefined) {
    const { stop } = startMqttOut({
      log,
      config: out,
      connection: toBroker,
      clientId: outClientId(brokerSection.clientId),
      group: `${configuration.topics.prefix}mqtt-out`,
      topics,
      logger,
    });
    ends.push(stop);
  }
  const bridge = new MqttBridge({
    log,
    mapping,
    connection: toBroker,
    clientId: brokerSection.clientId,
    receiveMaximum: brokerSection.receiveMaximum,
    ...(brokerSection.sharedGroup === undefined ? {} : { sharedGroup: brokerSection.sharedGroup }),
    ...(embedded === undefined ? {} : EMBEDDED_BRIDGE),
    topics,
    letterBytesPerHour: configuration.topics.deadLettersPerHour,
    now,
    onEvent: (event) => logger[BRIDGE_WARNINGS.has(event.type) ? 'warn' : 'info'](event, `bridge ${event.type}`),
  });

  let bridging = false;
  const models = new ModelWatch(view, registry, learnerSection.name, () => readModelLines(log, topics.modelEvents));
  const place = { kind: log.kind, where: options.log === undefined ? logPlace(configuration) : '' };
  const status = (): ServiceStatus => {
    const tasks = engine.status();
    const waiting = engine.waiting();
    const bridgeStatus = bridging ? bridge.status() : undefined;
    const at = now();
    return {
      version: version(),
      startedAt,
      now: at,
      log: place,
      health: healthOf({
        tasks,
        waiting,
        idle: engine.idle(),
        bridge: bridgeStatus,
        logTrouble: log.trouble?.(),
        championRefused: learner?.status().championRefused,
        now: at,
      }),
      bridge: bridgeStatus && {
        url: bridgeStatus.session.url,
        connected: bridgeStatus.session.connected,
        received: bridgeStatus.received,
        acknowledged: bridgeStatus.acknowledged,
        perSecond: bridgeStatus.perSecond,
        pending: bridgeStatus.pendingMessages,
        pendingBytes: bridgeStatus.pendingBytes,
        oldestPendingMs: bridgeStatus.oldestPendingMs,
        inFlight: bridgeStatus.inFlight,
        redelivered: bridgeStatus.redelivered,
        retained: bridgeStatus.retained,
        connections: bridgeStatus.session.connections,
        takeovers: bridgeStatus.session.takeovers ?? 0,
        sessionsLost: bridgeStatus.session.sessionsLost ?? 0,
        brokerDropped: bridgeStatus.session.brokerDropped,
        logDown: bridgeStatus.logDown,
        held: bridgeStatus.held,
        ...(mapping.remembers ? { presence: presenceOf(mapping.presence()) } : {}),
      },
      tasks: tasks.map(taskPart),
      waiting: waiting.map(({ group, partition, holder = '', until = 0 }) => ({ group, partition, holder, until })),
      standbys: engine.standbys().map(({ task, partition, lag, keys, error }) => {
        return { task, partition, lag, keys, error: error ?? '' };
      }),
      threadRestarts: engine.restarts(),
      rates: { readings: view.readings.perSecond(), forecasts: view.forecasts.perSecond() },
      totals: {
        devices: view.devices.size,
        series: view.seriesCount,
        readings: view.readings.total,
        forecasts: view.forecasts.total,
        scores: view.scores.total,
        alerts: view.alertCount,
        deadLetters: view.deadLetterCount,
      },
      onLog: { deadLetters: [...view.deadLetterReasons.values()].reduce((sum, count) => sum + count, 0) },
      drops: dropsOf({
        bridge: bridgeStatus,
        broker: embedded?.broker.status().refused ?? {},
        nodes: engine.counts(),
        deadLetters: view.deadLetterReasons,
      }),
      notes: notesOf(engine.counts()),
      model: models.part(),
      training: training.part(learner?.status(), learnerSection.firstAfter),
    };
  };

  const metrics = new Metrics(status);
  const { shape, interval } = pipeline;
  const hand = { log, topics, now, registry, name: learnerSection.name, shape, interval };
  let http: HttpServer | undefined;
  if (httpSection.enabled) {
    await options.beforePage?.();
    http = await startHttp({
      host: httpSection.host,
      port: httpSection.port,
      anyPort,
      ...(httpSection.token === undefined ? {} : { token: resolveSecret('http.token', httpSection.token, folder) }),
      source: {
        view,
        status,
        metrics: () => metrics.read(),
        models: () => models.list(),
        promote: (id, reason) => promote({ ...hand, reason }, id),
        train: async (wish, reason) => {
          if (learner === undefined) throw new FleetcastError('USAGE', 'the learner is switched off (learner.enabled)');
          const time = await requestTraining({ ...hand, reason }, { ...learnerOf(configuration).request, ...wish });
          return new Date(time).toISOString();
        },
        retire: (id, reason) => retire({ ...hand, reason }, id),
        explain: async (device, quantity) => {
          const patient = registry.within(ARTEFACT_PATIENCE_MS);
          const explanation = await explain({ log, config: pipeline, models: patient, which: { device, quantity } });
          return { text: explanationText(explanation, false), explanation };
        },
        rollBack: (reason) => rollBack({ ...hand, reason }),
        state: (node, store) => engine.state(node, store),
        describe: () => ({ text: describeText(topology), mermaid: describeMermaid(topology) }),
      },
      now,
      onEvent: ({ message }) => logger.error({}, message),
    });
    ends.push(() => http!.close());
  }

  // Also where the start fails: what it has begun must not outlive it.
  ends.push(() => bridge.stop());
  await bridge.start();
  bridging = true;
  logger.info({ page: http?.url, log: place }, 'started');
  return { status, view, log, pageUrl: http?.url, brokerUrl: connection?.url ?? embedded!.broker.url };
}

/** @throws CONFIG_INVALID, naming the rule and the field */
export function mappingOf(configuration: LoadedConfiguration): Mapping {
  const mapping = compileMapping(mappingConfig(configuration.mapping));
  const { subscribe } = configuration.mapping;
  return subscribe === undefined
    ? mapping
    : { ...mapping, subscriptions: subscribe.map((filter) => ({ filter, qos: 1 as const })) };
}

/** Events of the bridge that somebody has to do something about. */
const BRIDGE_WARNINGS: ReadonlySet<string> = new Set<BridgeEvent['type']>([
  'error',
  'taken-over',
  'session-lost',
  'broker-dropped',
  'overlap',
  'subscription-refused',
  'log-down',
  'record-refused',
]);

function connectionOf(configuration: LoadedConfiguration): ConnectionOptions {
  const { url, username, password, caFile, certFile, keyFile } = configuration.broker;
  const { folder } = configuration;
  const file = (name: string) => resolve(folder, name);
  return {
    url: url!,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: resolveSecret('broker.password', password, folder) }),
    ...(caFile === undefined && certFile === undefined && keyFile === undefined
      ? {}
      : {
          tls: {
            ...(caFile === undefined ? {} : { ca: file(caFile) }),
            ...(certFile === undefined ? {} : { certificate: file(certFile) }),
            ...(keyFile === undefined ? {} : { key: file(keyFile) }),
          },
        }),
  };
}

function onLearnerEvent(event: LearnerEvent, training: TrainingWatch, logger: Logger, registry: ModelRegistry): void {
  if (event.kind === 'error') {
    logger.error({ code: event.code }, event.message);
    training.onEnd(event.message, true);
    return;
  }
  if (event.kind === 'warning') {
    logger.warn(event.message);
    return;
  }
  training.onModelEvent(event.event);
  void logModelEvent(event.event, logger, registry);
}

/** With the family, which only the artefact tells. */
async function logModelEvent(event: ModelEvent, logger: Logger, registry: ModelRegistry): Promise<void> {
  const { kind, modelId, reason, name } = event;
  const found = modelId === '' ? undefined : await registry.find(modelId).catch(() => undefined);
  const choice = choiceIn(event);
  const more = { ...(found && { family: found.artefact.family }), ...(choice !== undefined && { choice }) };
  logger.info({ model: modelId, name, ...more, reason }, `model ${kind}`);
}
