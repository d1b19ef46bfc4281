import { describe, expect, it } from 'vitest';
import { WORK } from '../src/i18n/work';
import { problemOf } from '../src/live/connection';
import { RequestError, answered } from '../src/live/requests';
import { mayAskSql, mayChange } from '../src/model/rights';
import { routeOf, siteOf } from '../src/route';
import { failureText, roleText } from '../src/workbench/failure';

describe('the pages of a warehouse', () => {
  const shop = siteOf({ hasShop: true, hasPanels: true, role: 'admin' });
  const own = siteOf({ hasShop: false, hasPanels: true, role: 'admin' });

  it('are all there for an admin of a shop, who begins at the live page', () => {
    expect(routeOf('', shop)).toEqual({ page: 'live', part: '', lack: undefined });
    expect(routeOf('#/nothing/x', shop)).toEqual({ page: 'live', part: 'x', lack: undefined });
    expect(routeOf('#/panels/trade', shop)).toEqual({ page: 'panels', part: 'trade', lack: undefined });
    expect(shop.lacks.size).toBe(0);
  });

  it('are without live numbers and wall in a project of one’s own', () => {
    expect(own.pages).toEqual(['panels', 'explore', 'sql', 'catalogue', 'alarms', 'health']);
    expect(routeOf('', own).page).toBe('panels');
    expect(routeOf('#/health', own)).toEqual({ page: 'health', part: '', lack: undefined });
    // The address is answered with what is missing, not with another page.
    expect(routeOf('#/wall', own)).toEqual({ page: 'wall', part: '', lack: 'shop' });
    expect(routeOf('#/live', own).lack).toBe('shop');
  });

  it('begin with what there is', () => {
    expect(siteOf({ hasShop: false, hasPanels: false, role: 'analyst' }).first).toBe('sql');
    expect(siteOf({ hasShop: false, hasPanels: false, role: 'reader' }).first).toBe('catalogue');
    expect(siteOf({ hasShop: false, hasPanels: true, role: 'reader' }).first).toBe('panels');
    expect(siteOf({ hasShop: true, hasPanels: false, role: 'reader' }).first).toBe('live');
  });

  it('are for a reader those that ask nothing in SQL', () => {
    const reader = siteOf({ hasShop: true, hasPanels: true, role: 'reader' });
    expect(reader.pages).toEqual(['live', 'panels', 'wall', 'catalogue', 'alarms', 'health']);
    expect(routeOf('#/sql', reader)).toEqual({ page: 'sql', part: '', lack: 'role' });
    expect(routeOf('#/explore', reader).lack).toBe('role');
  });

  it('are found by any address', () => {
    expect(routeOf('#/catalogue/%E8%AE%A2%E5%8D%95', own).part).toBe('订单');
    expect(routeOf('#/catalogue/100%', own).part).toBe('100%');
  });
});

describe('roles', () => {
  it('may do what those before them may', () => {
    expect((['reader', 'analyst', 'admin'] as const).map((role) => [mayAskSql(role), mayChange(role)])).toEqual([[false, false], [true, false], [true, true]]);
  });

  it('are named where one is needed, in the reader’s language', async () => {
    const body = JSON.stringify({ status: 403, detail: 'this is for the role analyst; board has the role reader', role_needed: 'analyst' });
    const error = await answered(new Response(body, { status: 403 })).catch((failed: unknown) => failed);
    expect(error).toBeInstanceOf(RequestError);
    expect(failureText(WORK.en, error)).toContain('needs the role analyst');
    expect(failureText(WORK.zh, error)).toContain('分析员（analyst）');
  });

  it('are not named where they are not why', async () => {
    const error = await answered(new Response('{"detail":"no such column"}', { status: 400 })).catch((failed: unknown) => failed);
    expect(roleText(WORK.en, error)).toBeUndefined();
    expect(failureText(WORK.en, error)).toBe('Not answered: no such column');
    expect(failureText(WORK.zh, new TypeError('lost'))).toBe('查询失败：lost');
    expect(await problemOf(new Response('<html>', { status: 502 }))).toEqual({ detail: 'HTTP 502', roleNeeded: undefined });
  });
});
