/** From a row of an answer to what it is made of. No DOM. */

import type { Cell, Row } from '../live/protocol';
import { aliasOf, grainsOf, isTimely, type Dimension, type Exploration, type Filter, type Named } from './exploration';
import { kindOf } from './sql-text';

/** The filter that leaves one value of a dimension. */
export function filterOf({ column, type, grain }: Dimension, cell: Cell | undefined): Filter {
  if (cell === null || cell === undefined) return { column, type, grain, operator: 'missing' };
  return { column, type, grain, operator: 'equals', value: String(cell) };
}

/** The same question of one row of its answer alone, by `next`; without one, by what it was. */
export function drilled(exploration: Exploration, row: Row, next: Dimension | undefined): Exploration {
  const filters = [...exploration.filters, ...exploration.by.map((dimension, place) => filterOf(dimension, row[place]))];
  const by = next === undefined ? exploration.by : [next];
  // A line between names says nothing.
  const chart = exploration.chart === 'line' && !isTimely(by[0]) ? 'bar' : exploration.chart;
  return { ...exploration, filters, by, chart };
}

/** Every dimension of the columns, times with each grain. */
export function dimensionsOf(columns: readonly Named[]): readonly Dimension[] {
  const known = columns.filter(({ type }) => kindOf(type) !== 'other');
  return known.flatMap(({ name, type }) => grainsOf(type).map((grain) => ({ column: name, type, grain })));
}

/** Where a click leads if nothing else was chosen: a finer time, else the next name. */
export function nextDimension(exploration: Exploration, columns: readonly Named[]): Dimension | undefined {
  for (const dimension of exploration.by) {
    const finer = finerOf(dimension);
    if (finer !== undefined) return finer;
  }
  return nextName(exploration, columns);
}

/** The first name that is not used yet; what is filtered to one value is. */
export function nextName({ by, filters }: Exploration, columns: readonly Named[]): Dimension | undefined {
  const used = new Set([...by, ...filters.filter(({ operator }) => operator === 'equals' || operator === 'missing')].map(({ column }) => column));
  const found = columns.find(({ name, type }) => kindOf(type) === 'text' && !used.has(name) && !/(^|_)id$/.test(name));
  return found && { column: found.name, type: found.type };
}

/** Weeks and months lead to days, days to hours. */
function finerOf({ column, type, grain }: Dimension): Dimension | undefined {
  if (grain === 'month' || grain === 'week') return { column, type, grain: 'day' };
  return grain === 'day' && kindOf(type) === 'time' ? { column, type, grain: 'hour' } : undefined;
}

export function isSame(left: Dimension, right: Dimension): boolean {
  return left.column === right.column && aliasOf(left) === aliasOf(right);
}
