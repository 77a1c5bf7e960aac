import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HttpServer, startHttp } from '../../src/service/http/server.ts';
import { CHROMIUM, CHROMIUM_FLAGS, forecastPixels, hasChromium } from './chromium.ts';
import { type Sample, sampleSource } from './sample-source.ts';

describe.skipIf(!hasChromium)(`the page in Chromium (${CHROMIUM})`, () => {
  let browser: Browser;
  let server: HttpServer;
  let sample: Sample;
  beforeAll(async () => {
    sample = sampleSource({ devices: 3000, hours: 30 });
    server = await startHttp({ host: '127.0.0.1', port: 0, source: sample.source, now: Date.now });
    browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: CHROMIUM_FLAGS });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  async function open(scheme: 'light' | 'dark', path = '/'): Promise<{ page: Page; problems: string[] }> {
    const page = await browser.newPage({ colorScheme: scheme, viewport: { width: 1360, height: 1050 } });
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('request', (request) => {
      if (new URL(request.url()).host !== new URL(server.url).host) problems.push(`fetched ${request.url()}`);
    });
    await page.goto(server.url + path);
    await page.waitForSelector('#chart canvas');
    return { page, problems };
  }

  it('shows a forecast line that moves', async () => {
    const { page, problems } = await open('light');
    await page.waitForFunction(`document.querySelector('#series-facts').textContent.includes('forecast by')`);
    const facts = await page.textContent('#series-facts');
    const drawn = await forecastPixels(page);
    expect(drawn.count).toBeGreaterThan(100);
    sample.step();
    await expect.poll(() => page.textContent('#series-facts')).not.toBe(facts);
    await expect.poll(async () => (await forecastPixels(page)).signature).not.toBe(drawn.signature);
    expect(await page.getAttribute('#chart', 'aria-label')).toContain('forecast by 9f3c51d2');
    expect(problems).toEqual([]);
    await page.close();
  });

  it('searches and pages through thousands of devices', async () => {
    const { page, problems } = await open('dark', '/#device-07/humidity');
    await expect.poll(() => page.textContent('#series-title')).toBe('device-07 · humidity');
    expect(await page.locator('#devices li').count()).toBe(25);
    await page.fill('#search', 'device-299');
    await expect.poll(() => page.locator('#devices li').count()).toBe(11);
    await page.click('#devices li:nth-child(3) button');
    await expect.poll(() => page.textContent('#series-title')).toMatch(/^device-299/);
    await page.fill('#search', '');
    await page.click('#next');
    await expect.poll(() => page.textContent('#page-of')).toMatch(/^2 of 120/);
    expect(await page.textContent('#drops')).toContain('missing-field');
    expect(await page.textContent('#model')).toMatch(
      /better than .* the [\d,]+ forecast values scored while it was in use/,
    );
    // Nothing of what is only noted counts as lost.
    expect(await page.textContent('#tile-drops')).toBe('252');
    expect(await page.textContent('#drops')).not.toContain('naive');
    expect(await page.textContent('#notes')).toContain('the naive forecast went out');
    expect(problems).toEqual([]);
    await page.close();
  });

  it('does not deny dead letters that another process or an earlier one has written', async () => {
    const status = () => ({ ...sample.source.status(), drops: [], onLog: { deadLetters: 539_672 } });
    const own = await startHttp({ host: '127.0.0.1', port: 0, source: { ...sample.source, status }, now: Date.now });
    const page = await browser.newPage();
    await page.goto(own.url);
    await expect.poll(() => page.textContent('#drops')).toContain('539,672 dead letters');
    expect(await page.textContent('#drops')).toContain('Nothing since this process started');
    await page.close();
    await own.close();
  });

  it('shows the life of each model and where a forecast comes from', async () => {
    for (const scheme of ['light', 'dark'] as const) {
      const { page, problems } = await open(scheme);
      await page.click('#models-box > summary');
      await page.click('#models .life:first-of-type > summary');
      await expect.poll(() => page.textContent('#models')).toContain('challenger-better: MAE 0.30 against 0.35');
      const text = await page.textContent('#models');
      for (const part of [
        'Trained on 9,000 windows',
        'history/0 0–411',
        'in shadow',
        'Error by day',
        'in interval',
        'No drift',
      ]) {
        expect(text).toContain(part);
      }
      expect(await page.locator('#models button').count()).toBe(0);
      await page.click('#explain-box > summary');
      await expect.poll(() => page.textContent('#explanation')).toContain('made again identical, bit for bit');
      if (process.env['FLEETCAST_SCREENSHOTS'] !== undefined) {
        for (const width of [1360, 390]) {
          await page.setViewportSize({ width, height: 1050 });
          const path = `${process.env['FLEETCAST_SCREENSHOTS']}/models-${scheme}-${width}.png`;
          await page.screenshot({ path, fullPage: true });
        }
      }
      await page.setViewportSize({ width: 390, height: 900 });
      // The charts follow the width with the next frame.
      await expect.poll(() => page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
      const cut = `[...document.querySelectorAll('#flow td, #drops td')].filter((cell) => {
        const card = cell.closest('.card').getBoundingClientRect();
        return cell.getBoundingClientRect().right > card.right || cell.scrollWidth > cell.clientWidth;
      }).map((cell) => cell.textContent)`;
      expect(await page.evaluate(cut)).toEqual([]);
      expect(problems).toEqual([]);
      await page.close();
    }
  });

  it('lets who has the token change models, and nobody else', async () => {
    const asked: string[] = [];
    const promote = async (id: string): Promise<string> => {
      asked.push(id);
      return id;
    };
    const source = { ...sample.source, promote };
    const own = await startHttp({ host: '127.0.0.1', port: 0, source, now: Date.now, token: 'sesame' });
    const context = await browser.newContext();
    const page = await context.newPage();
    expect((await page.goto(`${own.url}/?token=wrong`))!.status()).toBe(401);
    const refused = await page.request.post(`${own.url}/api/models/promote`, {
      data: { id: 'a' },
      headers: { authorization: 'Bearer wrong' },
    });
    expect(refused.status()).toBe(401);
    expect(asked).toEqual([]);
    await page.goto(`${own.url}/?token=sesame`);
    page.on('dialog', (dialog) => void dialog.accept());
    await page.click('#models-box > summary');
    await page.click('#models .life:nth-of-type(2) > summary');
    await page.click('#models .life[open] button');
    await expect.poll(() => asked).toHaveLength(1);
    await context.close();
    await own.close();
  });
});
