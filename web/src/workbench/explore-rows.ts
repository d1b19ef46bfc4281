/** The rows behind an exploration, opened under it. */

import type { ExploreMessages } from '../i18n/explore';
import { h } from '../ui/dom';
import type { Cell } from '../live/protocol';
import { sql } from '../live/requests';
import type { WorkContext } from './context';
import { kindOf } from './sql-text';
import { DETAIL_ROWS_MAX, detailQuery, type Exploration, type Named } from './exploration';
import { failureLine } from './failure';
import { button } from './fields';
import { table } from './table';

/** Outlives a page that is built again in another language. */
let isOpen = false;

export interface ExploredRows {
  readonly element: HTMLElement;
  /** Shows the rows of this question, if rows are shown. */
  show(exploration: Exploration, columns: readonly Named[]): void;
  open(): void;
}

export function exploredRows({ texts, writer }: WorkContext, words: ExploreMessages): ExploredRows {
  const body = h('div', { id: 'explore-rows', hidden: true });
  const toggle = button(words.behind, () => open(!isOpen), { id: 'explore-behind' });
  toggle.setAttribute('aria-controls', body.id);
  const element = h('section', { class: 'panel', 'aria-label': words.behind }, toggle, body);
  let last: { readonly exploration: Exploration; readonly columns: readonly Named[] } | undefined;
  let asked = 0;

  function open(isWanted: boolean): void {
    isOpen = isWanted;
    body.hidden = !isOpen;
    toggle.setAttribute('aria-expanded', String(isOpen));
    if (isOpen && last) void ask(last.exploration, last.columns);
  }

  async function ask(exploration: Exploration, columns: readonly Named[]): Promise<void> {
    asked += 1;
    const mine = asked;
    if (body.childElementCount === 0) body.replaceChildren(h('p', { class: 'none' }, texts.loading));
    try {
      const answer = await sql(detailQuery(exploration, columns));
      if (mine !== asked) return;
      const typeOf = new Map(columns.map(({ name, type }) => [name, kindOf(type)]));
      const shown = answer.columns.map(({ name }, place) => {
        const kind = typeOf.get(name);
        // Numbers of things are no amounts: they stand as they are.
        const write = (cell: Cell | undefined) => (kind === 'time' ? writer.form(cell, 'time') : cell === null || cell === undefined ? '–' : String(cell));
        return { title: name, isNumber: kind === 'number', write, place };
      });
      if (answer.rows.length === 0) {
        body.replaceChildren(h('p', { class: 'none' }, texts.nothing));
        return;
      }
      const note = answer.rows.length < DETAIL_ROWS_MAX ? [] : [h('p', { class: 'panel-note' }, texts.firstRows(writer.count(DETAIL_ROWS_MAX)))];
      body.replaceChildren(...note, table(words.behind, shown, answer.rows));
    } catch (error) {
      if (mine === asked) body.replaceChildren(failureLine(texts, error));
    }
  }

  open(isOpen);
  return {
    element,
    open: () => open(true),
    show: (exploration, columns) => {
      last = { exploration, columns };
      if (isOpen) void ask(exploration, columns);
    },
  };
}
