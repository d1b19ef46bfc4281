/**
 * Events on their way to the collector. An event stays, in memory and in the
 * browser's storage, until the server has acknowledged it: what is sent twice
 * is told apart there by its `event_id`.
 *
 * Functions instead of classes here and beside: their names can be shortened,
 * and the tracker is to be small.
 */

export interface QueuePorts {
  /** Sends a batch; the status and the header `Retry-After` of the answer. Rejects when there is none. */
  readonly send: (body: string) => Promise<readonly [status: number, retryAfter: string | null]>;
  /** `undefined` where the browser allows no storage. */
  readonly storage: Storage | undefined;
  readonly now: () => number;
  readonly random: () => number;
  readonly later: (work: () => void, ms: number) => unknown;
}

export interface Queue {
  add(event: object): void;
  /** Sends what waits, but not before the server wants to be asked again. */
  flush(): void;
  /** The connection is back: no reason to wait for the next attempt any longer. */
  online(): void;
  /** The page is going. The rest goes out as it can, and stays until another page has sent it. */
  leave(beacon: (body: string) => unknown): void;
  length(): number;
}

/** When it was last written; whether the page that wrote it is gone; the events. */
type Kept = [at: number, left: boolean, events: string[]];

const PREFIX = 'sluice.q.';
export const EVENTS_MAX = 1_000;
const BATCH_EVENTS_MAX = 100;
/** A request that outlives its page may carry 64 KiB, and a letter is up to three bytes. */
export const BATCH_LENGTH_MAX = 20_000;
const GATHER_MS = 40;
const RETRY_MS_FIRST = 1_000;
const RETRY_MS_MAX = 120_000;
/** A page that has not written for so long is taken for gone. */
const ABANDONED_MS = 300_000;

/** `name` tells this page from others that are open. */
export function makeQueue({ send, storage, now, random, later }: QueuePorts, name: string): Queue {
  let events: string[] = [];
  let isSending = false;
  let plannedMs = Infinity;
  let notBeforeMs = 0;
  /** What the server itself asked for; it holds even when the connection comes back. */
  let askedNotBeforeMs = 0;
  let failures = 0;
  let batchMax = BATCH_EVENTS_MAX;

  const plan = (ms: number) => {
    const at = Math.max(now() + ms, notBeforeMs);
    if (isSending || !events.length || at >= plannedMs) return;
    plannedMs = at;
    later(() => {
      // It may have been planned anew, for an earlier time.
      if (plannedMs !== at) return;
      plannedMs = Infinity;
      void sendBatch();
    }, at - now());
  };

  const sendBatch = async () => {
    if (isSending || !events.length) return;
    const batch = nextBatch();
    isSending = true;
    try {
      answered(batch, ...(await send(batch.join('\n'))));
    } catch {
      failed(0);
    }
    isSending = false;
    plan(0);
  };

  const answered = (batch: string[], status: number, retryAfter: string | null) => {
    if (status >= 200 && status < 300) {
      failures = notBeforeMs = askedNotBeforeMs = 0;
      batchMax = BATCH_EVENTS_MAX;
      forget(batch);
    } else if (status === 400 || status === 413 || status === 422) {
      // Something in it is not wanted: alone, an event costs only itself.
      if (batch.length < 2) forget(batch);
      batchMax = Math.max(1, batch.length >> 1);
    } else {
      failed(retryAfterMs(retryAfter, now()));
    }
  };

  const failed = (askedMs: number) => {
    const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** failures) * (0.75 + random() / 2);
    failures += 1;
    askedNotBeforeMs = now() + askedMs;
    notBeforeMs = now() + Math.max(waitMs, askedMs);
  };

  const nextBatch = () => {
    let length = 0;
    const tooMany = events.findIndex((event, place) => {
      length += event.length + 1;
      return place > 0 && (place >= batchMax || length > BATCH_LENGTH_MAX);
    });
    return tooMany < 0 ? events : events.slice(0, tooMany);
  };

  const forget = (batch: string[]) => {
    events = events.filter((event) => !batch.includes(event));
    save();
  };

  const save = (left = false) => {
    try {
      if (events.length) storage?.setItem(PREFIX + name, JSON.stringify([now(), left, events] satisfies Kept));
      else storage?.removeItem(PREFIX + name);
    } catch {
      // The storage is full or forbidden: memory still holds the events.
    }
  };

  /** Takes over what pages before this one could not send. */
  const adopt = () => {
    for (const key of Object.keys(storage ?? {})) {
      if (!key.startsWith(PREFIX)) continue;
      try {
        const [at, left, kept] = JSON.parse(storage!.getItem(key)!) as Kept;
        if (!left && now() - at < ABANDONED_MS) continue;
        events.push(...kept);
      } catch {
        // It cannot be read: nothing can be saved of it.
      }
      save();
      storage!.removeItem(key);
    }
    plan(0);
  };

  adopt();
  return {
    add: (event) => {
      // The oldest go first: the storage of a browser is small.
      events = [...events, JSON.stringify(event)].slice(-EVENTS_MAX);
      save();
      plan(GATHER_MS);
    },
    flush: () => plan(0),
    online: () => {
      notBeforeMs = askedNotBeforeMs;
      plan(0);
    },
    leave: (beacon) => {
      save(true);
      if (events.length && askedNotBeforeMs <= now()) beacon(nextBatch().join('\n'));
    },
    length: () => events.length,
  };
}

/** `Retry-After` is seconds or a date. */
export function retryAfterMs(value: string | null, nowMs: number): number {
  if (!value) return 0;
  const ms = +value * 1000 || Date.parse(value) - nowMs;
  return ms > 0 ? ms : 0;
}
