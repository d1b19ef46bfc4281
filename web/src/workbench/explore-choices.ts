/** Controls for what is computed, by what, and where a click leads. */

import type { ExploreMessages } from '../i18n/explore';
import type { WorkMessages } from '../i18n/work';
import { h } from '../ui/dom';
import { dimensionsOf, isSame, nextName } from './drill';
import { aggregatesOf, dimensionOf, grainsOf, isTimely, type Aggregate, type Dimension, type Exploration, type Grain, type Named } from './exploration';
import { button, field, select } from './fields';
import { kindOf } from './sql-text';

export interface ChoiceTexts {
  readonly texts: WorkMessages;
  readonly words: ExploreMessages;
}

/** A column, and the grain if it has one, in words. */
export function wordsOf({ column, grain, type }: Dimension, words: ExploreMessages): string {
  return isTimely({ column, type }) && grain !== undefined && !(grain === 'day' && kindOf(type) === 'date') ? `${column} · ${words.grains[grain]}` : column;
}

export function measureFields({ texts, words }: ChoiceTexts, { measure }: Exploration, columns: readonly Named[], onChange: (measure: Exploration['measure']) => void): HTMLElement[] {
  const names = [{ value: '', text: words.rows }, ...columns.map(({ name }) => ({ value: name, text: name }))];
  const column = select('explore-measure', names, measure.column?.name ?? '', (name) => {
    const found = columns.find((known) => known.name === name);
    const known = aggregatesOf(found);
    onChange({ column: found, aggregate: known.includes(measure.aggregate) && found !== undefined && measure.column !== undefined ? measure.aggregate : (known[0] ?? 'count') });
  });
  const aggregates = aggregatesOf(measure.column).map((value) => ({ value, text: words.aggregates[value] }));
  const aggregate = select('explore-aggregate', aggregates, measure.aggregate, (value) => onChange({ ...measure, aggregate: value as Aggregate }));
  return [field(texts.measure, column), field(words.compute, aggregate)];
}

export function dimensionFields({ texts, words }: ChoiceTexts, exploration: Exploration, columns: readonly Named[], onChange: (by: readonly Dimension[]) => void): HTMLElement[] {
  const { by } = exploration;
  const known = columns.filter(({ type }) => kindOf(type) !== 'other');
  const put = (place: number, dimension: Dimension) => onChange(by.map((each, other) => (other === place ? dimension : each)));
  const fields = by.map((dimension, place) => {
    const ending = place === 0 ? '' : `-${place + 1}`;
    const column = select(`explore-by${ending}`, known.map(({ name }) => ({ value: name, text: name })), dimension.column, (name) => {
      const found = known.find((each) => each.name === name);
      if (found) put(place, dimensionOf(found));
    });
    const parts: HTMLElement[] = [field(place === 0 ? texts.dimension : words.andBy, column)];
    if (isTimely(dimension)) {
      const grains = grainsOf(dimension.type).map((grain) => ({ value: grain ?? 'exact', text: words.grains[grain ?? 'exact'] }));
      parts.push(select(`explore-grain${ending}`, grains, dimension.grain ?? 'exact', (value) => put(place, { ...dimension, grain: value === 'exact' ? undefined : (value as Grain) }), words.grain(dimension.column)));
    }
    if (by.length > 1) parts.push(button('×', () => onChange(by.filter((_, other) => other !== place)), { id: `explore-not-by${ending}`, class: 'quiet', 'aria-label': words.removeDimension(dimension.column) }));
    return h('span', { class: 'choice' }, ...parts);
  });
  const other = known.find(({ name }) => !by.some(({ column }) => column === name));
  const free = nextName(exploration, columns) ?? (other && dimensionOf(other));
  if (free !== undefined) fields.push(button(words.addDimension, () => onChange([...by, free]), { id: 'explore-add-by' }));
  return fields;
}

/** Where a click leads: a dimension, or nowhere but to the rows. */
export function nextField({ words }: ChoiceTexts, next: Dimension | undefined, columns: readonly Named[], onChange: (next: Dimension | undefined) => void): HTMLElement {
  const known = dimensionsOf(columns);
  const options = known.map((dimension, place) => ({ value: String(place), text: wordsOf(dimension, words) }));
  const chosen = next === undefined ? '' : String(known.findIndex((dimension) => isSame(dimension, next)));
  return field(words.next, select('explore-next', [{ value: '', text: words.nowhere }, ...options], chosen, (value) => onChange(value === '' ? undefined : known[Number(value)])));
}
