import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { BridgePart, ServiceStatus } from '../status.ts';

/** Metrics in Prometheus' text format, read from the status when they are asked for. */
export class Metrics {
  readonly #registry = new Registry();

  constructor(status: () => ServiceStatus) {
    collectDefaultMetrics({ register: this.#registry });
    const register = (name: string, help: string, labelNames: string[], read: (status: ServiceStatus) => Sample[]) => {
      const gauge: Gauge = new Gauge({
        name: `fleetcast_${name}`,
        help,
        labelNames,
        registers: [this.#registry],
        collect: () => {
          gauge.reset();
          for (const [labels, value] of read(current())) if (Number.isFinite(value)) gauge.set(labels, value);
        },
      });
    };
    // One status for all metrics of a scrape.
    let cached: { at: number; status: ServiceStatus } | undefined;
    const current = () => {
      const at = Date.now();
      if (cached === undefined || at - cached.at > 200) cached = { at, status: status() };
      return cached.status;
    };
    register('up', '1 unless something is stuck', [], ({ health }) => [[{}, health.status === 'stuck' ? 0 : 1]]);
    register('devices', 'Devices seen on the log', [], ({ totals }) => [[{}, totals.devices]]);
    register('series', 'Series that are forecast', [], ({ totals }) => [[{}, totals.series]]);
    register('readings_total', 'Readings on the log since the start', [], ({ totals }) => [[{}, totals.readings]]);
    register('forecasts_total', 'Forecasts on the log, by model', ['model'], ({ model }) =>
      Object.entries(model.forecasts).map(([id, count]) => [{ model: id }, count]),
    );
    register('readings_per_second', 'Readings a second', [], ({ rates }) => [[{}, rates.readings]]);
    register('forecasts_per_second', 'Forecasts a second', [], ({ rates }) => [[{}, rates.forecasts]]);
    register('alerts_total', 'Actuals outside of their interval', [], ({ totals }) => [[{}, totals.alerts]]);
    register('not_taken_total', 'Records that did not go on', ['where', 'reason', 'kept'], ({ drops }) =>
      drops.map(({ where, reason, kept, count }) => [{ where, reason, kept: String(kept) }, count]),
    );
    register('noted_total', 'What happened although every record went on', ['where', 'reason'], ({ notes }) =>
      notes.map(({ where, reason, count }) => [{ where, reason }, count]),
    );
    register('task_lag_records', 'Input records that are not processed yet', ['task'], ({ tasks }) =>
      tasks.map(({ task, lag }) => [{ task }, lag]),
    );
    register('task_offset', 'Next input offset as of the last commit', ['task'], ({ tasks }) =>
      tasks.map(({ task, offset }) => [{ task }, offset]),
    );
    register('task_lag_seconds', 'How far processing is behind the clock, in ingest time', ['task'], ({ tasks }) =>
      tasks.map(({ task, lagMs }) => [{ task }, lagMs / 1000]),
    );
    register('partitions_waited_for', 'Partitions to come here that another process holds', [], ({ waiting }) => [
      [{}, waiting.length],
    ]);
    register('standby_lag_records', 'State records that are not in a standby copy yet', ['task'], ({ standbys }) =>
      standbys.map(({ task, lag }) => [{ task }, lag]),
    );
    register('thread_restarts_total', 'Threads that crashed and were started again', [], ({ threadRestarts }) => [
      [{}, threadRestarts],
    ]);
    register('task_commit_age_seconds', 'Time since the last commit', ['task'], ({ tasks }) =>
      tasks.map(({ task, commitAge }) => [{ task }, commitAge / 1000]),
    );
    register('task_restored_ratio', 'Share of the state that is restored', ['task'], ({ tasks }) =>
      tasks.map(({ task, restored }) => [{ task }, restored]),
    );
    register('task_stuck', '1 while a task does not go on', ['task'], ({ tasks }) =>
      tasks.map(({ task, stuck }) => [{ task }, stuck ? 1 : 0]),
    );
    const ofBridge = (name: string, help: string, read: (bridge: BridgePart) => number) =>
      register(name, help, [], ({ bridge }) => (bridge === undefined ? [] : [[{}, read(bridge)]]));
    ofBridge('bridge_connected', '1 while the bridge is connected', ({ connected }) => (connected ? 1 : 0));
    ofBridge('bridge_connections_total', 'Connections made to the broker', ({ connections }) => connections);
    ofBridge('bridge_takeovers_total', 'Sessions taken by another client of the same id', ({ takeovers }) => takeovers);
    ofBridge(
      'bridge_sessions_lost_total',
      'Sessions that the broker had forgotten',
      ({ sessionsLost }) => sessionsLost,
    );
    register(
      'bridge_broker_dropped',
      'Messages the broker has dropped since its start, of any client',
      [],
      ({ bridge }) => (bridge?.brokerDropped === undefined ? [] : [[{}, bridge.brokerDropped]]),
    );
    ofBridge('bridge_received_total', 'Messages from the broker', ({ received }) => received);
    ofBridge('bridge_redelivered_total', 'Messages that the broker sent again', ({ redelivered }) => redelivered);
    ofBridge('bridge_retained_total', 'Messages that the broker had retained', ({ retained }) => retained);
    ofBridge('bridge_acknowledged_total', 'Messages acknowledged to the broker', ({ acknowledged }) => acknowledged);
    ofBridge('bridge_messages_per_second', 'Messages a second that reach the log', ({ perSecond }) => perSecond);
    ofBridge('bridge_in_flight', 'Messages of QoS 1 and 2 that are not acknowledged', ({ inFlight }) => inFlight);
    ofBridge('bridge_pending_messages', 'Messages that are not on the log yet', ({ pending }) => pending);
    ofBridge('bridge_pending_bytes', 'Bytes that are not on the log yet', ({ pendingBytes }) => pendingBytes);
    ofBridge(
      'bridge_oldest_pending_seconds',
      'How long the oldest message has waited for the log',
      ({ oldestPendingMs }) => oldestPendingMs / 1000,
    );
    ofBridge('bridge_log_down', '1 while the log takes nothing', ({ logDown }) => (logDown ? 1 : 0));
    ofBridge('bridge_held', '1 while no more is read from the broker', ({ held }) => (held ? 1 : 0));
    register('devices_presence', 'Devices that say when they come and go', ['state'], ({ bridge }) =>
      bridge?.presence === undefined
        ? []
        : [
            [{ state: 'online' }, bridge.presence.online],
            [{ state: 'offline' }, bridge.presence.offline],
          ],
    );
    register('model_error', 'Live mean absolute error in deviations, by model', ['model', 'role'], ({ model }) =>
      model.errors.map(({ model: id, role, error }) => [{ model: id, role }, error]),
    );
    register('model_coverage', 'Share of actuals inside the interval, by model', ['model', 'role'], ({ model }) =>
      model.errors.map(({ model: id, role, coverage }) => [{ model: id, role }, coverage]),
    );
    register('training', '1 while a model is trained', [], ({ training }) => [
      [{}, training.state === 'training' ? 1 : 0],
    ]);
  }

  async read(): Promise<{ type: string; body: string }> {
    return { type: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}

type Sample = [labels: Record<string, string>, value: number];
