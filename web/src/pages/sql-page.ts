/** SQL: an editor that knows tables and columns, and answers as tables and charts. */

import type { Part } from '../ui/context';
import { h, setText } from '../ui/dom';
import { segmented } from '../ui/segmented';
import type { SqlAnswer } from '../live/protocol';
import { sql } from '../live/requests';
import { models, type Chart, type Model, type PanelColumn } from '../workbench/api';
import { suggest, wordBefore, type Suggestion } from '../workbench/completion';
import type { WorkContext } from '../workbench/context';
import { failureLine } from '../workbench/failure';
import { firstStatement } from '../workbench/first-statement';
import { PanelChart } from '../workbench/panel-chart';

const ROWS_SHOWN_MAX = 1_000;

type View = 'table' | 'line' | 'bar' | 'pie';

/** Outlives a page that is built again in another language. */
const kept: { text: string | undefined; view: View } = { text: undefined, view: 'table' };

export function sqlPage(context: WorkContext): Part {
  const { texts, writer } = context;
  const editor = h('textarea', { id: 'statement', class: 'editor', rows: 8, spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', 'aria-label': texts.statement, 'aria-autocomplete': 'list', 'aria-controls': 'suggestions' });
  editor.value = kept.text ?? '';
  const list = h('ul', { id: 'suggestions', class: 'suggestions', role: 'listbox', 'aria-label': texts.columns, hidden: true });
  const run = h('button', { type: 'button', class: 'primary', id: 'run' }, texts.run);
  const note = h('p', { class: 'panel-note', role: 'status' });
  const box = h('div', { class: 'chart-box sql-answer' });
  const chart = new PanelChart(box, writer, { nothing: texts.nothing, before: texts.before, rows: texts.rows }, undefined);
  const views = segmented(
    texts.viewLabel,
    (['table', 'line', 'bar', 'pie'] as const).map((value) => ({ value, text: texts.views[value] })),
    kept.view,
    (value) => {
      kept.view = value;
      draw();
    },
  );
  const csv = h('button', { type: 'button', class: 'plain' }, 'CSV');
  const xlsx = h('button', { type: 'button', class: 'plain' }, 'XLSX');
  csv.addEventListener('click', () => void download('csv'));
  xlsx.addEventListener('click', () => void download('xlsx'));
  const element = h(
    'main',
    { id: 'numbers', class: 'work', tabindex: -1 },
    h('section', { class: 'panel', 'aria-labelledby': 'heading-sql' }, h('header', { class: 'panel-head' }, h('h2', { id: 'heading-sql' }, texts.headings.sql), h('p', { class: 'panel-note' }, 'Ctrl+Enter')), h('div', { class: 'editor-box' }, editor, list), h('div', { class: 'panel-controls' }, run, views.element, csv, xlsx, note)),
    h('section', { class: 'panel', 'aria-label': texts.rows }, box),
  );
  let known: readonly Model[] = [];
  let found: readonly Suggestion[] = [];
  let chosen = 0;
  let answer: SqlAnswer | undefined;
  models().then(
    (all) => {
      known = all.models;
      if (kept.text === undefined) editor.value = firstStatement(known);
    },
    () => {
      // Without the catalogue there is no completion and no first statement; others are
      // answered all the same.
    },
  );

  function showSuggestions(isForced: boolean): void {
    const { word } = wordBefore(editor.value, editor.selectionStart);
    found = word.length > 1 || word.endsWith('.') || isForced ? suggest(editor.value, editor.selectionStart, known) : [];
    chosen = 0;
    drawSuggestions();
  }

  function drawSuggestions(): void {
    list.hidden = found.length === 0;
    list.replaceChildren(
      ...found.map((suggestion, place) => {
        const item = h('li', { id: `suggestion-${place}`, role: 'option', 'aria-selected': place === chosen ? 'true' : 'false', class: suggestion.kind }, h('span', {}, suggestion.text), h('small', {}, suggestion.note));
        item.addEventListener('mousedown', (event) => {
          event.preventDefault();
          accept(place);
        });
        return item;
      }),
    );
    if (found.length > 0) editor.setAttribute('aria-activedescendant', `suggestion-${chosen}`);
    else editor.removeAttribute('aria-activedescendant');
  }

  function accept(place: number): void {
    const suggestion = found[place];
    if (!suggestion) return;
    const at = editor.selectionStart;
    const { word } = wordBefore(editor.value, at);
    const start = at - (word.includes('.') ? word.length - word.lastIndexOf('.') - 1 : word.length);
    editor.setRangeText(suggestion.text, start, at, 'end');
    kept.text = editor.value;
    found = [];
    drawSuggestions();
  }

  editor.addEventListener('input', () => {
    kept.text = editor.value;
    showSuggestions(false);
  });
  editor.addEventListener('blur', () => {
    found = [];
    drawSuggestions();
  });
  editor.addEventListener('keydown', (event) => {
    const isOpen = found.length > 0;
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void ask();
    else if (event.key === ' ' && event.ctrlKey) showSuggestions(true);
    else if (isOpen && event.key === 'ArrowDown') chosen = (chosen + 1) % found.length;
    else if (isOpen && event.key === 'ArrowUp') chosen = (chosen + found.length - 1) % found.length;
    else if (isOpen && (event.key === 'Tab' || event.key === 'Enter')) accept(chosen);
    else if (isOpen && event.key === 'Escape') found = [];
    else return;
    event.preventDefault();
    drawSuggestions();
  });
  run.addEventListener('click', () => void ask());

  async function ask(): Promise<void> {
    setText(note, texts.loading);
    const started = performance.now();
    try {
      answer = await sql(editor.value);
      const ms = writer.count(performance.now() - started);
      const more = answer.rows.length > ROWS_SHOWN_MAX ? ` ${texts.firstRows(writer.count(ROWS_SHOWN_MAX))}` : '';
      setText(note, texts.answered(writer.count(answer.rows.length), ms, String(answer.epoch)) + more);
      draw();
    } catch (error) {
      answer = undefined;
      setText(note, '');
      chart.dispose();
      box.replaceChildren(failureLine(texts, error));
    }
  }

  function draw(): void {
    if (answer === undefined) return;
    const columns = answerColumns(answer, kept.view);
    const isDrawable = columns.some(({ role }) => role === 'value') && columns.some(({ role }) => role === 'category');
    const kind: Chart = isDrawable ? kept.view : 'table';
    chart.draw({ chart: kind, title: texts.headings.sql, columns, rows: answer.rows.slice(0, ROWS_SHOWN_MAX) });
  }

  async function download(form: string): Promise<void> {
    const response = await fetch(`/api/v1/sql?format=${form}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql: editor.value }) });
    if (!response.ok) return ask();
    const link = h('a', { href: URL.createObjectURL(await response.blob()), download: `rows.${form}` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  return { element, draw: () => {}, restyle: () => chart.restyle(), dispose: () => chart.dispose() };
}

/** The first column that is no number is the axis, numbers are values. */
function answerColumns({ columns, rows }: SqlAnswer, view: View): PanelColumn[] {
  const isNumber = (type: string) => /^(U?Int|Float|Decimal)/.test(type);
  let axis = columns.findIndex(({ type }) => !isNumber(type));
  if (axis < 0 && columns.length > 1) axis = 0;
  return columns.map(({ name, type }, place) => {
    const isValue = isNumber(type) && (place !== axis || view === 'table');
    const format = type === 'Date32' ? 'date' : type.startsWith('Timestamp') ? 'time' : isValue && rows.some((row) => String(row[place]).includes('.')) ? 'decimal' : isValue ? 'integer' : 'text';
    return { name, type, title: { en: name, zh: name }, role: isValue ? 'value' : place === axis ? 'category' : 'text', format, words: {} };
  });
}
