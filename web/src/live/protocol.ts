/** What the warehouse says: the forms of its answers and of its live events. */

export type Cell = string | number | boolean | null;
export type Row = readonly Cell[];
/** A row and how often it comes (positive) or goes (negative). */
export type Change = readonly [weight: number, row: Row];

export interface Column {
  readonly name: string;
  readonly type: string;
}

/** What a user may do; each may do what those before it may. */
export type AccessRole = 'reader' | 'analyst' | 'admin';

export interface Info {
  readonly name: string;
  readonly version: string;
  readonly time_zone: string;
  readonly currency: string;
  readonly now: string;
  readonly epoch: number;
  readonly uptime_s: number;
  /** Of whoever asks; without users everybody is an admin. */
  readonly role: AccessRole;
  /** Names of all tables and materialized views: what can be followed live. */
  readonly collections: readonly string[];
  readonly panels: readonly string[];
  /** Whether what is clicked in the sample shop belongs into this warehouse. */
  readonly sample_shop: boolean;
}

export interface SqlAnswer {
  readonly epoch: number;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

export type LiveEvent =
  | { readonly kind: 'snapshot'; readonly view: string; readonly epoch: number; readonly columns: readonly Column[]; readonly rows: readonly Row[] }
  | { readonly kind: 'delta'; readonly view: string; readonly epoch: number; readonly changes: readonly Change[] }
  /** This client was too slow; snapshots of every view follow. */
  | { readonly kind: 'reset' }
  /** A view could not be sent; what is known of it can no longer be trusted. */
  | { readonly kind: 'problem'; readonly view: string; readonly detail: string };

/** Understands one event of the stream; `undefined` for kinds that are not known here. */
export function readEvent(event: string, data: string): LiveEvent | undefined {
  switch (event) {
    case 'snapshot':
      return { kind: 'snapshot', ...JSON.parse(data) };
    case 'delta':
      return { kind: 'delta', ...JSON.parse(data) };
    case 'problem':
      return { kind: 'problem', ...JSON.parse(data) };
    case 'reset':
      return { kind: 'reset' };
    default:
      return undefined;
  }
}

/** Takes the text of an event stream apart, however it is cut into pieces. */
export class EventStreamReader {
  private rest = '';
  private event = '';
  private data: string[] = [];

  constructor(private readonly onEvent: (event: string, data: string) => void) {}

  push(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.line(line.endsWith('\r') ? line.slice(0, -1) : line);
  }

  private line(line: string): void {
    if (line === '') {
      if (this.data.length > 0) this.onEvent(this.event || 'message', this.data.join('\n'));
      this.event = '';
      this.data = [];
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const raw = colon < 0 ? '' : line.slice(colon + 1);
    const value = raw.startsWith(' ') ? raw.slice(1) : raw;
    if (field === 'event') this.event = value;
    else if (field === 'data') this.data.push(value);
  }
}

/** Which views to follow, and which of their rows. */
export interface WatchedView {
  readonly view: string;
  /** A SQL condition on the view's columns. */
  readonly filter?: string;
  readonly snapshot?: 'none';
}

export function liveAddress(views: readonly WatchedView[]): string {
  const parameters = new URLSearchParams();
  for (const { view, filter, snapshot } of views) {
    if (filter !== undefined) parameters.set(`filter.${view}`, filter);
    if (snapshot !== undefined) parameters.set(`snapshot.${view}`, snapshot);
  }
  const names = views.map(({ view }) => view).join(',');
  return `/api/v1/live/${names}?${parameters.toString()}`;
}
