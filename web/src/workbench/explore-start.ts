/** What an exploration of a model begins with. No DOM. */

import { aggregatesOf, dimensionOf, isMeasure, type Exploration, type Measure, type Named } from './exploration';
import { kindOf } from './sql-text';

export const FIRST: Exploration = {
  model: 'dwd_trade_order',
  measure: { column: { name: 'goods_amount', type: 'DECIMAL(26, 2)' }, aggregate: 'sum' },
  by: [{ column: 'province_name', type: 'VARCHAR' }],
  filters: [],
  condition: '',
  chart: 'bar',
};

/** The same question of a model, as far as it has the columns. */
export function fitted(exploration: Exploration, model: string, columns: readonly Named[]): Exploration {
  const typeOf = new Map(columns.map(({ name, type }) => [name, type]));
  const isKnown = ({ column, type }: { readonly column: string; readonly type: string }) => kindOf(typeOf.get(column) ?? '') === kindOf(type) && typeOf.has(column);
  const by = exploration.by.filter(isKnown);
  const first = columns.find(({ name, type }) => kindOf(type) === 'text' && !/(^|_)id$/.test(name)) ?? columns.find(({ type }) => kindOf(type) !== 'other') ?? columns[0];
  if (by.length === 0 && first !== undefined) by.push(dimensionOf(first));
  return { ...exploration, model, measure: measureOf(exploration.measure, columns), by, filters: exploration.filters.filter(isKnown), condition: model === exploration.model ? exploration.condition : '' };
}

function measureOf({ column, aggregate }: Measure, columns: readonly Named[]): Measure {
  if (column === undefined) return { aggregate: 'count' };
  const found = columns.find(({ name }) => name === column.name) ?? columns.find(isMeasure);
  return found !== undefined && aggregatesOf(found).includes(aggregate) ? { column: found, aggregate } : { aggregate: 'count' };
}
