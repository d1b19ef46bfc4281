/** All tables and models: what they are, their columns, what they read and what reads them. */

import type { Part } from '../ui/context';
import { h } from '../ui/dom';
import { models, rowCounts, type Model, type Models } from '../work/api';
import type { WorkContext } from '../work/context';
import { lineage } from '../work/lineage';

const kept = { find: '', chosen: '' };

export function cataloguePage(context: WorkContext, chosen: string): Part {
  const { texts, writer } = context;
  if (chosen !== '') kept.chosen = chosen;
  const find = h('input', { type: 'search', id: 'find', value: kept.find, placeholder: texts.find, 'aria-label': texts.find });
  const list = h('nav', { class: 'model-list', 'aria-label': texts.models });
  const page = h('section', { class: 'panel model', 'aria-live': 'polite' }, h('p', { class: 'none' }, texts.loading));
  const element = h('main', { id: 'numbers', class: 'work catalogue', tabindex: -1 }, h('section', { class: 'panel' }, h('header', { class: 'panel-head' }, h('h2', {}, texts.headings.catalogue)), find, list), page);
  let all: Models = { layers: [], models: [] };
  let counts: ReadonlyMap<string, number> = new Map();

  function drawList(): void {
    const wanted = kept.find.toLowerCase();
    const isFound = (model: Model) => model.name.includes(wanted) || model.columns.some(({ name, meaning }) => name.includes(wanted) || meaning.toLowerCase().includes(wanted));
    const groups = all.layers.map((layer) => {
      const found = all.models.filter((model) => model.layer === layer && isFound(model));
      const items = found.map(({ name }) => h('li', {}, h('a', { href: `#/catalogue/${name}`, 'aria-current': name === kept.chosen ? 'page' : undefined }, name)));
      return found.length === 0 ? undefined : h('div', {}, h('h3', {}, layer), h('ul', {}, ...items));
    });
    list.replaceChildren(...groups.filter((group) => group !== undefined));
  }

  function drawModel(): void {
    const model = all.models.find(({ name }) => name === kept.chosen) ?? all.models.find(({ name }) => name === 'ads_live_day') ?? all.models[0];
    if (!model) return;
    kept.chosen = model.name;
    const count = counts.get(model.name);
    const [name, type, meaning] = texts.columnHead;
    const rows = model.columns.map((column) => h('tr', {}, h('th', { scope: 'row' }, column.name), h('td', {}, column.type), h('td', {}, column.meaning)));
    const byName = new Map(all.models.map((each) => [each.name, each]));
    const label = texts.lineageOf(model.name);
    page.replaceChildren(
      h('header', { class: 'panel-head' }, h('h2', { id: 'model-name' }, model.name), h('p', { class: 'panel-note' }, [model.layer, texts.kinds[model.kind] ?? model.kind, count === undefined ? '' : texts.rowCount(writer.count(count))].filter(Boolean).join(' · '))),
      ...[model.grain, ...model.text].filter(Boolean).map((text) => h('p', { class: 'model-text', lang: 'en' }, text)),
      h('h3', {}, texts.lineage),
      lineage(label, model.name, byName),
      h('h3', {}, texts.columns),
      h('div', { class: 'table-box', tabindex: 0, role: 'group', 'aria-label': texts.columns }, h('table', {}, h('thead', {}, h('tr', {}, ...[name, type, meaning].map((text) => h('th', { scope: 'col' }, text)))), h('tbody', {}, ...rows))),
    );
  }

  find.addEventListener('input', () => {
    kept.find = find.value;
    drawList();
  });
  Promise.all([models(), rowCounts()]).then(
    ([found, rows]) => {
      [all, counts] = [found, rows];
      drawModel();
      drawList();
    },
    (error: Error) => page.replaceChildren(h('p', { class: 'none', role: 'alert' }, texts.failed(error.message))),
  );
  return { element, draw: () => {} };
}
