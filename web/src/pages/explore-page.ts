/** Explore: any measure of a model by any of its dimensions, with a filter; and the same as a panel's file. */

import type { Part } from '../ui/context';
import { h } from '../ui/dom';
import { segmented } from '../ui/segmented';
import { sql } from '../live/requests';
import { models, savePanel, type Model } from '../workbench/api';
import type { WorkContext } from '../workbench/context';
import { exploreQuery, isMeasure, panelFile, savedPanel, type Exploration, type PanelWords } from '../workbench/exploration';
import { PanelChart } from '../workbench/panel-chart';

const kept: Exploration = { model: 'dwd_trade_order', measure: 'goods_amount', by: 'province_name', filter: '', chart: 'bar' };

const words: PanelWords = { name: '', en: '', zh: '', subject: 'own', replace: false };

export function explorePage(context: WorkContext): Part {
  const { texts, writer } = context;
  const model = h('select', { id: 'explore-model' });
  const measure = h('select', { id: 'explore-measure' });
  const by = h('select', { id: 'explore-by' });
  const filter = h('input', { type: 'text', id: 'explore-filter', size: 32, value: kept.filter, placeholder: texts.filterHint });
  const views = segmented(
    texts.viewLabel,
    (['bar', 'line', 'pie', 'table'] as const).map((value) => ({ value, text: texts.views[value] })),
    kept.chart,
    (value) => {
      kept.chart = value;
      void ask();
    },
  );
  const field = (label: string, control: HTMLElement) => h('label', { class: 'field' }, h('span', {}, label), control);
  const box = h('div', { class: 'chart-box explore-answer' }, h('p', { class: 'none' }, texts.loading));
  const chart = new PanelChart(box, writer, { nothing: texts.nothing, before: texts.before, rows: texts.rows }, undefined);
  const file = h('pre', { class: 'panel-file', tabindex: 0, role: 'group', 'aria-label': texts.asPanel });
  const input = (id: string, key: 'name' | 'en' | 'zh' | 'subject', pattern?: string) => {
    const control = h('input', { type: 'text', id, value: words[key], required: key !== 'zh', maxlength: 64, pattern, size: 16 });
    control.addEventListener('input', () => (words[key] = control.value));
    return control;
  };
  const name = input('save-name', 'name', '[a-z][a-z0-9_]*');
  const replace = h('input', { type: 'checkbox', id: 'save-replace', checked: words.replace });
  replace.addEventListener('change', () => (words.replace = replace.checked));
  const save = h('button', { type: 'submit', class: 'primary' }, texts.savePanel);
  const said = h('p', { class: 'panel-note', role: 'status' });
  const form = h('form', { class: 'panel-controls', 'aria-label': texts.savePanel }, field(texts.saveName, name), field(texts.saveTitle.en, input('save-en', 'en')), field(texts.saveTitle.zh, input('save-zh', 'zh')), field(texts.subjectLabel, input('save-subject', 'subject', '[A-Za-z0-9_]+')), field(texts.saveReplace, replace), save);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void keep();
  });
  const element = h(
    'main',
    { id: 'numbers', class: 'work', tabindex: -1 },
    h('section', { class: 'panel', 'aria-labelledby': 'heading-explore' }, h('header', { class: 'panel-head' }, h('h2', { id: 'heading-explore' }, texts.headings.explore)), h('div', { class: 'panel-controls' }, field(texts.from, model), field(texts.measure, measure), field(texts.dimension, by), field(texts.filter, filter), views.element)),
    h('section', { class: 'panel', 'aria-label': texts.rows }, box),
    h('section', { class: 'panel', 'aria-labelledby': 'heading-file' }, h('h2', { id: 'heading-file' }, texts.asPanel), form, said, file),
  );
  let all: readonly Model[] = [];
  let asked = 0;

  function drawChoices(): void {
    const options = (select: HTMLSelectElement, names: readonly string[], chosen: string) => select.replaceChildren(...names.map((name) => h('option', { value: name, selected: name === chosen }, name)));
    const found = all.find(({ name }) => name === kept.model) ?? all[0];
    if (!found) return;
    kept.model = found.name;
    const measures = ['count(*)', ...found.columns.filter(isMeasure).map(({ name }) => name)];
    const dimensions = found.columns.map(({ name }) => name);
    if (!measures.includes(kept.measure)) kept.measure = measures[0] ?? 'count(*)';
    if (!dimensions.includes(kept.by)) kept.by = dimensions[0] ?? '';
    options(model, all.map(({ name }) => name), kept.model);
    options(measure, measures, kept.measure);
    options(by, dimensions, kept.by);
  }

  async function keep(): Promise<void> {
    save.disabled = true;
    said.replaceChildren(texts.loading);
    try {
      await savePanel(savedPanel(kept, words));
      said.replaceChildren(texts.saved, ' ', h('a', { href: `#/panels/${words.subject}` }, words.en));
    } catch (error) {
      said.replaceChildren(texts.notSaved((error as Error).message));
    } finally {
      save.disabled = false;
    }
  }

  async function ask(): Promise<void> {
    asked += 1;
    const mine = asked;
    file.textContent = panelFile(kept);
    try {
      const answer = await sql(exploreQuery(kept));
      if (mine !== asked) return;
      const isTime = /^(Date|Timestamp)/.test(answer.columns[0]?.type ?? '');
      const columns = answer.columns.map(({ name, type }, place) => ({ name, type, title: { en: name, zh: name }, role: place === 0 ? ('category' as const) : ('value' as const), format: place > 0 ? ('decimal' as const) : isTime ? ('date' as const) : ('text' as const), words: {} }));
      chart.draw({ chart: kept.chart, title: `${kept.measure} / ${kept.by}`, columns, rows: answer.rows });
    } catch (error) {
      if (mine !== asked) return;
      chart.dispose();
      box.replaceChildren(h('p', { class: 'none', role: 'alert' }, texts.failed((error as Error).message)));
    }
  }

  const onChoice = (select: HTMLSelectElement | HTMLInputElement, set: (value: string) => void) =>
    select.addEventListener('change', () => {
      set(select.value);
      drawChoices();
      void ask();
    });
  onChoice(model, (value) => (kept.model = value));
  onChoice(measure, (value) => (kept.measure = value));
  onChoice(by, (value) => (kept.by = value));
  onChoice(filter, (value) => (kept.filter = value));
  models().then(
    (found) => {
      all = found.models.filter(({ columns }) => columns.length > 0);
      drawChoices();
      void ask();
    },
    (error: Error) => box.replaceChildren(h('p', { class: 'none', role: 'alert' }, texts.failed(error.message))),
  );
  return { element, draw: () => {}, restyle: () => chart.restyle(), dispose: () => chart.dispose() };
}
