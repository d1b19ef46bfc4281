/** The page of alarms, against made-up ones. */

import assert from 'node:assert/strict';
import { axe, openPage, shot, until, withBrowser } from './browser.mjs';
import { MockServer } from './mock-server.mjs';

async function withAlarms(options, work) {
  const mock = await new MockServer().listen();
  try {
    await withBrowser(options, async (context) => {
      const page = await openPage(context, `${mock.url}/#/alarms`);
      await until(page, () => document.querySelectorAll('[aria-labelledby="alarm-instances"] tbody tr').length === 2, undefined, 5_000, 'two instances');
      await work(page, mock);
      assert.deepEqual(page.problems, []);
    });
  } finally {
    await mock.close();
  }
}

const rowsOf = (page, id) => page.locator(`[aria-labelledby="${id}"] tbody tr`).allInnerTexts();

export const checks = {
  async 'alarms: what is wrong, what was, rules, and text that is no markup'() {
    await withAlarms({}, async (page) => {
      await until(page, () => document.querySelectorAll('[aria-labelledby="alarm-instances"] tbody tr').length >= 2, undefined, 5_000, 'the alarms');
      await until(page, () => /firing\s+critical/.test(document.querySelector('[aria-labelledby="alarm-instances"] tbody tr')?.innerText ?? ''), undefined, 5_000, 'the alarms as they are shown');
      const [first, second] = await rowsOf(page, 'alarm-instances');
      assert.match(first, /firing\s+critical\s+orders_fell\s+channel=app\s+12 orders from app/);
      assert.match(second, /resolved.*<img src=x onerror=alert\(1\)>/s);
      assert.equal(await page.locator('main img').count(), 0);
      assert.match((await rowsOf(page, 'alarm-rules')).join('\n'), /disk_low.*below 0\.1[\s\S]*mail sales.*does not answer/);
      await axe(page, 'alarms');
      await shot(page, 'alarms-light-en', true);
    });
  },

  async 'alarms: silenced and told again, by keyboard; a refusal is said'() {
    await withAlarms({}, async (page, mock) => {
      await page.selectOption('#silence-alarm', 'orders_fell');
      await page.selectOption('#silence-length', '8 hours');
      await page.fill('#silence-why', 'a sale is over');
      await page.press('#silence-why', 'Enter');
      await until(page, () => document.querySelector('#silence-list tbody tr') !== null, undefined, 5_000, 'the silence');
      assert.deepEqual(mock.silenced, [{ alarm: 'orders_fell', for: '8 hours', comment: 'a sale is over', by: 'page' }]);
      await until(page, () => document.querySelector('[aria-labelledby="alarm-instances"] tbody tr')?.textContent.includes('silenced'), undefined, 5_000, 'silenced');
      await page.getByRole('button', { name: 'End silence 1' }).focus();
      await page.keyboard.press('Enter');
      await until(page, () => document.querySelector('#silence-list') === null, undefined, 5_000, 'the end of the silence');
      mock.alarms.refusal = 'only admins may silence';
      await page.press('#silence-why', 'Enter');
      await until(page, () => document.querySelector('[aria-labelledby="alarm-silences"] [role="status"]')?.textContent.includes('only admins may silence'), undefined, 5_000, 'the refusal');
    });
  },

  async 'alarms: Chinese and dark, on a phone'() {
    await withAlarms({ viewport: { width: 390, height: 844 }, locale: 'zh-CN', colorScheme: 'dark' }, async (page) => {
      // Rows are there before they are shown, and are made again as the language comes.
      await until(page, () => /告警中\s+严重/.test(document.querySelector('[aria-labelledby="alarm-instances"] tbody tr')?.innerText ?? ''), undefined, 5_000, 'the alarms in Chinese');
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(beyond <= 0, `${beyond} px too wide`);
      await axe(page, 'alarms on a phone');
      await shot(page, 'alarms-phone-dark-zh', true);
    });
  },
};
