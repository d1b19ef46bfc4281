/** What can be said of any running warehouse with the live models: `SLUICE_URL=http://127.0.0.1:8080 npm run e2e`. */

import assert from 'node:assert/strict';
import { openPage, shot, tileText, until, untilState, withBrowser } from './browser.mjs';
import { sql, today, url } from './warehouse.mjs';

const digits = (text) => text.replace(/[^\d.-]/g, '');
const isLive = (page, limitMs) => until(page, () => ['live', 'filling', 'quiet'].includes(document.querySelector('.state')?.dataset.state), undefined, limitMs, 'a live page');

export const checks = {
  async 'the first number is there within two seconds, and nothing asks another host'() {
    await withBrowser({}, async (context) => {
      const started = performance.now();
      const page = await openPage(context, url);
      await until(page, () => /\d/.test(document.querySelector('.tile-value')?.textContent ?? ''), undefined, 10_000, 'a number');
      console.log(`      opened to first number: ${(performance.now() - started).toFixed(0)} ms`);
      await isLive(page, 5_000);
      await page.waitForTimeout(2_000);
      const { name } = await (await fetch(`${url}/api/v1/info`)).json();
      assert.equal(await page.locator('h1').innerText(), name);
      // Its clicks belong into the demo, and into no other warehouse.
      assert.equal(await page.locator('.page-foot a[href="/shop"]').count(), 1);
      await shot(page, 'real-desktop');
      assert.deepEqual(page.problems, []);
    });
  },

  async 'the numbers lie between SQL answers before and after'() {
    const day = await today();
    const statement = `SELECT SUM(pv), SUM(orders), SUM(gmv_gross), SUM(uv_new_today) FROM ads_live_minute WHERE day = DATE '${day}'`;
    await withBrowser({}, async (context) => {
      const page = await openPage(context, url);
      await isLive(page, 10_000);
      await page.waitForTimeout(1_500);
      const [before] = await sql(statement);
      await page.waitForTimeout(1_000);
      const shown = [await tileText(page, 'pv'), await tileText(page, 'orders'), await tileText(page, 'gmvGross'), await tileText(page, 'uv')].map((text) => Number(digits(text)));
      await page.waitForTimeout(500);
      const [after] = await sql(statement);
      ['page views', 'orders', 'gross GMV', 'visitors'].forEach((name, place) => {
        const inside = shown[place] >= Number(before[place]) && shown[place] <= Number(after[place]);
        assert.ok(inside, `${name}: ${shown[place]} is not between ${before[place]} and ${after[place]}`);
      });
      assert.deepEqual(page.problems, []);
    });
  },

  async 'a click in the sample shop shows on the live page within a second'() {
    const day = await today();
    const web = async () => Number((await sql(`SELECT SUM(pv) FROM ads_live_channel_day WHERE day = DATE '${day}' AND channel = 'web'`))[0][0] ?? 0);
    await withBrowser({}, async (context) => {
      const page = await openPage(context, url);
      await isLive(page, 10_000);
      const shop = await openPage(context, `${url}/shop`);
      await shop.waitForTimeout(2_000);
      const before = await web();
      const seen = Number(digits(await tileText(page, 'pv')));
      await page.bringToFront();
      const started = performance.now();
      await shop.evaluate(() => document.querySelectorAll('nav a')[1].click());
      await until(page, (value) => Number(document.querySelector('.tile[data-metric="pv"] .tile-value').textContent.replace(/\D/g, '')) > value, seen, 1_500, 'the page view');
      console.log(`      click to a moving number: ${(performance.now() - started).toFixed(0)} ms`);
      await page.waitForTimeout(500);
      assert.ok((await web()) > before, 'the view is in the warehouse');
      assert.deepEqual([...page.problems, ...shop.problems], []);
    });
  },

  async 'dark, Chinese, on a phone and on a wall'() {
    await withBrowser({ colorScheme: 'dark', locale: 'zh-CN', viewport: { width: 390, height: 844 } }, async (context) => {
      const page = await openPage(context, url);
      await isLive(page, 10_000);
      await page.waitForTimeout(1_500);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
      await shot(page, 'real-phone-dark-zh', true);
    });
    await withBrowser({ colorScheme: 'dark', viewport: { width: 1920, height: 1080 } }, async (context) => {
      const page = await openPage(context, url);
      await isLive(page, 10_000);
      await page.waitForTimeout(2_000);
      await shot(page, 'real-wall-dark');
      await untilState(page, 'live', 1_000).catch(() => console.log('      (the warehouse is not up to the present)'));
      assert.deepEqual(page.problems, []);
    });
  },
};
