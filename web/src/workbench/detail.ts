/** The rows behind a figure, in a dialog. */

import { h } from '../ui/dom';
import { panelAddress, panelAnswer, type Panel, type PanelColumn, type Values } from './api';
import type { WorkContext } from './context';
import { table } from './table';
import type { Row } from '../live/protocol';

/** The detail of a panel, of one of its rows if there is one; `name` is what people clicked at. */
export function openDetail(context: WorkContext, panel: Panel, values: Values, columns: readonly PanelColumn[], row?: Row, name = context.writer.words(panel.title)): void {
  const { texts, writer } = context;
  const asked: Record<string, string> = { ...values };
  // The figure that was chosen says which rows; numbers do not.
  columns.forEach(({ name, role }, place) => {
    const cell = row?.[place];
    if (role !== 'value' && cell !== null && cell !== undefined) asked[name] = String(cell);
  });
  const title = texts.rowsBehind(name);
  const body = h('div', { class: 'detail-body' }, h('p', { class: 'none' }, texts.loading));
  const close = h('button', { type: 'button', class: 'plain' }, texts.close);
  const note = h('p', { class: 'panel-note' }, chosen(context, columns, asked));
  const csv = h('a', { class: 'plain', href: `${panelAddress(panel.name, { ...asked, format: 'csv', download: '1' }, '', true)}`, download: `${panel.name}.csv` }, 'CSV');
  const xlsx = h('a', { class: 'plain', href: `${panelAddress(panel.name, { ...asked, format: 'xlsx', lang: writer.language }, '', true)}`, download: `${panel.name}.xlsx` }, 'XLSX');
  const dialog = h('dialog', { class: 'detail', 'aria-label': title }, h('header', { class: 'panel-head' }, h('h2', {}, title), note, h('span', { class: 'head-end' }, csv, xlsx, close)), body);
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  panelAnswer(panel.name, asked, true).then(
    (answer) => {
      const shown = answer.columns.flatMap((column, place) => (column.role === 'hidden' ? [] : [{ title: writer.words(column.title), isNumber: column.role === 'value', write: (cell: Row[number] | undefined) => writer.cell(cell, column), place }]));
      body.replaceChildren(answer.rows.length === 0 ? h('p', { class: 'none' }, texts.nothing) : table(title, shown, answer.rows));
    },
    (error: Error) => body.replaceChildren(h('p', { class: 'none', role: 'alert' }, texts.failed(error.message))),
  );
}

/** What was chosen, in words. */
function chosen({ writer }: WorkContext, columns: readonly PanelColumn[], asked: Values): string {
  // Numbers of things are for the query; people know their names.
  const hidden = new Set(columns.filter(({ role }) => role === 'hidden').map(({ name }) => name));
  return Object.entries(asked)
    .filter(([name]) => !hidden.has(name))
    .map(([name, value]) => {
      const column = columns.find((known) => known.name === name);
      return column ? writer.cell(value, column) : value;
    })
    .join(' · ');
}
