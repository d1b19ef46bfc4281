/** The workbench in front of a running warehouse with the built-in models: `SLUICE_URL=http://127.0.0.1:8080 npm run e2e`. */

import assert from 'node:assert/strict';
import { AxeBuilder } from '@axe-core/playwright';
import { openPage, shot, until, withBrowser } from './browser.mjs';

const url = process.env.SLUICE_URL?.replace(/\/$/, '') ?? '';
const WAIT_MS = 30_000;

async function sql(statement) {
  const answer = await fetch(`${url}/api/v1/sql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql: statement }) });
  assert.equal(answer.status, 200, `${statement}: ${await answer.clone().text()}`);
  return (await answer.json()).rows;
}

async function panels() {
  return (await (await fetch(`${url}/api/v1/panels`)).json()).panels;
}

/** A day whose numbers no longer move. */
async function yesterday() {
  const [[day]] = await sql('SELECT max(day) - 1 FROM ads_live_day');
  return day;
}

const go = (page, hash) => page.evaluate((to) => { location.hash = to; }, hash);
const isDrawn = (page, selector) => until(page, (wanted) => document.querySelector(wanted) !== null, selector, WAIT_MS, selector);

/** All cards of the page have an answer. */
const allAnswered = (page) =>
  until(
    page,
    () => {
      const cards = [...document.querySelectorAll('[data-panel]')];
      return cards.length > 0 && cards.every((card) => card.dataset.epoch !== undefined);
    },
    undefined,
    WAIT_MS,
    'answers of all panels',
  );

async function axe(page, what) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target} ${failureSummary}`).join(' | ')}`);
  assert.deepEqual(found, [], what);
}

const VIEWS = [
  ['#/live', '.tile-value'],
  ['#/panels/trade', '[data-panel="trade_totals"] .figure-value'],
  ['#/panels/goods', '[data-panel="goods_brands"] canvas'],
  ['#/panels/places', '.tile-province'],
  ['#/panels/marketing', '[data-panel="activity_stats"] table'],
  ['#/panels/traffic', '[data-panel="traffic_funnel"] canvas'],
  ['#/panels/members', '[data-panel="member_value"] table'],
  ['#/panels/health', '[data-panel="dead_letters"] table'],
  ['#/wall', '.wall .tile-province'],
  ['#/explore', '.explore-answer canvas'],
  ['#/sql', '#statement'],
  ['#/catalogue/ads_live_day', '.lineage .is-here'],
  ['#/alarms', '[aria-labelledby="alarm-rules"] table'],
  ['#/health', '[aria-labelledby="health-letters"] table'],
];

async function visitAll(page, name) {
  for (const [hash, selector] of VIEWS) {
    await go(page, hash);
    await isDrawn(page, selector);
    if (hash.startsWith('#/panels')) await allAnswered(page);
    await page.waitForTimeout(400);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `${hash} is ${beyond} px too wide`);
    assert.equal(await page.locator('[role="alert"]:visible').count(), 0, `${hash} says that something failed`);
    await axe(page, `${name} ${hash}`);
    await shot(page, `work-${name}${hash.replace(/[#/]+/g, '-')}`, true);
  }
  assert.deepEqual(page.problems, []);
}

export const checks = {
  async 'workbench: every view, English and light, on a desktop'() {
    await withBrowser({ viewport: { width: 1440, height: 900 } }, async (context) => visitAll(await openPage(context, url), 'desktop-light-en'));
  },

  async 'workbench: every view, Chinese and dark, on a phone'() {
    const options = { viewport: { width: 390, height: 844 }, locale: 'zh-CN', colorScheme: 'dark' };
    await withBrowser(options, async (context) => visitAll(await openPage(context, url), 'phone-dark-zh'));
  },

  async 'workbench: every view, Chinese and light, on a wall'() {
    const options = { viewport: { width: 1920, height: 1080 }, locale: 'zh-CN' };
    await withBrowser(options, async (context) => visitAll(await openPage(context, url), 'wall-light-zh'));
  },

  async 'workbench: dark, in English, on a wall'() {
    await withBrowser({ viewport: { width: 1920, height: 1080 }, colorScheme: 'dark' }, async (context) => {
      const page = await openPage(context, `${url}/#/wall`);
      await isDrawn(page, '.wall .tile-province');
      await allAnswered(page);
      await page.waitForTimeout(1_500);
      await axe(page, 'the wall in the dark');
      await shot(page, 'work-wall-dark-en');
      assert.deepEqual(page.problems, []);
    });
  },

  async 'workbench: every figure of a day equals SQL, and its rows add up to it'() {
    const day = await yesterday();
    const panel = (await panels()).find(({ name }) => name === 'trade_totals');
    const names = panel.columns.map(({ name }) => name);
    const [row] = await sql(`SELECT ${names.join(', ')} FROM ads_live_day WHERE day = DATE '${day}'`);
    await withBrowser({}, async (context) => {
      const page = await openPage(context, `${url}/#/panels/trade`);
      await isDrawn(page, '#panel-day');
      await page.fill('#panel-day', day);
      await page.dispatchEvent('#panel-day', 'change');
      const digits = (text) => Number(text.replace(/[^\d.-]/g, ''));
      const [[gross]] = await sql(`SELECT gmv_gross FROM ads_live_day WHERE day = DATE '${day}'`);
      await until(page, (wanted) => Number(document.querySelector('[data-column="gmv_gross"]')?.textContent.replace(/[^\d.-]/g, '')) === wanted, Number(gross), WAIT_MS, `gross ${gross}`);
      for (const [place, name] of names.entries()) {
        const shown = await page.locator(`[data-panel="trade_totals"] [data-column="${name}"]`).innerText();
        assert.equal(digits(shown), Number(row[place]), name);
      }
      // Beside the day before there is one, or nothing.
      await page.locator('input[type="radio"][value="day"]').check();
      await isDrawn(page, '[data-panel="trade_totals"] .figure-before');
      // A brand, and the lines that made it.
      await go(page, '#/panels/goods');
      await isDrawn(page, '[data-panel="goods_skus"] .row-open');
      await allAnswered(page);
      const [[sku, amount, lines]] = await sql(`SELECT s.sku_id, s.gmv_gross, (SELECT count(*) FROM dwd_trade_order_detail AS d WHERE d.day = s.day AND d.sku_id = s.sku_id AND NOT d.is_test) FROM ads_live_sku_day AS s WHERE s.day = DATE '${day}' ORDER BY gmv_gross DESC, sku_id LIMIT 1`);
      await until(page, (wanted) => Number(document.querySelector('[data-panel="goods_skus"] tbody tr td:nth-child(4)')?.textContent.replace(/[^\d.-]/g, '')) === wanted, Number(amount), WAIT_MS, `the best sku ${sku}`);
      await page.locator('[data-panel="goods_skus"] .row-open').first().click();
      await isDrawn(page, 'dialog.detail tbody tr');
      assert.equal(await page.locator('dialog.detail tbody tr').count(), Number(lines));
      await axe(page, 'the rows behind a figure');
      await shot(page, 'work-detail');
      await page.keyboard.press('Escape');
      assert.equal(await page.locator('dialog').count(), 0);
      assert.deepEqual(page.problems, []);
    });
  },

  async 'workbench: dead letters are tried again, and what came of it is said'() {
    await withBrowser({}, async (context) => {
      const page = await openPage(context, `${url}/#/health`);
      await isDrawn(page, '[aria-labelledby="health-letters"] tbody tr');
      const letters = page.locator('[aria-labelledby="health-letters"]');
      const [[reason, count]] = await sql('SELECT reason, count(*) FROM sluice_dead_letters GROUP BY reason, topic, table_name ORDER BY 2 DESC, topic, table_name, reason LIMIT 1');
      const first = letters.locator('table').first().locator('tbody tr').first();
      assert.equal(await first.locator('td').nth(2).innerText(), reason);
      assert.ok(Number((await first.locator('td').nth(3).innerText()).replaceAll(',', '')) <= Number(count) + 50);
      await first.locator('button').focus();
      await page.keyboard.press('Enter');
      await until(page, () => /\d/.test(document.querySelector('[aria-labelledby="health-letters"] [role="status"]')?.textContent ?? ''), undefined, WAIT_MS, 'what was done');
      await until(page, () => [...document.querySelectorAll('[aria-labelledby="health-letters"] table:last-of-type tbody tr')].length > 0, undefined, WAIT_MS, 'the newest letters');
      await axe(page, 'dead letters that were tried again');
      await shot(page, 'work-dead-letters');
      assert.deepEqual(page.problems, []);
    });
  },

  async 'workbench: SQL is completed by keyboard, answered, drawn; a mistake is said'() {
    const day = await yesterday();
    const wanted = await sql(`SELECT channel, uv FROM ads_live_channel_day WHERE day = DATE '${day}' ORDER BY uv DESC, channel`);
    await withBrowser({}, async (context) => {
      const page = await openPage(context, `${url}/#/sql`);
      await isDrawn(page, '#statement');
      await page.waitForTimeout(800);
      await page.fill('#statement', '');
      await page.locator('#statement').pressSequentially('SELECT channel, uv FROM ads_live_ch');
      await isDrawn(page, '#suggestions li');
      await axe(page, 'completion');
      await shot(page, 'work-completion');
      await page.keyboard.press('Tab');
      assert.equal(await page.inputValue('#statement'), 'SELECT channel, uv FROM ads_live_channel_day');
      await page.locator('#statement').pressSequentially(` WHERE day = DATE '${day}' ORDER BY uv DESC, channel `);
      await page.keyboard.press('Control+Enter');
      await isDrawn(page, '.sql-answer tbody tr');
      const shown = await page.locator('.sql-answer tbody tr').evaluateAll((rows) => rows.map((row) => [row.cells[0].textContent, Number(row.cells[1].textContent.replaceAll(',', ''))]));
      assert.deepEqual(shown, wanted.map(([channel, uv]) => [channel, Number(uv)]));
      await page.locator('input[type="radio"][value="pie"]').check();
      await isDrawn(page, '.sql-answer canvas');
      await page.fill('#statement', 'SELECT nothing FROM nowhere');
      await page.click('#run');
      await isDrawn(page, '.sql-answer [role="alert"]');
      assert.match(await page.locator('.sql-answer [role="alert"]').innerText(), /nowhere/);
      assert.deepEqual(page.problems, []);
    });
  },

  async 'workbench: the catalogue finds a column and leads along the lineage'() {
    await withBrowser({}, async (context) => {
      const page = await openPage(context, `${url}/#/catalogue/dwd_trade_order`);
      // The page is drawn again when the shop's time zone is known.
      await until(page, () => document.querySelector('.clock-zone')?.textContent !== '', undefined, WAIT_MS, 'the time zone');
      await until(page, () => document.querySelector('#model-name')?.textContent === 'dwd_trade_order' && document.querySelector('.model').textContent.includes('paid_time'), undefined, WAIT_MS, 'the model');
      await page.fill('#find', 'closed_uv');
      await until(page, () => document.querySelectorAll('.model-list a').length === 1, undefined, WAIT_MS, 'one model');
      await page.click('.model-list a');
      await until(page, () => document.querySelector('#model-name')?.textContent === 'ads_funnel_day', undefined, WAIT_MS, 'the funnel');
      await page.locator('.lineage a[href="#/catalogue/page_log"]').click();
      await until(page, () => document.querySelector('#model-name')?.textContent === 'page_log', undefined, WAIT_MS, 'its table');
      assert.deepEqual(page.problems, []);
    });
  },

  async 'workbench: what was explored equals SQL and becomes a panel that is one'() {
    const day = await yesterday();
    await withBrowser({}, async (context) => {
      const page = await openPage(context, `${url}/#/explore`);
      await isDrawn(page, '.explore-answer canvas');
      await page.fill('#explore-filter', `day = DATE '${day}'`);
      await page.locator('#explore-filter').dispatchEvent('change');
      await page.locator('input[type="radio"][value="table"]').check();
      const rows = await sql(`SELECT province_name, sum(goods_amount) AS amount FROM dwd_trade_order WHERE day = DATE '${day}' GROUP BY province_name ORDER BY 2 DESC, 1 LIMIT 200`);
      await until(page, (count) => document.querySelectorAll('.explore-answer tbody tr').length === count, rows.length, WAIT_MS, 'the rows');
      const first = await page.locator('.explore-answer tbody tr').first().locator('td').last().innerText();
      assert.equal(Number(first.replaceAll(',', '')), Number(rows[0][1]));
      assert.match(await page.locator('.panel-file').innerText(), /chart = "table"/);
      // Kept, it is a panel as any other.
      await page.fill('#save-name', 'explored_by_test');
      await page.fill('#save-en', 'Explored by a test');
      await page.fill('#save-zh', '测试保存的面板');
      await page.locator('#save-replace').check();
      await page.locator('form button[type="submit"]').click();
      await isDrawn(page, 'a[href="#/panels/own"]');
      await axe(page, 'a saved exploration');
      await shot(page, 'work-explore-saved');
      await page.locator('a[href="#/panels/own"]').last().click();
      await isDrawn(page, '[data-panel="explored_by_test"] tbody tr');
      assert.equal(await page.locator('[data-panel="explored_by_test"] tbody tr').count(), rows.length);
      const removed = await fetch(`${url}/api/v1/panels/explored_by_test`, { method: 'DELETE' });
      assert.equal(removed.status, 204);
      assert.deepEqual(page.problems, []);
    });
  },
};
