/** Explore in front of a running warehouse: what it shows equals SQL that is written here by hand. */

import assert from 'node:assert/strict';
import { axe, openPage, shot, until, withBrowser } from './browser.mjs';
import { WAIT_MS, isDrawn, sql, url, yesterday } from './warehouse.mjs';

const number = (text) => Number(text.replace(/[^\d.-]/g, ''));

/** The cells of the answer, without those that open rows. */
const cells = (page) => page.locator('.explore-answer tbody tr').evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll('td:not(.row-end)')].map((cell) => cell.textContent)));

const isTable = (page, rows, what) => until(page, (count) => document.querySelectorAll('.explore-answer tbody tr').length === count, rows, WAIT_MS, what);

/** What is said of the answer, which comes with it. */
const answered = (page, by) => until(page, (wanted) => document.querySelector('.panel [role="status"]')?.textContent.includes(`by ${wanted}.`), by, WAIT_MS, `an answer by ${by}`);

async function opened(context) {
  const page = await openPage(context, `${url}/#/explore`);
  await until(page, () => document.querySelector('.clock-zone')?.textContent !== '', undefined, WAIT_MS, 'the time zone');
  await isDrawn(page, '.explore-answer canvas');
  return page;
}

const asTable = (page) => page.locator('input[type="radio"][value="table"]').check();

async function addFilter(page, place, column, operator, value) {
  await page.click('#add-filter');
  await page.selectOption(`#filter-${place}-column`, column);
  await page.selectOption(`#filter-${place}-operator`, operator);
  if (value === undefined) return;
  await page.fill(`#filter-${place}-value`, value);
  await page.locator(`#filter-${place}-value`).dispatchEvent('change');
}

