/** How values of panels are written for this reader. */

import type { Language } from '../i18n';
import { ENGLISH_PROVINCES } from '../i18n/provinces';
import type { Cell } from '../live/protocol';
import type { Form, PanelColumn, Words } from './api';

export class Writer {
  private readonly moneys: Intl.NumberFormat;
  private readonly shortMoneys: Intl.NumberFormat;
  private readonly integers: Intl.NumberFormat;
  private readonly decimals: Intl.NumberFormat;
  private readonly shorts: Intl.NumberFormat;
  private readonly percents: Intl.NumberFormat;
  private readonly times: Intl.DateTimeFormat;

  constructor(
    readonly language: Language,
    currency: string,
    timeZone: string,
  ) {
    const locale = language === 'zh' ? 'zh-CN' : 'en';
    const money: Intl.NumberFormatOptions = isCurrency(currency) ? { style: 'currency', currency, currencyDisplay: 'narrowSymbol' } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
    const compact: Intl.NumberFormatOptions = { notation: 'compact', minimumFractionDigits: 0, maximumFractionDigits: 1 };
    this.moneys = new Intl.NumberFormat(locale, money);
    this.shortMoneys = new Intl.NumberFormat(locale, { ...money, ...compact });
    this.integers = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
    this.decimals = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
    this.shorts = new Intl.NumberFormat(locale, compact);
    this.percents = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 });
    this.times = new Intl.DateTimeFormat(locale, { timeZone, hourCycle: 'h23', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' });
  }

  words(words: Words): string {
    return words[this.language];
  }

  /** A value of a panel's column. */
  cell(cell: Cell | undefined, column: PanelColumn): string {
    if (typeof cell === 'string') {
      const words = column.words[cell];
      if (words) return this.words(words);
      if (column.name === 'province_name' && this.language === 'en') return ENGLISH_PROVINCES[cell] ?? cell;
    }
    return this.form(cell, column.format);
  }

  form(cell: Cell | undefined, form: Form): string {
    if (cell === null || cell === undefined) return '–';
    const exact = cell as Intl.StringNumericLiteral;
    const isNumber = typeof cell === 'number' || (typeof cell === 'string' && /^-?\d+(\.\d+)?$/.test(cell));
    if (isNumber) {
      switch (form) {
        case 'money':
          return this.moneys.format(exact);
        case 'integer':
          return this.integers.format(exact);
        case 'decimal':
          return this.decimals.format(exact);
        case 'percent':
          return this.percents.format(exact);
        case 'seconds':
          return duration(Number(cell));
      }
    }
    if (form === 'time') {
      const at = Date.parse(String(cell));
      return Number.isNaN(at) ? String(cell) : this.times.format(at);
    }
    return String(cell);
  }

  /** For axes. */
  short(value: number, form: Form): string {
    if (form === 'money') return this.shortMoneys.format(value);
    if (form === 'percent') return this.percents.format(value);
    if (form === 'seconds') return duration(value);
    return this.shorts.format(value);
  }

  count(value: number): string {
    return this.integers.format(value);
  }

  /** How many a second: small ones with a digit behind the point. */
  rate(perSecond: number): string {
    return perSecond < 10 ? this.decimals.format(Number(perSecond.toFixed(1))) : this.count(perSecond);
  }

  percent(value: number): string {
    return this.percents.format(value);
  }
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${String(whole % 60).padStart(2, '0')} s` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

function isCurrency(currency: string): boolean {
  return /^[A-Z]{3}$/.test(currency);
}
