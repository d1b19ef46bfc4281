import { beforeEach, describe, expect, it } from 'vitest';
import { makeEvents, type Fields } from '../src/tracker/events';
import { IDLE_MS_MAX, makeIdentity, uuid } from '../src/tracker/identity';
import { EVENTS_MAX, makeQueue, retryAfterMs, type Queue } from '../src/tracker/queue';

/** A browser's storage: its keys are its own properties. */
function memoryStorage(): Storage {
  const storage = Object.create({
    getItem(this: Record<string, string>, key: string) {
      return this[key] ?? null;
    },
    setItem(this: Record<string, string>, key: string, value: string) {
      this[key] = value;
    },
    removeItem(this: Record<string, string>, key: string) {
      delete this[key];
    },
  }) as Storage;
  return storage;
}

/** A world with a clock of its own and a server that answers as it is told. */
class World {
  now = 1_000_000;
  readonly storage = memoryStorage();
  readonly sent: { atMs: number; events: { n: number }[] }[] = [];
  answer: () => readonly [number, string | null] | 'lost' = () => [200, null];
  private timers: { atMs: number; work: () => void }[] = [];

  queue(name = 'page'): Queue {
    return makeQueue(
      {
        send: async (body) => {
          this.sent.push({ atMs: this.now, events: body.split('\n').map((line) => JSON.parse(line) as { n: number }) });
          const answer = this.answer();
          if (answer === 'lost') throw new TypeError('no answer');
          return answer;
        },
        storage: this.storage,
        now: () => this.now,
        random: () => 0.5,
        later: (work, ms) => this.timers.push({ atMs: this.now + ms, work }),
      },
      name,
    );
  }

  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      this.timers.sort((a, b) => a.atMs - b.atMs);
      const next = this.timers[0];
      if (next === undefined || next.atMs > end) break;
      this.timers.shift();
      this.now = Math.max(this.now, next.atMs);
      next.work();
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    }
    this.now = end;
  }

  get kept(): string[] {
    return Object.keys(this.storage);
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe('the queue of the tracker', () => {
  it('sends what comes together in one batch, and forgets it once it is taken', async () => {
    const queue = world.queue();
    queue.add({ n: 1 });
    queue.add({ n: 2 });
    expect(world.kept).toHaveLength(1);
    await world.pass(100);
    expect(world.sent.map(({ events }) => events)).toEqual([[{ n: 1 }, { n: 2 }]]);
    expect(queue.length()).toBe(0);
    expect(world.kept).toHaveLength(0);
  });

  it('keeps events until the server has acknowledged them, waiting longer each time', async () => {
    world.answer = () => 'lost';
    const queue = world.queue();
    queue.add({ n: 1 });
    await world.pass(40);
    await world.pass(60_000);
    const times = world.sent.map(({ atMs }) => atMs);
    const waits = times.slice(1).map((at, place) => at - times[place]!);
    expect(waits.slice(0, 5)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
    expect(queue.length()).toBe(1);
    world.answer = () => [200, null];
    await world.pass(60_000);
    expect(queue.length()).toBe(0);
  });

  it('waits as long as Retry-After says, also when the connection comes back', async () => {
    world.answer = () => [429, '30'];
    const queue = world.queue();
    queue.add({ n: 1 });
    await world.pass(29_000);
    queue.online();
    queue.add({ n: 2 });
    await world.pass(500);
    expect(world.sent).toHaveLength(1);
    world.answer = () => [200, null];
    await world.pass(1_000);
    expect(world.sent).toHaveLength(2);
    expect(queue.length()).toBe(0);
  });

  it('tries at once when the connection comes back', async () => {
    world.answer = () => 'lost';
    const queue = world.queue();
    queue.add({ n: 1 });
    await world.pass(20_000);
    const before = world.sent.length;
    world.answer = () => [200, null];
    queue.online();
    await world.pass(1);
    expect(world.sent).toHaveLength(before + 1);
    expect(queue.length()).toBe(0);
  });

  it('lets one bad event cost only itself', async () => {
    const queue = world.queue();
    const send = world.sent;
    world.answer = () => (send.at(-1)!.events.some(({ n }) => n === 5) ? [400, null] : [200, null]);
    for (let n = 0; n < 10; n += 1) queue.add({ n });
    await world.pass(5_000);
    expect(queue.length()).toBe(0);
    const taken = send.filter(({ events }) => !events.some(({ n }) => n === 5)).flatMap(({ events }) => events.map(({ n }) => n));
    expect([...new Set(taken)].sort()).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9]);
  });

  it('is bounded: the oldest events go first', async () => {
    world.answer = () => 'lost';
    const queue = world.queue();
    for (let n = 0; n < EVENTS_MAX + 50; n += 1) queue.add({ n });
    expect(queue.length()).toBe(EVENTS_MAX);
    world.answer = () => [200, null];
    await world.pass(400_000);
    const numbers = world.sent.flatMap(({ events }) => events.map(({ n }) => n));
    expect(numbers).toContain(EVENTS_MAX + 49);
    expect(numbers).not.toContain(3);
    expect(Math.max(...world.sent.map(({ events }) => events.length))).toBeLessThanOrEqual(100);
  });

  it('hands over to the next page what this one could not send', async () => {
    world.answer = () => 'lost';
    const first = world.queue('first');
    first.add({ n: 1 });
    await world.pass(100);
    const beacons: string[] = [];
    first.leave((body) => beacons.push(body));
    expect(beacons).toEqual(['{"n":1}']);
    world.answer = () => [200, null];
    const second = world.queue('second');
    expect(second.length()).toBe(1);
    await world.pass(100);
    expect(world.sent.at(-1)?.events).toEqual([{ n: 1 }]);
    expect(world.kept).toHaveLength(0);
  });

  it('leaves the events of a page that is still open to it, and takes those of one that crashed', async () => {
    world.answer = () => 'lost';
    world.queue('open').add({ n: 1 });
    expect(world.queue('other').length()).toBe(0);
    await world.pass(400_000);
    expect(world.queue('later').length()).toBe(1);
  });

  it('works where nothing can be stored', async () => {
    const { storage } = world;
    storage.setItem = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
    const queue = world.queue();
    queue.add({ n: 1 });
    await world.pass(100);
    expect(world.sent).toHaveLength(1);
    expect(queue.length()).toBe(0);
  });

  it('reads Retry-After as seconds and as a date', () => {
    expect(retryAfterMs('7', 0)).toBe(7_000);
    expect(retryAfterMs('Thu, 01 Jan 1970 00:00:09 GMT', 4_000)).toBe(5_000);
    expect(retryAfterMs('soon', 0)).toBe(0);
    expect(retryAfterMs(null, 0)).toBe(0);
  });
});

