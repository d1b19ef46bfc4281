/** A server that answers as the warehouse does, with the made-up shop behind it. For tests only. */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, resolve } from 'node:path';
import { MockAlarms } from './mock-alarms.mjs';
import { MockShop } from './mock-shop.mjs';

const DIST = resolve(import.meta.dirname, '../dist');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const ZONE_MS = 8 * 3_600_000;
const DAY_MS = 86_400_000;

export class MockServer {
  live = new Set();
  /** Records that were acknowledged, in order. */
  collected = [];
  /** Every request to the collector: when, how many records, what it was answered. */
  requests = [];
  alarms = new MockAlarms();
  /** What was asked to be silenced. */
  silenced = [];
  /** What the collector answers instead of taking records: `{ status, retryAfter }`. */
  refusal = undefined;
  /** The server takes the records, but the answer is lost. */
  loseAnswers = false;
  /** Nobody answers on the live address. */
  isDown = false;

  /** Everything that was refused or not found: status and path. */
  refused = [];
  /** Statements that were asked. */
  statements = [];

  /** `now` is the shop's local time when the server starts, `2026-11-20T14:36:20`; `name` is that of the project, `role` that of everybody who asks. */
  constructor({ now = '2026-11-20T14:36:20', scene = 'live', name = 'mock shop', role = 'admin', hasSampleShop = true, without = [], panels = [], models = [] } = {}) {
    this.name = name;
    this.role = role;
    this.hasSampleShop = hasSampleShop;
    this.without = without;
    this.panels = panels;
    this.models = models;
    this.offsetMs = Date.parse(`${now}Z`) - ZONE_MS - Date.now();
    this.begin(scene);
  }

  begin(scene) {
    const { day, minute, startOfDayMs } = this.moment();
    this.shop = new MockShop({ day, minute, startOfDayMs });
    this.shop.onChange = (epoch, changes) => this.tell(epoch, changes);
    const yesterday = this.dayBefore(1);
    if (scene === 'live') {
      for (let back = 6; back >= 2; back -= 1) this.shop.change('ads_live_day', [this.dayBefore(back)], { pv: 1 });
      this.shop.fill(yesterday, 0, 1440, 0.93);
      this.shop.fill(day, 0, minute + 1);
      this.shop.seedOrders(60, this.nowMs());
    }
    if (scene === 'filling') {
      for (let back = 6; back >= 2; back -= 1) this.shop.change('ads_live_day', [this.dayBefore(back)], { pv: 1 });
      this.shop.fill(yesterday, 0, 610, 0.93);
    }
  }

  nowMs() {
    return Date.now() + this.offsetMs;
  }

  moment() {
    const local = this.nowMs() + ZONE_MS;
    const start = Math.floor(local / DAY_MS) * DAY_MS;
    return { day: new Date(local).toISOString().slice(0, 10), minute: Math.floor((local - start) / 60_000), startOfDayMs: start - ZONE_MS };
  }

  dayBefore(days) {
    return new Date(this.nowMs() + ZONE_MS - days * DAY_MS).toISOString().slice(0, 10);
  }

