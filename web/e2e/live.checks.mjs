/** What the live page must do, against the made-up shop. */

import assert from 'node:assert/strict';
import { openPage, shot, tileText, until, untilState, untilTile, withBrowser } from './browser.mjs';
import { MockServer } from './mock-server.mjs';

const yuan = (text) => new Intl.NumberFormat('en', { style: 'currency', currency: 'CNY', currencyDisplay: 'narrowSymbol' }).format(text);
const count = (number) => new Intl.NumberFormat('en').format(number);
const cents = (text) => BigInt(text.replace('.', ''));
const text = (value) => `${value / 100n}.${String(value % 100n).padStart(2, '0')}`;

/** The books of the made-up shop: a column of a day, added up. */
function book(mock, day, place) {
  const rows = mock.shop.rows('ads_live_minute').filter((row) => row[0] === day);
  return rows.reduce((sum, row) => sum + (typeof row[place] === 'string' ? cents(row[place]) : BigInt(row[place])), 0n);
}

async function withPage(options, work, server = {}) {
  const mock = await new MockServer(server).listen();
  try {
    await withBrowser(options, async (context) => {
      const page = await openPage(context, mock.url);
      await work(page, mock, context);
      assert.deepEqual(page.problems, []);
    });
  } finally {
    await mock.close();
  }
}

