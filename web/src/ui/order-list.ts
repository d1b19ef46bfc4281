/** The latest orders, newest first, each in its current state. */

import type { Order } from '../model/orders';
import type { Context, Part } from './context';
import { h, setText, wantsMotion } from './dom';
import { rowsThatFit } from './fit';

interface Line {
  readonly element: HTMLElement;
  readonly time: HTMLElement;
  readonly province: HTMLElement;
  readonly lines: HTMLElement;
  readonly amount: HTMLElement;
  readonly status: HTMLElement;
}

const NEW_MS = 1_600;

export function orderList(context: Context): Part {
  const { shop, messages, format } = context;
  const text = messages.orders;
  const lines = new Map<string, Line>();
  let isFilled = false;
  const body = h('tbody');
  const head = h(
    'tr',
    {},
    ...(['time', 'order', 'province', 'lines', 'amount', 'status'] as const).map((name) => h('th', { scope: 'col', class: `order-${name}` }, text[name])),
  );
  const table = h('table', { class: 'orders-table', 'aria-labelledby': 'heading-orders' }, h('thead', {}, head), body);
  const frame = h('div', { class: 'orders-frame' }, table);
  const none = h('p', { class: 'none' }, text.none);
  const element = h('section', { class: 'panel orders', 'aria-labelledby': 'heading-orders' }, h('header', { class: 'panel-head' }, h('h2', { id: 'heading-orders' }, text.heading)), frame, none);
  const fit = rowsThatFit(frame, draw);

  function draw(): void {
    const isMissing = shop.missing.has('dwd_trade_order');
    // One row's height is the heading's.
    const orders = shop.orders.latest(Math.max(3, fit.count() - 1));
    setText(none, isMissing ? messages.notInWarehouse('dwd_trade_order') : text.none);
    none.hidden = orders.length > 0 || !(shop.isComplete || isMissing);
    frame.classList.toggle('is-empty', orders.length === 0);
    const wanted = new Set(orders.map(({ id }) => id));
    for (const [id, line] of lines) {
      if (wanted.has(id)) continue;
      line.element.remove();
      lines.delete(id);
    }
    orders.forEach((order, place) => {
      const known = lines.get(order.id);
      const line = known ?? add(order);
      write(line, order, known === undefined);
      if (body.children[place] !== line.element) body.insertBefore(line.element, body.children[place] ?? null);
    });
    isFilled ||= orders.length > 0;
  }

  function add(order: Order): Line {
    const line: Line = {
      element: h('tr', { 'data-order': order.id }),
      time: h('td', { class: 'order-time' }),
      province: h('td', { class: 'order-province' }),
      lines: h('td', { class: 'order-lines' }),
      amount: h('td', { class: 'order-amount' }),
      status: h('span', { class: 'status-mark' }),
    };
    const number = h('th', { scope: 'row', class: 'order-order' }, order.id);
    line.element.append(line.time, number, line.province, line.lines, line.amount, h('td', { class: 'order-status' }, line.status));
    lines.set(order.id, line);
    return line;
  }

  function write(line: Line, order: Order, isNew: boolean): void {
    setText(line.time, timeOf(order.createdMs));
    setText(line.province, messages.provinceName(order.province) || messages.unknownName);
    setText(line.lines, String(order.lines));
    setText(line.amount, format.money(order.amount));
    setText(line.status, text.statuses[order.status] ?? (order.statusName || order.status));
    const changed = line.status.dataset['status'] !== order.status;
    line.status.dataset['status'] = order.status;
    if (isFilled && (isNew || changed)) mark(line.element);
  }

  function timeOf(createdMs: number): string {
    if (createdMs === 0) return '';
    const { day } = shop.clock.momentOf(createdMs);
    return day === shop.now().day ? format.time(createdMs) : `${format.day(day)} ${format.shortTime(createdMs)}`;
  }

  return { element, draw, dispose: () => fit.dispose() };
}

/** Shows for a moment that a row is new or has changed. */
function mark(row: HTMLElement): void {
  if (!wantsMotion()) return;
  const fresh = getComputedStyle(row).getPropertyValue('--fresh');
  row.animate([{ backgroundColor: fresh }, { backgroundColor: 'transparent' }], { duration: NEW_MS, easing: 'ease-out' });
}
