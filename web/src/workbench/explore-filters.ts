/** Filters as rows of column, operator and value. */

import type { ExploreMessages } from '../i18n/explore';
import { h, setText } from '../ui/dom';
import { sql } from '../live/requests';
import { wordsOf } from './explore-choices';
import { aliasOf, conditionOf, kindOfDimension, needsValue, operatorsOf, valuesQuery, type Filter, type Named, type Operator } from './exploration';
import { button, select } from './fields';
import { kindOf } from './sql-text';

export interface FilterChange {
  /** The rows are others: they are to be drawn again. */
  (filters: readonly Filter[], areOthers: boolean): void;
}

export function filterRows(words: ExploreMessages, model: string, filters: readonly Filter[], columns: readonly Named[], onChange: FilterChange): HTMLElement[] {
  const known = columns.filter(({ type }) => kindOf(type) !== 'other');
  // A value that was just written is not yet in what was drawn.
  const now = [...filters];
  const put = (place: number, filter: Filter, areOthers: boolean) => {
    now[place] = filter;
    onChange([...now], areOthers);
  };
  const rows = filters.map((filter, place) => {
    const id = `filter-${place + 1}`;
    const name = aliasOf(filter);
    const names = known.map((column) => ({ value: column.name, text: column.name }));
    // What was drilled into may be a day or an hour of a column.
    if (name !== filter.column) names.unshift({ value: name, text: wordsOf(filter, words) });
    const column = select(
      `${id}-column`,
      names,
      name,
      (value) => {
        const found = known.find((each) => each.name === value);
        if (found) put(place, { column: found.name, type: found.type, operator: 'equals' }, true);
      },
      words.filterColumn,
    );
    const operators = operatorsOf(filter.type).map((value) => ({ value, text: words.operators[value] }));
    const operator = select(`${id}-operator`, operators, filter.operator, (value) => put(place, { ...(now[place] ?? filter), operator: value as Operator }, true), words.filterOperator(name));
    const remove = button('×', () => onChange(now.filter((_, other) => other !== place), true), { id: `${id}-remove`, class: 'quiet', 'aria-label': words.removeFilter(name) });
    const value = needsValue(filter.operator) ? valueField(words, model, id, filter, (changed) => put(place, { ...filter, value: changed }, false)) : [];
    return h('li', { class: 'filter' }, column, operator, ...value, remove);
  });
  const first = known.find(({ type }) => kindOf(type) === 'text') ?? known[0];
  const add = button(words.addFilter, () => first && onChange([...now, { column: first.name, type: first.type, operator: 'equals' }], true), { id: 'add-filter' });
  return [h('ul', { class: 'filter-list', 'aria-label': words.filters }, ...rows), add];
}

function valueField(words: ExploreMessages, model: string, id: string, filter: Filter, onValue: (value: string | undefined) => void): HTMLElement[] {
  const label = words.filterValue(aliasOf(filter));
  const kind = kindOfDimension(filter);
  if (kind === 'boolean') {
    const options = [{ value: '', text: '' }, { value: 'true', text: words.yes }, { value: 'false', text: words.no }];
    return [select(`${id}-value`, options, filter.value ?? '', (value) => onValue(value === '' ? undefined : value), label)];
  }
  const isOne = filter.operator !== 'oneOf';
  const list = h('datalist', { id: `${id}-values` });
  const note = h('span', { class: 'filter-note', id: `${id}-note` });
  const input = h('input', {
    id: `${id}-value`,
    type: kind === 'date' && isOne ? 'date' : 'text',
    inputmode: kind === 'number' && isOne ? 'decimal' : undefined,
    value: filter.value ?? '',
    placeholder: isOne ? undefined : words.listHint,
    size: isOne ? 16 : 32,
    list: kind === 'text' ? list.id : undefined,
    autocomplete: 'off',
    'aria-label': label,
    'aria-describedby': note.id,
  });
  const judge = (value: string | undefined) => {
    const isRight = conditionOf({ ...filter, value }) !== undefined;
    setText(note, isRight ? '' : value === undefined ? words.valueMissing : words.noValue);
    if (value !== undefined && !isRight) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  input.addEventListener('change', () => {
    const value = input.value === '' ? undefined : input.value;
    judge(value);
    onValue(value);
  });
  input.addEventListener('focus', () => void offerValues(list, model, filter), { once: true });
  judge(filter.value);
  return [input, list, note];
}

/** The commonest values; without them people write. */
async function offerValues(list: HTMLElement, model: string, { column, type }: Filter): Promise<void> {
  if (kindOf(type) !== 'text') return;
  const answer = await sql(valuesQuery(model, column)).catch(() => undefined);
  list.replaceChildren(...(answer?.rows ?? []).map(([value]) => h('option', { value: String(value) })));
}
