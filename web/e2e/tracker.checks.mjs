/** What the tracker must do, on the sample shop, against a collector that fails in every way. */

import assert from 'node:assert/strict';
import { openPage, shot, tileText, until, untilState, untilTile, withBrowser } from './browser.mjs';
import { MockServer } from './mock-server.mjs';

async function withShop(options, work) {
  const mock = await new MockServer().listen();
  try {
    await withBrowser(options, async (context) => {
      await work(context, mock);
    });
  } finally {
    await mock.close();
  }
}

/** Waits for something on the server's side. */
async function eventually(look, what, limitMs = 3_000) {
  const end = Date.now() + limitMs;
  while (!(await look())) {
    assert.ok(Date.now() < end, `${what} did not come within ${limitMs} ms`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

const pages = (mock) => mock.collected.filter(({ page }) => page).map(({ page }) => page.page_id);
const kept = (page) => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('sluice.q.')).flatMap((key) => JSON.parse(localStorage[key])[2]).length);

export const checks = {
  async 'a visit to the sample shop becomes records of the behaviour log'() {
    await withShop({}, async (context, mock) => {
      const page = await openPage(context, `${mock.url}/shop?utm_source=letter&utm_campaign=autumn`);
      await page.click('nav >> text=Desk');
      await page.click('text=Desk lamp');
      await page.click('text=Add to cart');
      await shot(page, 'shop-detail');
      await page.click('text=/^Cart/');
      await page.click('main >> text=Order');
      await page.click('text=Order and pay');
      await page.goBack();
      await eventually(() => pages(mock).length >= 7, 'seven page views');
      assert.deepEqual(pages(mock), ['home', 'good_list', 'good_detail', 'cart', 'trade', 'payment_done', 'trade']);
      const views = mock.collected.filter((record) => record.page);
      assert.deepEqual(views.map((record) => record.page.last_page_id), [undefined, 'home', 'good_list', 'good_detail', 'cart', 'trade', 'payment_done']);
      assert.deepEqual([views[2].page.item, views[2].page.item_type], ['4', 'sku_id']);
      assert.equal(views[3].page.item, undefined);
      const { common } = views[0];
      assert.deepEqual([common.ch, common.ar, common.is_new, common.utm_source, common.utm_campaign], ['web', '110000', '1', 'letter', 'autumn']);
      assert.equal(new Set(mock.collected.map((record) => record.common.mid)).size, 1);
      assert.equal(new Set(mock.collected.map((record) => record.common.sid)).size, 1);
      assert.equal(new Set(mock.collected.map((record) => record.event_id)).size, mock.collected.length);
      const actions = mock.collected.flatMap((record) => record.actions ?? []);
      assert.deepEqual(actions.map(({ action_id, item }) => [action_id, item]), [['cart_add', '4']]);
      assert.ok(Math.abs(actions[0].ts - Date.now()) < 60_000);
      const displays = mock.collected.flatMap((record) => record.displays ?? []);
      assert.ok(displays.length >= 4, `${displays.length} displays`);
      assert.deepEqual(Object.keys(displays[0]).sort(), ['display_type', 'item', 'item_type', 'order', 'page_id', 'pos_id']);
      await eventually(async () => (await kept(page)) === 0, 'an empty queue');
      assert.deepEqual(page.problems, []);
    });
  },

  async 'a click in the shop moves the live page within a second'() {
    await withShop({}, async (context, mock) => {
      const live = await openPage(context, mock.url);
      await untilState(live, 'live');
      const shop = await openPage(context, `${mock.url}/shop`);
      await eventually(() => pages(mock).length === 1, 'the first view');
      await live.bringToFront();
      await live.waitForTimeout(800);
      const before = Number((await tileText(live, 'pv')).replace(/\D/g, ''));
      const took = performance.now();
      await shop.evaluate(() => [...document.querySelectorAll('nav a')].find((link) => link.textContent === 'Kitchen').click());
      await untilTile(live, 'pv', new Intl.NumberFormat('en').format(before + 1), 1_000);
      console.log(`      click to final digit: ${(performance.now() - took).toFixed(0)} ms`);
    });
  },

  async 'offline: events are kept over a reload, and sent when the server is back'() {
    await withShop({}, async (context, mock) => {
      const page = await openPage(context, `${mock.url}/shop`);
      await eventually(() => pages(mock).length === 1, 'the first view');
      mock.refusal = { status: 503 };
      await page.click('nav >> text=Kitchen');
      await page.click('nav >> text=Outdoors');
      await page.waitForTimeout(700);
      assert.equal(mock.collected.filter((record) => record.page).length, 1);
      assert.ok((await kept(page)) >= 2);
      await shot(page, 'shop-offline');
      await page.reload();
      await page.waitForTimeout(500);
      assert.ok((await kept(page)) >= 3, 'kept over the reload');
      mock.refusal = undefined;
      await eventually(() => pages(mock).length >= 4, 'everything that was kept', 8_000);
      assert.deepEqual(pages(mock), ['home', 'good_list', 'good_list', 'good_list']);
      await until(page, () => !Object.keys(localStorage).some((key) => key.startsWith('sluice.q.')), undefined, 4_000, 'an empty queue');
    });
  },

  async 'no network at all: nothing is lost'() {
    await withShop({}, async (context, mock) => {
      const page = await openPage(context, `${mock.url}/shop`);
      await eventually(() => pages(mock).length === 1, 'the first view');
      await context.setOffline(true);
      await page.click('nav >> text=Kitchen');
      await page.waitForTimeout(1_500);
      assert.equal(pages(mock).length, 1);
      await context.setOffline(false);
      await eventually(() => pages(mock).length === 2, 'the view from offline', 2_000);
    });
  },

  async 'Retry-After is respected, and waiting grows'() {
    await withShop({}, async (context, mock) => {
      mock.refusal = { status: 429, retryAfter: 3 };
      const page = await openPage(context, `${mock.url}/shop`);
      await eventually(() => mock.requests.length === 1, 'the first attempt');
      await page.click('nav >> text=Kitchen');
      await page.waitForTimeout(2_500);
      assert.equal(mock.requests.length, 1, 'nothing is sent while the server asked for time');
      await eventually(() => mock.requests.length === 2, 'the second attempt', 2_000);
      assert.ok(mock.requests[1].atMs - mock.requests[0].atMs >= 2_950);
      mock.refusal = undefined;
      await eventually(() => pages(mock).length === 2, 'both views', 5_000);
    });
  },

  async 'an answer that is lost doubles nothing'() {
    await withShop({}, async (context, mock) => {
      mock.loseAnswers = true;
      const page = await openPage(context, `${mock.url}/shop`);
      await eventually(() => mock.requests.length >= 2, 'a second attempt', 4_000);
      mock.loseAnswers = false;
      await until(page, () => !Object.keys(localStorage).some((key) => key.startsWith('sluice.q.')), undefined, 6_000, 'an empty queue');
      assert.deepEqual(pages(mock), ['home']);
    });
  },

  async 'the last events of a page go out as it is left'() {
    await withShop({}, async (context, mock) => {
      const page = await openPage(context, `${mock.url}/shop`);
      await eventually(() => pages(mock).length === 1, 'the first view');
      await page.evaluate(() => {
        window.sluice('action', { action_id: 'favor_add', item: '8', item_type: 'sku_id' });
        location.href = 'about:blank';
      });
      await eventually(() => mock.collected.some((record) => record.actions?.[0].item === '8'), 'the action');
    });
  },

  async 'who does not want to be tracked is not'() {
    for (const [name, wish] of [['globalPrivacyControl', true], ['doNotTrack', '1']]) {
      await withShop({}, async (context, mock) => {
        await context.addInitScript(([property, value]) => Object.defineProperty(Navigator.prototype, property, { get: () => value }), [name, wish]);
        const page = await openPage(context, `${mock.url}/shop`);
        await page.click('nav >> text=Kitchen');
        await page.evaluate(() => window.sluice('action', { action_id: 'cart_add' }));
        await page.waitForTimeout(700);
        assert.equal(mock.requests.length, 0, name);
        assert.equal(await page.evaluate(() => Object.keys(localStorage).length), 0, name);
      });
    }
  },

  async 'errors are told, but not without end'() {
    await withShop({}, async (context, mock) => {
      const page = await openPage(context, `${mock.url}/shop`);
      await page.evaluate(() => {
        setTimeout(() => {
          throw new Error('out of mugs');
        });
        for (let round = 0; round < 30; round += 1) Promise.reject(new Error(`round ${round}`));
      });
      await eventually(() => mock.collected.some(({ err }) => err?.msg.includes('out of mugs')), 'the error');
      await page.waitForTimeout(300);
      const errors = mock.collected.filter(({ err }) => err);
      assert.equal(errors.length, 10);
      assert.ok(errors.every(({ err }) => Number.isInteger(err.error_code)));
    });
  },

  async 'the sample shop in both languages, themes and on a phone'() {
    await withShop({ locale: 'zh-CN', colorScheme: 'dark', viewport: { width: 390, height: 844 } }, async (context, mock) => {
      const page = await openPage(context, `${mock.url}/shop`);
      assert.match(await page.locator('main h1').innerText(), /推荐/);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
      await page.waitForTimeout(500);
      await shot(page, 'shop-phone-dark-zh', true);
      await page.click('text=English');
      assert.match(await page.locator('main h1').innerText(), /Recommended/);
      assert.deepEqual(page.problems, []);
    });
  },
};
