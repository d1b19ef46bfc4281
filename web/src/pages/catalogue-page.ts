/** All tables and models: what they are, their columns, what they read and what reads them. */

import { mayAskSql } from '../model/rights';
import type { Part } from '../ui/context';
import { h, setText } from '../ui/dom';
import { models, type Model, type Models } from '../workbench/api';
import type { WorkContext } from '../workbench/context';
import { failureLine } from '../workbench/failure';
import { lineage, type Lineage } from '../workbench/lineage';
import { RowFlow } from '../workbench/row-rates';

const REFRESH_MS = 2_000;

const kept = { find: '', chosen: '' };

/**
 * The list and one of its models, side by side; where there is no room for that, one
 * of the two: the model that the address names (`chosen`), or the list. `isStep`: the
 * reader came from the other or from another model, and goes on reading there.
 */
export function cataloguePage(context: WorkContext, chosen: string, isStep: boolean): Part {
  const { texts, writer } = context;
  if (chosen !== '') kept.chosen = chosen;
  const find = h('input', { type: 'search', id: 'find', value: kept.find, placeholder: texts.find, 'aria-label': texts.find });
  const list = h('nav', { class: 'model-list', 'aria-label': texts.models });
  const page = h('section', { class: 'panel model' }, h('p', { class: 'none' }, texts.loading));
  const choice = h('section', { class: 'panel model-choice' }, h('header', { class: 'panel-head' }, h('h2', {}, texts.headings.catalogue)), find, list);
  const element = h('main', { id: 'numbers', class: `work catalogue ${chosen === '' ? 'shows-list' : 'shows-model'}`, tabindex: -1 }, choice, page);
  let all: Models = { layers: [], models: [] };
  const flow = new RowFlow(mayAskSql(context.role));
  const listed = new Map<string, HTMLElement>();
  let drawing: Lineage | undefined;
  let figures: HTMLElement | undefined;
  let isOver = false;

  /** Rows and rates of a table or view, as far as they are known; a query view has none. */
  function flowText(name: string, isShort = false): string {
    const { rows, perSecond } = flow.of(name);
    const count = rows === undefined ? '' : writer.count(rows);
    return [isShort || count === '' ? count : texts.rowCount(count), perSecond === undefined ? '' : texts.perSecond(writer.rate(perSecond))].filter(Boolean).join(' · ');
  }

  function kindOf(name: string): string {
    const kind = all.models.find((model) => model.name === name)?.kind ?? '';
    return texts.kinds[kind] ?? kind;
  }

  /** In place: what moves every other second must not take the focus, or be read aloud. */
  function drawFlow(): void {
    for (const [name, element] of listed) setText(element, flowText(name, true));
    drawing?.draw((name) => flowText(name) || kindOf(name));
    if (figures) setText(figures, flowText(kept.chosen));
  }

  function drawList(): void {
    const wanted = kept.find.toLowerCase();
    const isFound = (model: Model) => model.name.includes(wanted) || model.columns.some(({ name, meaning }) => name.includes(wanted) || meaning.toLowerCase().includes(wanted));
    listed.clear();
    const groups = all.layers.map((layer) => {
      const found = all.models.filter((model) => model.layer === layer && isFound(model));
      const items = found.map(({ name }) => {
        const figure = h('small', { 'data-flow': name });
        listed.set(name, figure);
        return h('li', {}, h('a', { href: `#/catalogue/${name}`, 'aria-current': name === kept.chosen ? 'page' : undefined }, h('span', {}, name), ' ', figure));
      });
      return found.length === 0 ? undefined : h('div', {}, h('h3', {}, layer), h('ul', {}, ...items));
    });
    list.replaceChildren(...groups.filter((group) => group !== undefined));
    drawFlow();
  }

  function drawModel(): void {
    const model = all.models.find(({ name }) => name === kept.chosen) ?? all.models.find(({ name }) => name === 'ads_live_day') ?? all.models[0];
    if (!model) return;
    kept.chosen = model.name;
    const [name, type, meaning] = texts.columnHead;
    const rows = model.columns.map((column) => h('tr', {}, h('th', { scope: 'row' }, column.name), h('td', {}, column.type), h('td', {}, column.meaning)));
    const byName = new Map(all.models.map((each) => [each.name, each]));
    drawing = lineage(texts.lineageOf(model.name), model.name, byName);
    figures = h('span', { id: 'model-flow' });
    const kind = [model.layer, kindOf(model.name)].filter(Boolean).join(' · ');
    page.replaceChildren(
      h('a', { class: 'back', href: '#/catalogue' }, `‹ ${texts.allModels}`),
      h('header', { class: 'panel-head' }, h('h2', { id: 'model-name', tabindex: -1 }, model.name), h('p', { class: 'panel-note' }, kind), h('p', { class: 'panel-note' }, figures)),
      ...[model.grain, ...model.text].filter(Boolean).map((text) => h('p', { class: 'model-text', lang: 'en' }, text)),
      h('h3', {}, texts.lineage),
      h('p', { class: 'panel-note' }, texts.flowNote),
      drawing.element,
      h('h3', {}, texts.columns),
      h('div', { class: 'table-box', tabindex: 0, role: 'group', 'aria-label': texts.columns }, h('table', {}, h('thead', {}, h('tr', {}, ...[name, type, meaning].map((text) => h('th', { scope: 'col' }, text)))), h('tbody', {}, ...rows))),
    );
    drawing.centre();
  }

  /** The list begins at the model that is shown, and who came by a link reads on behind it. */
  function goOn(): void {
    const current = list.querySelector<HTMLElement>('[aria-current]');
    // Beside the model the list has a frame of its own, which alone is moved.
    if (current) choice.scrollTop = current.offsetTop - choice.clientHeight / 2;
    if (!isStep) return;
    if (chosen !== '') document.getElementById('model-name')?.focus();
    else current?.focus();
  }

  find.addEventListener('input', () => {
    kept.find = find.value;
    drawList();
  });
  async function refresh(): Promise<void> {
    // Without the figures the rest is still right; the next ones may come.
    await flow.refresh().catch(() => {});
    if (!isOver) drawFlow();
  }

  models().then(
    (found) => {
      all = found;
      if (isOver) return;
      drawModel();
      drawList();
      goOn();
      void refresh();
    },
    (error: Error) => page.replaceChildren(failureLine(texts, error)),
  );
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') void refresh();
  }, REFRESH_MS);
  return {
    element,
    draw: () => {},
    dispose: () => {
      isOver = true;
      clearInterval(timer);
    },
  };
}
