/** What the SQL page offers before anybody has written a statement. No DOM. */

import type { Model } from './api';
import { quoted } from './sql-text';

const DAYS = { table: 'ads_live_day', columns: ['day', 'gmv_gross', 'gmv_net', 'orders'] };
const ROWS_MAX = 14;

/** The last days of the shop; without them, rows of the first table that there is. */
export function firstStatement(models: readonly Model[]): string {
  const days = models.find(({ name }) => name === DAYS.table)?.columns.map(({ name }) => name) ?? [];
  if (DAYS.columns.every((column) => days.includes(column))) {
    return `SELECT ${DAYS.columns.join(', ')}\nFROM ${DAYS.table}\nORDER BY day DESC\nLIMIT ${ROWS_MAX}`;
  }
  const first = models.find(({ kind }) => kind === 'table') ?? models[0];
  return first === undefined ? 'SELECT 1' : `SELECT *\nFROM ${quoted(first.name)}\nLIMIT ${ROWS_MAX}`;
}
