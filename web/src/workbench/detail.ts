/** The rows behind a figure, in a dialog. */

import { h } from '../ui/dom';
import { segmented } from '../ui/segmented';
import { panelAddress, panelAnswer, type Panel, type PanelAnswer, type PanelColumn, type Values } from './api';
import { valuesOfRow } from './chosen-row';
import type { WorkContext } from './context';
import { failureLine } from './failure';
import { table } from './table';
import type { Row } from '../live/protocol';

/** The column by which a detail says for which figure each of its rows counts. */
const COUNTS_FOR = 'counts_for';

/** The value of a choice that leaves nothing out; no kind of row is called so. */
const ALL = '';

/** The figure that people clicked at. */
export interface ChosenFigure {
  readonly name: string;
  /** The kind of rows that it is made of, where the detail has several kinds. */
  readonly countsFor?: string | undefined;
}

/** The detail of a panel, of one of its rows if there is one, of one of its figures if that was chosen. */
export function openDetail(context: WorkContext, panel: Panel, values: Values, columns: readonly PanelColumn[], row?: Row, figure: ChosenFigure = { name: context.writer.words(panel.title) }): void {
  const { texts, writer } = context;
  const asked = valuesOfRow(panel, values, columns, row);
  const title = texts.rowsBehind(figure.name);
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
      const place = answer.columns.findIndex((column) => column.name === COUNTS_FOR);
      const rows = h('div', { class: 'detail-body' });
      const all = answer.rows_total ?? answer.rows.length;
      const show = (kind: string) =>
        rows.replaceChildren(kind === ALL ? rowsTable(context, title, answer, answer.rows, all) : rowsTable(context, title, answer, answer.rows.filter((row) => String(row[place]) === kind), answer.rows_total_by_kind?.[kind] ?? 0));
      const chosenKind = place < 0 ? ALL : (figure.countsFor ?? ALL);
      show(chosenKind);
      body.replaceChildren(...(place < 0 ? [] : [kinds(context, answer, place, chosenKind, show)]), rows);
    },
    (error: Error) => body.replaceChildren(failureLine(texts, error)),
  );
}

/** Lets people see the rows of one figure alone, or all of them. */
function kinds({ texts, writer }: WorkContext, answer: PanelAnswer, place: number, chosenKind: string, show: (kind: string) => void): HTMLElement {
  const totals = new Map(Object.entries(answer.rows_total_by_kind ?? {}));
  if (chosenKind !== ALL && !totals.has(chosenKind)) totals.set(chosenKind, 0);
  const column = answer.columns[place]!;
  const choices = [...totals].sort(([one], [other]) => one.localeCompare(other)).map(([kind, total]) => ({ value: kind, text: `${writer.cell(kind, column)} ${writer.form(total, 'integer')}` }));
  return segmented(writer.words(column.title), [{ value: ALL, text: texts.allRows }, ...choices], chosenKind, show).element;
}

/** Rows, and whether there are more of them than are shown. */
function rowsTable({ texts, writer }: WorkContext, title: string, answer: PanelAnswer, rows: readonly Row[], total: number): HTMLElement {
  if (rows.length === 0) return h('p', { class: 'none' }, texts.nothing);
  const shown = answer.columns.flatMap((column, place) => (column.role === 'hidden' ? [] : [{ title: writer.words(column.title), isNumber: column.role === 'value', write: (cell: Row[number] | undefined) => writer.cell(cell, column), place }]));
  const more = h('p', { class: 'panel-note', role: 'status' }, texts.firstOf(writer.form(rows.length, 'integer'), writer.form(total, 'integer')));
  return h('div', { class: 'detail-rows' }, ...(total > rows.length ? [more] : []), table(title, shown, rows));
}

/** What was chosen, in words. */
function chosen({ texts, writer }: WorkContext, columns: readonly PanelColumn[], asked: Values): string {
  // Numbers of things are for the query; people know their names.
  const hidden = new Set(columns.filter(({ role }) => role === 'hidden').map(({ name }) => name));
  return Object.entries(asked)
    .filter(([name]) => !hidden.has(name))
    .map(([name, value]) => {
      const column = columns.find((known) => known.name === name);
      if (value === null) return texts.without(column ? writer.words(column.title) : name);
      return column ? writer.cell(value, column) : value;
    })
    .join(' · ');
}
