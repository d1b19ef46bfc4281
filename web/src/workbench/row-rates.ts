/** How many rows tables and views have, and how many come out of them a second. */

import { sql } from '../live/requests';
import { rowCounts } from './api';

/** Rates are over this time: counts are renewed once a second, so that over less they would jump. */
const SPAN_MS = 10_000;
const COUNTS = "SELECT gives, rows_out FROM sluice_operators WHERE gives <> ''";

/** Rates of counts that only grow. */
export class RateMeter {
  private readonly seen = new Map<string, (readonly [atMs: number, count: number])[]>();

  add(atMs: number, counts: ReadonlyMap<string, number>): void {
    for (const name of this.seen.keys()) if (!counts.has(name)) this.seen.delete(name);
    for (const [name, count] of counts) {
      const before = this.seen.get(name) ?? [];
      // A smaller one was begun anew: with the process, or with a view that was computed anew.
      const going = count < (before.at(-1)?.[1] ?? 0) ? [] : before.filter(([earlierMs]) => earlierMs >= atMs - SPAN_MS);
      this.seen.set(name, [...going, [atMs, count]]);
    }
  }

  /** `undefined` before a second count. */
  perSecond(name: string): number | undefined {
    const counts = this.seen.get(name) ?? [];
    const [first, last] = [counts[0], counts.at(-1)];
    if (first === undefined || last === undefined || last[0] === first[0]) return undefined;
    return ((last[1] - first[1]) * 1_000) / (last[0] - first[0]);
  }
}

export interface Flow {
  readonly rows: number | undefined;
  readonly perSecond: number | undefined;
}

/** Asks the warehouse again and again. */
export class RowFlow {
  private readonly meter = new RateMeter();
  private rows: ReadonlyMap<string, number> = new Map();

  /** Operators are asked in SQL, which is not for everybody who may see the rest. */
  constructor(private readonly asksForRates: boolean) {}

  of(name: string): Flow {
    return { rows: this.rows.get(name), perSecond: this.meter.perSecond(name) };
  }

  /** Fails where nobody may know how many rows there are. */
  async refresh(): Promise<void> {
    const [rows, counts] = await Promise.all([rowCounts(), this.asksForRates ? countsOut().catch(() => undefined) : undefined]);
    this.rows = rows;
    if (counts !== undefined) this.meter.add(performance.now(), counts);
  }
}

async function countsOut(): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql(COUNTS);
  const counts = new Map<string, number>();
  // Views of one text have one operator.
  for (const [names, count] of rows) for (const name of String(names).split(', ')) counts.set(name, Number(count));
  return counts;
}
