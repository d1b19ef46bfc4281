/** The workbench in front of a running warehouse with the built-in models: `SLUICE_URL=http://127.0.0.1:8080 npm run e2e`. */

import assert from 'node:assert/strict';
import { axe, openPage, shot, until, withBrowser } from './browser.mjs';
import { WAIT_MS, allAnswered, go, isDrawn, panels, sql, url, yesterday } from './warehouse.mjs';

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
      await until(page, () => document.querySelector('dialog') === null, undefined, 1_000, 'the end of the dialog');
      assert.deepEqual(page.problems, []);
    });
  },

  async 'workbench: dead letters are tried again, and what came of it is said'() {
    await withBrowser({}, async (context) => {
      const page = await openPage(context, `${url}/#/health`);
      await isDrawn(page, '[aria-labelledby="health-letters"] tbody tr');
      await isDrawn(page, '[aria-labelledby="health-sources"] tbody tr');
      const source = await page.locator('[aria-labelledby="health-sources"] tbody tr').first().innerText();
      assert.match(source, /app_log\s+http\s+running\s+[\d,]+\s+\d\d?\/\d\d?, \d\d:\d\d:\d\d/);
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
      await until(page, () => [...document.querySelectorAll('.model-list a span')].map((link) => link.textContent).join() === 'ads_funnel_day,audit_funnel', undefined, WAIT_MS, 'the models with the column');
      await page.click('.model-list a');
      await until(page, () => document.querySelector('#model-name')?.textContent === 'ads_funnel_day', undefined, WAIT_MS, 'the funnel');
      await page.locator('.lineage a[href="#/catalogue/page_log"]').click();
      await until(page, () => document.querySelector('#model-name')?.textContent === 'page_log', undefined, WAIT_MS, 'its table');
      assert.deepEqual(page.problems, []);
    });
  },

  async 'workbench: the lineage and the list tell rows, and how many come a second, as they come'() {
    const count = async () => Number((await sql('SELECT count(*) FROM page_log'))[0][0]);
    const out = async () => Number((await sql("SELECT rows_out FROM sluice_operators WHERE gives = 'page_log'"))[0][0]);
    await withBrowser({}, async (context) => {
      const page = await openPage(context, `${url}/#/catalogue/dwd_traffic_page_log`);
      const shown = (place) => page.locator(`${place} [data-flow="page_log"]`).textContent();
      const flows = (place) => until(page, (selector) => /^[\d,]+( rows)? · [\d.,]+\/s$/.test(document.querySelector(selector)?.textContent ?? ''), `${place} [data-flow="page_log"]`, WAIT_MS, `rows and their rate in ${place}`);
      const digits = (text) => Number(text.replace(/[^\d.]/g, ''));
      await isDrawn(page, '.lineage [data-flow="page_log"]');
      await flows('.lineage');
      await flows('.model-list');
      const [countBefore, outBefore, startedMs] = [await count(), await out(), performance.now()];
      const rowsBefore = digits((await shown('.lineage')).split(' · ')[0]);
      // The shop goes on: more rows come without anybody doing anything.
      await until(page, (before) => Number(document.querySelector('.lineage [data-flow="page_log"]').textContent.split(' ')[0].replaceAll(',', '')) > before, rowsBefore, WAIT_MS, 'more rows');
      await page.waitForTimeout(11_000);
      const [rows, rate] = (await shown('.lineage')).split(' · ').map(digits);
      const [countAfter, outAfter, seconds] = [await count(), await out(), (performance.now() - startedMs) / 1_000];
      assert.ok(rows >= countBefore && rows <= countAfter, `${rows} rows are not between ${countBefore} and ${countAfter}`);
      // Both are averages, over times that differ by a few seconds; nights of the shop are quiet.
      const wanted = (outAfter - outBefore) / seconds;
      assert.ok(Math.abs(rate - wanted) <= Math.max(wanted * 0.7, 1), `${rate} a second, not about ${wanted}`);
      const [, listed] = (await shown('.model-list')).split(' · ').map(digits);
      assert.equal(listed, (await shown('.lineage')).split(' · ').map(digits)[1]);
      // A query view holds no rows, and says what it is.
      assert.equal(await page.locator('.lineage [data-flow="dwd_traffic_page_log"]').textContent(), (await sql("SELECT count(*) FROM sluice_operators WHERE gives = 'dwd_traffic_page_log'"))[0][0] === 0 ? 'query view' : await page.locator('#model-flow').textContent());
      await axe(page, 'lineage with rates');
      await shot(page, 'work-lineage');
      assert.deepEqual(page.problems, []);
    });
  },

  async 'workbench: figures of the live page and the wall open their rows'() {
    await withBrowser({}, async (context) => {
      const page = await openPage(context, `${url}/#/live`);
      const opened = async (button, statement, name, inside) => {
        await isDrawn(page, `${button}:not([hidden])`);
        const before = Number((await sql(statement))[0]?.[0] ?? 0);
        await page.locator(button).first().focus();
        await page.keyboard.press('Enter');
        await until(page, (nothing) => document.querySelector('dialog.detail tbody tr') !== null || document.querySelector('dialog.detail .none')?.textContent === nothing, 'Nothing for this choice', WAIT_MS, `the rows of ${name}`);
        const rows = await page.locator('dialog.detail tbody tr').count();
        const after = Number((await sql(statement))[0]?.[0] ?? 0);
        assert.ok(rows >= Math.min(before, 1_000) && rows <= Math.min(after, 1_000), `${name}: ${rows} rows, not ${before} to ${after}`);
        const title = await page.locator('dialog.detail h2').innerText();
        assert.match(title, /^Rows behind: ./, name);
        if (inside) await inside(rows);
        await page.keyboard.press('Escape');
        await until(page, () => document.querySelector('dialog') === null, undefined, 1_000, 'the end of the dialog');
        return title;
      };
      const [[day]] = await sql('SELECT max(day) FROM ads_live_day');
      assert.equal(await opened('.tile[data-metric="orders"] .rows-button', `SELECT orders FROM ads_live_day WHERE day = DATE '${day}'`, 'orders', async (ordered) => {
        // Other figures of the day are made of other rows; each kind says how many it has.
        const kind = (value) => page.locator(`dialog.detail input[type="radio"][value="${value}"]`);
        const rows = () => page.locator('dialog.detail tbody tr').count();
        const shownOf = (total) => Math.min(total, 1_000);
        const saidFor = async (value) => Number((await page.locator(`dialog.detail label:has(input[value="${value}"]) span`).innerText()).replace(/[^\d]/g, ''));
        assert.ok(await kind('ordered').isChecked());
        assert.equal(shownOf(await saidFor('ordered')), ordered);
        await kind('paid').focus();
        await page.keyboard.press('Space');
        const paid = await saidFor('paid');
        assert.equal(await rows(), shownOf(paid));
        assert.ok(paid > 0);
        assert.equal(await page.locator('dialog.detail .panel-note[role="status"]').count(), paid > 1_000 ? 1 : 0);
        await kind('').check();
        const refunded = (await kind('refunded').count()) > 0 ? await saidFor('refunded') : 0;
        assert.equal(await rows(), ordered + shownOf(paid) + shownOf(refunded));
        // Of few rows: every row is looked at.
        if (refunded > 0) await kind('refunded').check();
        await shot(page, 'work-detail-kinds');
        if (refunded > 0) await axe(page, 'the rows of each figure');
      }), 'Rows behind: Orders');
      await opened('.tile[data-metric="paidOrders"] .rows-button', `SELECT paid_orders FROM ads_live_day WHERE day = DATE '${day}'`, 'paid orders');
      await opened('.tile[data-metric="uv"] .rows-button', `SELECT uv FROM ads_live_day WHERE day = DATE '${day}'`, 'visitors');
      await opened('.figures div:last-child .rows-button', `SELECT sessions FROM ads_live_day WHERE day = DATE '${day}'`, 'sessions');
      const best = await page.locator('.ranking-provinces button.ranking-name').first().innerText();
      assert.equal(await opened('.ranking-provinces button.ranking-name', `SELECT orders FROM ads_live_province_day WHERE day = DATE '${day}' ORDER BY gmv_gross DESC, province_id LIMIT 1`, 'the best province'), `Rows behind: ${best}`);
      // The rest of a tile still draws its curve.
      await page.locator('.tile[data-metric="pv"] .tile-value').click({ force: true });
      assert.equal(await page.locator('.tile[data-metric="pv"] .tile-pick').getAttribute('aria-pressed'), 'true');
      await go(page, '#/wall');
      await opened('.wall .tile[data-metric="gmvGross"] .rows-button', `SELECT orders FROM ads_live_day WHERE day = DATE '${day}'`, 'orders on the wall');
      assert.deepEqual(page.problems, []);
    });
  },
};
