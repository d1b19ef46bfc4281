/** The minutes of the days, summed exactly. */

import type { Change, Column, Row } from '../live/protocol';
import { ColumnIndex, type LiveView } from '../live/zset';
import { MINUTES_A_DAY } from './business-time';
import { ZERO, add, parseDecimal, portion, times, type Decimal } from './decimal';
import { METRICS, type MetricId } from './metrics';

type DayMinutes = Record<MetricId, (Decimal | undefined)[]>;

/**
 * `ads_live_minute`. Sums are linear in the weights of rows, so a change is
 * added with its weight and no row needs to be remembered.
 */
export class Minutes implements LiveView {
  private columns = new ColumnIndex();
  private readonly days = new Map<string, DayMinutes>();

  replace(columns: readonly Column[], rows: readonly Row[]): void {
    this.columns = new ColumnIndex(columns);
    this.days.clear();
    for (const row of rows) this.add(row, 1);
  }

  apply(changes: readonly Change[]): void {
    for (const [weight, row] of changes) this.add(row, weight);
  }

  private add(row: Row, weight: number): void {
    const day = this.columns.text(row, 'day');
    const minute = Number(this.columns.cell(row, 'minute'));
    if (day === '' || !Number.isInteger(minute) || minute < 0 || minute >= MINUTES_A_DAY) return;
    let minutes = this.days.get(day);
    if (minutes === undefined) {
      minutes = Object.fromEntries(METRICS.map(({ id }) => [id, []])) as unknown as DayMinutes;
      this.days.set(day, minutes);
    }
    for (const { id, column } of METRICS) {
      const change = times(parseDecimal(this.columns.cell(row, column)), weight);
      minutes[id][minute] = add(minutes[id][minute] ?? ZERO, change);
    }
  }

  at(day: string, metric: MetricId, minute: number): Decimal {
    return this.days.get(day)?.[metric][minute] ?? ZERO;
  }

  /** The sum of the minutes from `from` up to, but without, `to`. */
  sum(day: string, metric: MetricId, from = 0, to = MINUTES_A_DAY): Decimal {
    const minutes = this.days.get(day)?.[metric];
    let sum = ZERO;
    if (minutes === undefined) return sum;
    for (let minute = from; minute < to; minute += 1) {
      const value = minutes[minute];
      if (value !== undefined) sum = add(sum, value);
    }
    return sum;
  }

  /**
   * What had come together on `day` at that time: its whole minutes, and of the
   * minute that is still running the part that has gone by.
   */
  soFar(day: string, metric: MetricId, minute: number, second: number): Decimal {
    return add(this.sum(day, metric, 0, minute), portion(this.at(day, metric, minute), second, 60));
  }

  has(day: string): boolean {
    return this.lastMinute(day) !== undefined;
  }

  /** The last minute of `day` in which anything happened. */
  lastMinute(day: string): number | undefined {
    const minutes = this.days.get(day);
    if (minutes === undefined) return undefined;
    for (let minute = MINUTES_A_DAY - 1; minute >= 0; minute -= 1) {
      if (METRICS.some(({ id }) => (minutes[id][minute]?.units ?? 0n) !== 0n)) return minute;
    }
    return undefined;
  }

  /** The newest day in which anything happened. */
  lastDay(): string | undefined {
    return [...this.days.keys()].filter((day) => this.has(day)).sort().at(-1);
  }
}
