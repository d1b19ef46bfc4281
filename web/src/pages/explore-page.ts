/** Explore: numbers of a model by its dimensions, filtered; from a number to what it is made of; and the same as a panel's file. */

import { EXPLORE } from '../i18n/explore';
import type { Part } from '../ui/context';
import { h, setText } from '../ui/dom';
import { segmented } from '../ui/segmented';
import type { Row, SqlAnswer } from '../live/protocol';
import { sql } from '../live/requests';
import { models, type Form, type Model, type PanelColumn } from '../workbench/api';
import type { WorkContext } from '../workbench/context';
import { drilled, nextDimension } from '../workbench/drill';
import { dimensionFields, measureFields, nextField, wordsOf } from '../workbench/explore-choices';
import { filterRows } from '../workbench/explore-filters';
import { exploredRows } from '../workbench/explore-rows';
import { saving } from '../workbench/explore-saving';
import { FIRST, fitted } from '../workbench/explore-start';
import { aliasOf, exploreQuery, kindOfDimension, rolesOf, rowsMax, shownAs, titleOf, type Dimension, type Exploration } from '../workbench/exploration';
import { failureLine } from '../workbench/failure';
import { button, field, keepFocus, select } from '../workbench/fields';
import { PanelChart } from '../workbench/panel-chart';

/** What was drilled into, and the question before it. */
interface Step {
  readonly text: string;
  readonly before: Exploration;
}

/** Outlives a page that is built again in another language. */
const kept: { exploration: Exploration; next: Dimension | undefined; isNextChosen: boolean; trail: readonly Step[] } = { exploration: FIRST, next: undefined, isNextChosen: false, trail: [] };