export const checks = {
  async 'explore: aggregates, two dimensions, grains and filters equal SQL'() {
    const day = await yesterday();
    await withBrowser({}, async (context) => {
      const page = await opened(context);
      await asTable(page);
      await addFilter(page, 1, 'day', 'equals', day);
      await page.selectOption('#explore-aggregate', 'avg');
      const average = await sql(`SELECT province_name, avg(goods_amount) FROM dwd_trade_order WHERE day = DATE '${day}' GROUP BY province_name ORDER BY 2 DESC, 1`);
      await isTable(page, average.length, 'the averages');
      await until(page, (wanted) => document.querySelector('.explore-answer th.number')?.textContent === wanted, 'avg_goods_amount', WAIT_MS, 'their column');
      const averages = (await cells(page)).map((row) => number(row.at(-1)));
      assert.equal(averages.length, average.length);
      // To the cent: half a cent goes up on the page, and may go down as a binary fraction.
      average.forEach(([, value], row) => assert.ok(Math.abs(averages[row] - Number(value)) <= 0.005 + 1e-9, `${averages[row]} for ${value}`));

      // Members by hour and channel.
      await page.selectOption('#explore-measure', 'user_id');
      await page.selectOption('#explore-aggregate', 'distinct');
      await page.selectOption('#explore-by', 'create_time');
      await page.selectOption('#explore-grain', 'hour');
      await page.click('#explore-add-by');
      await page.selectOption('#explore-by-2', 'channel');
      await addFilter(page, 2, 'goods_amount', 'atLeast', '50');
      const members = await sql(`SELECT date_trunc('hour', create_time) AS hour, channel, count(DISTINCT user_id) FROM dwd_trade_order WHERE day = DATE '${day}' AND goods_amount >= 50 GROUP BY 1, 2 ORDER BY 1, 2`);
      assert.ok(members.length > 24);
      await isTable(page, members.length, 'members by hour and channel');
      const shown = await cells(page);
      assert.deepEqual(shown.map(([, channel, count]) => [channel, number(count)]), members.map(([, channel, count]) => [channel, Number(count)]));
      assert.match(shown[0][0], new RegExp(`${members[0][0].slice(11, 19)}$`));
      for (const chart of ['line', 'bar']) {
        await page.locator(`input[type="radio"][value="${chart}"]`).check();
        await isDrawn(page, '.explore-answer canvas');
        await axe(page, `explored as ${chart}`);
        await shot(page, `explore-${chart}`, true);
      }
      // A pie has one dimension, and says so.
      await page.locator('input[type="radio"][value="pie"]').check();
      await until(page, () => document.querySelector('.panel [role="status"]').textContent.includes('Shown as bars'), undefined, WAIT_MS, 'why there is no pie');
      await asTable(page);

      // Weeks of a day, a list, and the filters taken away again.
      await page.click('#explore-not-by-2');
      await page.selectOption('#explore-by', 'day');
      await page.selectOption('#explore-grain', 'week');
      await page.selectOption('#explore-measure', '');
      await page.click('#filter-2-remove');
      await page.click('#filter-1-remove');
      assert.equal(await page.locator('.filter').count(), 0);
      const [[one], [two]] = await sql('SELECT channel FROM dwd_trade_order GROUP BY channel ORDER BY count(*) DESC LIMIT 2');
      await addFilter(page, 1, 'channel', 'oneOf', `${one}, ${two}`);
      await addFilter(page, 2, 'day', 'atMost', day);
      const weeks = await sql(`SELECT CAST(date_trunc('week', day) AS DATE), count(*) FROM dwd_trade_order WHERE channel IN ('${one}', '${two}') AND day <= DATE '${day}' GROUP BY 1 ORDER BY 1`);
      await until(page, (wanted) => document.querySelector('.explore-answer tbody td:nth-child(2)')?.textContent.replaceAll(',', '') === wanted, String(weeks[0][1]), WAIT_MS, 'orders by week');
      assert.deepEqual((await cells(page)).map(([week, count]) => [week, number(count)]), weeks.map(([week, count]) => [week, Number(count)]));
      assert.deepEqual(page.problems, []);
    });
  },

  async 'explore: no value of a filter is more than a value'() {
    await withBrowser({}, async (context) => {
      const page = await opened(context);
      await asTable(page);
      await isDrawn(page, '.explore-answer tbody tr');
      const all = await cells(page);
      assert.ok(all.length > 1);
      await addFilter(page, 1, 'province_name', 'equals', "' OR '1' = '1");
      await until(page, () => document.querySelector('.explore-answer .none')?.textContent === 'Nothing for this choice', undefined, WAIT_MS, 'no rows of no such province');
      assert.match(await page.locator('.panel-file').innerText(), /WHERE province_name = ''' OR ''1'' = ''1'\n/);
      await page.selectOption('#filter-1-operator', 'contains');
      await page.fill('#filter-1-value', "%'); SELECT 1; --${x}\\");
      await page.locator('#filter-1-value').dispatchEvent('change');
      await until(page, () => document.querySelector('.panel-file').textContent.includes("strpos(province_name, '%''); SELECT 1; --$' || '{x}\\\\') > 0"), undefined, WAIT_MS, 'the value in its quotes');
      await until(page, () => document.querySelector('.explore-answer .none')?.textContent === 'Nothing for this choice', undefined, WAIT_MS, 'still no rows');
      // What is no number is said, and is no filter.
      await page.selectOption('#filter-1-column', 'goods_amount');
      await page.fill('#filter-1-value', '1 OR 1 = 1');
      await page.locator('#filter-1-value').dispatchEvent('change');
      assert.equal(await page.locator('#filter-1-value').getAttribute('aria-invalid'), 'true');
      assert.match(await page.locator('.filter-note').innerText(), /not a value/);
      assert.doesNotMatch(await page.locator('.panel-file').innerText(), /WHERE/);
      await isTable(page, all.length, 'all rows');
      await axe(page, 'a filter without a value');
      // A condition in SQL is one beside the others.
      await page.fill('#filter-1-value', '100');
      await page.locator('#filter-1-value').dispatchEvent('change');
      await page.fill('#explore-filter', "channel = 'web' OR channel = 'oppo'");
      await page.locator('#explore-filter').dispatchEvent('change');
      const wanted = await sql("SELECT province_name FROM dwd_trade_order WHERE goods_amount = 100 AND (channel = 'web' OR channel = 'oppo') GROUP BY 1");
      await (wanted.length > 0 ? isTable(page, wanted.length, 'both conditions') : isDrawn(page, '.explore-answer .none'));
      assert.deepEqual(page.problems, []);
    });
  },

  async 'explore: from a bar to what it is made of and back, by keyboard and by pointer'() {
    const day = await yesterday();
    await withBrowser({}, async (context) => {
      const page = await opened(context);
      await addFilter(page, 1, 'day', 'equals', day);
      const provinces = await sql(`SELECT province_name, sum(goods_amount) FROM dwd_trade_order WHERE day = DATE '${day}' GROUP BY 1 ORDER BY 2 DESC, 1`);
      const points = page.locator('.chart-points button');
      await until(page, (count) => document.querySelectorAll('.chart-points button').length === count, provinces.length, WAIT_MS, 'a point a province');
      assert.equal(number((await points.nth(1).textContent()).split(': ')[1]), Number(provinces[1][1]));
      // One stop for all points; arrows lead from one to the next.
      assert.equal(await page.locator('.chart-points button[tabindex="0"]').count(), 1);
      await page.locator('.chart-points button[tabindex="0"]').focus();
      await page.keyboard.press('ArrowRight');
      await axe(page, 'a point with the focus');
      await shot(page, 'explore-point');
      await page.keyboard.press('Enter');
      await answered(page, 'channel');
      const channels = await sql(`SELECT channel, sum(goods_amount) FROM dwd_trade_order WHERE day = DATE '${day}' AND province_name = '${provinces[1][0]}' GROUP BY 1 ORDER BY 2 DESC, 1`);
      await until(page, (count) => document.querySelectorAll('.chart-points button').length === count, channels.length, WAIT_MS, 'its channels');
      assert.equal(await page.evaluate(() => document.activeElement.id), 'trail-end');
      assert.match(await page.locator('#trail-end').innerText(), /^province_name: ./);
      const rows = async (where, what) => {
        const [[count]] = await sql(`SELECT count(*) FROM dwd_trade_order WHERE day = DATE '${day}' AND ${where}`);
        await until(page, (wanted) => document.querySelectorAll('#explore-rows tbody tr').length === wanted, Math.min(200, Number(count)), WAIT_MS, `${count} rows of ${what}`);
      };
      await rows(`province_name = '${provinces[1][0]}'`, 'the province');
      // The next one is chosen: the hours of a channel, from the table.
      await asTable(page);
      await page.selectOption('#explore-next', { label: 'create_time · hour' });
      await isTable(page, channels.length, 'a table of channels');
      await page.locator('.explore-answer .row-open').first().focus();
      await page.keyboard.press('Enter');
      await answered(page, 'create_time · hour');
      const hours = await sql(`SELECT date_trunc('hour', create_time), sum(goods_amount) FROM dwd_trade_order WHERE day = DATE '${day}' AND province_name = '${provinces[1][0]}' AND channel = '${channels[0][0]}' GROUP BY 1 ORDER BY 1`);
      await isTable(page, hours.length, 'its hours');
      assert.deepEqual((await cells(page)).map((row) => number(row.at(-1))), hours.map(([, value]) => Number(value)));
      await rows(`province_name = '${provinces[1][0]}' AND channel = '${channels[0][0]}'`, 'the channel');
      await page.locator('.explore-answer .row-open').first().click();
      const hour = `date_trunc('hour', create_time) = TIMESTAMPTZ '${hours[0][0]}'`;
      await rows(`province_name = '${provinces[1][0]}' AND channel = '${channels[0][0]}' AND ${hour}`, 'the hour');
      assert.equal(await page.locator('.filter').count(), 4);
      await axe(page, 'drilled down');
      await shot(page, 'explore-drilled', true);
      // Back to the channels, then to all.
      await page.locator('.trail button').nth(1).click();
      await isTable(page, channels.length, 'the channels again');
      assert.equal(await page.locator('.filter').count(), 2);
      await page.locator('.trail button').first().focus();
      await page.keyboard.press('Enter');
      await answered(page, 'province_name');
      assert.equal(await page.locator('.trail').isVisible(), false);
      // A click on the bar itself does the same.
      await isDrawn(page, '.explore-answer canvas');
      await page.waitForTimeout(600);
      const box = await page.locator('.explore-answer canvas').boundingBox();
      const label = await page.locator('.chart-points button').first().textContent();
      await page.mouse.click(box.x + box.width / 2, box.y + 20);
      await answered(page, 'channel');
      assert.equal(await page.locator('#trail-end').innerText(), `province_name: ${label.split(': ')[0]}`);
      assert.deepEqual(page.problems, []);
    });
  },

  async 'explore: a line of times is drilled into, in Chinese'() {
    const day = await yesterday();
    await withBrowser({ locale: 'zh-CN', colorScheme: 'dark' }, async (context) => {
      const page = await opened(context);
      await page.selectOption('#explore-by', 'create_time');
      await page.locator('input[type="radio"][value="line"]').check();
      const days = await sql("SELECT CAST(date_trunc('day', create_time) AS DATE), sum(goods_amount) FROM dwd_trade_order GROUP BY 1 ORDER BY 1");
      await until(page, (count) => document.querySelectorAll('.chart-points button').length === count, days.length, WAIT_MS, 'a point a day');
      await page.locator('.chart-points button', { hasText: day }).focus();
      await page.keyboard.press('Enter');
      // A day leads to its hours.
      const hours = await sql(`SELECT date_trunc('hour', create_time), sum(goods_amount) FROM dwd_trade_order WHERE day = DATE '${day}' GROUP BY 1 ORDER BY 1`);
      await until(page, (count) => document.querySelectorAll('.chart-points button').length === count, hours.length, WAIT_MS, 'a point an hour');
      assert.equal(await page.locator('#trail-end').innerText(), `create_time · 日: ${day}`);
      assert.match(await page.locator('.panel [role="status"]').first().innerText(), /^按 create_time · 小时 共 \d+ 组。$/);
      await axe(page, 'hours in Chinese');
      await shot(page, 'explore-zh-dark', true);
      assert.deepEqual(page.problems, []);
    });
  },

  async 'explore: what was explored becomes a panel that is the same'() {
    const day = await yesterday();
    await withBrowser({}, async (context) => {
      const page = await opened(context);
      await page.selectOption('#explore-by', 'create_time');
      await page.selectOption('#explore-grain', 'hour');
      await page.click('#explore-add-by');
      await page.selectOption('#explore-by-2', 'channel');
      await addFilter(page, 1, 'day', 'equals', day);
      await addFilter(page, 2, 'province_name', 'differs', "it's");
      await page.locator('input[type="radio"][value="line"]').check();
      await answered(page, 'create_time · hour, channel');
      const rows = await sql(`SELECT date_trunc('hour', create_time), channel, sum(goods_amount) FROM dwd_trade_order WHERE day = DATE '${day}' AND province_name <> 'it''s' GROUP BY 1, 2 ORDER BY 1, 2`);
      await page.fill('#save-name', 'explored_by_test');
      await page.fill('#save-en', 'Explored by a test');
      await page.fill('#save-zh', '测试保存的面板');
      await page.locator('#save-replace').check();
      await page.locator('form button[type="submit"]').click();
      await isDrawn(page, 'a[href="#/panels/own"]');
      await axe(page, 'a saved exploration');
      try {
        const kept = await (await fetch(`${url}/api/v1/panels/explored_by_test`)).json();
        assert.deepEqual(kept.rows, rows);
        assert.deepEqual(kept.columns.map(({ name, role }) => [name, role]), [['create_time_hour', 'category'], ['channel', 'series'], ['goods_amount', 'value']]);
        await page.locator('a[href="#/panels/own"]').last().click();
        await isDrawn(page, '[data-panel="explored_by_test"] canvas');
        await shot(page, 'explore-saved');
      } finally {
        const removed = await fetch(`${url}/api/v1/panels/explored_by_test`, { method: 'DELETE' });
        assert.equal(removed.status, 204);
      }
      assert.deepEqual(page.problems, []);
    });
  },
};
