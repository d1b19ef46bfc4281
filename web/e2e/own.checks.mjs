/** The page of a project of somebody's own, for users of every role, against a made-up warehouse. */

import assert from 'node:assert/strict';
import { axe, openPage, shot, until, untilState, withBrowser } from './browser.mjs';
import { MockServer } from './mock-server.mjs';

const SHOP_VIEWS = ['ads_live_minute', 'ads_live_day', 'ads_live_channel_day', 'ads_live_province_day', 'ads_live_sku_day', 'dwd_trade_order'];
const WORDS = { en: 'Invoices', zh: '发票' };
const PANEL = { name: 'invoices', subject: 'own', title: WORDS, description: null, chart: 'number', query: 'SELECT 1', parameters: [], columns: [{ name: 'invoices', type: 'Int64', title: WORDS, role: 'value', format: 'integer', words: {} }], detail: false };
const model = (name) => ({ name, layer: 'ods', kind: 'table', grain: '', text: [`What ${name} holds.`], columns: [{ name: 'id', type: 'Int64', meaning: '' }], inputs: [], readers: [] });
const OWN = { name: 'bookkeeping', hasSampleShop: false, without: SHOP_VIEWS, panels: [PANEL], models: [model('invoices')] };
const PHONE = { viewport: { width: 390, height: 844 } };

const links = (page) => page.locator('.page-nav a').allInnerTexts();
const isAt = (page, name) => until(page, (wanted) => document.body.dataset.page === wanted, name, 3_000, `the page ${name}`);
const go = (page, hash) => page.evaluate((to) => { location.hash = to; }, hash);
const isShown = (page, selector) => until(page, (wanted) => document.querySelector(wanted)?.checkVisibility() === true, selector, 3_000, selector);

/** Nothing may be asked that must fail. */
async function withOwn(options, server, work) {
  const mock = await new MockServer(server).listen();
  try {
    await withBrowser(options, async (context) => {
      const page = await openPage(context, mock.url);
      await work(page, mock);
      assert.deepEqual(page.problems, []);
      assert.deepEqual(mock.refused, []);
    });
  } finally {
    await mock.close();
  }
}

/** Everything that the navigation leads to, long enough for its first questions. */
async function visitAll(page) {
  for (const hash of await page.locator('.page-nav a').evaluateAll((all) => all.map((link) => link.getAttribute('href')))) {
    await go(page, hash);
    await isAt(page, hash.slice(2));
    await page.waitForTimeout(500);
    assert.equal(await page.locator('[role="alert"]:visible').count(), 0, `${hash} says that something failed`);
  }
}