export function explorePage(context: WorkContext): Part {
  const { texts, writer } = context;
  const words = EXPLORE[writer.language];
  const both = { texts, words };
  const choices = h('div', { class: 'panel-controls' });
  const filters = h('div', { class: 'panel-controls filters' });
  const condition = h('input', { type: 'text', id: 'explore-filter', size: 32, placeholder: texts.filterHint });
  const views = segmented(
    texts.viewLabel,
    (['bar', 'line', 'pie', 'table'] as const).map((value) => ({ value, text: texts.views[value] })),
    kept.exploration.chart,
    (chart) => change({ ...kept.exploration, chart }, false),
  );
  const trail = h('nav', { class: 'trail', 'aria-label': words.trail });
  const note = h('p', { class: 'panel-note', role: 'status' });
  const box = h('div', { class: 'chart-box explore-answer' }, h('p', { class: 'none' }, texts.loading));
  const chart = new PanelChart(box, writer, { nothing: texts.nothing, before: texts.before, rows: words.drillInto }, (row) => drill(row));
  const rows = exploredRows(context, words);
  const save = saving(context, () => kept.exploration);
  const element = h(
    'main',
    { id: 'numbers', class: 'work', tabindex: -1 },
    h('section', { class: 'panel', 'aria-labelledby': 'heading-explore' }, h('header', { class: 'panel-head' }, h('h2', { id: 'heading-explore' }, texts.headings.explore)), choices, h('div', { class: 'panel-controls' }, filters, field(words.condition, condition), views.element)),
    h('section', { class: 'panel', 'aria-label': texts.rows }, trail, note, box),
    rows.element,
    save.element,
  );
  let all: readonly Model[] = [];
  let asked = 0;

  function columns(): Model['columns'] {
    return all.find(({ name }) => name === kept.exploration.model)?.columns ?? [];
  }

  /** Another question; its controls are drawn again if they are others. */
  function change(exploration: Exploration, areOthers = true): void {
    kept.exploration = exploration;
    if (!kept.isNextChosen) kept.next = nextDimension(exploration, columns());
    if (areOthers) keepFocus(drawChoices);
    void ask();
  }

  function drawChoices(): void {
    const { exploration } = kept;
    const model = select('explore-model', all.map(({ name }) => ({ value: name, text: name })), exploration.model, chooseModel);
    choices.replaceChildren(
      field(texts.from, model),
      ...measureFields(both, exploration, columns(), (measure) => change({ ...kept.exploration, measure })),
      ...dimensionFields(both, exploration, columns(), (by) => change({ ...kept.exploration, by })),
      nextField(both, kept.next, columns(), (next) => {
        kept.next = next;
        kept.isNextChosen = true;
      }),
    );
    filters.replaceChildren(h('span', {}, words.filters), ...filterRows(words, exploration.model, exploration.filters, columns(), (chosen, areOthers) => change({ ...kept.exploration, filters: chosen }, areOthers)));
    condition.value = exploration.condition;
    views.set(exploration.chart);
    drawTrail();
  }

  function chooseModel(name: string): void {
    const found = all.find((model) => model.name === name);
    if (!found) return;
    kept.trail = [];
    kept.isNextChosen = false;
    change(fitted(kept.exploration, name, found.columns));
  }

  function drawTrail(): void {
    trail.hidden = kept.trail.length === 0;
    const items = kept.trail.map((_, place) => {
      const text = place === 0 ? words.all : (kept.trail[place - 1]?.text ?? '');
      return h('li', {}, button(text, () => goBack(place), { id: `trail-${place}`, class: 'quiet' }));
    });
    trail.replaceChildren(h('ol', {}, ...items, h('li', { 'aria-current': 'step', id: 'trail-end', tabindex: -1 }, kept.trail.at(-1)?.text ?? '')));
  }

  /** To the question before a step. */
  function goBack(place: number): void {
    const step = kept.trail[place];
    if (!step) return;
    kept.trail = kept.trail.slice(0, place);
    kept.isNextChosen = false;
    change(step.before);
    // The button is gone; what it led to is said where the answer is.
    document.getElementById(kept.trail.length > 0 ? 'trail-end' : 'explore-by')?.focus();
  }

  function drill(row: Row): void {
    const { exploration, next } = kept;
    const text = exploration.by.map((dimension, place) => `${wordsOf(dimension, words)}: ${row[place] === null ? words.missing : writer.cell(row[place], columnOf(dimension))}`).join(', ');
    kept.trail = [...kept.trail, { text, before: exploration }];
    kept.isNextChosen = false;
    rows.open();
    change(drilled(exploration, row, next));
    document.getElementById('trail-end')?.focus();
  }

  async function ask(): Promise<void> {
    asked += 1;
    const mine = asked;
    const { exploration } = kept;
    save.draw();
    rows.show(exploration, columns());
    try {
      const answer = await sql(exploreQuery(exploration));
      if (mine !== asked) return;
      chart.draw({ chart: shownAs(exploration), title: titleOf(exploration), columns: answerColumns(answer, exploration), rows: answer.rows });
      setText(note, noteOf(answer, exploration));
    } catch (error) {
      if (mine !== asked) return;
      chart.dispose();
      setText(note, '');
      box.replaceChildren(failureLine(texts, error));
    }
  }

  function noteOf({ rows: found }: SqlAnswer, exploration: Exploration): string {
    const parts = [words.answered(writer.count(found.length), exploration.by.map((dimension) => wordsOf(dimension, words)).join(', '))];
    if (found.length >= rowsMax(exploration)) parts.push(words.firstGroups(writer.count(rowsMax(exploration))));
    const shown = shownAs(exploration);
    if (shown !== exploration.chart) parts.push(shown === 'table' ? words.isTable : words.isBars);
    return parts.join(' ');
  }

  condition.addEventListener('change', () => change({ ...kept.exploration, condition: condition.value }, false));
  models().then(
    (found) => {
      all = found.models.filter((model) => model.columns.length > 0);
      const model = all.find(({ name }) => name === kept.exploration.model) ?? all[0];
      if (!model) {
        box.replaceChildren(h('p', { class: 'none' }, texts.nothing));
        return;
      }
      change(fitted(kept.exploration, model.name, model.columns));
    },
    (error: Error) => box.replaceChildren(failureLine(texts, error)),
  );
  return { element, draw: () => {}, restyle: () => chart.restyle(), dispose: () => chart.dispose() };
}

function columnOf(dimension: Dimension): PanelColumn {
  const name = aliasOf(dimension);
  const format: Form = ({ date: 'date', time: 'time' } as const)[kindOfDimension(dimension) as 'date' | 'time'] ?? 'text';
  return { name, type: dimension.type, title: { en: name, zh: name }, role: 'category', format, words: {} };
}

function answerColumns({ columns }: SqlAnswer, exploration: Exploration): PanelColumn[] {
  const roles = rolesOf(exploration);
  return columns.map(({ name, type }, place) => {
    const dimension = exploration.by[place];
    const role = roles[place]?.[1] ?? 'text';
    if (dimension !== undefined) return { ...columnOf(dimension), role };
    const format: Form = role === 'value' ? (/^U?Int/.test(type) ? 'integer' : 'decimal') : type.startsWith('Timestamp') ? 'time' : 'text';
    return { name, type, title: { en: name, zh: name }, role, format, words: {} };
  });
}
