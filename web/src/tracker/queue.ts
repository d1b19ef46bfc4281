/**
 * Events on their way to the collector. An event stays, in memory and in the
 * browser's storage, until the server has acknowledged it: what is sent twice
 * is told apart there by its `event_id`.
 */

export interface QueuePorts {
  /** Sends a batch; the status and the header `Retry-After` of the answer. Rejects when there is none. */
  readonly send: (body: string) => Promise<{ readonly status: number; readonly retryAfter: string | null }>;
  /** `undefined` where the browser allows no storage. */
  readonly storage: Storage | undefined;
  readonly now: () => number;
  readonly random: () => number;
  readonly later: (work: () => void, ms: number) => unknown;
}

interface Kept {
  /** When it was last written. */
  at: number;
  /** The page that wrote it is gone. */
  left: boolean;
  events: string[];
}

const PREFIX = 'sluice.q.';
export const EVENTS_MAX = 1_000;
const BATCH_EVENTS_MAX = 100;
/** A request that outlives its page may carry 64 KiB. */
const BATCH_LENGTH_MAX = 50_000;
const GATHER_MS = 40;
const RETRY_MS_FIRST = 1_000;
const RETRY_MS_MAX = 120_000;
/** A page that has not written for so long is taken for gone. */
const ABANDONED_MS = 300_000;

export class Queue {
  private events: string[] = [];
  private isSending = false;
  private isPlanned = false;
  private notBeforeMs = 0;
  /** What the server itself asked for; it holds even when the connection comes back. */
  private askedNotBeforeMs = 0;
  private failures = 0;
  private batchMax = BATCH_EVENTS_MAX;

  constructor(
    private readonly ports: QueuePorts,
    /** Tells this page from others that are open. */
    private readonly name: string,
  ) {
    this.adopt();
  }

  get length(): number {
    return this.events.length;
  }

  add(event: object): void {
    this.events.push(JSON.stringify(event));
    // The oldest go first: the storage of a browser is small.
    if (this.events.length > EVENTS_MAX) this.events.splice(0, this.events.length - EVENTS_MAX);
    this.save();
    this.plan(GATHER_MS);
  }

  /** Sends what waits, but not before the server wants to be asked again. */
  flush(): void {
    this.plan(0);
  }

  /** The connection is back: no reason to wait for the next attempt any longer. */
  online(): void {
    if (this.failures > 0) this.notBeforeMs = Math.min(this.notBeforeMs, this.askedNotBeforeMs);
    this.flush();
  }

  /** The page is going. The rest goes out as it can, and stays until another page has sent it. */
  leave(beacon: (body: string) => boolean): void {
    this.save(true);
    const batch = this.batch();
    if (batch.length > 0 && this.askedNotBeforeMs <= this.ports.now()) beacon(batch.join('\n'));
  }

  private plan(ms: number): void {
    if (this.isPlanned || this.isSending || this.events.length === 0) return;
    this.isPlanned = true;
    this.ports.later(() => {
      this.isPlanned = false;
      void this.sendBatch();
    }, Math.max(ms, this.notBeforeMs - this.ports.now()));
  }

  private async sendBatch(): Promise<void> {
    const batch = this.batch();
    if (batch.length === 0 || this.isSending) return;
    this.isSending = true;
    try {
      const { status, retryAfter } = await this.ports.send(batch.join('\n'));
      this.answered(batch, status, retryAfter);
    } catch {
      this.failed(0);
    }
    this.isSending = false;
    this.plan(0);
  }

  private answered(batch: string[], status: number, retryAfter: string | null): void {
    if (status >= 200 && status < 300) {
      this.failures = 0;
      this.notBeforeMs = 0;
      this.batchMax = BATCH_EVENTS_MAX;
      this.forget(batch);
    } else if (status === 400 || status === 413 || status === 422) {
      // Something in it is not wanted: alone, an event costs only itself.
      if (batch.length === 1) this.forget(batch);
      this.batchMax = Math.max(1, batch.length >> 1);
    } else {
      this.failed(retryAfterMs(retryAfter, this.ports.now()));
    }
  }

  private failed(askedMs: number): void {
    const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** this.failures) * (0.75 + this.ports.random() / 2);
    this.failures += 1;
    const now = this.ports.now();
    this.askedNotBeforeMs = now + askedMs;
    this.notBeforeMs = now + Math.max(waitMs, askedMs);
  }

  private batch(): string[] {
    const batch: string[] = [];
    let length = 0;
    for (const event of this.events) {
      length += event.length + 1;
      if (batch.length > 0 && (batch.length >= this.batchMax || length > BATCH_LENGTH_MAX)) break;
      batch.push(event);
    }
    return batch;
  }

  private forget(batch: string[]): void {
    const sent = new Set(batch);
    this.events = this.events.filter((event) => !sent.has(event));
    this.save();
  }

  private save(left = false): void {
    const { storage, now } = this.ports;
    try {
      if (this.events.length === 0) storage?.removeItem(PREFIX + this.name);
      else storage?.setItem(PREFIX + this.name, JSON.stringify({ at: now(), left, events: this.events } satisfies Kept));
    } catch {
      // The storage is full or forbidden: memory still holds the events.
    }
  }

  /** Takes over what pages before this one could not send. */
  private adopt(): void {
    const { storage, now } = this.ports;
    if (storage === undefined) return;
    const names = Array.from({ length: storage.length }, (_, place) => storage.key(place) ?? '');
    for (const name of names.filter((each) => each.startsWith(PREFIX))) {
      try {
        const kept = JSON.parse(storage.getItem(name) ?? '') as Kept;
        if (!kept.left && now() - kept.at < ABANDONED_MS) continue;
        this.events.push(...kept.events);
      } catch {
        // It cannot be read: nothing can be saved of it.
      }
      this.save();
      storage.removeItem(name);
    }
    this.plan(0);
  }
}

/** `Retry-After` is seconds or a date. */
export function retryAfterMs(value: string | null, nowMs: number): number {
  if (value === null || value === '') return 0;
  const seconds = Number(value);
  const ms = Number.isNaN(seconds) ? Date.parse(value) - nowMs : seconds * 1000;
  return Number.isNaN(ms) ? 0 : Math.max(0, ms);
}
