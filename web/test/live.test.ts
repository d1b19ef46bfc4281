import { describe, expect, it, vi } from 'vitest';
import { chooseLanguage, Format } from '../src/i18n';
import { LiveConnection, type ConnectionState } from '../src/live/connection';
import { EventStreamReader, liveAddress, type AccessRole, type Change, type LiveEvent, type Row } from '../src/live/protocol';
import { ZSet } from '../src/live/zset';
import { parseDecimal, toText } from '../src/model/decimal';
import { LiveShop } from '../src/model/live-shop';
import { LatestOrders, ORDERS_KEPT } from '../src/model/orders';
import { rank } from '../src/model/ranking';
import { stateOf } from '../src/ui/state';

describe('the event stream', () => {
  const text = ': here\n\nevent: delta\nid: 7\ndata: {"a":\ndata: 1}\n\nevent: reset\r\ndata: {}\r\n\r\n:\n\n';

  it('is read however it is cut', () => {
    for (let size = 1; size < text.length; size += 1) {
      const found: [string, string][] = [];
      const reader = new EventStreamReader((event, data) => found.push([event, data]));
      for (let at = 0; at < text.length; at += size) reader.push(text.slice(at, at + size));
      expect(found).toEqual([['delta', '{"a":\n1}'], ['reset', '{}']]);
    }
  });

  it('is asked for with filters', () => {
    const address = liveAddress([{ view: 'a', filter: "day >= DATE '2026-11-20'" }, { view: 'b', snapshot: 'none' }]);
    const url = new URL(address, 'http://x');
    expect(url.pathname).toBe('/api/v1/live/a,b');
    expect(url.searchParams.get('filter.a')).toBe("day >= DATE '2026-11-20'");
    expect(url.searchParams.get('snapshot.b')).toBe('none');
  });
});

