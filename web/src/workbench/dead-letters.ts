/** Dead letters: what could not become a row, by topic, table and reason, the newest of them, and trying them again. */

import type { Cell, Row } from '../live/protocol';
import { answered } from '../live/requests';
import { mayChange } from '../model/rights';
import { h, setText } from '../ui/dom';
import type { WorkContext } from './context';
import { failureText } from './failure';
import { table, type TableColumn } from './table';

const ADDRESS = '/api/v1/dead-letters';
const LETTERS_MAX = 50;
/** What came of trying is known with the next epoch. */
const LOOK_AGAIN_MS = [400, 1_500, 4_000];

interface Rows {
  readonly rows: readonly Row[];
}

interface DeadLetters {
  readonly groups: Rows;
  readonly letters: Rows;
}

interface Chosen {
  readonly topic: string;
  readonly table: string;
  readonly reason: string;
  readonly partition?: number;
  readonly offset?: number;
  /** The last letter that was tried before. */
  readonly after?: Letter;
}

/** As the server says it; it is only given back. */
type Letter = Readonly<Record<string, unknown>>;

interface Replayed {
  readonly records: number;
  readonly refused_by_reason: Readonly<Record<string, number>>;
  readonly is_all: boolean;
  readonly next: Letter | null;
}

export interface DeadLetterList {
  readonly element: HTMLElement;
  refresh(): Promise<void>;
  dispose(): void;
}

async function replay(chosen: Chosen): Promise<Replayed> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(chosen) };
  const response = await answered(await fetch(`${ADDRESS}/replay`, init));
  return (await response.json()) as Replayed;
}

function text(cell: Cell | undefined): string {
  return cell === null || cell === undefined ? '' : String(cell);
}

export function deadLetterList({ texts, writer, role }: WorkContext): DeadLetterList {
  const said = h('p', { class: 'panel-note', role: 'status' });
  const groups = h('div', {}, h('p', { class: 'none' }, texts.loading));
  const letters = h('div', {});
  const element = h('div', {}, said, groups, letters);
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const known = { groups: '', letters: '' };
  let isOver = false;
  let isAsking = false;
  /** The last letter that was tried of a group whose rest is still to be tried. */
  const last = new Map<string, Letter>();

  /** Trying again is for admins: others see what there is. */
  const openOf = (chosen: (row: Row) => Chosen) => (mayChange(role) ? (row: Row) => void again(chosen(row)) : undefined);
  const orNothing = (cell: Cell | undefined) => text(cell) || '–';
  const time = (cell: Cell | undefined) => (text(cell) === '' ? '–' : writer.form(text(cell), 'time'));
  const plain = (title: string, place: number): TableColumn => ({ title, isNumber: false, write: orNothing, place });
  const moment = (title: string, place: number): TableColumn => ({ title, isNumber: false, write: time, place });
  const count = (title: string, place: number): TableColumn => ({ title, isNumber: true, write: (cell) => writer.form(text(cell), 'integer'), place });

  async function again(chosen: Chosen): Promise<void> {
    setText(said, texts.loading);
    try {
      const group = JSON.stringify(chosen);
      const after = last.get(group);
      const { records, refused_by_reason: refused, is_all: isAll, next } = await replay(after === undefined ? chosen : { ...chosen, after });
      if (next === null) last.delete(group);
      else last.set(group, next);
      const reasons = Object.entries(refused).map(([why, letters]) => `${letters} × ${why}`);
      setText(said, [texts.replayed(writer.count(records)), ...reasons, ...(isAll ? [] : [texts.replayMore])].join(' · '));
      for (const wait of LOOK_AGAIN_MS) {
        const timer = setTimeout(() => {
          timers.delete(timer);
          void refresh();
        }, wait);
        timers.add(timer);
      }
    } catch (error) {
      setText(said, failureText(texts, error));
    }
  }

  /** Drawn only when it is another one: whoever is in it stays there. */
  function draw(box: HTMLElement, name: 'groups' | 'letters', rows: readonly Row[], build: () => HTMLElement): void {
    const now = JSON.stringify(rows);
    if (known[name] === now) return;
    known[name] = now;
    const focused = box.contains(document.activeElement) ? [...box.querySelectorAll('button')].indexOf(document.activeElement as HTMLButtonElement) : -1;
    box.replaceChildren(build());
    const buttons = box.querySelectorAll('button');
    if (focused >= 0) buttons[Math.min(focused, buttons.length - 1)]?.focus();
  }

  async function refresh(): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    try {
      const response = await answered(await fetch(`${ADDRESS}?limit=${LETTERS_MAX}`, { cache: 'no-store' }));
      const found = (await response.json()) as DeadLetters;
      if (isOver) return;
      const head = texts.letterHead;
      draw(groups, 'groups', found.groups.rows, () =>
        found.groups.rows.length === 0
          ? h('p', { class: 'none' }, texts.nothing)
          : table(
              texts.deadLetters,
              [plain(head.topic, 0), plain(head.table, 1), plain(head.reason, 2), count(head.letters, 3), count(head.settled, 4), moment(head.last, 6)],
              found.groups.rows,
              openOf((row) => ({ topic: text(row[0]), table: text(row[1]), reason: text(row[2]) })),
              texts.tryAgain,
              texts.tryAgain,
            ),
      );
      draw(letters, 'letters', found.letters.rows, () =>
        found.letters.rows.length === 0
          ? h('p', { class: 'none' }, texts.nothing)
          : table(
              texts.newestLetters,
              [moment(head.captured, 8), plain(head.topic, 0), plain(head.offset, 2), plain(head.table, 3), plain(head.column, 4), plain(head.reason, 5), plain(head.detail, 6), plain(head.sample, 7), plain(head.outcome, 10)],
              found.letters.rows,
              openOf((row) => ({ topic: text(row[0]), partition: Number(row[1]), offset: Number(row[2]), table: text(row[3]), reason: text(row[5]) })),
              texts.tryAgain,
              texts.tryAgain,
            ),
      );
    } catch (error) {
      if (isOver) return;
      known.groups = '';
      groups.replaceChildren(h('p', { class: 'none' }, failureText(texts, error)));
    } finally {
      isAsking = false;
    }
  }

  return {
    element,
    refresh,
    dispose: () => {
      isOver = true;
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
