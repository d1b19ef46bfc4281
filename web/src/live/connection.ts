/** One live connection: it is opened again whenever it ends, and knows when it is dead. */

import { EventStreamReader, readEvent, type AccessRole, type LiveEvent } from './protocol';

export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** Lost; it is tried again at `retryAtMs` of this machine's clock. */
  | { readonly kind: 'waiting'; readonly retryAtMs: number; readonly detail: string }
  /** The server will not answer this request, however often it is asked. */
  | { readonly kind: 'refused'; readonly status: number; readonly detail: string };

export interface ConnectionOptions {
  /** The address, asked for before every attempt: days move on. */
  readonly address: () => string;
  readonly onOpen: () => void;
  readonly onEvent: (event: LiveEvent) => void;
  readonly onState: (state: ConnectionState) => void;
  readonly fetch?: typeof fetch;
  readonly random?: () => number;
}

/** The server shows every 15 s that it lives; two of these lost and a little more. */
const SILENCE_MS_MAX = 40_000;
const RETRY_MS_FIRST = 500;
const RETRY_GROWTH = 1.6;
const RETRY_MS_MAX = 15_000;
const SOUND_MS_MIN = 2_000;

export class LiveConnection {
  private attempt = 0;
  private liveSinceMs: number | undefined;
  private generation = 0;
  private aborter: AbortController | undefined;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private silenceTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: ConnectionOptions) {}

  /** Connects, or connects again at once with an address of now. */
  connect(): void {
    this.stop();
    const generation = this.generation;
    this.options.onState({ kind: 'connecting' });
    this.run(generation).catch((error: unknown) => this.lost(generation, textOf(error)));
  }

  stop(): void {
    this.generation += 1;
    this.liveSinceMs = undefined;
    this.aborter?.abort();
    clearTimeout(this.retryTimer);
    clearTimeout(this.silenceTimer);
  }

  private async run(generation: number): Promise<void> {
    const aborter = new AbortController();
    this.aborter = aborter;
    this.watchSilence(generation);
    const response = await (this.options.fetch ?? fetch)(this.options.address(), {
      headers: { accept: 'text/event-stream' },
      cache: 'no-store',
      signal: aborter.signal,
    });
    if (generation !== this.generation) return;
    if (!response.ok || response.body === null) {
      await this.answered(generation, response);
      return;
    }
    this.options.onOpen();
    await this.read(generation, response.body);
    this.lost(generation, '');
  }

  private async read(generation: number, body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = new EventStreamReader((name, data) => this.received(generation, name, data));
    const decoder = new TextDecoder();
    const chunks = body.getReader();
    for (;;) {
      const { done, value } = await chunks.read();
      if (done || generation !== this.generation) return;
      this.watchSilence(generation);
      reader.push(decoder.decode(value, { stream: true }));
    }
  }

  private received(generation: number, name: string, data: string): void {
    if (generation !== this.generation) return;
    const event = readEvent(name, data);
    if (event === undefined) return;
    if (event.kind === 'snapshot' && this.liveSinceMs === undefined) {
      this.liveSinceMs = Date.now();
      this.options.onState({ kind: 'live' });
    }
    this.options.onEvent(event);
    // What a view holds is unknown from here on: begin again.
    if (event.kind === 'problem') this.lost(generation, event.detail);
  }

  private async answered(generation: number, response: Response): Promise<void> {
    const { detail } = await problemOf(response);
    if (generation !== this.generation) return;
    const isRefusal = response.status >= 400 && response.status < 500 && response.status !== 408 && response.status !== 429;
    if (isRefusal) {
      this.stop();
      this.options.onState({ kind: 'refused', status: response.status, detail });
      return;
    }
    this.lost(generation, detail, Number(response.headers.get('retry-after') ?? 0) * 1000);
  }

  private lost(generation: number, detail: string, leastMs = 0): void {
    if (generation !== this.generation) return;
    // Only a connection that lasted makes up for the failed ones before it.
    if (this.liveSinceMs !== undefined && Date.now() - this.liveSinceMs > SOUND_MS_MIN) this.attempt = 0;
    this.stop();
    const longest = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * RETRY_GROWTH ** this.attempt);
    this.attempt += 1;
    // Spread, so that many pages do not come back in the same moment.
    const spread = 0.75 + 0.5 * (this.options.random ?? Math.random)();
    const waitMs = Math.max(longest * spread, Number.isFinite(leastMs) ? leastMs : 0);
    this.options.onState({ kind: 'waiting', retryAtMs: Date.now() + waitMs, detail });
    this.retryTimer = setTimeout(() => this.connect(), waitMs);
  }

  private watchSilence(generation: number): void {
    clearTimeout(this.silenceTimer);
    this.silenceTimer = setTimeout(() => this.lost(generation, ''), SILENCE_MS_MAX);
  }
}

/** What a refusal says. */
export interface Problem {
  readonly detail: string;
  /** The least role that is answered, where another one would be. */
  readonly roleNeeded: AccessRole | undefined;
}

export async function problemOf(response: Response): Promise<Problem> {
  try {
    const problem = (await response.json()) as { detail?: string; title?: string; role_needed?: AccessRole };
    return { detail: problem.detail ?? problem.title ?? `HTTP ${response.status}`, roleNeeded: problem.role_needed };
  } catch {
    return { detail: `HTTP ${response.status}`, roleNeeded: undefined };
  }
}

function textOf(error: unknown): string {
  return error instanceof Error && error.name !== 'AbortError' && !(error instanceof TypeError) ? error.message : '';
}
