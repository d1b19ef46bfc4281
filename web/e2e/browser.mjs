/** A browser for the tests, and the few questions they ask of a page. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium } from 'playwright-core';

const CANDIDATES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const SHOTS = process.env.SHOTS ?? join(tmpdir(), 'sluice-web-e2e');
mkdirSync(SHOTS, { recursive: true });

/** A new browser with nothing in it; closed when `work` is done. */
export async function withBrowser(options, work) {
  const executablePath = CANDIDATES.find((path) => path && existsSync(path));
  assert.ok(executablePath, 'no Chromium found: install one, or name it in the variable CHROMIUM');
  const folder = mkdtempSync(join(tmpdir(), 'sluice-browser-'));
  const context = await chromium.launchPersistentContext(folder, { executablePath, args: FLAGS, viewport: { width: 1440, height: 900 }, locale: 'en-US', colorScheme: 'light', ...options });
  try {
    return await work(context);
  } finally {
    await context.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A page at `address` that must neither fail nor ask any other host. */
export async function openPage(context, address) {
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error.stack ?? error)));
  page.on('console', (message) => {
    // A refused or lost request is a line in the console, and what some tests are about.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) page.problems.push(message.text());
  });
  const { origin } = new URL(address);
  page.on('request', (request) => {
    if (/^https?:/.test(request.url()) && !request.url().startsWith(origin)) page.problems.push(`asks another host: ${request.url()}`);
  });
  await page.goto(address);
  return page;
}

/** Waits until `look(argument)` in the page is true; how many milliseconds that took. */
export async function until(page, look, argument, limitMs = 1_000, what = '') {
  const started = performance.now();
  try {
    await page.waitForFunction(look, argument, { timeout: limitMs, polling: 20 });
  } catch {
    await page.screenshot({ path: join(SHOTS, 'failed.png') }).catch(() => {});
    throw new Error(`${what || 'it'} did not come within ${limitMs} ms; see ${join(SHOTS, 'failed.png')}`);
  }
  return performance.now() - started;
}

export const tileText = (page, metric) => page.locator(`.tile[data-metric="${metric}"] .tile-value`).innerText();

/** Waits for the number that can be seen, digit by digit. */
export function untilTile(page, metric, text, limitMs = 1_000) {
  const look = ([name, wanted]) => document.querySelector(`.tile[data-metric="${name}"] .tile-value`)?.textContent === wanted;
  return until(page, look, [metric, text], limitMs, `${metric} ${text}`);
}

export function untilState(page, state, limitMs = 3_000) {
  return until(page, (wanted) => document.querySelector('.state')?.dataset.state === wanted, state, limitMs, `state ${state}`);
}

export async function shot(page, name, fullPage = false) {
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage });
}

/** Nothing on the page that a reader with a screen reader, or without a mouse, would stumble over. */
export async function axe(page, what) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target} ${failureSummary}`).join(' | ')}`);
  assert.deepEqual(found, [], what);
}