describe('visits', () => {
  it('ends a visit after 30 idle minutes', () => {
    let now = 5_000_000;
    const identity = makeIdentity(memoryStorage(), () => now);
    const first = identity.visit();
    now += IDLE_MS_MAX;
    expect(identity.visit().sid).toBe(first.sid);
    now += IDLE_MS_MAX + 1;
    const second = identity.visit();
    expect(second.sid).not.toBe(first.sid);
    expect(second.mid).toBe(first.mid);
  });

  it('remembers the page before, within one visit', () => {
    let now = 5_000_000;
    const storage = memoryStorage();
    expect(makeIdentity(storage, () => now).page('home')).toBeUndefined();
    expect(makeIdentity(storage, () => now).page('good_detail')).toBe('home');
    now += IDLE_MS_MAX + 1;
    expect(makeIdentity(storage, () => now).page('cart')).toBeUndefined();
  });

  it('says that a device is new on its first day only', () => {
    let now = Date.parse('2026-11-20T12:00:00');
    const identity = makeIdentity(memoryStorage(), () => now);
    expect(identity.visit().is_new).toBe('1');
    now += 3_600_000;
    expect(identity.visit().is_new).toBe('1');
    now += 86_400_000;
    expect(identity.visit().is_new).toBe('0');
  });

  it('keeps device and visit in memory where nothing can be stored', () => {
    const identity = makeIdentity(undefined, () => 7);
    expect(identity.visit()).toEqual(identity.visit());
  });

  it('makes ids also where the browser has no randomUUID', () => {
    const original = crypto.randomUUID;
    Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true });
    try {
      expect(uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    } finally {
      Object.defineProperty(crypto, 'randomUUID', { value: original, configurable: true });
    }
  });
});

describe('records', () => {
  it('have the form of the behaviour log', () => {
    const taken: Fields[] = [];
    const events = makeEvents({ ar: '110000', ch: 'web' }, makeIdentity(memoryStorage(), () => 42), () => 42, (event) => taken.push(JSON.parse(JSON.stringify(event)) as Fields));
    events.page({ page_id: 'home' });
    events.page({ page_id: 'good_detail', item: '3', item_type: 'sku_id' });
    events.actions([{ action_id: 'cart_add', item: '3', item_type: 'sku_id' }]);
    events.displays([{ display_type: 'recommend', item: '4' }]);
    events.error({ error_code: 1, msg: 'x is not defined' });
    expect(taken[0]).toMatchObject({ common: { ar: '110000', ch: 'web', is_new: '1' }, page: { page_id: 'home' }, ts: 42 });
    expect(taken[0]!['page']).not.toHaveProperty('last_page_id');
    expect(taken[1]).toMatchObject({ page: { page_id: 'good_detail', last_page_id: 'home', item: '3', item_type: 'sku_id' } });
    expect(taken[2]).toMatchObject({ actions: [{ action_id: 'cart_add', item: '3', ts: 42, page_id: 'good_detail' }] });
    expect(taken[2]).not.toHaveProperty('page');
    expect(taken[3]).toMatchObject({ displays: [{ display_type: 'recommend', item: '4' }] });
    expect(taken[4]).toMatchObject({ err: { error_code: 1 } });
    expect(new Set(taken.map((event) => event['event_id'])).size).toBe(5);
  });
});
