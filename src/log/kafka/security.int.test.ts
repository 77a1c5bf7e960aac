import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { toolFile } from '../../../test/data-folder.ts';
import { type RunningKafka, startKafka } from '../../../test/log/kafka-broker.ts';
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
const properties = (port: number) => {
  const [plain, tls, sasl] = [`127.0.0.1:${port}`, `127.0.0.1:${port + 2}`, `127.0.0.1:${port + 3}`];
  return [
    `listeners=PLAINTEXT://${plain},CONTROLLER://127.0.0.1:${port + 1},TLS://${tls},LOGIN://${sasl}`,
    `advertised.listeners=PLAINTEXT://${plain},TLS://${tls},LOGIN://${sasl}`,
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,LOGIN:SASL_PLAINTEXT',
    'ssl.keystore.type=PEM',
    `ssl.keystore.location=${file('broker-all.pem')}`,
    'ssl.truststore.type=PEM',
    `ssl.truststore.location=${file('ca.pem')}`,
    'ssl.client.auth=required',
    'sasl.enabled.mechanisms=PLAIN',
    `listener.name.login.plain.sasl.jaas.config=${login}`,
  ].join('\n');
};

let kafka: RunningKafka | undefined;
if (toolFile('kafka/start-kafka.sh') !== undefined) {
  makeCertificates();
  kafka = await startKafka(1, { properties });
}

describe.skipIf(kafka === undefined)('kafka with TLS and logins (needs the tool that starts a broker)', () => {
  const port = Number(kafka?.brokers[0]?.split(':')[1]);
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
      await expect.poll(async () => texts(await readAll(log, topic, 0)), { timeout: 10_000 }).toEqual(['in', 'out']);
    } finally {
      await log.close();
    }
  };

  test('TLS with a client certificate, and not without', async () => {
    const brokers = [`127.0.0.1:${port + 2}`];
    const text = (name: string) => readFileSync(file(name), 'utf8');
    await works({ brokers, tls: { ca: text('ca.pem'), cert: text('client.pem'), key: text('client.key') } }, 'tls');
    await expect(openKafkaLog({ brokers, tls: { ca: text('ca.pem') }, retryMs: 500 })).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
    });
  });

  test('SASL PLAIN with the right password, and not with another', async () => {
    const brokers = [`127.0.0.1:${port + 3}`];
    const sasl = { mechanism: 'plain', username: 'fleet', password: 'secret' } as const;
    await works({ brokers, sasl }, 'sasl');
    const wrong = openKafkaLog({ brokers, sasl: { ...sasl, password: 'guess' }, retryMs: 60_000 });
    await expect(wrong).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  });
});
