import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toolFile } from '../../../test/data-folder.ts';
import { type RunningKafka, startKafka } from '../../../test/log/kafka-broker.ts';
import { parseConfiguration } from '../../service/configuration/load.ts';
import { createLogger } from '../../service/logging/logger.ts';
import { startPatiently } from '../../service/patient-start.ts';
import { readAll, texts } from '../event-log.contract.ts';
import { openKafkaLog } from './kafka-log.ts';
import type { KafkaLogOptions } from './kafka-options.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-tls-'));
const file = (name: string) => join(folder, name);

/** An authority, and a certificate by it for the broker and one for the client. */
function makeCertificates(): void {
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const key = (name: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
  run('req', '-x509', ...key('ca'), '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  for (const name of ['broker', 'client']) {
    run('req', ...key(name), '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    writeFileSync(file('names.cnf'), 'subjectAltName=IP:127.0.0.1');
    const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names.cnf'];
    run('x509', '-req', '-in', `${name}.csr`, ...sign, '-out', `${name}.pem`);
  }
  writeFileSync(
    file('broker-all.pem'),
    readFileSync(file('broker.key'), 'utf8') + readFileSync(file('broker.pem'), 'utf8'),
  );
}

const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_fleet="secret";';
const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
const properties = (port: number) => {
  const at = (more: number) => `127.0.0.1:${port + more}`;
  const outside = `PLAINTEXT://${at(0)},TLS://${at(2)},LOGIN://${at(3)},BOTH://${at(4)}`;
  return [
    `listeners=${outside},CONTROLLER://${at(1)}`,
    `advertised.listeners=${outside}`,
    `listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,LOGIN:SASL_PLAINTEXT,BOTH:SASL_SSL`,
    'ssl.keystore.type=PEM',
    `ssl.keystore.location=${file('broker-all.pem')}`,
    'ssl.truststore.type=PEM',
    `ssl.truststore.location=${file('ca.pem')}`,
    'listener.name.tls.ssl.client.auth=required',
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    ...['login', 'both'].flatMap((name) => [
      `listener.name.${name}.plain.sasl.jaas.config=${login}`,
      `listener.name.${name}.scram-sha-256.sasl.jaas.config=${scram}`,
      `listener.name.${name}.scram-sha-512.sasl.jaas.config=${scram}`,
    ]),
  ].join('\n');
};

/** As an operator does it: users of SCRAM are on the cluster, not in its configuration. */
async function addScramUser(brokers: string, user: string, password: string): Promise<void> {
  const { stdout: jars } = await promisify(execFile)(toolFile('kafka/get-kafka.sh')!, []);
  const target = ['--entity-type', 'users', '--entity-name', user];
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    await promisify(execFile)('java', [
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      ...['-cp', `${jars.trim()}/*`, 'kafka.admin.ConfigCommand', '--bootstrap-server', brokers],
      ...['--alter', '--add-config', `${mechanism}=[iterations=4096,password=${password}]`, ...target],
    ]);
  }
}

let kafka: RunningKafka | undefined;
if (toolFile('kafka/start-kafka.sh') !== undefined) {
  makeCertificates();
  kafka = await startKafka(1, { properties });
}

describe.skipIf(kafka === undefined)('kafka with TLS and logins (needs the tool that starts a broker)', () => {
  const port = Number(kafka?.brokers[0]?.split(':')[1]);
  const [tls, plaintextLogin, tlsLogin] = [2, 3, 4].map((more) => [`127.0.0.1:${port + more}`]) as [
    string[],
    string[],
    string[],
  ];
  const text = (name: string) => readFileSync(file(name), 'utf8');
  beforeAll(() => addScramUser(kafka!.brokers[0]!, 'fleet', 'secret-of-scram'));
  afterAll(async () => {
    await kafka?.stop();
    rmSync(folder, { recursive: true });
  });

  const works = async (options: KafkaLogOptions, topic: string) => {
    const log = await openKafkaLog(options);
    try {
      await log.ensureTopics([{ name: topic, partitions: 1, cleanup: 'delete' }]);
      await log.append([{ topic, partition: 0, timestamp: 1, key: null, value: Buffer.from('in') }]);
      await log.appendAtomically([{ topic, partition: 0, timestamp: 1, key: null, value: Buffer.from('out') }]);
      await expect.poll(async () => texts(await readAll(log, topic, 0)), { timeout: 60_000 }).toEqual(['in', 'out']);
    } finally {
      await log.close();
    }
  };
  /** Refused at once, though there would be a minute; and nowhere in the error is the password. */
  const refused = async (options: KafkaLogOptions) => {
    const error: unknown = await openKafkaLog({ ...options, retryMs: 60_000 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'LOG_REFUSED', retryable: false });
    const shown = `${inspect(error, { depth: 20 })} ${JSON.stringify(error)}`;
    if (options.sasl !== undefined) expect(shown).not.toContain(options.sasl.password);
    return (error as Error).message;
  };

  test('TLS with a client certificate, and not without, nor with an authority that is not ours', async () => {
    const mutual = { ca: text('ca.pem'), cert: text('client.pem'), key: text('client.key') };
    await works({ brokers: tls, tls: mutual }, 'tls');
    await refused({ brokers: tls, tls: { ca: text('ca.pem') } });
    expect(await refused({ brokers: tls, tls: true })).toMatch(/certificate/);
  });

  test.each([
    ['plain', 'secret'],
    ['scram-sha-256', 'secret-of-scram'],
    ['scram-sha-512', 'secret-of-scram'],
  ] as const)('SASL %s with the right password, and not with another', async (mechanism, password) => {
    const sasl = { mechanism, username: 'fleet', password };
    await works({ brokers: plaintextLogin, sasl }, `${mechanism}-in-clear`);
    await works({ brokers: tlsLogin, sasl, tls: { ca: text('ca.pem') } }, `${mechanism}-in-tls`);
    const told = await refused({ brokers: plaintextLogin, sasl: { ...sasl, password: 'a-wild-guess' } });
    expect(told).toMatch(/authentication failed|invalid credentials/i);
    await refused({ brokers: tlsLogin, sasl: { ...sasl, username: 'nobody' }, tls: { ca: text('ca.pem') } });
  });

  test('the service takes secrets from a file and from the environment, and ends its start where they are refused', async () => {
    writeFileSync(file('password.txt'), 'secret-of-scram\n');
    process.env['FLEETCAST_TEST_KAFKA_PASSWORD'] = 'a-wild-guess';
    const start = (kafkaSection: string) => {
      const text = `{broker: {embedded: {port: 0}}, http: {enabled: false}, learner: {enabled: false},
        topics: {prefix: "secure.", partitions: 1}, log: {kafka: ${kafkaSection}},
        mapping: {rules: [{topic: "fleet/+device", rest: strict}]}}`;
      const configuration = { ...parseConfiguration(text, 'test'), file: undefined, folder };
      const logger = createLogger({ level: 'silent' });
      return startPatiently({ configuration, logger }, new AbortController().signal);
    };
    const login = (password: string) =>
      `{brokers: ["${tlsLogin[0]}"], tls: {caFile: ca.pem}, sasl: {mechanism: scram-sha-512, username: fleet, password: ${password}}}`;
    const refusal: unknown = await start(login('{env: FLEETCAST_TEST_KAFKA_PASSWORD}')).catch(
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({ code: 'LOG_REFUSED' });
    expect(inspect(refusal, { depth: 20 })).not.toContain('a-wild-guess');
    process.env['FLEETCAST_TEST_KAFKA_PASSWORD'] = 'secret-of-scram';
    for (const section of [
      login('{env: FLEETCAST_TEST_KAFKA_PASSWORD}'),
      login('{file: password.txt}'),
      `{brokers: ["${tls[0]}"], tls: {caFile: ca.pem, certFile: client.pem, keyFile: client.key}}`,
    ]) {
      const service = await start(section);
      await expect.poll(() => service?.status().health, { timeout: 60_000 }).toMatchObject({ status: 'ok' });
      await service?.stop();
    }
  }, 300_000);
});
