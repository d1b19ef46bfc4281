/** Which device this is, and which visit. */

const DEVICE = 'sluice.device';
const SESSION = 'sluice.session';
/** A visit ends after half an hour without an event. */
export const IDLE_MS_MAX = 1_800_000;

/** Its id, and its first day. */
type Device = [mid: string, day: string];
/** Its id, its latest event, its latest page. */
type Session = [sid: string, at: number, page?: string];

export interface Visit {
  readonly mid: string;
  readonly sid: string;
  readonly is_new: '0' | '1';
}

export interface Identity {
  /** The visit that an event of now belongs to. */
  visit(): Visit;
  /** Notes a page, and tells the one before it in the same visit. */
  page(pageId: string): string | undefined;
}

/** Random where the browser offers no `randomUUID`: it does so only on secure pages. */
export function uuid(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 15) | 64;
  bytes[8] = (bytes[8]! & 63) | 128;
  const text = Array.from(bytes, (byte) => (byte + 256).toString(16).slice(1)).join('');
  return text.replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export function makeIdentity(storage: Storage | undefined, now: () => number): Identity {
  /** What is known where nothing can be stored. */
  const memory: Record<string, string> = {};

  const read = <T>(name: string): T | undefined => {
    try {
      return JSON.parse(storage?.getItem(name) ?? memory[name] ?? '') as T;
    } catch {
      // Unreadable is the same as absent.
      return undefined;
    }
  };

  const write = <T>(name: string, value: T): T => {
    memory[name] = JSON.stringify(value);
    try {
      storage?.setItem(name, memory[name]);
    } catch {
      // Memory holds it as long as the page is open.
    }
    return value;
  };

  const session = (): Session => {
    const [sid, at, page] = read<Session>(SESSION) ?? ['', 0];
    const isOver = !sid || now() - at > IDLE_MS_MAX;
    return write(SESSION, isOver ? [uuid(), now()] : [sid, now(), page!]);
  };

  return {
    visit: () => {
      const today = new Date(now()).toDateString();
      const [mid, day] = read<Device>(DEVICE) ?? write<Device>(DEVICE, [uuid(), today]);
      return { mid, sid: session()[0], is_new: day === today ? '1' : '0' };
    },
    page: (pageId) => {
      const [sid, at, before] = session();
      write(SESSION, [sid, at, pageId]);
      return before ?? undefined;
    },
  };
}
