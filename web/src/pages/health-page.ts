/** How the pipeline does: whether it takes records, what became no rows, where views failed, its numbers. */

import type { Part } from '../ui/context';
import { h, setText } from '../ui/dom';
import { sql, info } from '../live/requests';
import type { Cell } from '../live/protocol';
import { isReady, metricLines, panels } from '../workbench/api';
import type { WorkContext } from '../workbench/context';
import { panelCard, type PanelCard } from '../workbench/panel-card';
import { table } from '../workbench/table';

const REFRESH_MS = 2_000;
const ERRORS = 'SELECT * FROM sluice_evaluation_errors LIMIT 100';

export function healthPage(context: WorkContext): Part {
  const { texts, writer, messages } = context;
  const state = h('dd', { class: 'figure-value' });
  const epoch = h('dd', { class: 'figure-value' });
  const uptime = h('dd', { class: 'figure-value' });
  const figures = h('dl', { class: 'figure-grid' }, h('div', { class: 'figure' }, h('dt', {}, texts.state), state), h('div', { class: 'figure' }, h('dt', {}, messages.footer.epoch), epoch), h('div', { class: 'figure' }, h('dt', {}, '⏱'), uptime));
  const errors = h('div', {}, h('p', { class: 'none' }, texts.loading));
  const numbers = h('div', {}, h('p', { class: 'none' }, texts.loading));
  const letters = h('div', { class: 'is-wide' });
  const section = (id: string, heading: string, body: HTMLElement) => h('section', { class: 'panel work-panel is-wide', 'aria-labelledby': id }, h('header', { class: 'panel-head' }, h('h2', { id }, heading)), body);
  const element = h('main', { id: 'numbers', class: 'work', tabindex: -1 }, h('div', { class: 'panel-grid' }, section('health-state', texts.headings.health, figures), letters, section('health-errors', texts.evaluationErrors, errors), section('health-metrics', texts.metrics, numbers)));
  let card: PanelCard | undefined;
  let isOver = false;

  async function refresh(): Promise<void> {
    try {
      const [ready, now, lines, failed] = await Promise.all([isReady(), info(), metricLines(), sql(ERRORS)]);
      if (isOver) return;
      setText(state, ready ? texts.stateOf.ready : texts.stateOf.notReady);
      setText(epoch, writer.count(now.epoch));
      setText(uptime, writer.form(now.uptime_s, 'seconds'));
      const text = (cell: Cell | undefined) => (cell === null || cell === undefined ? '–' : String(cell));
      const plain = (title: string, place: number, isNumber = false) => ({ title, isNumber, write: text, place });
      const [name, value, meaning] = texts.metricHead;
      numbers.replaceChildren(table(texts.metrics, [plain(name, 0), plain(value, 1, true), plain(meaning, 2)], lines.map((line) => [line.name, line.value, line.meaning])));
      errors.replaceChildren(failed.rows.length === 0 ? h('p', { class: 'none' }, texts.nothing) : table(texts.evaluationErrors, failed.columns.map((column, place) => plain(column.name, place)), failed.rows));
    } catch (error) {
      setText(state, texts.failed((error as Error).message));
    }
    card?.refresh();
  }

  panels().then(
    (all) => {
      const panel = all.find(({ name }) => name === 'dead_letters');
      if (isOver || !panel) return;
      card = panelCard(context, panel, () => ({ day: '', compare: 'none' }), 'is-wide');
      letters.replaceChildren(card.element);
      card.refresh();
    },
    (error: Error) => letters.replaceChildren(h('p', { class: 'none', role: 'alert' }, texts.failed(error.message))),
  );
  void refresh();
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') void refresh();
  }, REFRESH_MS);
  return {
    element,
    draw: () => {},
    restyle: () => card?.restyle?.(),
    dispose: () => {
      isOver = true;
      clearInterval(timer);
      card?.dispose?.();
    },
  };
}