describe('the connection', () => {
  const snapshot = 'event: snapshot\ndata: {"view":"a","epoch":3,"columns":[],"rows":[]}\n\n';

  function connection(answers: (() => Response)[]) {
    const states: ConnectionState['kind'][] = [];
    const events: LiveEvent[] = [];
    const asked: string[] = [];
    const live = new LiveConnection({
      address: () => `/live?${asked.length}`,
      onOpen: () => {},
      onEvent: (event) => events.push(event),
      onState: ({ kind }) => states.push(kind),
      fetch: async (address) => {
        asked.push(String(address));
        const answer = answers.shift();
        if (answer === undefined) throw new TypeError('no connection');
        return answer();
      },
      random: () => 0.5,
    });
    return { live, states, events, asked };
  }

  it('begins again after it ended, with a new address, waiting longer each time', async () => {
    vi.useFakeTimers();
    const { live, states, events, asked } = connection([() => new Response(snapshot), () => new Response('', { status: 503 }), () => new Response(snapshot)]);
    live.connect();
    await vi.advanceTimersByTimeAsync(10);
    expect(states).toEqual(['connecting', 'live', 'waiting']);
    await vi.advanceTimersByTimeAsync(500);
    expect(asked).toEqual(['/live?0', '/live?1']);
    await vi.advanceTimersByTimeAsync(700);
    expect(asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(200);
    expect(asked).toHaveLength(3);
    expect(events).toHaveLength(2);
    live.stop();
    vi.useRealTimers();
  });

  it('says what a server refuses, and does not ask again by itself', async () => {
    const { live, states, asked } = connection([() => new Response('{"detail":"there is no view `a`"}', { status: 404 })]);
    live.connect();
    await new Promise((done) => setTimeout(done, 20));
    expect(states).toEqual(['connecting', 'refused']);
    expect(asked).toHaveLength(1);
  });

  it('begins again when a view could not be sent', async () => {
    const { live, states } = connection([() => new Response(`${snapshot}event: problem\ndata: {"view":"a","detail":"lost"}\n\n`)]);
    live.connect();
    await new Promise((done) => setTimeout(done, 20));
    live.stop();
    expect(states).toEqual(['connecting', 'live', 'waiting']);
  });

  it('takes a silent connection for dead', async () => {
    vi.useFakeTimers();
    const { live, states } = connection([() => new Response(new ReadableStream({ start: (control) => control.enqueue(new TextEncoder().encode(snapshot)) }))]);
    live.connect();
    await vi.advanceTimersByTimeAsync(39_000);
    expect(states).toEqual(['connecting', 'live']);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(states.slice(0, 3)).toEqual(['connecting', 'live', 'waiting']);
    live.stop();
    vi.useRealTimers();
  });
});

describe('a warehouse of somebody’s own', () => {
  const json = (value: object, status = 200) => new Response(JSON.stringify(value), { status });

  /** What is asked and heard of a warehouse that has these collections, one answer after another. */
  async function follow(role: AccessRole, ...has: readonly (readonly string[])[]) {
    const asked: string[] = [];
    let answers = 0;
    vi.stubGlobal('fetch', async (address: string) => {
      asked.push(address);
      if (address !== '/api/v1/info') return json({ detail: 'refused' }, 404);
      const collections = has[Math.min(answers, has.length - 1)];
      answers += 1;
      return json({ name: 'own', version: '0', time_zone: 'UTC', currency: 'EUR', now: '2026-11-20T00:30:00Z', epoch: 1, uptime_s: 1, role, collections, panels: [], sample_shop: false });
    });
    let known = 0;
    const shop = new LiveShop(
      () => {},
      () => (known += 1),
    );
    shop.start();
    await new Promise((done) => setTimeout(done, 30));
    vi.unstubAllGlobals();
    const live = asked.filter((address) => address.startsWith('/api/v1/live/')).map((address) => new URL(address, 'http://x'));
    return { shop, known, asked, live };
  }

  it('is asked for nothing that it has not', async () => {
    const { shop, known, asked } = await follow('admin', ['orders', 'dwd_trade_order']);
    expect(asked).toEqual(['/api/v1/info']);
    expect(known).toBe(1);
    expect(stateOf(shop)).toBe('absent');
    shop.retry();
    expect(asked).toHaveLength(1);
  });

  it('is followed with the views that it has, and its refusal is said', async () => {
    const { shop, known, live } = await follow('admin', ['orders', 'ads_live_minute', 'ads_live_day']);
    expect(known).toBe(1);
    expect(live.map(({ pathname }) => pathname)).toEqual(['/api/v1/live/ads_live_minute,ads_live_day']);
    expect(stateOf(shop)).toBe('refused');
  });

  it('goes on without views that went while it was followed', async () => {
    const { shop, known, live } = await follow('admin', ['ads_live_minute', 'ads_live_day'], ['ads_live_minute']);
    expect(live.map(({ pathname }) => pathname)).toEqual(['/api/v1/live/ads_live_minute,ads_live_day', '/api/v1/live/ads_live_minute']);
    expect([known, stateOf(shop)]).toEqual([1, 'refused']);
    const gone = await follow('admin', ['ads_live_minute'], ['orders']);
    expect(gone.live).toHaveLength(1);
    expect([gone.known, stateOf(gone.shop)]).toEqual([2, 'absent']);
  });

  it('gives a reader the latest orders with the stream, and others those of SQL', async () => {
    const views = ['ads_live_minute', 'dwd_trade_order'];
    const [reader] = (await follow('reader', views)).live;
    expect(reader?.searchParams.get('snapshot.dwd_trade_order')).toBeNull();
    expect(reader?.searchParams.get('filter.dwd_trade_order')).toBe("create_time >= TIMESTAMPTZ '2026-11-20 00:20:00Z'");
    const [analyst] = (await follow('analyst', views)).live;
    expect(analyst?.searchParams.get('snapshot.dwd_trade_order')).toBe('none');
    expect(analyst?.searchParams.get('filter.dwd_trade_order')).toBe("create_time >= TIMESTAMPTZ '2026-11-20 00:00:00Z'");
  });

  it('shows a reader the orders of the stream from its first snapshot on', async () => {
    const columns = ['order_id', 'create_time', 'status', 'goods_amount'].map((name) => ({ name, type: '' }));
    const snapshot = (view: string, rows: readonly Row[]) => `event: snapshot\ndata: ${JSON.stringify({ view, epoch: 3, columns, rows })}\n\n`;
    const order = (id: number): Row => [id, '2026-11-20T00:25:00Z', '1001', '5.00'];
    const delta = `event: delta\ndata: ${JSON.stringify({ view: 'dwd_trade_order', epoch: 4, changes: [[1, order(8)]] })}\n\n`;
    const asked: string[] = [];
    for (const first of [[], [order(7)]]) {
      vi.stubGlobal('fetch', async (address: string) => {
        asked.push(address);
        if (address === '/api/v1/info') return json({ name: 'own', time_zone: 'UTC', now: '2026-11-20T00:30:00Z', role: 'reader', collections: ['ads_live_minute', 'dwd_trade_order'], panels: [] });
        return new Response(snapshot('ads_live_minute', []) + snapshot('dwd_trade_order', first) + delta);
      });
      const shop = new LiveShop(
        () => {},
        () => {},
      );
      shop.start();
      await new Promise((done) => setTimeout(done, 30));
      vi.unstubAllGlobals();
      expect(shop.orders.latest(5).map(({ id }) => id)).toEqual(['8', ...first.map(([id]) => String(id))]);
    }
    expect(asked.some((address) => address === '/api/v1/sql')).toBe(false);
  });
});

describe('latest orders', () => {
  const names = ['order_id', 'user_id', 'province_name', 'create_time', 'status', 'status_name', 'goods_amount', 'lines'];
  const columns = names.map((name) => ({ name, type: '' }));
  const order = (id: number, second: number, status = '1001'): Row => [id, 1, 'Zhejiang', new Date(second * 1000).toISOString(), status, '', '10.00', 1];
  const ids = (orders: LatestOrders) => orders.latest(5).map(({ id, status }) => `${id}:${status}`);

  it('meets changes that came before, with and after the first orders', () => {
    const orders = new LatestOrders();
    orders.awaitFirst();
    orders.apply([[1, order(2, 20)]], 8);
    orders.apply([[-1, order(1, 10)], [1, order(1, 10, '1002')]], 9);
    orders.begin({ epoch: 8, columns, rows: [order(2, 20), order(1, 10)] });
    expect(ids(orders)).toEqual(['2:1001', '1:1002']);
    orders.apply([[1, order(3, 30)]], 10);
    expect(ids(orders)).toEqual(['3:1001', '2:1001', '1:1002']);
  });

  it('stays small, and lives with updates of orders it has let go', () => {
    const orders = new LatestOrders();
    orders.awaitFirst();
    orders.begin({ epoch: 1, columns, rows: [] });
    for (let id = 1; id < 2_000; id += 1) orders.apply([[1, order(id, id)]]);
    const update: Change[] = [[-1, order(3, 3)], [1, order(3, 3, '1002')]];
    orders.apply(update);
    expect(ids(orders)[0]).toBe('1999:1001');
    expect(orders.latest(10_000).length).toBeLessThanOrEqual(ORDERS_KEPT * 2);
  });
});

describe('rankings', () => {
  it('order a day by value, and equal values by key', () => {
    const set = new ZSet();
    set.replace(
      ['day', 'id', 'name', 'gmv', 'n'].map((name) => ({ name, type: '' })),
      [['2026-11-20', 2, 'b', '5.00', 1], ['2026-11-20', 1, 'a', '5.00', 1], ['2026-11-20', 3, 'c', '10.00', 1], ['2026-11-19', 4, 'd', '99.00', 1]],
    );
    const ranked = rank(set, '2026-11-20', { key: 'id', name: 'name', value: 'gmv', beside: 'n' }, 10);
    expect(ranked.map(({ name, share }) => [name, share])).toEqual([['c', 1], ['a', 0.5], ['b', 0.5]]);
    expect(toText(ranked[0]!.value)).toBe('10.00');
  });
});

describe('words and numbers', () => {
  it('speaks the first language of the reader that it knows', () => {
    expect(chooseLanguage(null, ['zh-CN', 'en'])).toBe('zh');
    expect(chooseLanguage(null, ['fr', 'en-GB', 'zh'])).toBe('en');
    expect(chooseLanguage(null, ['fr'])).toBe('en');
    expect(chooseLanguage('zh', ['en'])).toBe('zh');
  });

  it('writes great amounts to the last digit', () => {
    const format = new Format('en', 'CNY', 'Asia/Shanghai');
    expect(format.money(parseDecimal('90071992547409930.01'))).toBe('¥90,071,992,547,409,930.01');
    expect(format.parts(parseDecimal('-1234.50'), 'money')).toEqual({ whole: '-¥1,234', fraction: '.50' });
    expect(format.count(parseDecimal(1234567))).toBe('1,234,567');
  });

  it('follows the currency of the shop', () => {
    expect(new Format('en', 'JPY', 'UTC').money(parseDecimal('1234'))).toBe('¥1,234');
    expect(new Format('en', 'EUR', 'UTC').money(parseDecimal('0.5'))).toBe('€0.50');
    expect(new Format('en', 'coins', 'UTC').money(parseDecimal('0.5'))).toBe('0.50');
  });
});
