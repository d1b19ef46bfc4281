/** A small made-up shop for the tests of the page: the same numbers every time. */

const PROVINCES = ['Guangdong', 'Zhejiang', 'Jiangsu', 'Shandong', 'Sichuan', 'Henan', 'Hubei', 'Fujian', 'Beijing', 'Shanghai', 'Hunan', 'Anhui', 'Liaoning', 'Shaanxi'];
const CHANNELS = ['app store', 'mini program', 'web', 'search', 'short video', 'mail', 'partner'];
const GOODS = ['Trail shoe, men', 'Rain jacket', 'Merino socks (3 pairs)', 'Steel bottle 750 ml', 'Headlamp 400 lm', 'Day pack 24 l', 'Camp stove', 'Down vest', 'Trekking poles', 'Dry bag 10 l', 'Sun hat', 'Fleece hoodie', 'Wool beanie', 'Picnic blanket', 'Folding chair', 'Titanium mug'];
const STATUS = { 1001: 'unpaid', 1002: 'paid', 1003: 'cancelled', 1006: 'refunded' };

const COLUMNS = {
  ads_live_minute: ['day:Date32', 'minute:Int32', 'gmv_gross:Decimal128(38, 2)', 'gmv_net:Decimal128(38, 2)', 'orders:Int64', 'paid_orders:Int64', 'pv:Int64', 'uv_new_today:Int64'],
  ads_live_day: ['day:Date32', ...['gmv_gross', 'gmv_unpaid', 'gmv_cancelled', 'gmv_paid', 'gmv_refunded', 'gmv_net', 'freight'].map((name) => `${name}:Decimal128(38, 2)`), ...['orders', 'order_users', 'paid_orders', 'pv', 'uv', 'sessions'].map((name) => `${name}:Int64`)],
  ads_live_channel_day: ['day:Date32', 'channel:Utf8', 'pv:Int64', 'uv:Int64', 'orders:Int64', 'gmv_gross:Decimal128(38, 2)'],
  ads_live_province_day: ['day:Date32', 'province_id:Int64', 'province_name:Utf8', 'orders:Int64', 'gmv_gross:Decimal128(38, 2)'],
  ads_live_sku_day: ['day:Date32', 'sku_id:Int64', 'sku_name:Utf8', 'orders:Int64', 'pieces:Int64', 'gmv_gross:Decimal128(38, 2)'],
  dwd_trade_order: ['order_id:Int64', 'user_id:Int64', 'province_name:Utf8', 'create_time:Timestamp(µs, "UTC")', 'status:Utf8', 'status_name:Utf8', 'goods_amount:Decimal128(16, 2)', 'lines:Int64'],
};
const KEY_LENGTH = { ads_live_minute: 2, ads_live_day: 1, ads_live_channel_day: 2, ads_live_province_day: 2, ads_live_sku_day: 2, dwd_trade_order: 1 };

/** Numbers that look like chance and are always the same. */
function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** How busy a minute of the day is, about 1 in the evening. */
function rhythm(minute) {
  const hour = minute / 60;
  const bump = (at, width) => Math.exp(-(((hour - at) / width) ** 2));
  return 0.06 + 0.6 * bump(11, 2.6) + 0.5 * bump(15.5, 2.4) + bump(20.8, 2.2);
}

