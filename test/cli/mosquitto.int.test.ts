import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../src/service/configuration/load.ts';
import { createLogger } from '../../src/service/logging/logger.ts';
import { type Service, startService } from '../../src/service/service.ts';
import { until } from '../bridge-kit.ts';
import { type Mosquitto, mosquittoProgram, startMosquitto } from '../mosquitto.ts';
import { cli } from './run-cli.ts';

type Sent = readonly [topic: string, payload: unknown];

/** What a site's broker has to say in one round. */
function round(n: number): readonly Sent[] {
  const wave = 20 + (n % 5);
  return [
    ['zigbee2mqtt/Living Room, window', { temperature: wave, linkquality: 80, contact: n % 2 === 0 }],
    ['zigbee2mqtt/button', { action: 'single' }],
    ['tele/plug/SENSOR', { Time: '2026-01-01T00:00:00', ENERGY: { Power: [wave, 2] } }],
    ['home/OMG/BTtoMQTT/4C33A6603C79', { hum: '52.6', tempc: String(wave) }],
    ['home/OMG/PilighttoMQTT', { message: { id: 9, temperature: wave }, protocol: 'nexus', value: '9', status: 2 }],
    ['shellyht-1/status/temperature:0', { id: 0, tC: wave, tF: 68 }],
    ['application/a/device/0102/event/up', { deviceInfo: { devEui: '0102' }, object: { co2: 400 + n }, rxInfo: [] }],
    ['plant/hall/pump/data', { ts: Date.now(), flow: wave, mode: 'auto' }],
    ['plant/yard/pump/data', { ts: Date.now(), flow: wave, mode: 'auto' }],
    ['rooms/attic/temperature', String(wave)],
    ['rooms/attic/humidity', `${40 + (n % 3)} %`],
    ['chat/hello', 'good morning'],
  ];
}

