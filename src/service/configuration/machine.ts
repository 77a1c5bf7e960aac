import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '../../errors.ts';
import type { LoadedConfiguration } from './load.ts';
import { resolveSecret, type SecretReference } from './secret.ts';

/** What a configuration needs and this machine has not: variables and files. Nothing of a secret is in the messages. */
export function missingHere({ broker, log, http, folder }: LoadedConfiguration): readonly string[] {
  const { embedded } = broker;
  const { kafka } = log;
  const secrets: readonly (readonly [field: string, reference: SecretReference | undefined])[] = [
    ['broker.password', broker.password],
    ...(embedded?.users ?? []).map(({ name, password }) => [`broker.embedded.users ${name}`, password] as const),
    ['log.kafka.sasl.password', kafka?.sasl?.password],
    ['http.token', http.enabled ? http.token : undefined],
  ];
  const kafkaTls = typeof kafka?.tls === 'object' ? kafka.tls : undefined;
  const files: readonly (readonly [field: string, file: string | undefined])[] = [
    ['broker.caFile', broker.caFile],
    ['broker.certFile', broker.certFile],
    ['broker.keyFile', broker.keyFile],
    ['broker.embedded.tls.certFile', embedded?.tls?.certFile],
    ['broker.embedded.tls.keyFile', embedded?.tls?.keyFile],
    ['broker.embedded.tls.clientCaFile', embedded?.tls?.clientCaFile],
    ['log.kafka.tls.caFile', kafkaTls?.caFile],
    ['log.kafka.tls.certFile', kafkaTls?.certFile],
    ['log.kafka.tls.keyFile', kafkaTls?.keyFile],
  ];
  return [
    ...secrets.flatMap(([field, reference]) =>
      reference === undefined ? [] : problem(() => resolveSecret(field, reference, folder)),
    ),
    ...files.flatMap(([field, file]) =>
      file === undefined ? [] : problem(() => accessSync(resolve(folder, file), constants.R_OK), `${field}: `),
    ),
  ];
}

function problem(attempt: () => void, before = ''): readonly string[] {
  try {
    attempt();
    return [];
  } catch (error) {
    return [`${before}${messageOf(error)}`];
  }
}
