/**
 * Takes the pictures of docs/page.md, of a warehouse with the demo shop:
 * `SLUICE_URL=http://127.0.0.1:8080 SHOTS=FOLDER node e2e/pictures.mjs`.
 * The machine needs a font with Chinese letters.
 */

import assert from 'node:assert/strict';
import { openPage, shot, until, withBrowser } from './browser.mjs';
import { WAIT_MS, allAnswered, isDrawn, url, yesterday } from './warehouse.mjs';

const DESKTOP = { viewport: { width: 1200, height: 760 } };

async function picture(name, hash, options, prepare) {
  await withBrowser({ ...DESKTOP, ...options }, async (context) => {
    const page = await openPage(context, `${url}/${hash}`);
    await until(page, () => document.querySelector('.clock-zone')?.textContent !== '', undefined, WAIT_MS, 'the time zone');
    await prepare(page);
    await page.waitForTimeout(2_000);
    await shot(page, name);
    assert.deepEqual(page.problems, []);
  });
}

assert.notEqual(url, '', 'SLUICE_URL names the warehouse');
const day = await yesterday();

await picture('page-explore', '#/explore', {}, async (page) => {
  await isDrawn(page, '.explore-answer canvas');
  await page.click('#add-filter');
  await page.selectOption('#filter-1-column', 'day');
  await page.fill('#filter-1-value', day);
  await page.selectOption('#explore-next', { label: 'create_time · hour' });
  await page.locator('input[type="radio"][value="table"]').check();
  await isDrawn(page, '.explore-answer tbody tr');
  await page.locator('.explore-answer .row-open').first().click();
  await isDrawn(page, '#explore-rows tbody tr');
  await page.locator('input[type="radio"][value="bar"]').check();
  await page.click('#explore-add-by');
  await isDrawn(page, '.explore-answer canvas');
});

await picture('page-sql', '#/sql', {}, async (page) => {
  await isDrawn(page, '#statement');
  await page.waitForTimeout(500);
  await page.locator('#statement').focus();
  await page.fill('#statement', `SELECT channel, sum(gmv_gross) AS gmv_gross\nFROM ads_live_channel_day\nWHERE day >= DATE '${day}'\nGROUP BY channel\nORDER BY gmv_gross DESC`);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+Enter');
  await isDrawn(page, '.sql-answer tbody tr');
  await page.locator('input[type="radio"][value="bar"]').check();
  await isDrawn(page, '.sql-answer canvas');
});

await picture('page-catalogue', '#/catalogue/ads_live_day', { viewport: { width: 1400, height: 700 } }, async (page) => {
  await until(page, () => /\d\/s/.test(document.querySelector('.lineage .figure-text')?.textContent ?? ''), undefined, WAIT_MS, 'rates');
  await page.waitForTimeout(8_000);
});

await picture('page-alarms', '#/alarms', {}, (page) => isDrawn(page, '[aria-labelledby="alarm-rules"] table'));
await picture('page-health', '#/health', {}, (page) => isDrawn(page, '[aria-labelledby="health-letters"] table'));
await picture('page-live-dark', '#/live', { colorScheme: 'dark', viewport: { width: 1120, height: 700 } }, (page) => isDrawn(page, '.ranking-goods li'));
await picture('page-panels-zh', '#/panels/trade', { locale: 'zh-CN' }, allAnswered);
await picture('page-phone', '#/live', { viewport: { width: 390, height: 844 } }, (page) => isDrawn(page, '.orders-table tbody tr'));
