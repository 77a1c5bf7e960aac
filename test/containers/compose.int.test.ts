import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Forecast } from '../../src/events/records.ts';
import { docker, haveImages, KAFKA_IMAGE, MOSQUITTO_IMAGE } from './docker.ts';
import { freePort } from './free-port.ts';

/** The whole stack takes minutes and a good part of a machine: only where it is asked for. */
const wanted = process.env['FLEETCAST_TEST_COMPOSE'] === '1';
const python = process.env['FLEETCAST_TEST_PYTHON_KAFKA'] ?? '';
const ready = wanted && python !== '' && (await haveImages(['node:20-slim', MOSQUITTO_IMAGE, KAFKA_IMAGE]));
if (wanted && !ready) {
  throw new Error('FLEETCAST_TEST_COMPOSE=1 asks for an engine with images, and FLEETCAST_TEST_PYTHON_KAFKA');
}
const root = fileURLToPath(new URL('../..', import.meta.url));
const project = `fleetcast-test-${process.pid}`;
const run = promisify(execFile);

describe.skipIf(!ready)(
  'docker compose (needs FLEETCAST_TEST_COMPOSE=1, an engine and FLEETCAST_TEST_PYTHON_KAFKA)',
  () => {
    const env: Record<string, string> = { FLEETCAST_IMAGE: project, FLEETCAST_TOKEN: 'a-token' };
    const compose = (args: readonly string[], timeoutMs = 120_000) =>
      docker(['compose', '-f', `${root}/docker-compose.yml`, '-p', project, '--profile', 'fleet', ...args], {
        env,
        timeoutMs,
      });
    const container = (service: string) => compose(['ps', '-q', service]);
    const page = (path: string, headers = {}) => fetch(`http://127.0.0.1:${env['HTTP_PORT']}${path}`, { headers });

    /** The first forecasts, read as any program outside does: another client, another Avro library. */
    const forecasts = async (count: number, group: string): Promise<Forecast[]> => {
      const program = `${root}/examples/consumers/python/consumer.py`;
      const brokers = `127.0.0.1:${env['KAFKA_PORT']}`;
      const { stdout } = await run(python, [program, brokers, 'forecasts', String(count), group], { timeout: 300_000 });
      return stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Forecast);
    };

    /** All forecasts that are there now: until none has come for a while. The order of partitions is anybody's. */
    const allForecasts = (group: string) =>
      new Promise<string[]>((resolve, reject) => {
        const program = `${root}/examples/consumers/python/consumer.py`;
        const reader = spawn(python, [program, `127.0.0.1:${env['KAFKA_PORT']}`, 'forecasts', '0', group]);
        let text = '';
        const stop = () => reader.kill();
        let quiet = setTimeout(stop, 120_000);
        reader.stdout.setEncoding('utf8').on('data', (part: string) => {
          text += part;
          clearTimeout(quiet);
          quiet = setTimeout(stop, 6000);
        });
        reader.on('error', reject);
        reader.on('close', () => resolve(text.trim().split('\n')));
      });

    beforeAll(async () => {
      for (const name of ['MQTT_PORT', 'KAFKA_PORT', 'HTTP_PORT']) env[name] = String(await freePort());
      await compose(['build', '-q'], 400_000);
      await compose(['up', '-d']);
    }, 600_000);

    afterAll(async () => {
      await compose(['down', '-v', '--timeout', '5']).catch((error: unknown) => console.error(error));
      await docker(['image', 'rm', '-f', project]).catch(() => {});
    }, 300_000);

    test('a consumer outside gets forecasts of the simulated fleet', async () => {
      const found = await forecasts(20, 'first');
      expect(found).toHaveLength(20);
      for (const { device, values, lower, upper, interval } of found) {
        expect(device).not.toBe('');
        expect(interval).toBe(3_600_000);
        expect(values.every((value, i) => lower[i]! <= value && value <= upper[i]!)).toBe(true);
      }
    }, 300_000);

    test('the container is healthy, without rights, and small', async () => {
      const id = await container('fleetcast');
      const health = () => docker(['inspect', '-f', '{{.State.Health.Status}}', id]);
      await expect.poll(health, { timeout: 300_000, interval: 1000 }).toBe('healthy');
      expect(await docker(['inspect', '-f', '{{.Config.User}}', id])).toBe('node');
      const size = async (image: string) => Number(await docker(['image', 'inspect', '-f', '{{.Size}}', image]));
      const own = ((await size(project)) - (await size('node:20-slim'))) / 2 ** 20;
      console.log(`the image adds ${own.toFixed(0)} MiB to its base`);
      expect(own).toBeLessThan(200);
    }, 300_000);

    test('the page is there on loopback only, and asks for the token', async () => {
      expect((await page('/')).status).toBe(401);
      expect((await page('/', { authorization: 'Bearer a-token' })).status).toBe(200);
      for (const service of ['fleetcast', 'mosquitto', 'kafka']) {
        const ports = await docker(['port', await container(service)]);
        expect(ports.split('\n').every((line) => / -> 127\.0\.0\.1:\d+$/.test(line))).toBe(true);
      }
    }, 300_000);

    test('TensorFlow.js is whole in the image: it computes gradients on WebAssembly', async () => {
      const program = `
      const { loadTensorFlow } = await import('/app/dist/models/tensorflow/backend.js');
      const tf = await loadTensorFlow();
      const [slope] = await tf.grad((x) => x.square().sum())(tf.tensor1d([3])).data();
      console.log(tf.getBackend(), slope);`;
      const said = await docker(['run', '--rm', '--entrypoint', 'node', project, '--input-type=module', '-e', program]);
      expect(said).toBe('wasm 6');
    }, 300_000);

    test('SIGTERM ends it well before the grace is over', async () => {
      const id = await container('fleetcast');
      const started = Date.now();
      await docker(['stop', '-t', '30', id]);
      console.log(`stopped in ${Date.now() - started} ms`);
      expect(await docker(['inspect', '-f', '{{.State.ExitCode}} {{.State.OOMKilled}}', id])).toBe('0 false');
    }, 300_000);

    test('data outlives the containers', async () => {
      const before = await allForecasts('before');
      expect(before.length).toBeGreaterThanOrEqual(20);
      await compose(['down', '--timeout', '20'], 180_000);
      await compose(['up', '-d', 'mosquitto', 'kafka', 'fleetcast'], 180_000);
      const after = new Set(await allForecasts('after'));
      expect(before.filter((forecast) => !after.has(forecast))).toEqual([]);
      await expect
        .poll(async () => (await page('/health').catch(() => undefined))?.status, { timeout: 300_000 })
        .toBe(200);
    }, 400_000);
  },
);
