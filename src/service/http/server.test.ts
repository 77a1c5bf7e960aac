import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { sampleSource } from '../../../test/page/sample-source.ts';
import { type HttpServer, startHttp } from './server.ts';

let server: HttpServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(options: { token?: string; health?: 'ok' | 'stuck' } = {}): Promise<string> {
  const { source } = sampleSource({ devices: 60, health: options.health ?? 'ok' });
  server = await startHttp({
    host: '127.0.0.1',
    port: 0,
    source,
    now: Date.now,
    ...(options.token === undefined ? {} : { token: options.token }),
  });
  return server.url;
}

describe('the HTTP interfaces', () => {
  it('serve the page and its parts, and nothing else', async () => {
    const url = await start();
    const page = await fetch(url);
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const html = await page.text();
    const links = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((match) => match[1]!);
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) expect((await fetch(url + link)).status, link).toBe(200);
    expect(html).not.toMatch(/https?:\/\//);
    for (const path of ['/files.ts', '/../package.json', '/%2e%2e/%2e%2e/package.json', '/nothing']) {
      expect((await fetch(url + path)).status, path).toBe(404);
    }
  });

  it('give the fleet in pages, a series, dead letters, the topology and metrics', async () => {
    const url = await start();
    const json = async (path: string) => (await fetch(url + path)).json() as Promise<Record<string, unknown>>;
    expect(await json('/api/devices?size=25&page=2')).toMatchObject({ total: 60, page: 2, pages: 3 });
    expect(await json('/api/devices?search=device-01')).toMatchObject({ total: 1 });
    expect(await json('/api/series?device=device-01&quantity=temperature')).toMatchObject({
      device: 'device-01',
      forecast: { model: expect.any(String) },
    });
    expect((await fetch(`${url}/api/series?device=nobody&quantity=x`)).status).toBe(404);
    expect((await json('/api/dead-letters?limit=1'))[0]).toMatchObject({ reason: 'not-json', payload: '{"broken' });
    expect(await json('/api/topology')).toMatchObject({ text: 'readings -> quality' });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('fleetcast_up 1');
    expect(await json('/api/status')).toMatchObject({ health: { status: 'ok' } });
    expect((await fetch(`${url}/ready`)).status).toBe(200);
  });

  it('is red while a task is stuck', async () => {
    const url = await start({ health: 'stuck' });
    const health = await fetch(`${url}/health`);
    expect(health.status).toBe(503);
    expect(await health.json()).toEqual({ status: 'stuck', problems: ['task 0 has not committed for 60 s'] });
    expect((await fetch(`${url}/ready`)).status).toBe(503);
  });

  it('streams the status and the chosen series', async () => {
    const url = await start();
    const abort = new AbortController();
    const response = await fetch(`${url}/api/live?device=device-01&quantity=temperature`, { signal: abort.signal });
    const reader = response.body!.getReader();
    let text = '';
    while (!text.includes('event: series') || !text.endsWith('\n\n')) {
      const { value, done } = await reader.read();
      if (done) break;
      text += Buffer.from(value).toString('utf8');
    }
    abort.abort();
    const events = text.split('\n\n').map((block) => /^event: (\w+)$/m.exec(block)?.[1]);
    expect(events.slice(0, 2)).toEqual(['status', 'series']);
  });

  it('wants the token where there is one, and other sites are kept out', async () => {
    const url = await start({ token: 'open sesame' });
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await fetch(url + path, { headers, redirect: 'manual' })).status;
    expect(await status('/')).toBe(401);
    expect(await status('/api/status', { authorization: 'Bearer wrong' })).toBe(401);
    expect(await status('/health')).toBe(200);
    expect(await status('/api/status', { authorization: 'Bearer open sesame' })).toBe(200);
    const login = await fetch(`${url}/?token=open%20sesame`, { redirect: 'manual' });
    expect([login.status, login.headers.get('location')]).toEqual([303, '/']);
    const cookie = login.headers.get('set-cookie')!;
    expect(cookie).toContain('HttpOnly; SameSite=Strict');
    expect(await status('/', { cookie: cookie.split(';')[0]! })).toBe(200);
  });

  it('changes models only for callers with the token', async () => {
    const post = (url: string, path: string, body: object, headers: Record<string, string> = {}) =>
      fetch(url + path, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      });
    const open = await start();
    expect(await (await fetch(`${open}/api/models`)).json()).toMatchObject({ actions: false, models: [{}, {}] });
    expect((await post(open, '/api/models/rollback', {})).status).toBe(403);
    await server?.close();
    const url = await start({ token: 'secret' });
    const bearer = { authorization: 'Bearer secret' };
    expect((await post(url, '/api/models/rollback', {})).status).toBe(401);
    expect((await post(url, '/api/models/rollback', {}, bearer)).status).toBe(200);
    expect((await post(url, '/api/models/rollback', {}, { ...bearer, origin: 'http://evil.example' })).status).toBe(
      403,
    );
    const unknown = await post(url, '/api/models/promote', { id: 'x' }, bearer);
    expect([unknown.status, await unknown.json()]).toEqual([404, { code: 'MODEL_UNKNOWN', error: 'no model x' }]);
    expect((await post(url, '/api/models/retire', { id: 'x' })).status).toBe(401);
    expect(await (await post(url, '/api/models/retire', { id: 'x' }, bearer)).json()).toEqual({ id: 'x' });
    const wish = { series: ['pump/level'], from: '2026-01-01' };
    expect(await (await post(url, '/api/models/train', wish, bearer)).json()).toEqual({ id: 'asked for pump/level' });
    expect((await post(url, '/api/models/train', { from: 'soon' }, bearer)).status).toBe(400);
    const misspelt = await post(url, '/api/models/train', { form: '2026-01-01' }, bearer);
    expect([misspelt.status, await misspelt.json()]).toEqual([
      400,
      { code: 'USAGE', error: 'unknown field form; allowed are series, from, to, reason' },
    ]);
    const nameless = await post(url, '/api/models/promote', {}, bearer);
    expect([nameless.status, ((await nameless.json()) as { error: string }).error]).toEqual([
      400,
      expect.stringContaining('id names the model'),
    ]);
    expect((await post(url, '/api/models/train', wish)).status).toBe(401);
    const one = await fetch(`${url}/api/models/9f`, { headers: bearer });
    expect(await one.json()).toMatchObject({
      status: 'champion',
      life: [{ kind: 'trained' }, {}, { kind: 'promoted' }],
    });
    expect((await fetch(`${url}/api/explain?device=a&quantity=b`, { headers: bearer })).status).toBe(200);
    expect((await fetch(`${url}/api/explain`, { headers: bearer })).status).toBe(404);
  });

  it('reads the state of a node by key', async () => {
    const url = await start();
    const get = async (path: string) => {
      const response = await fetch(url + path);
      return [response.status, await response.json()];
    };
    expect(await get('/api/state/bucket/grid/device-01')).toEqual([200, { ring: [1, 2], seen: { a: 1 } }]);
    expect(await get('/api/state/bucket/grid/nobody')).toMatchObject([404, {}]);
    expect(await get('/api/state/bucket/grid/device-slow')).toMatchObject([503, { code: 'STATE_TIMEOUT' }]);
    expect(await get('/api/state/nothing/grid/x')).toMatchObject([400, { code: 'USAGE' }]);
    const [status, rows] = await get('/api/state/bucket/grid?from=device-02&limit=1');
    expect([status, rows]).toEqual([
      200,
      [{ key: 'device-02', partition: 0, value: { ring: [1, 2], seen: { a: 1 } } }],
    ]);
    expect(await get('/api/state/nothing/grid')).toMatchObject([400, { code: 'USAGE' }]);
  });

  it('reads an address as the router does, and takes no offence at a bad one', async () => {
    const { source } = sampleSource({ devices: 1, health: 'ok' });
    const said: string[] = [];
    const onEvent = ({ message }: { message: string }) => said.push(message);
    server = await startHttp({ host: '127.0.0.1', port: 0, token: 'tok', source, now: Date.now, onEvent });
    const port = Number(new URL(server.url).port);
    const ask = (target: string, headers = '') =>
      new Promise<string>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1');
        let text = '';
        socket.on('connect', () =>
          socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`),
        );
        socket.on('data', (data) => {
          text += String(data);
        });
        socket.on('end', () => resolve(text));
        socket.on('error', reject);
      });
    const status = async (target: string, headers?: string) => Number((await ask(target, headers)).slice(9, 12));
    for (const target of ['/health', '/ready', '/health?token=']) expect(await status(target), target).toBe(200);
    for (const target of [
      '//',
      '//[',
      '/api/models/..\\..\\health',
      '/api/series/..\\..\\ready',
      '/api/status#/../health',
      '/api/status?/../../health',
      '/health/../api/status',
      '/api/status?token=a&token=tok',
    ]) {
      expect(await status(target), target).toBe(401);
    }
    expect(await status('/api/status', 'Cookie: fleetcast_token=%\r\n')).toBe(401);
    for (const target of ['/%', 'http://a\\health?/api/status']) expect(await status(target), target).toBe(400);
    expect(await status('/api/status', 'Cookie: fleetcast_token=tok\r\n')).toBe(200);
    expect(await ask('//evil.example/?token=tok')).toMatch(/^location: \/evil\.example\/\r$/im);
    expect(said).toEqual([]);
  });

  it('refuses a token that is empty', async () => {
    await expect(start({ token: '' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('refuses an address that others can reach without a token', async () => {
    const { source } = sampleSource({ devices: 1, health: 'ok' });
    await expect(startHttp({ host: '0.0.0.0', port: 0, source, now: Date.now })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});
