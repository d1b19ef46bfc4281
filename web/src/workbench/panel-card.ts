/** One panel: its title, what can be chosen, its drawing, and ways to its rows. */

import { h, setText } from '../ui/dom';
import type { Part } from '../ui/context';
import type { Row } from '../live/protocol';
import { addDays } from '../model/business-time';
import { panelAddress, panelAnswer, type Panel, type PanelAnswer, type Parameter, type Values } from './api';
import type { WorkContext } from './context';
import { openDetail } from './detail';
import { failureText } from './failure';
import { PanelChart } from './panel-chart';

export type Comparison = 'none' | 'day' | 'week';

/** What holds for all panels of the page. */
export interface PageChoice {
  /** A day, or nothing for what each panel has by default. */
  readonly day: string;
  readonly compare: Comparison;
}

export interface PanelCard extends Part {
  /** Asks again: at once after a choice, else when the last answer has been there for a while. */
  refresh(isChoice?: boolean): void;
}

/** A panel may take one part in so many of the time, however slow its query is. */
const PAUSE_SHARE = 5;

export function panelCard(context: WorkContext, panel: Panel, choice: () => PageChoice, size = ''): PanelCard {
  const { texts, writer } = context;
  const title = writer.words(panel.title);
  const own = new Map<string, string>();
  const note = h('p', { class: 'panel-note' }, panel.description ? writer.words(panel.description) : '');
  const problem = h('p', { class: 'none', role: 'alert', hidden: true });
  const box = h('div', { class: `chart-box chart-${panel.chart}` }, h('p', { class: 'none' }, texts.loading));
  const controls = panel.parameters.filter(({ name }) => !['day', 'from', 'to'].includes(name)).map((parameter) => control(context, parameter, own, () => refresh(true)));
  const links = ['csv', 'xlsx'].map((form) => {
    const link = h('a', { class: 'quiet', href: '#', 'aria-label': `${texts.download(form.toUpperCase())}: ${title}` }, form.toUpperCase());
    link.addEventListener('click', () => {
      const extra = form === 'xlsx' ? { lang: writer.language } : { download: '1' };
      link.href = panelAddress(panel.name, { ...values(), ...extra } as Values, `.${form}`);
    });
    return link;
  });
  const rows = h('button', { type: 'button', class: 'quiet', 'aria-label': `${texts.rows}: ${title}` }, texts.rows);
  rows.addEventListener('click', () => openDetail(context, panel, values(), last?.columns ?? panel.columns));
  const id = `panel-${panel.name}`;
  const element = h(
    'section',
    { class: `panel work-panel ${size}`, 'aria-labelledby': id, 'data-panel': panel.name, 'data-chart': panel.chart },
    h('header', { class: 'panel-head' }, h('h2', { id }, title), h('span', { class: 'panel-links' }, ...(panel.detail ? [rows] : []), ...links)),
    note,
    controls.length > 0 ? h('div', { class: 'panel-controls' }, ...controls) : undefined,
    problem,
    box,
  );
  note.hidden = !panel.description;
  let last: PanelAnswer | undefined;
  let asked = 0;
  let isAsking = false;
  let nextMs = 0;
  const open = panel.detail ? (row: Row) => openDetail(context, panel, values(), last?.columns ?? panel.columns, row) : undefined;
  const chart = new PanelChart(box, writer, { nothing: texts.nothing, before: texts.before, rows: texts.rows }, open);

  function has(name: string): boolean {
    return panel.parameters.some((parameter) => parameter.name === name);
  }

  /** The values of this panel; spans end with the day of the page. */
  function values(back = 0): Values {
    const { day } = choice();
    const given: Record<string, string> = Object.fromEntries([...own].filter(([, value]) => value !== ''));
    const defaultOf = (name: string) => panel.parameters.find((parameter) => parameter.name === name)?.value ?? '';
    if (has('day') && (day !== '' || back > 0)) given['day'] = addDays(day || defaultOf('day'), -back);
    if (has('from') && has('to') && (day !== '' || back > 0)) {
      const days = Math.round((Date.parse(defaultOf('to')) - Date.parse(defaultOf('from'))) / 86_400_000);
      const to = addDays(day || defaultOf('to'), -back);
      given['to'] = to;
      given['from'] = addDays(to, -days);
    }
    return given;
  }

  function refresh(isChoice = false): void {
    const startMs = performance.now();
    // What is under way is waited for: asking again would put it off for ever.
    if (!isChoice && (isAsking || startMs < nextMs)) return;
    asked += 1;
    isAsking = true;
    const mine = asked;
    const end = () => {
      isAsking = false;
      nextMs = performance.now() + (performance.now() - startMs) * PAUSE_SHARE;
    };
    const { compare } = choice();
    const hasDay = has('day') || has('to');
    const isComparable = hasDay && compare !== 'none' && ['number', 'line', 'bar', 'area'].includes(panel.chart);
    const back = compare === 'week' ? 7 : 1;
    const answers = Promise.all([panelAnswer(panel.name, values()), isComparable ? panelAnswer(panel.name, values(back)) : undefined]);
    answers.then(
      ([answer, before]) => {
        if (mine !== asked) return;
        end();
        last = answer;
        problem.hidden = true;
        element.dataset['epoch'] = String(answer.epoch);
        chart.draw({ chart: panel.chart, title, columns: answer.columns, rows: answer.rows, before: before?.rows });
      },
      (error: Error) => {
        if (mine !== asked) return;
        end();
        problem.hidden = false;
        setText(problem, failureText(texts, error));
      },
    );
  }

  return { element, draw: () => {}, refresh, restyle: () => chart.restyle(), dispose: () => chart.dispose() };
}

/** Lets people choose a value of a parameter. */
function control(context: WorkContext, parameter: Parameter, own: Map<string, string>, onChange: () => void): HTMLElement {
  const label = context.writer.words(parameter.title);
  const first = parameter.value ?? '';
  const change = (value: string) => {
    own.set(parameter.name, value);
    onChange();
  };
  if (parameter.values.length > 0) {
    const select = h('select', {}, ...parameter.values.map((value) => h('option', { value, selected: value === first }, value)));
    select.addEventListener('change', () => change(select.value));
    return h('label', { class: 'field' }, h('span', {}, label), select);
  }
  const type = parameter.type === 'integer' ? 'number' : parameter.type === 'date' ? 'date' : 'text';
  const input = h('input', { type, value: first, min: parameter.min ?? undefined, max: parameter.max ?? undefined, size: 8 });
  input.addEventListener('change', () => {
    if (input.checkValidity()) change(input.value);
  });
  return h('label', { class: 'field' }, h('span', {}, label), input);
}
