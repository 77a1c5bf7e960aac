import { existsSync } from 'node:fs';
import type { Page } from 'playwright-core';

export const CHROMIUM = process.env['FLEETCAST_TEST_CHROMIUM'] ?? '/usr/bin/chromium';
export const hasChromium = existsSync(CHROMIUM);
export const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Pixels of the chart in the colour of the forecast, and a number that changes when they move. */
export function forecastPixels(page: Page): Promise<{ count: number; signature: number }> {
  return page.evaluate(`(() => {
    const canvas = document.querySelector('#chart canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    let signature = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (Math.abs(data[i] - 0xd9) + Math.abs(data[i + 1] - 0x73) + Math.abs(data[i + 2] - 0x0d) > 12) continue;
      count += 1;
      signature = (signature * 31 + i) % 1_000_000_007;
    }
    return { count, signature };
  })()`);
}
