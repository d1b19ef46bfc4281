/** Which language the page speaks, and how it writes numbers and times in it. */

import { toText, type Decimal } from '../model/decimal';
import { en, type Messages } from './en';
import { zh } from './zh';

export type Language = 'en' | 'zh';
export type { Messages };

export const MESSAGES: Record<Language, Messages> = { en, zh };

/** The first language of the reader that the page speaks. */
export function chooseLanguage(saved: string | null, preferred: readonly string[]): Language {
  if (saved === 'en' || saved === 'zh') return saved;
  for (const name of preferred) {
    const base = name.toLowerCase().split('-')[0];
    if (base === 'en' || base === 'zh') return base;
  }
  return 'en';
}

/** Numbers and times as this language and this shop write them. */
export class Format {
  private readonly counts: Intl.NumberFormat;
  private readonly moneys: Intl.NumberFormat;
  private readonly moneyWholes: Intl.NumberFormat;
  private readonly shorts: Intl.NumberFormat;
  private readonly moneyShorts: Intl.NumberFormat;
  private readonly percents: Intl.NumberFormat;
  private readonly times: Intl.DateTimeFormat;
  private readonly shortTimes: Intl.DateTimeFormat;
  private readonly dates: Intl.DateTimeFormat;
  private readonly days: Intl.DateTimeFormat;

  constructor(
    readonly locale: string,
    currency: string,
    timeZone: string,
  ) {
    const style: Intl.NumberFormatOptions = knownCurrency(currency)
      ? { style: 'currency', currency, currencyDisplay: 'narrowSymbol' }
      : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
    const short: Intl.NumberFormatOptions = { notation: 'compact', minimumFractionDigits: 0, maximumFractionDigits: 1 };
    this.counts = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
    this.moneys = new Intl.NumberFormat(locale, style);
    this.moneyWholes = new Intl.NumberFormat(locale, { ...style, minimumFractionDigits: 0, maximumFractionDigits: 0 });
    this.shorts = new Intl.NumberFormat(locale, short);
    this.moneyShorts = new Intl.NumberFormat(locale, { ...style, ...short });
    this.percents = new Intl.NumberFormat(locale, { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
    const clock: Intl.DateTimeFormatOptions = { timeZone, hourCycle: 'h23', hour: '2-digit', minute: '2-digit' };
    this.times = new Intl.DateTimeFormat(locale, { ...clock, second: '2-digit' });
    this.shortTimes = new Intl.DateTimeFormat(locale, clock);
    this.dates = new Intl.DateTimeFormat(locale, { timeZone, weekday: 'short', day: 'numeric', month: 'long' });
    this.days = new Intl.DateTimeFormat(locale, { timeZone: 'UTC', day: 'numeric', month: 'short' });
  }

  count(value: Decimal): string {
    return this.counts.format(exact(value));
  }

  money(value: Decimal): string {
    return this.moneys.format(exact(value));
  }

  /** Without digits behind the point, where there is no room for them. */
  whole(value: Decimal, form: 'money' | 'count'): string {
    return form === 'money' ? this.moneyWholes.format(exact(value)) : this.count(value);
  }

  value(value: Decimal, form: 'money' | 'count'): string {
    return form === 'money' ? this.money(value) : this.count(value);
  }

  /** The number, and apart from it the digits after the point. */
  parts(value: Decimal, form: 'money' | 'count'): { readonly whole: string; readonly fraction: string } {
    const parts = (form === 'money' ? this.moneys : this.counts).formatToParts(exact(value));
    const split = parts.findIndex(({ type }) => type === 'decimal');
    const text = (list: Intl.NumberFormatPart[]) => list.map((part) => part.value).join('');
    return split < 0 ? { whole: text(parts), fraction: '' } : { whole: text(parts.slice(0, split)), fraction: text(parts.slice(split)) };
  }

  /** For axes: `12K`, `1.2万`. */
  short(value: number, form: 'money' | 'count'): string {
    return (form === 'money' ? this.moneyShorts : this.shorts).format(value);
  }

  percent(value: number): string {
    return this.percents.format(value);
  }

  time(epochMs: number): string {
    return Number.isNaN(epochMs) ? '' : this.times.format(epochMs);
  }

  shortTime(epochMs: number): string {
    return Number.isNaN(epochMs) ? '' : this.shortTimes.format(epochMs);
  }

  date(epochMs: number): string {
    return this.dates.format(epochMs);
  }

  /** A day of the business calendar, `2026-11-20`. */
  day(day: string): string {
    return this.days.format(Date.parse(`${day}T00:00:00Z`));
  }
}

/** Formatted from its digits: a float would lose the last ones of great amounts. */
function exact(value: Decimal): Intl.StringNumericLiteral {
  return toText(value) as Intl.StringNumericLiteral;
}

function knownCurrency(currency: string): boolean {
  try {
    new Intl.NumberFormat('en', { style: 'currency', currency });
    return true;
  } catch {
    return false;
  }
}