export const checks = {
  async 'own project: its name, its pages, and nothing asked that it has not'() {
    await withOwn({}, OWN, async (page) => {
      await isAt(page, 'panels');
      assert.equal(await page.locator('h1').innerText(), 'bookkeeping');
      assert.equal(await page.title(), 'Panels · bookkeeping · Sluice');
      assert.deepEqual(await links(page), ['Panels', 'Explore', 'SQL', 'Catalogue', 'Alarms', 'Health']);
      for (const selector of ['.banner', '.state', 'a[href="/shop"]']) assert.equal(await page.locator(selector).filter({ visible: true }).count(), 0, selector);
      await visitAll(page);
      await page.click('#language');
      assert.deepEqual(await links(page), ['面板', '探索', 'SQL', '目录', '告警', '健康']);
      await shot(page, 'own-zh');
    });
  },

  async 'own project: the wall says what it needs, and leads on'() {
    await withOwn({}, OWN, async (page) => {
      await isAt(page, 'panels');
      await go(page, '#/wall');
      await isAt(page, 'wall');
      assert.match(await page.locator('.lack').innerText(), /no view ads_live_minute/);
      await axe(page, 'a page that is not here');
      await shot(page, 'own-wall');
      await page.locator('.page-links a[href="#/catalogue"]').focus();
      await page.keyboard.press('Enter');
      await isAt(page, 'catalogue');
      await isShown(page, '#model-name');
    });
  },

  async 'own project: without panels it begins with SQL, and the panels’ page says how to get one'() {
    await withOwn({ locale: 'zh-CN' }, { ...OWN, panels: [] }, async (page) => {
      await isAt(page, 'sql');
      await until(page, () => document.querySelector('#statement').value === 'SELECT *\nFROM invoices\nLIMIT 14', undefined, 1_000, 'the first statement');
      await go(page, '#/panels');
      await isShown(page, '.elsewhere');
      assert.match(await page.locator('.elsewhere').innerText(), /还没有面板.*探索/s);
      assert.equal(await page.locator('#panel-day').isVisible(), false);
      await axe(page, 'no panels');
    });
  },

  async 'a reader is shown what readers may do, and told what the rest needs'() {
    await withOwn({}, { ...OWN, role: 'reader' }, async (page, mock) => {
      await isAt(page, 'panels');
      assert.deepEqual(await links(page), ['Panels', 'Catalogue', 'Alarms', 'Health']);
      await visitAll(page);
      assert.equal(await page.locator('[aria-labelledby="health-letters"] tbody tr').count(), 1);
      assert.equal(await page.locator('[aria-labelledby="health-letters"] tbody button').count(), 0);
      await go(page, '#/alarms');
      await isShown(page, '[aria-labelledby="alarm-instances"] tbody tr');
      assert.equal(await page.locator('#silence-alarm').count(), 0);
      for (const hash of ['#/sql', '#/explore']) {
        await go(page, hash);
        await isAt(page, hash.slice(2));
        assert.match(await page.locator('.lack').innerText(), /needs the role analyst.*You have the role reader/);
      }
      await page.click('#language');
      assert.match(await page.locator('.lack').innerText(), /分析员（analyst）.*读者（reader）/);
      await axe(page, 'a page for another role');
      assert.deepEqual(mock.statements, []);
    });
  },

  async 'a reader sees the live shop with its latest orders, without SQL'() {
    await withOwn({}, { role: 'reader', hasSampleShop: false }, async (page, mock) => {
      await untilState(page, 'live');
      await isShown(page, '.orders-table tbody tr');
      const { day, minute } = mock.moment();
      const id = mock.shop.order(day, minute, '10.01', mock.nowMs());
      await until(page, (order) => document.querySelector('.orders-table tbody tr')?.dataset.order === order, String(id), 2_000, 'the new order');
      assert.equal(await page.locator('a[href="/shop"]').filter({ visible: true }).count(), 0);
    });
  },

  async 'a role that was taken away while the page is open is said in words'() {
    const mock = await new MockServer(OWN).listen();
    try {
      await withBrowser({ locale: 'zh-CN' }, async (context) => {
        const page = await openPage(context, `${mock.url}/#/sql`);
        await isShown(page, '#statement');
        mock.role = 'reader';
        await page.click('#run');
        await isShown(page, '.sql-answer [role="alert"]');
        assert.match(await page.locator('.sql-answer [role="alert"]').innerText(), /需要角色：分析员（analyst）/);
        assert.deepEqual(page.problems, []);
      });
    } finally {
      await mock.close();
    }
  },

  async 'catalogue on a phone: the list and the model are steps, by touch, keyboard and screen reader'() {
    const names = Array.from({ length: 60 }, (_, place) => `table_${String(place).padStart(2, '0')}`);
    await withOwn(PHONE, { ...OWN, models: names.map(model) }, async (page) => {
      await go(page, '#/catalogue');
      await isShown(page, '.model-list a[href="#/catalogue/table_57"]');
      assert.equal(await page.locator('#model-name').isVisible(), false, 'the model is another step');
      await axe(page, 'the list on a phone');
      await page.locator('.model-list a[href="#/catalogue/table_57"]').focus();
      await page.keyboard.press('Enter');
      // Whoever cannot see the page hears the heading, and reads on behind it.
      await until(page, () => document.activeElement?.id === 'model-name' && document.activeElement.textContent === 'table_57', undefined, 3_000, 'the heading of the model');
      const { top, bottom } = await page.locator('#model-name').evaluate((heading) => heading.getBoundingClientRect().toJSON());
      assert.ok(top >= 0 && bottom <= PHONE.viewport.height, `the heading is at ${top}`);
      assert.equal(await page.locator('.model-list').isVisible(), false, 'the list is another step');
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
      await axe(page, 'a model on a phone');
      await shot(page, 'own-catalogue-phone');
      await page.keyboard.press('Shift+Tab');
      assert.match(await page.evaluate(() => document.activeElement.textContent), /All tables and models/);
      await page.keyboard.press('Enter');
      await until(page, () => document.activeElement?.getAttribute('href') === '#/catalogue/table_57', undefined, 3_000, 'the place in the list');
      const link = await page.locator('.model-list [aria-current]').evaluate((found) => found.getBoundingClientRect().toJSON());
      assert.ok(link.top >= 0 && link.bottom <= PHONE.viewport.height, `the link is at ${link.top}`);
      await page.goBack();
      await isShown(page, '#model-name');
    });
  },
};