  async listen(port = 0) {
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error) => {
        response.writeHead(500).end(String(error));
      });
    });
    await new Promise((done) => this.server.listen(port, '127.0.0.1', done));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  async close() {
    this.dropConnections();
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  /** Cuts every live connection. */
  dropConnections() {
    for (const client of this.live) client.response.destroy();
    this.live.clear();
  }

  async answer(request, response) {
    const url = new URL(request.url, 'http://x');
    const path = url.pathname;
    response.on('finish', () => {
      if (response.statusCode >= 400) this.refused.push(`${response.statusCode} ${path}`);
    });
    if (this.role !== 'admin' && this.isRefused(request, response, path)) return;
    if (path.startsWith('/collect/')) return this.collect(request, response, path.slice('/collect/'.length));
    if (path.startsWith('/api/') && this.isDown) return void response.destroy();
    if (path === '/api/v1/info') return json(response, this.info());
    if (path === '/api/v1/catalog') return json(response, { collections: this.collections().map((name) => ({ name, kind: 'view', rows: this.shop.tables[name]?.size ?? 1, columns: [] })) });
    if (path === '/api/v1/panels') return json(response, { panels: this.panels });
    if (path.startsWith('/api/v1/panels/')) return json(response, { epoch: this.shop.epoch, parameters: {}, columns: this.panels[0].columns, rows: [[1]] });
    if (path === '/api/v1/dead-letters') return json(response, { groups: { rows: [['orders', 'invoices', 'no number', 2, 0, null, null]] }, letters: { rows: [] } });
    if (path === '/metrics') return void response.end('# HELP sluice_epochs_total Epochs.\nsluice_epochs_total 3\n');
    if (path === '/readyz') return void response.end('ready');
    if (path === '/api/v1/models') return json(response, { layers: ['ods'], models: this.models });
    if (path.startsWith('/api/v1/alarms')) return this.alarm(request, response, path);
    if (path === '/api/v1/sql') return this.sql(request, response);
    if (path.startsWith('/api/v1/live/')) return this.watch(response, path.slice('/api/v1/live/'.length).split(','), url.searchParams);
    return this.file(response, path);
  }

  /** What there is: views of the shop, and tables of its own. */
  collections() {
    const names = [...Object.keys(this.shop.tables), ...this.models.map(({ name }) => name)];
    return names.filter((name) => !this.without.includes(name));
  }

  info() {
    return { name: this.name, version: '0.0.0', time_zone: 'Asia/Shanghai', currency: 'CNY', now: new Date(this.nowMs()).toISOString(), epoch: this.shop.epoch, uptime_s: 1, role: this.role, collections: this.collections(), panels: this.panels.map(({ name }) => name), sample_shop: this.hasSampleShop };
  }

  /** As the warehouse refuses those whose role is not enough. */
  isRefused(request, response, path) {
    const needed = path === '/api/v1/sql' || (path === '/api/v1/panels' && request.method === 'POST') ? 'analyst' : request.method === 'GET' ? 'reader' : 'admin';
    if (needed === 'reader' || (needed === 'analyst' && this.role === 'analyst')) return false;
    problem(response, 403, `this is for the role ${needed}; somebody has the role ${this.role}`, { role_needed: needed });
    return true;
  }

  watch(response, views, parameters) {
    const unknown = views.find((view) => this.shop.columns(view) === undefined || this.without.includes(view));
    if (unknown) return problem(response, 404, `there is no table or materialized view \`${unknown}\``);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const since = Object.fromEntries(views.map((view) => [view, /DATE '([\d-]+)'/.exec(parameters.get(`filter.${view}`) ?? '')?.[1] ?? '']));
    const client = { response, views, since };
    client.silent = views.filter((view) => parameters.get(`snapshot.${view}`) === 'none');
    this.snapshots(client);
    this.live.add(client);
    response.on('close', () => this.live.delete(client));
  }

  snapshots(client) {
    const { epoch } = this.shop;
    for (const view of client.views) {
      const rows = client.silent.includes(view) ? [] : this.shop.rows(view, client.since[view]);
      send(client, 'snapshot', epoch, { view, epoch, columns: this.shop.columns(view), rows });
    }
  }

  /** What `work` changes is told to nobody, as to a client that was too slow. */
  forget(work) {
    const clients = this.live;
    this.live = new Set();
    work();
    this.live = clients;
  }

  /** Every client begins again. */
  reset() {
    for (const client of this.live) {
      client.response.write('event: reset\ndata: {}\n\n');
      this.snapshots(client);
    }
  }

  tell(epoch, changes) {
    for (const client of this.live) {
      for (const view of client.views) {
        const told = (changes[view] ?? []).filter(([, row]) => view === 'dwd_trade_order' || row[0] >= client.since[view]);
        if (told.length > 0) send(client, 'delta', epoch, { view, epoch, changes: told });
      }
    }
  }

  async sql(request, response) {
    const { sql } = JSON.parse(await body(request));
    this.statements.push(sql);
    if (this.models.some(({ name }) => sql.includes(name)) || sql.includes('sluice_')) return json(response, { epoch: this.shop.epoch, columns: [{ name: 'id', type: 'Int64' }], rows: [] });
    if (!sql.includes('FROM dwd_trade_order')) return problem(response, 400, 'the mock server knows only the latest orders');
    const limit = Number(/LIMIT (\d+)/.exec(sql)?.[1] ?? 10);
    return json(response, { epoch: this.shop.epoch, columns: this.shop.columns('dwd_trade_order'), rows: this.shop.latestOrders(limit) });
  }

  async alarm(request, response, path) {
    if (request.method !== 'GET' && this.alarms.refusal) return problem(response, 403, this.alarms.refusal);
    if (request.method === 'GET') return json(response, this.alarms.answer());
    if (request.method === 'DELETE') {
      const id = Number(path.split('/').at(-1));
      this.alarms.silences = this.alarms.silences.filter((silence) => silence.id !== id);
      return void response.writeHead(204).end();
    }
    const wanted = JSON.parse(await body(request));
    this.silenced.push(wanted);
    return json(response, this.alarms.silence(wanted));
  }

  async collect(request, response, topic) {
    const text = await body(request);
    const records = text.trimStart().startsWith('[') ? JSON.parse(text) : text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
    const status = this.refusal?.status ?? 200;
    this.requests.push({ atMs: Date.now(), topic, records: records.length, status });
    if (this.refusal) {
      response.writeHead(status, { 'content-type': 'application/problem+json', ...(this.refusal.retryAfter ? { 'retry-after': String(this.refusal.retryAfter) } : {}) });
      return void response.end(JSON.stringify({ title: 'busy', status }));
    }
    const known = new Set(this.collected.map((record) => record.event_id));
    const { day, minute } = this.moment();
    for (const record of records) {
      if (known.has(record.event_id)) continue;
      known.add(record.event_id);
      this.collected.push(record);
      if (record.page) this.shop.pageView(day, minute, false);
    }
    if (this.loseAnswers) return void response.destroy();
    return json(response, { accepted: records.length });
  }

  async file(response, path) {
    const name = { '/': 'index.html', '/shop': 'shop.html' }[path] ?? path.slice(1);
    const place = normalize(join(DIST, name));
    try {
      if (!place.startsWith(DIST)) throw new Error('outside');
      const bytes = await readFile(place);
      response.writeHead(200, { 'content-type': TYPES[extname(place)] ?? 'application/octet-stream' }).end(bytes);
    } catch {
      problem(response, 404, `there is nothing at ${path}`);
    }
  }
}

function send({ response }, event, epoch, data) {
  response.write(`event: ${event}\nid: ${epoch}\ndata: ${JSON.stringify(data)}\n\n`);
}

function json(response, value) {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function problem(response, status, detail, more = {}) {
  response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ type: 'about:blank', title: 'problem', status, detail, ...more }));
}

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

/** `node e2e/mock-server.mjs [port]`: a shop that moves, to look at while the page is being made. */
if (process.argv[1] === import.meta.filename) {
  const mock = await new MockServer().listen(Number(process.argv[2] ?? 8080));
  console.log(mock.url);
  setInterval(() => {
    const { day, minute } = mock.moment();
    mock.shop.pageView(day, minute);
    if (Math.random() < 0.4) {
      const id = mock.shop.order(day, minute, (5 + 400 * Math.random()).toFixed(2), mock.nowMs());
      setTimeout(() => mock.shop.pay(id, day, minute), 4_000);
    }
  }, 300);
}
