/** Which device this is, and which visit. */

const DEVICE = 'sluice.device';
const SESSION = 'sluice.session';
/** A visit ends after half an hour without an event. */
export const IDLE_MS_MAX = 1_800_000;

interface Device {
  mid: string;
  /** The device's first day. */
  day: string;
}

interface Session {
  sid: string;
  /** Its latest event. */
  at: number;
  /** Its latest page. */
  page?: string | undefined;
}

export interface Visit {
  readonly mid: string;
  readonly sid: string;
  readonly is_new: '0' | '1';
}

/** Random where the browser offers no `randomUUID` (it does so only on secure pages). */
export function uuid(): string {
  const source = globalThis.crypto;
  if (source?.randomUUID) return source.randomUUID();
  const bytes = Array.from({ length: 16 }, () => Math.floor(Math.random() * 256));
  if (source?.getRandomValues) source.getRandomValues(new Uint8Array(16)).forEach((byte, place) => (bytes[place] = byte));
  bytes[6] = (bytes[6]! & 15) | 64;
  bytes[8] = (bytes[8]! & 63) | 128;
  return bytes.map((byte, place) => ([4, 6, 8, 10].includes(place) ? '-' : '') + (256 + byte).toString(16).slice(1)).join('');
}

export class Identity {
  /** What is known where nothing can be stored. */
  private readonly memory: Record<string, unknown> = {};

  constructor(
    private readonly storage: Storage | undefined,
    private readonly now: () => number,
  ) {}

  /** The visit that an event of now belongs to. */
  visit(): Visit {
    const device = this.device();
    const { sid } = this.session();
    return { mid: device.mid, sid, is_new: device.day === this.today() ? '1' : '0' };
  }

  /** Notes a page, and tells the one before it in the same visit. */
  page(pageId: string): string | undefined {
    const session = this.session();
    const before = session.page;
    this.write(SESSION, { ...session, page: pageId });
    return before;
  }

  private device(): Device {
    const known = this.read<Device>(DEVICE);
    if (known?.mid) return known;
    const device: Device = { mid: uuid(), day: this.today() };
    this.write(DEVICE, device);
    return device;
  }

  private session(): Session {
    const known = this.read<Session>(SESSION);
    const at = this.now();
    const isOver = !known?.sid || at - known.at > IDLE_MS_MAX;
    const session: Session = isOver ? { sid: uuid(), at } : { ...known, at };
    this.write(SESSION, session);
    return session;
  }

  private today(): string {
    const date = new Date(this.now());
    return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
  }

  private read<T>(name: string): T | undefined {
    try {
      const text = this.storage?.getItem(name);
      if (text) return JSON.parse(text) as T;
    } catch {
      // Unreadable is the same as absent.
    }
    return this.memory[name] as T | undefined;
  }

  private write(name: string, value: unknown): void {
    this.memory[name] = value;
    try {
      this.storage?.setItem(name, JSON.stringify(value));
    } catch {
      // Memory holds it as long as the page is open.
    }
  }
}