export const checks = {
  async 'numbers equal the books, and move within a second of the event'() {
    await withPage({}, async (page, mock) => {
      const { day, minute } = mock.moment();
      await untilState(page, 'live');
      await untilTile(page, 'gmvGross', yuan(text(book(mock, day, 2))), 3_000);
      assert.equal(await tileText(page, 'gmvNet'), yuan(text(book(mock, day, 3))));
      assert.equal(await tileText(page, 'orders'), count(book(mock, day, 4)));
      assert.equal(await tileText(page, 'pv'), count(book(mock, day, 6)));
      assert.equal(await tileText(page, 'uv'), count(book(mock, day, 7)));

      const orders = book(mock, day, 4);
      const took = [];
      for (let round = 1n; round <= 5n; round += 1n) {
        const id = mock.shop.order(day, minute, '123.45', mock.nowMs());
        took.push(await untilTile(page, 'gmvGross', yuan(text(book(mock, day, 2)))));
        await untilTile(page, 'orders', count(orders + round));
        await until(page, (order) => document.querySelector('.orders-table tbody tr')?.dataset.order === order, String(id), 1_000, 'the order in the list');
      }
      const id = mock.shop.order(day, minute, '77.00', mock.nowMs());
      mock.shop.pay(id, day, minute);
      await untilTile(page, 'gmvNet', yuan(text(book(mock, day, 3))));
      await until(page, (order) => document.querySelector(`tr[data-order="${order}"] .status-mark`)?.textContent === 'Paid', String(id), 1_000, 'the payment in the list');
      mock.shop.pageView(day, minute);
      took.push(await untilTile(page, 'pv', count(book(mock, day, 6))));
      console.log(`      event to final digits: ${took.map((ms) => `${ms.toFixed(0)} ms`).join(', ')}`);
      await shot(page, 'desktop-light-en');
    });
  },

  async 'yesterday at this time is what yesterday had by then'() {
    await withPage({}, async (page, mock) => {
      const yesterday = mock.dayBefore(1);
      const { minute } = mock.moment();
      await untilState(page, 'live');
      const rows = mock.shop.rows('ads_live_minute').filter((row) => row[0] === yesterday);
      const whole = rows.filter((row) => row[1] < minute).reduce((sum, row) => sum + row[4], 0);
      const running = rows.find((row) => row[1] === minute)?.[4] ?? 0;
      const shown = await page.locator('.tile[data-metric="orders"] .tile-before').innerText();
      const value = Number(shown.replace(/\D/g, ''));
      assert.ok(value >= whole && value <= whole + running, `${shown} is not between ${whole} and ${whole + running}`);
      assert.match(await page.locator('.tile[data-metric="orders"] .tile-change').innerText(), /^▲\s*\+\d+\.\d%$/);
    });
  },

  async 'light, dark, and the switch between them'() {
    for (const colorScheme of ['light', 'dark']) {
      await withPage({ colorScheme }, async (page) => {
        await untilState(page, 'live');
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const own = await ground();
        assert.deepEqual(await lowContrasts(page), [], colorScheme);
        await page.click('#theme');
        await page.click('#theme');
        assert.equal(await page.locator('#theme').innerText(), 'Dark');
        const dark = await ground();
        assert.equal(own === dark, colorScheme === 'dark');
        await page.reload();
        await untilState(page, 'live');
        assert.equal(await ground(), dark, 'the choice is kept');
        await page.waitForTimeout(600);
        await shot(page, `desktop-dark-from-${colorScheme}`);
      });
    }
  },

  async 'English and Chinese, by the browser and by choice'() {
    await withPage({ locale: 'zh-CN' }, async (page) => {
      await untilState(page, 'live');
      assert.equal(await page.locator('.page-nav [aria-current]').innerText(), '实时');
      assert.equal(await page.title(), '实时 · mock shop · Sluice');
      assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
      await page.waitForTimeout(600);
      await shot(page, 'desktop-light-zh');
      await page.click('#language');
      assert.equal(await page.locator('.page-nav [aria-current]').innerText(), 'Live');
      assert.equal(await page.locator('h1').innerText(), 'mock shop');
      assert.equal(await page.evaluate(() => document.activeElement?.id), 'language');
      await page.reload();
      await untilState(page, 'live');
      assert.equal(await page.getAttribute('html', 'lang'), 'en');
    });
  },

  async 'from a phone to a screen on the wall'() {
    const sizes = [[360, 740], [390, 844], [820, 1180], [1280, 720], [1440, 900], [1920, 1080], [3840, 2160]];
    for (const [width, height] of sizes) {
      await withPage({ viewport: { width, height }, colorScheme: width > 1900 ? 'dark' : 'light' }, async (page) => {
        await untilState(page, 'live');
        await page.waitForTimeout(700);
        const found = await page.evaluate(() => {
          const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
          const cut = [...document.querySelectorAll('.tile-value, .ranking-value, .order-amount')].filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0);
          const outside = [...document.querySelectorAll('.orders-table td:last-child, .ranking-value, .tile-value')].filter((element) => {
            const panel = element.closest('.panel, .tile').getBoundingClientRect();
            return element.getBoundingClientRect().right > panel.right + 0.5;
          });
          return { wide: scrollWidth - clientWidth, tall: scrollHeight - clientHeight, cut: cut.length, outside: outside.map((element) => element.textContent), chart: document.querySelector('.curve-canvas canvas')?.clientHeight ?? 0, rows: document.querySelectorAll('.ranking-goods li').length };
        });
        const size = `${width} × ${height}`;
        assert.ok(found.wide <= 0, `${size} scrolls sideways by ${found.wide}`);
        assert.equal(found.cut, 0, `${size} cuts numbers`);
        assert.deepEqual(found.outside, [], `${size} lets numbers leave their panel`);
        assert.ok(found.chart > 100, `${size} has a chart of ${found.chart} px`);
        assert.ok(found.rows >= 3, `${size} shows ${found.rows} goods`);
        if (width >= 1120 && height >= 680) assert.ok(found.tall <= 0, `${size} does not fit by ${found.tall}`);
        await shot(page, `size-${width}`, width < 1120);
      });
    }
  },

  async 'keyboard: skip link, tiles, radio buttons'() {
    await withPage({}, async (page) => {
      await untilState(page, 'live');
      await page.keyboard.press('Tab');
      assert.equal(await page.evaluate(() => document.activeElement?.className), 'skip');
      await page.locator('.tile[data-metric="pv"] .tile-pick').focus();
      await page.keyboard.press('Enter');
      assert.equal(await page.getAttribute('.tile[data-metric="pv"] .tile-pick', 'aria-pressed'), 'true');
      assert.match(await page.locator('.curve .panel-note').innerText(), /^Page views/);
      await page.locator('.curve-controls fieldset:first-child input:checked').focus();
      await page.keyboard.press('ArrowRight');
      assert.match(await page.locator('.curve .panel-note').innerText(), /^Visitors/);
      await page.locator('.curve-controls fieldset:last-child input:checked').focus();
      await page.keyboard.press('ArrowLeft');
      assert.match(await page.locator('.curve .panel-note').innerText(), /per minute/);
      await page.waitForTimeout(500);
      await shot(page, 'last-hour');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      await page.mouse.move(400, 400);
      await page.waitForTimeout(500);
      await shot(page, 'running-total');
      const headings = await page.locator('h1, h2, h3').allInnerTexts();
      assert.ok(headings.length >= 11 && headings.every(Boolean), headings.join(' / '));
      assert.match(await page.getAttribute('.curve-canvas', 'aria-label'), /Today so far/);
    });
  },

  async 'a lost connection is said, tried again, and made up for'() {
    await withPage({}, async (page, mock) => {
      const { day, minute } = mock.moment();
      await untilState(page, 'live');
      mock.isDown = true;
      mock.dropConnections();
      await untilState(page, 'waiting');
      assert.match(await page.locator('.banner').innerText(), /connection is lost/);
      for (let round = 0; round < 3; round += 1) mock.shop.order(day, minute, '10.01', mock.nowMs());
      await page.waitForTimeout(2_500);
      await shot(page, 'disconnected');
      mock.isDown = false;
      await page.click('.banner button');
      await untilState(page, 'live');
      await untilTile(page, 'gmvGross', yuan(text(book(mock, day, 2))));
      assert.equal(await page.locator('.banner').isVisible(), false);
      const ids = await page.locator('.orders-table tbody tr').evaluateAll((rows) => rows.map((row) => row.dataset.order));
      assert.equal(new Set(ids).size, ids.length, 'an order is shown twice');
      assert.equal(ids[0], String(mock.shop.nextOrder - 1));
      // By itself, too; and soon, after a connection that held.
      await page.waitForTimeout(2_100);
      mock.dropConnections();
      await untilState(page, 'waiting');
      mock.shop.order(day, minute, '10.01', mock.nowMs());
      await untilState(page, 'live', 4_000);
      await untilTile(page, 'gmvGross', yuan(text(book(mock, day, 2))));
    });
  },

  async 'a slow reader is reset and ends with the same numbers'() {
    await withPage({}, async (page, mock) => {
      const { day, minute } = mock.moment();
      await untilState(page, 'live');
      mock.forget(() => mock.shop.order(day, minute, '55.55', mock.nowMs()));
      mock.reset();
      await untilTile(page, 'gmvGross', yuan(text(book(mock, day, 2))));
      await until(page, (id) => document.querySelector('.orders-table tbody tr')?.dataset.order === id, String(mock.shop.nextOrder - 1), 2_000, 'the order');
    });
  },

  async 'at midnight of the shop the day begins with nothing'() {
    await withPage({ timezoneId: 'America/New_York' }, async (page, mock) => {
      await untilState(page, 'live');
      const before = mock.moment().day;
      assert.notEqual(await tileText(page, 'orders'), '0');
      await untilTile(page, 'orders', '0', 8_000);
      const { day, minute } = mock.moment();
      assert.notEqual(day, before);
      const asked = [...mock.live].at(-1).since.ads_live_minute;
      await until(page, () => true, undefined, 1_000);
      mock.shop.order(day, minute, '19.90', mock.nowMs());
      await untilTile(page, 'gmvGross', yuan('19.90'), 1_500);
      await page.waitForTimeout(1_500);
      assert.ok([...mock.live].at(-1).since.ads_live_minute > asked || asked === before, 'the views of the new day were asked for');
      assert.match(await page.locator('.ranking-provinces').innerText(), /Zhejiang/);
      await shot(page, 'midnight');
    }, { now: '2026-11-20T23:59:56' });
  },

  async 'an empty warehouse, one that fills, and one without these views'() {
    await withPage({}, async (page, mock) => {
      await untilState(page, 'empty');
      assert.match(await page.locator('.banner').innerText(), /No data yet/);
      await page.waitForTimeout(400);
      await shot(page, 'empty');
      const { day, minute } = mock.moment();
      mock.shop.order(day, minute, '8.80', mock.nowMs());
      await untilTile(page, 'gmvGross', yuan('8.80'));
      await untilState(page, 'live');
    }, { scene: 'empty' });

    await withPage({}, async (page, mock) => {
      const yesterday = mock.dayBefore(1);
      for (let at = 610; at < 616; at += 1) {
        mock.shop.pageView(yesterday, at);
        await page.waitForTimeout(150);
      }
      await untilState(page, 'filling');
      assert.match(await page.locator('.banner').innerText(), /filling past days.*Nov 19 10:15/);
      await page.waitForTimeout(1_100);
      await shot(page, 'filling');
      const { day, minute } = mock.moment();
      mock.shop.pageView(day, minute);
      await untilState(page, 'live');
    }, { scene: 'filling' });

    await withPage({}, async (page) => {
      await untilState(page, 'live', 4_000);
      await until(page, () => document.querySelector('.ranking-goods').innerText.includes('no view ads_live_sku_day'), undefined, 1_000, 'what is missing');
    }, { without: ['ads_live_sku_day'] });
  },
};

/** Texts that are too close to their background: less than 4.5 to 1. */
function lowContrasts(page) {
  return page.evaluate(() => {
    const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = ([r, g, b]) => {
      const linear = [r, g, b].map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const background = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = channels(getComputedStyle(at).backgroundColor);
        if (colour.length === 3 || colour[3] > 0.99) return colour;
      }
      return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      if (!own || element.closest('svg, noscript, .skip')) continue;
      const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(background(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) found.push(`${element.className || element.tagName} ${ratio.toFixed(2)}`);
    }
    return [...new Set(found)];
  });
}
