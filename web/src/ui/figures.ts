/** A strip of smaller figures of today, from `ads_live_day`. */

import { parseDecimal } from '../model/decimal';
import type { Context, Part } from './context';
import { h, setText } from './dom';

const FIGURES = [
  { name: 'unpaid', column: 'gmv_unpaid', form: 'money' },
  { name: 'cancelled', column: 'gmv_cancelled', form: 'money' },
  { name: 'paid', column: 'gmv_paid', form: 'money' },
  { name: 'refunded', column: 'gmv_refunded', form: 'money' },
  { name: 'freight', column: 'freight', form: 'money' },
  { name: 'buyers', column: 'order_users', form: 'count' },
  { name: 'sessions', column: 'sessions', form: 'count' },
] as const;

export function figures(context: Context): Part {
  const { shop, messages, format } = context;
  const values = FIGURES.map((figure) => ({ ...figure, element: h('dd', { 'data-figure': figure.name }, '–') }));
  const items = values.map(({ name, element }) => h('div', {}, h('dt', {}, messages.figures[name]), element));
  const element = h('section', { class: 'figures', 'aria-label': messages.figures.heading }, h('dl', {}, ...items));

  function draw(): void {
    element.hidden = shop.missing.has('ads_live_day');
    if (!shop.isComplete) return;
    const { day } = shop.now();
    const row = [...shop.days.rows()].find((found) => shop.days.columns.text(found, 'day') === day);
    for (const { column, form, element: place } of values) {
      setText(place, row ? format.value(parseDecimal(shop.days.columns.cell(row, column)), form) : '–');
    }
  }

  return { element, draw };
}
