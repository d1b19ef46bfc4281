/** Panels by subject, for a day, beside an earlier one. */

import { mayAskSql } from '../model/rights';
import type { Part } from '../ui/context';
import { h } from '../ui/dom';
import { segmented } from '../ui/segmented';
import { panels, type Panel } from '../workbench/api';
import type { WorkContext } from '../workbench/context';
import { failureLine } from '../workbench/failure';
import { pageLinks } from '../workbench/page-links';
import { panelCard, type Comparison, type PanelCard } from '../workbench/panel-card';

const REFRESH_MS = 5_000;
/** Subjects in the order in which people look at them; others follow. */
const ORDER = ['trade', 'goods', 'places', 'marketing', 'traffic', 'members', 'health'];

/** Outlives a page that is built again in another language. */
const choice: { subject: string; day: string; compare: Comparison } = { subject: 'trade', day: '', compare: 'none' };

export function panelsPage(context: WorkContext, subject: string): Part {
  const { texts } = context;
  if (subject !== '') choice.subject = subject;
  const tabs = h('nav', { class: 'subjects', 'aria-label': texts.subjectLabel });
  const grid = h('div', { class: 'panel-grid' }, h('p', { class: 'none' }, texts.loading));
  const day = h('input', { type: 'date', id: 'panel-day', value: choice.day || context.shop.now().day });
  day.addEventListener('change', () => {
    choice.day = day.value;
    refresh(true);
  });
  const compare = segmented(
    texts.compare,
    (['none', 'day', 'week'] as const).map((value) => ({ value, text: texts.compareWith[value] })),
    choice.compare,
    (value) => {
      choice.compare = value;
      refresh(true);
    },
  );
  const bar = h('div', { class: 'work-bar' }, tabs, h('div', { class: 'work-choices' }, h('label', { class: 'field' }, h('span', {}, texts.day), day), h('span', { class: 'field' }, h('span', {}, texts.compare), compare.element)));
  const element = h('main', { id: 'numbers', class: 'work', tabindex: -1 }, h('h2', { class: 'unseen' }, texts.headings.panels), bar, grid);
  let cards: PanelCard[] = [];
  let isOver = false;

  function show(all: readonly Panel[]): void {
    bar.hidden = all.length === 0;
    if (all.length === 0) {
      grid.replaceChildren(h('section', { class: 'panel work-panel is-wide elsewhere', 'aria-label': texts.headings.panels }, h('p', {}, texts.noPanels), pageLinks(texts, mayAskSql(context.role) ? ['explore', 'sql', 'catalogue'] : ['catalogue'])));
      return;
    }
    const subjects = [...new Set(all.map((panel) => panel.subject))].sort((left, right) => place(left) - place(right));
    if (!subjects.includes(choice.subject)) choice.subject = subjects[0] ?? '';
    tabs.replaceChildren(...subjects.map((name) => h('a', { href: `#/panels/${name}`, 'aria-current': name === choice.subject ? 'page' : undefined }, texts.subjects[name] ?? name)));
    cards = all.filter((panel) => panel.subject === choice.subject).map((panel) => panelCard(context, panel, () => choice, sizeOf(panel)));
    grid.replaceChildren(...(cards.length > 0 ? cards.map((card) => card.element) : [h('p', { class: 'none' }, texts.nothing)]));
    refresh();
  }

  function refresh(isChoice = false): void {
    for (const card of cards) card.refresh(isChoice);
  }

  panels().then(
    (all) => {
      if (!isOver) show(all);
    },
    (error: Error) => grid.replaceChildren(failureLine(texts, error)),
  );
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') refresh();
  }, REFRESH_MS);
  return {
    element,
    draw: () => {},
    restyle: () => cards.forEach((card) => card.restyle?.()),
    dispose: () => {
      isOver = true;
      clearInterval(timer);
      for (const card of cards) card.dispose?.();
    },
  };
}

/** Numbers stand side by side, and tables of many columns want room. */
function sizeOf({ chart, columns }: Panel): string {
  if (chart === 'number') return 'is-wide';
  const shown = columns.filter(({ role }) => role !== 'hidden').length;
  return chart === 'table' && shown > 5 ? 'is-double' : '';
}

function place(subject: string): number {
  const found = ORDER.indexOf(subject);
  return found < 0 ? ORDER.length : found;
}
