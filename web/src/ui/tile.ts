/** One big number, against yesterday at this time, with a trace of the last hour. */

import { compareWith } from '../model/comparison';
import { toNumber } from '../model/decimal';
import type { MetricId } from '../model/metrics';
import { metric } from '../model/metrics';
import { addDays } from '../model/business-time';
import { AnimatedNumber } from './animated-number';
import type { Context, Part, RowsBehind } from './context';
import { h, setText, svg } from './dom';
import { rowsButton } from './rows-button';

const TRACE_MINUTES = 60;

export interface Tile extends Part {
  select(isSelected: boolean): void;
}

export function tile(context: Context, id: MetricId, onPick: (id: MetricId) => void, behind: RowsBehind): Tile {
  const { shop, messages, format } = context;
  const source = metric(id);
  const { form } = source;
  const { name, meaning } = messages.metrics[id];
  const pick = h('button', { type: 'button', class: 'tile-pick', title: meaning, 'aria-pressed': 'false' }, name);
  pick.addEventListener('click', () => onPick(id));
  const whole = h('span', { class: 'whole' }, '–');
  const fraction = h('span', { class: 'fraction' });
  const value = h('p', { class: 'tile-value' }, whole, fraction);
  const arrow = h('span', { class: 'arrow', 'aria-hidden': 'true' });
  const percent = h('span', { class: 'percent' });
  const before = h('p', { class: 'tile-before' });
  const change = h('p', { class: 'tile-change' }, arrow, percent);
  const line = svg('path', { class: 'trace-line', 'vector-effect': 'non-scaling-stroke' });
  const trace = svg('svg', { class: 'trace', viewBox: '0 0 100 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, line);
  const element = h('article', { class: 'tile', 'data-metric': id }, h('h3', {}, pick), value);
  const rows = rowsButton(behind, source, name);
  element.append(rows.element);
  const course = h('div', { class: 'tile-course' }, change);
  course.append(trace);
  element.append(course, before);

  const number = new AnimatedNumber(value, (shown) => {
    const parts = format.parts(shown, form);
    setText(whole, parts.whole);
    setText(fraction, parts.fraction);
  });

  function draw(): void {
    rows.draw();
    if (!shop.isComplete) return;
    const { day, minute, second } = shop.now();
    line.setAttribute('d', tracePath(traceValues(day, minute)));
    const sum = shop.minutes.sum(day, id);
    if (shop.activity().kind === 'filling') {
      // A part of today against yesterday, or yesterday in part: neither says anything.
      compareNothing();
      if (shop.minutes.has(day)) number.set(sum);
      else showNothing();
      return;
    }
    number.set(sum);
    const comparison = compareWith(sum, shop.minutes.soFar(addDays(day, -1), id, minute, second));
    const isKnown = comparison.change !== undefined;
    change.dataset['direction'] = isKnown ? comparison.direction : 'none';
    setText(arrow, isKnown ? { up: '▲', down: '▼', same: '' }[comparison.direction] : '');
    setText(percent, comparison.change === undefined ? '' : signed(format.percent(Math.abs(comparison.change)), comparison.direction));
    setText(before, isKnown ? messages.before(format.whole(comparison.before, form)) : messages.nothingBefore);
  }

  function showNothing(): void {
    number.clear();
    setText(whole, '–');
    setText(fraction, '');
  }

  function compareNothing(): void {
    change.dataset['direction'] = 'none';
    for (const part of [arrow, percent, before]) setText(part, '');
  }

  function traceValues(day: string, minute: number): number[] {
    const from = Math.max(0, minute - TRACE_MINUTES);
    const values = [];
    for (let at = from; at < minute; at += 1) values.push(toNumber(shop.minutes.at(day, id, at)));
    return values;
  }

  return {
    element,
    draw,
    select: (isSelected) => {
      pick.setAttribute('aria-pressed', String(isSelected));
      element.classList.toggle('is-selected', isSelected);
    },
    dispose: () => number.dispose(),
  };
}

function signed(percent: string, direction: 'up' | 'down' | 'same'): string {
  return direction === 'up' ? `+${percent}` : direction === 'down' ? `−${percent}` : percent;
}

function tracePath(values: readonly number[]): string {
  if (values.length < 2) return '';
  const most = Math.max(...values, 0);
  const least = Math.min(...values, 0);
  // A flat line says nothing.
  if (most === least) return '';
  const height = most - least;
  const points = values.map((value, place) => {
    const x = (place / (values.length - 1)) * 100;
    const y = 19 - ((value - least) / height) * 18;
    return `${x.toFixed(2)},${y.toFixed(2)}`;
  });
  return `M${points.join('L')}`;
}