describe.skipIf(mosquittoProgram === undefined)('a site on a real Mosquitto, from discover to Home Assistant', () => {
  let folder: string;
  let file: string;
  let mosquitto: Mosquitto;
  let site: MqttClient;
  let timer: NodeJS.Timeout;
  let service: Service | undefined;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fleetcast-site-'));
    file = join(folder, 'fleetcast.yaml');
    mosquitto = await startMosquitto();
    site = await connectAsync(mosquitto.url);
    await site.publishAsync('zigbee2mqtt/bridge/state', 'online', { retain: true });
    let n = 0;
    timer = setInterval(() => {
      for (const [topic, payload] of round(n)) {
        site.publish(topic, typeof payload === 'string' ? payload : JSON.stringify(payload), { qos: 1 });
      }
      n++;
    }, 150);
  });
  afterAll(async () => {
    clearInterval(timer);
    await service?.stop();
    await site.endAsync(true);
    await mosquitto.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('discover recognises it and writes a configuration; check shows what recorded messages become', async () => {
    const shown = await cli(['discover', '--broker', mosquitto.url, '--for', '2s', '--write', file]);
    expect(shown.code).toBe(0);
    const text = shown.out.join('\n');
    for (const name of ['zigbee2mqtt', 'tasmota', 'openmqttgateway', 'shelly', 'chirpstack']) {
      expect(text).toMatch(new RegExp(`^${name} +preset +\\d+ +0\\.9`, 'm'));
    }
    expect(text).toMatch(/^plant\/\+level2\/pump\/data|^plant\/\+device\/pump\/data/m);
    expect(text).toMatch(/^Living Room, window +\d+ +0 s +.*temperature \[°C\?\]/m);
    expect(text).toContain('topics that nothing reads: chat/hello');
    for (const line of shown.out) expect(line.length).toBeLessThanOrEqual(140);

    const samples = join(folder, 'samples.txt');
    const lines = round(1).map(
      ([topic, payload]) => `${topic} ${typeof payload === 'string' ? payload : JSON.stringify(payload)}`,
    );
    writeFileSync(samples, lines.join('\n'));
    const checked = await cli(['check', '--config', file, '--samples', samples]);
    expect(checked.code).toBe(0);
    expect(checked.out.join('\n')).toContain('Living Room, window  at its arrival  {"temperature":21,');
    expect(checked.out.at(-1)).toBe(
      '12 messages: 10 become readings, 1 dropped (no-values 1), 1 to the dead letters (no-mapping 1)',
    );
  });

  it('run takes the readings with that configuration, and Home Assistant sees forecasts as sensors', async () => {
    const more = [
      'log: {embedded: {path: data}}',
      'http: {enabled: false}',
      'pipeline: {interval: 1s, grace: 0s, idle: 2s, lookback: 4, horizon: 2, season: 2}',
      'learner: {enabled: false}',
      'out: {enabled: true, homeAssistant: {units: {temperature: "°C"}}}',
    ];
    writeFileSync(file, `${readFileSync(file, 'utf8')}\n${more.join('\n')}\n`);
    service = await startService({
      configuration: loadConfiguration(file),
      logger: createLogger({ level: 'silent' }),
    });
    const home = await connectAsync(mosquitto.url);
    const seen = new Map<string, { payload: string; retained: boolean }>();
    home.on('message', (topic, payload, { retain }) =>
      seen.set(topic, { payload: payload.toString(), retained: retain }),
    );
    await home.subscribeAsync('homeassistant/+/+/config', { qos: 1 });
    const announced = () =>
      [...seen.values()]
        .map(({ payload }) => JSON.parse(payload) as Record<string, unknown>)
        .find(({ state_topic }) => state_topic === 'fleetcast/Living Room, window/temperature/forecast');
    await until('the sensor was announced', () => announced() !== undefined, 60_000);
    expect(announced()).toMatchObject({
      name: 'temperature forecast',
      unit_of_measurement: '°C',
      value_template: '{{ value_json.value }}',
      device: { name: 'Living Room, window', manufacturer: 'fleetcast' },
    });
    await home.endAsync(true);

    // Home Assistant restarts: everything it needs is retained.
    const later = await connectAsync(mosquitto.url);
    const kept = new Map<string, string>();
    later.on('message', (topic, payload, { retain }) => {
      if (retain) kept.set(topic, payload.toString());
    });
    await later.subscribeAsync(['homeassistant/+/+/config', 'fleetcast/#'], { qos: 1 });
    const state = 'fleetcast/Living Room, window/temperature/forecast';
    await until(
      'both are retained',
      () => kept.has(state) && [...kept.keys()].some((topic) => topic.startsWith('homeassistant/')),
    );
    const forecast = JSON.parse(kept.get(state)!) as { value: number; lower: number; upper: number; values: number[] };
    expect(forecast.values).toHaveLength(2);
    expect(forecast.value).toBe(forecast.values[0]);
    expect(forecast.value).toBeGreaterThanOrEqual(20);
    expect(forecast.value).toBeLessThanOrEqual(24);
    // Nothing of it comes back as a measurement.
    expect([...service.view.devices.keys()].filter((device) => /forecast|fleetcast/.test(device))).toEqual([]);
    await later.endAsync(true);
  });

  it('dead-letters replay puts bad messages through after the mapping was mended, each once', async () => {
    // A pump with other firmware, twice the same, and one that nothing can be made of.
    for (const payload of ['flow=12.5,t=5', 'flow=12.5,t=5', '{"ts": ']) {
      await site.publishAsync('plant/hall/pump/data', payload, { qos: 1 });
    }
    const tail = async (topic: string) => (await cli(['tail', topic, '--config', file, '--from-start'])).out;
    await until(
      'the letters are kept',
      async () => (await tail('dead-letters')).filter((line) => line.includes('"not-json"')).length === 3,
    );
    const rule = '    - {topic: plant/hall/pump/data, device: mended, format: key-value, rest: numbers}\n';
    writeFileSync(file, readFileSync(file, 'utf8').replace('  rules:\n', `  rules:\n${rule}`));
    const counts = async (...options: string[]) => {
      const result = await cli(['dead-letters', 'replay', '--config', file, '--json', ...options]);
      expect([result.code, result.notes]).toEqual([0, []]);
      return JSON.parse(result.out[0]!) as object;
    };
    const found = { letters: 3, mended: 2, again: 0, readings: 2 };
    const whole = { ...found, stillBad: { malformed: 1 }, forgotten: 0, skipped: 0, cut: 0 };
    expect(await counts('--dry-run')).toEqual(whole);
    expect(await counts('--mqtt-topic', 'plant/yard/#')).toMatchObject({ readings: 0, skipped: 3 });
    expect(await counts()).toEqual(whole);
    expect(await counts()).toMatchObject({ letters: 1, mended: 0, readings: 0 });
    const mended = (await tail('readings')).filter((line) => line.includes('"device":"mended"'));
    expect(mended).toHaveLength(2);
    expect(mended[0]).toContain('"flow":12.5');
    await until('the running service has them', () => service?.view.devices.has('mended') === true, 30_000);
    const wrong = await cli(['dead-letters', 'replay', '--config', file, '--mqtt-topic', 'a#']);
    expect([wrong.code, wrong.notes[0]]).toEqual([2, expect.stringMatching(/CONFIG_INVALID: topic filter "a#"/)]);
  });
});
