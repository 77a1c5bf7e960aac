import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const hasOpenssl = spawnSync('openssl', ['version']).error === undefined;

export interface Certificates {
  readonly ca: string;
  readonly server: { readonly certificate: string; readonly key: string };
  readonly client: { readonly certificate: string; readonly key: string };
  /** Another authority, which has signed nothing. */
  readonly otherCa: string;
  remove(): void;
}

/** A certificate authority for a test, a server's certificate for 127.0.0.1, ::1 and localhost, and a client's. */
export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-certificates-'));
  const path = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: folder });
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr.toString()}`);
  };
  const authority = (name: string) =>
    openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.crt`],
    );
  const signed = (name: string, extension: string) => {
    writeFileSync(path(`${name}.ext`), extension);
    openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${name}`],
      ...['-keyout', `${name}.key`, '-out', `${name}.csr`],
    );
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'],
      ...['-extfile', `${name}.ext`, '-out', `${name}.crt`],
    );
    return { certificate: path(`${name}.crt`), key: path(`${name}.key`) };
  };
  authority('ca');
  authority('other');
  return {
    ca: path('ca.crt'),
    otherCa: path('other.crt'),
    server: signed('server', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n'),
    client: signed('client', 'extendedKeyUsage=clientAuth\n'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
