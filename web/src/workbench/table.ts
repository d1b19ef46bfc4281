/** Rows and columns, for panels, details and answers of SQL. */

import { h } from '../ui/dom';
import type { Cell, Row } from '../live/protocol';

export interface TableColumn {
  readonly title: string;
  readonly isNumber: boolean;
  readonly write: (cell: Cell | undefined) => string;
  /** Its place in the rows. */
  readonly place: number;
}

/** A row of a table can be opened where `onOpen` is given. */
export function table(caption: string, columns: readonly TableColumn[], rows: readonly Row[], onOpen?: (row: Row) => void, openLabel = '', openText = '›'): HTMLElement {
  const head = columns.map(({ title, isNumber }) => h('th', { scope: 'col', class: isNumber ? 'number' : undefined }, title));
  if (onOpen) head.push(h('th', { scope: 'col' }, h('span', { class: 'unseen' }, openLabel)));
  const body = rows.map((row, index) => {
    const cells = columns.map(({ write, place, isNumber }) => h('td', { class: isNumber ? 'number' : undefined }, write(row[place])));
    if (onOpen) {
      const open = h('button', { type: 'button', class: openText === '›' ? 'row-open' : 'quiet', 'aria-label': `${openLabel} ${index + 1}` }, openText);
      open.addEventListener('click', () => onOpen(row));
      cells.push(h('td', { class: 'row-end' }, open));
    }
    return h('tr', {}, ...cells);
  });
  return h('div', { class: 'table-box', tabindex: 0, role: 'group', 'aria-label': caption }, h('table', {}, h('caption', { class: 'unseen' }, caption), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...body)));
}
