import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHROMIUM, CHROMIUM_FLAGS, forecastPixels, hasChromium } from './chromium.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Nothing between the devices and the screen is a stand-in: MQTT, bridge, log, topology, page, browser. */
describe.skipIf(!hasChromium)(`the demo in Chromium (${CHROMIUM})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-demo-page-'));
  let browser: Browser;
  let demo: ChildProcess;
  let url = '';
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: CHROMIUM_FLAGS });
    demo = spawn(process.execPath, [main, 'demo', '--folder', folder, '--for', '120s'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    url = await new Promise<string>((resolve, reject) => {
      demo.on('exit', () => reject(new Error('the demo ended')));
      for (const stream of [demo.stdout!, demo.stderr!]) {
        createInterface({ input: stream }).on('line', (line) => {
          const address = /page: (http:\S+)/.exec(line)?.[1];
          if (address !== undefined) resolve(address);
        });
      }
    });
  });
  afterAll(async () => {
    await browser?.close();
    if (demo !== undefined && demo.exitCode === null) {
      await new Promise((resolve) => demo.on('exit', resolve).kill('SIGTERM'));
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('moves the forecast of a device that publishes', { timeout: 300_000 }, async () => {
    const page = await browser.newPage({ viewport: { width: 1360, height: 1050 } });
    await expect
      .poll(
        async () => {
          const answer = await fetch(new URL('/api/status', url));
          return ((await answer.json()) as { totals: { forecasts: number } }).totals.forecasts;
        },
        { timeout: 300_000 },
      )
      .toBeGreaterThan(1000);
    await page.goto(new URL('/#room-01/temperature', url).href);
    await page.waitForSelector('#chart canvas');
    await page.waitForFunction(`document.querySelector('#series-facts').textContent.includes('forecast by')`);
    const before = await forecastPixels(page);
    expect(before.count).toBeGreaterThan(100);
    await expect
      .poll(async () => (await forecastPixels(page)).signature, { timeout: 60_000 })
      .not.toBe(before.signature);
    await page.close();
  });
});
