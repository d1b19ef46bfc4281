/** How the pipeline does: whether it takes records, what became no rows, where views failed, its numbers. */

import { mayAskSql } from '../model/rights';
import type { Part } from '../ui/context';
import { h, setText } from '../ui/dom';
import { sql, info } from '../live/requests';
import type { Cell, SqlAnswer } from '../live/protocol';
import { isReady, metricLines } from '../workbench/api';
import type { WorkContext } from '../workbench/context';
import { deadLetterList } from '../workbench/dead-letters';
import { failureText } from '../workbench/failure';
import { table, type TableColumn } from '../workbench/table';

const REFRESH_MS = 2_000;
/** Letters are counted, which takes longer the more there are. */
const LETTERS_REFRESH_MS = 10_000;
/** Those that cannot be read come first. */
const SOURCES = "SELECT source, kind, state, lag_records, last_record, failing_since, error FROM sluice_sources ORDER BY state <> 'failing', source LIMIT 200";
const ERRORS = 'SELECT * FROM sluice_evaluation_errors LIMIT 100';

export function healthPage(context: WorkContext): Part {
  const { texts, writer, messages } = context;
  const state = h('dd', { class: 'figure-value' });
  const epoch = h('dd', { class: 'figure-value' });
  const uptime = h('dd', { class: 'figure-value' });
  const figures = h('dl', { class: 'figure-grid' }, h('div', { class: 'figure' }, h('dt', {}, texts.state), state), h('div', { class: 'figure' }, h('dt', {}, messages.footer.epoch), epoch), h('div', { class: 'figure' }, h('dt', {}, texts.runsFor), uptime));
  const sources = h('div', {}, h('p', { class: 'none' }, texts.loading));
  const errors = h('div', {}, h('p', { class: 'none' }, texts.loading));
  const numbers = h('div', {}, h('p', { class: 'none' }, texts.loading));
  const letters = deadLetterList(context);
  const section = (id: string, heading: string, body: HTMLElement) => h('section', { class: 'panel work-panel is-wide', 'aria-labelledby': id }, h('header', { class: 'panel-head' }, h('h2', { id }, heading)), body);
  // Sources and errors are asked in SQL, which is not for everybody who may see the rest.
  const asksSql = mayAskSql(context.role);
  const sections = [
    section('health-state', texts.headings.health, figures),
    ...(asksSql ? [section('health-sources', texts.sources, sources)] : []),
    section('health-letters', texts.deadLetters, letters.element),
    ...(asksSql ? [section('health-errors', texts.evaluationErrors, errors)] : []),
    section('health-metrics', texts.metrics, numbers),
  ];
  const element = h('main', { id: 'numbers', class: 'work', tabindex: -1 }, h('div', { class: 'panel-grid' }, ...sections));
  let isOver = false;

  const text = (cell: Cell | undefined) => (cell === null || cell === undefined ? '–' : String(cell));
  const plain = (title: string, place: number, isNumber = false): TableColumn => ({ title, isNumber, write: text, place });
  const moment = (title: string, place: number): TableColumn => ({ title, isNumber: false, write: (cell) => (text(cell) === '–' ? '–' : writer.form(text(cell), 'time')), place });
  const { sourceHead: head } = texts;
  /** In the order of what is asked. */
  const ofSources: readonly TableColumn[] = [
    plain(head.source, 0),
    plain(head.kind, 1),
    { title: head.state, isNumber: false, write: (cell) => texts.sourceStates[text(cell)] ?? text(cell), place: 2 },
    { title: head.behind, isNumber: true, write: (cell) => (text(cell) === '–' ? '–' : writer.form(text(cell), 'integer')), place: 3 },
    moment(head.last, 4),
    moment(head.since, 5),
    plain(head.error, 6),
  ];
  const shown = (title: string, answer: SqlAnswer | Error, columns: readonly TableColumn[]) => {
    if (answer instanceof Error) return h('p', { class: 'none' }, failureText(texts, answer));
    if (answer.rows.length === 0) return h('p', { class: 'none' }, texts.nothing);
    return table(title, columns, answer.rows);
  };

  async function refresh(): Promise<void> {
    try {
      // Columns of theirs may be for admins alone.
      const [failed, read] = await Promise.all((asksSql ? [ERRORS, SOURCES] : []).map((text) => sql(text).catch((error: Error) => error)));
      const [ready, now, lines] = await Promise.all([isReady(), info(), metricLines()]);
      if (isOver) return;
      setText(state, ready ? texts.stateOf.ready : texts.stateOf.notReady);
      setText(epoch, writer.count(now.epoch));
      setText(uptime, writer.form(now.uptime_s, 'seconds'));
      const [name, value, meaning] = texts.metricHead;
      numbers.replaceChildren(table(texts.metrics, [plain(name, 0), plain(value, 1, true), plain(meaning, 2)], lines.map((line) => [line.name, line.value, line.meaning])));
      if (failed) errors.replaceChildren(shown(texts.evaluationErrors, failed, failed instanceof Error ? [] : failed.columns.map((column, place) => plain(column.name, place))));
      if (read) sources.replaceChildren(shown(texts.sources, read, ofSources));
    } catch (error) {
      setText(state, failureText(texts, error));
    }
  }

  void letters.refresh();
  void refresh();
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') void refresh();
  }, REFRESH_MS);
  const lettersTimer = setInterval(() => {
    if (document.visibilityState === 'visible') void letters.refresh();
  }, LETTERS_REFRESH_MS);
  return {
    element,
    draw: () => {},
    dispose: () => {
      isOver = true;
      clearInterval(timer);
      clearInterval(lettersTimer);
      letters.dispose();
    },
  };
}
