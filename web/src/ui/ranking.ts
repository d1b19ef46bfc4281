/** A ranking: names with bars, in the order of their numbers. */

import { rank, type Ranked, type RankingColumns } from '../model/ranking';
import type { ZSet } from '../live/zset';
import type { Context, Part, RowsBehind } from './context';
import { h, setText, wantsMotion } from './dom';
import { rowsThatFit } from './fit';

export interface RankingOptions {
  readonly id: string;
  readonly view: string;
  readonly rows: ZSet;
  readonly columns: RankingColumns;
  /** The panel whose detail are the rows of each name. */
  readonly panel: string;
  readonly heading: string;
  /** How a name is written for the reader. */
  readonly nameOf?: (name: string) => string;
  /** What the second number counts. */
  readonly beside: string;
}

interface Item {
  readonly element: HTMLElement;
  readonly name: HTMLElement;
  readonly bar: HTMLElement;
  readonly beside: HTMLElement;
  readonly value: HTMLElement;
}

const MOVE_MS = 350;

export function ranking(context: Context, options: RankingOptions, behind: RowsBehind): Part {
  const { shop, messages, format } = context;
  const items = new Map<string, Item>();
  const list = h('ol', { class: 'ranking-list' });
  const none = h('p', { class: 'none' }, messages.nothingYet);
  const headingId = `heading-${options.id}`;
  const element = h(
    'section',
    { class: `panel ranking ranking-${options.id}`, 'aria-labelledby': headingId },
    h('header', { class: 'panel-head' }, h('h2', { id: headingId }, options.heading)),
    h('div', { class: 'ranking-body' }, h('div', { class: 'ranking-columns', 'aria-hidden': 'true' }, h('span', {}, options.beside), h('span', {}, messages.byGross)), list),
    none,
  );
  const fit = rowsThatFit(list, draw);
  let hasRows = false;

  function draw(): void {
    const isMissing = shop.missing.has(options.view);
    setText(none, isMissing ? messages.notInWarehouse(options.view) : messages.nothingYet);
    const ranked = rank(options.rows, shop.now().day, options.columns, fit.count());
    element.classList.toggle('is-empty', ranked.length === 0);
    none.hidden = ranked.length > 0 || !(shop.isComplete || isMissing);
    if (hasRows !== behind.has(options.panel)) beginAnew();
    const before = wantsMotion() ? places() : undefined;
    const wanted = new Set(ranked.map(({ key }) => key));
    for (const [key, item] of items) {
      if (wanted.has(key)) continue;
      item.element.remove();
      items.delete(key);
    }
    ranked.forEach((entry, place) => {
      const item = items.get(entry.key) ?? add(entry.key);
      write(item, entry);
      if (list.children[place] !== item.element) list.insertBefore(item.element, list.children[place] ?? null);
    });
    if (before) glide(before);
  }

  /** Names are buttons as soon as they lead to rows. */
  function beginAnew(): void {
    hasRows = behind.has(options.panel);
    for (const { element: item } of items.values()) item.remove();
    items.clear();
  }

  function add(key: string): Item {
    const item: Item = {
      element: h('li', { class: 'ranking-item' }),
      name: hasRows ? h('button', { type: 'button', class: 'ranking-name' }) : h('span', { class: 'ranking-name' }),
      bar: h('span', { class: 'ranking-bar', 'aria-hidden': 'true' }),
      beside: h('span'),
      value: h('span'),
    };
    const unseen = (text: string) => h('span', { class: 'unseen' }, `, ${text} `);
    item.element.append(
      item.bar,
      item.name,
      h('span', { class: 'ranking-beside' }, unseen(options.beside), item.beside),
      h('span', { class: 'ranking-value' }, unseen(messages.byGross), item.value),
    );
    if (hasRows) item.name.addEventListener('click', () => behind.open(options, item.name.textContent ?? '', { [options.columns.key]: key }));
    items.set(key, item);
    return item;
  }

  function write(item: Item, entry: Ranked): void {
    const name = (options.nameOf?.(entry.name) ?? entry.name) || messages.unknownName;
    setText(item.name, name);
    item.name.title = name;
    setText(item.value, format.whole(entry.value, 'money'));
    item.value.title = format.money(entry.value);
    setText(item.beside, format.count(entry.beside));
    item.bar.style.transform = `scaleX(${entry.share.toFixed(4)})`;
  }

  function places(): Map<Element, number> {
    return new Map([...list.children].map((child) => [child, (child as HTMLElement).offsetTop]));
  }

  /** Items that changed their place move there, instead of jumping. */
  function glide(before: Map<Element, number>): void {
    for (const child of list.children) {
      const from = before.get(child);
      const way = from === undefined ? 0 : from - (child as HTMLElement).offsetTop;
      if (way !== 0) child.animate([{ transform: `translateY(${way}px)` }, { transform: 'none' }], { duration: MOVE_MS, easing: 'cubic-bezier(.2,.7,.2,1)' });
    }
  }

  return { element, draw, dispose: () => fit.dispose() };
}