const cents = (text) => BigInt(text.replace('.', ''));
const money = (value) => {
  const digits = (value < 0n ? -value : value).toString().padStart(3, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

export class MockShop {
  epoch = 100;
  /** view → key → row */
  tables = Object.fromEntries(Object.keys(COLUMNS).map((view) => [view, new Map()]));
  onChange = () => {};
  nextOrder = 900_001;

  /** `day` and `minute` are the shop's present when it opens. */
  constructor({ day, minute, startOfDayMs, seed = 7 }) {
    this.random = dice(seed);
    this.day = day;
    this.startOfDayMs = startOfDayMs;
    this.minuteNow = minute;
  }

  columns(view) {
    return COLUMNS[view]?.map((text) => ({ name: text.slice(0, text.indexOf(':')), type: text.slice(text.indexOf(':') + 1) }));
  }

  rows(view, since = '') {
    return [...this.tables[view].values()].filter((row) => view === 'dwd_trade_order' || row[0] >= since);
  }

  /** Changes numbers of a row by name; a row that is not there begins with zeros. */
  change(view, key, by, changes) {
    const names = COLUMNS[view];
    const id = JSON.stringify(key.slice(0, KEY_LENGTH[view]));
    const old = this.tables[view].get(id);
    const row = old ? [...old] : names.map((name, place) => (place < key.length ? key[place] : name.includes('Decimal') ? '0.00' : 0));
    for (const [name, amount] of Object.entries(by)) {
      const place = names.findIndex((text) => text.startsWith(`${name}:`));
      row[place] = typeof amount === 'bigint' ? money(cents(row[place]) + amount) : row[place] + amount;
    }
    this.put(view, row, changes);
  }

  put(view, row, changes) {
    const id = JSON.stringify(row.slice(0, KEY_LENGTH[view]));
    const old = this.tables[view].get(id);
    this.tables[view].set(id, row);
    if (!changes) return;
    changes[view] ??= [];
    if (old) changes[view].push([-1, old]);
    changes[view].push([1, row]);
  }

  /** One epoch: everything that `work` changes is told at once. */
  step(work) {
    const changes = {};
    const result = work(changes);
    this.epoch += 1;
    this.onChange(this.epoch, changes);
    return result;
  }

  /** Fills minutes of a day at once, without telling. */
  fill(day, from, to, share = 1) {
    for (let minute = from; minute < to; minute += 1) {
      const busy = rhythm(minute) * share * (0.8 + 0.4 * this.random());
      const pv = Math.round(busy * 620);
      const orders = Math.round(busy * 9 * (0.6 + 0.8 * this.random()));
      const gross = BigInt(Math.round(orders * (9_000 + 9_000 * this.random())));
      const paid = Math.min(orders, Math.round(orders * (0.7 + 0.3 * this.random())));
      const net = (gross * BigInt(Math.round(78 + 14 * this.random()))) / 100n;
      const uv = Math.round(pv * (0.1 + 0.1 * this.random()));
      this.change('ads_live_minute', [day, minute], { gmv_gross: gross, gmv_net: net, orders, paid_orders: paid, pv, uv_new_today: uv });
      this.change('ads_live_day', [day], { gmv_gross: gross, gmv_unpaid: gross / 11n, gmv_cancelled: gross / 24n, gmv_paid: gross - gross / 11n - gross / 24n, gmv_refunded: gross / 31n, gmv_net: net, freight: BigInt(orders) * 600n, orders, order_users: Math.round(orders * 0.9), paid_orders: paid, pv, uv, sessions: Math.round(uv * 1.3) });
      this.spread(day, orders, gross, pv, uv);
    }
  }

  spread(day, orders, gross, pv, uv, changes) {
    const pick = (list) => Math.floor(list.length * this.random() ** 1.7);
    for (let left = 3; left > 0; left -= 1) {
      const part = { gmv_gross: gross / 3n, orders: Math.ceil(orders / 3) };
      const province = pick(PROVINCES);
      this.change('ads_live_province_day', [day, province + 1, PROVINCES[province]], part, changes);
      const goods = pick(GOODS);
      this.change('ads_live_sku_day', [day, goods + 101, GOODS[goods]], { ...part, pieces: Math.ceil(orders / 2) }, changes);
      const channel = pick(CHANNELS);
      this.change('ads_live_channel_day', [day, CHANNELS[channel]], { ...part, pv: Math.ceil(pv / 3), uv: Math.ceil(uv / 3) }, changes);
    }
  }

  pageView(day, minute, isNewDevice = true) {
    this.step((changes) => {
      const by = { pv: 1 };
      this.change('ads_live_minute', [day, minute], { ...by, uv_new_today: isNewDevice ? 1 : 0 }, changes);
      this.change('ads_live_day', [day], { ...by, uv: isNewDevice ? 1 : 0 }, changes);
      this.change('ads_live_channel_day', [day, 'web'], { ...by, uv: isNewDevice ? 1 : 0 }, changes);
    });
  }

  /** A new order, not yet paid. */
  order(day, minute, amount, atMs, province = 'Zhejiang') {
    return this.step((changes) => {
      const id = this.nextOrder;
      this.nextOrder += 1;
      this.change('ads_live_minute', [day, minute], { gmv_gross: cents(amount), orders: 1 }, changes);
      this.change('ads_live_day', [day], { gmv_gross: cents(amount), gmv_unpaid: cents(amount), orders: 1 }, changes);
      const place = PROVINCES.indexOf(province);
      this.change('ads_live_province_day', [day, place + 1, province], { gmv_gross: cents(amount), orders: 1 }, changes);
      const goods = Math.floor(GOODS.length * this.random() ** 1.7);
      this.change('ads_live_sku_day', [day, goods + 101, GOODS[goods]], { gmv_gross: cents(amount), orders: 1, pieces: 1 }, changes);
      this.change('ads_live_channel_day', [day, 'app store'], { gmv_gross: cents(amount), orders: 1 }, changes);
      this.put('dwd_trade_order', [id, 5_000 + (id % 700), province, new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z'), '1001', STATUS[1001], amount, 1 + (id % 4)], changes);
      return id;
    });
  }

  pay(id, day, minute) {
    this.step((changes) => {
      const old = this.tables.dwd_trade_order.get(JSON.stringify([id]));
      const row = [...old];
      row[4] = '1002';
      row[5] = STATUS[1002];
      this.put('dwd_trade_order', row, changes);
      this.change('ads_live_minute', [day, minute], { gmv_net: cents(row[6]), paid_orders: 1 }, changes);
      this.change('ads_live_day', [day], { gmv_paid: cents(row[6]), gmv_net: cents(row[6]), gmv_unpaid: -cents(row[6]), paid_orders: 1 }, changes);
    });
  }

  /** Orders of the last minutes, for the list. */
  seedOrders(count, nowMs) {
    const states = ['1002', '1002', '1001', '1002', '1003', '1002', '1006', '1002'];
    for (let place = count; place > 0; place -= 1) {
      const id = this.nextOrder;
      this.nextOrder += 1;
      const status = states[id % states.length];
      const amount = money(BigInt(Math.round(1_900 + 42_000 * this.random())));
      const at = new Date(nowMs - place * 9_000 - Math.round(4_000 * this.random()));
      const province = PROVINCES[Math.floor(PROVINCES.length * this.random() ** 1.7)];
      this.put('dwd_trade_order', [id, 5_000 + (id % 700), province, at.toISOString().replace(/\.\d+Z$/, 'Z'), status, STATUS[status], amount, 1 + (id % 4)]);
    }
  }

  latestOrders(limit) {
    return [...this.tables.dwd_trade_order.values()].sort((a, b) => b[3].localeCompare(a[3]) || b[0] - a[0]).slice(0, limit);
  }
}
