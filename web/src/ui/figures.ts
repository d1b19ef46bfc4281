/** A strip of smaller figures of today, from `ads_live_day`. */

import { parseDecimal } from '../model/decimal';
import type { Context, Part, RowsBehind } from './context';
import { h, setText } from './dom';
import { rowsButton } from './rows-button';

const FIGURES = [
  { name: 'unpaid', column: 'gmv_unpaid', form: 'money', panel: 'trade_totals', countsFor: 'ordered' },
  { name: 'cancelled', column: 'gmv_cancelled', form: 'money', panel: 'trade_totals', countsFor: 'ordered' },
  { name: 'paid', column: 'gmv_paid', form: 'money', panel: 'trade_pay_interval' },
  { name: 'refunded', column: 'gmv_refunded', form: 'money', panel: 'trade_totals', countsFor: 'refunded' },
  { name: 'freight', column: 'freight', form: 'money', panel: 'trade_totals', countsFor: 'ordered' },
  { name: 'buyers', column: 'order_users', form: 'count', panel: 'trade_totals', countsFor: 'ordered' },
  { name: 'sessions', column: 'sessions', form: 'count', panel: 'traffic_totals', countsFor: 'sessions' },
] as const;

export function figures(context: Context, behind: RowsBehind): Part {
  const { shop, messages, format } = context;
  const values = FIGURES.map((figure) => ({ ...figure, element: h('span', { 'data-figure': figure.name }, '–'), rows: rowsButton(behind, figure, messages.figures[figure.name]) }));
  const items = values.map(({ name, element, rows }) => h('div', {}, h('dt', {}, messages.figures[name]), h('dd', {}, element, rows.element)));
  const element = h('section', { class: 'figures', 'aria-label': messages.figures.heading }, h('dl', {}, ...items));

  function draw(): void {
    element.hidden = shop.missing.has('ads_live_day');
    for (const { rows } of values) rows.draw();
    if (!shop.isComplete) return;
    const { day } = shop.now();
    const row = [...shop.days.rows()].find((found) => shop.days.columns.text(found, 'day') === day);
    for (const { column, form, element: place } of values) {
      setText(place, row ? format.value(parseDecimal(shop.days.columns.cell(row, column)), form) : '–');
    }
  }

  return { element, draw };
}
