/** Days and minutes as the shop counts them, in its own time zone. */

export interface BusinessMoment {
  /** `2026-11-20` */
  readonly day: string;
  /** Minute of the day, 0 to 1439. */
  readonly minute: number;
  /** Second of the minute, 0 to 59. */
  readonly second: number;
}

export const MINUTES_A_DAY = 1440;
const DAY_MS = 86_400_000;

export class BusinessClock {
  readonly timeZone: string;
  private readonly parts: Intl.DateTimeFormat;
  /** How far the warehouse's clock is ahead of this machine's. */
  private aheadMs: number;

  /** `warehouseNow` is the warehouse's time at the moment of the call. */
  constructor(
    timeZone: string,
    warehouseNow?: string,
    private readonly machineNow: () => number = Date.now,
  ) {
    this.timeZone = knownTimeZone(timeZone);
    this.parts = new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', {
      timeZone: this.timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    const given = warehouseNow === undefined ? NaN : Date.parse(warehouseNow);
    this.aheadMs = Number.isNaN(given) ? 0 : given - machineNow();
  }

  /** Milliseconds since 1970 by the warehouse's clock. */
  nowMs(): number {
    return this.machineNow() + this.aheadMs;
  }

  now(): BusinessMoment {
    return this.momentOf(this.nowMs());
  }

  momentOf(epochMs: number): BusinessMoment {
    const found: Record<string, string> = {};
    for (const { type, value } of this.parts.formatToParts(epochMs)) found[type] = value;
    const number = (name: string) => Number(found[name] ?? 0);
    return {
      day: `${(found['year'] ?? '').padStart(4, '0')}-${found['month']}-${found['day']}`,
      minute: number('hour') * 60 + number('minute'),
      second: number('second'),
    };
  }

  /** When a day begins, in milliseconds since 1970. */
  startOfDayMs(day: string): number {
    const wanted = Date.parse(`${day}T00:00:00Z`);
    let guess = wanted;
    // Twice, because the offset at the first guess may be that of before a change of the clocks.
    for (let round = 0; round < 2; round += 1) guess = wanted - this.offsetMs(guess);
    return guess;
  }

  private offsetMs(epochMs: number): number {
    const { day, minute, second } = this.momentOf(epochMs);
    const local = Date.parse(`${day}T00:00:00Z`) + (minute * 60 + second) * 1000;
    return local - Math.floor(epochMs / 1000) * 1000;
  }
}

/** `day` moved by whole days of the calendar. */
export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** `754` is `12:34`. */
export function minuteText(minute: number): string {
  const pad = (value: number) => String(value).padStart(2, '0');
  return `${pad(Math.floor(minute / 60))}:${pad(minute % 60)}`;
}

function knownTimeZone(timeZone: string): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return timeZone;
  } catch {
    // A browser that does not know the zone still shows the page.
    return 'UTC';
  }
}
