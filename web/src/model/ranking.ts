/** The greatest of a day: goods, provinces, channels. */

import type { ZSet } from '../live/zset';
import { parseDecimal, toNumber, type Decimal } from './decimal';

export interface RankingColumns {
  /** What tells one from another. */
  readonly key: string;
  readonly name: string;
  readonly value: string;
  /** A second number that is shown beside. */
  readonly beside: string;
}

export interface Ranked {
  readonly key: string;
  readonly name: string;
  readonly value: Decimal;
  readonly beside: Decimal;
  /** Of the greatest, 0 to 1. */
  readonly share: number;
}

export function rank(rows: ZSet, day: string, columns: RankingColumns, count: number): Ranked[] {
  const found = [];
  for (const row of rows.rows()) {
    if (rows.columns.text(row, 'day') !== day) continue;
    const value = parseDecimal(rows.columns.cell(row, columns.value));
    found.push({ row, value, size: toNumber(value), key: rows.columns.text(row, columns.key) });
  }
  // Equal values keep their places by key, so that nothing jumps.
  found.sort((a, b) => b.size - a.size || (a.key < b.key ? -1 : 1));
  const greatest = found[0]?.size ?? 0;
  return found.slice(0, count).map(({ row, value, size, key }) => ({
    key,
    name: rows.columns.text(row, columns.name),
    value,
    beside: parseDecimal(rows.columns.cell(row, columns.beside)),
    share: greatest > 0 ? Math.max(0, size / greatest) : 0,
  }));
}
