/** What a model reads and what reads it, as a graph from left to right. */

import { h, setText, svg } from '../ui/dom';
import type { Model } from './api';

const WIDTH = 210;
const HEIGHT = 42;
const GAP_X = 60;
const GAP_Y = 10;
/** Steps shown in each direction. */
const STEPS = 2;

export interface Lineage {
  readonly element: HTMLElement;
  /** Writes what `textOf` says of each name under it. */
  draw(textOf: (name: string) => string): void;
  /** Brings the name in the middle into view. */
  centre(): void;
}

export function lineage(label: string, name: string, models: ReadonlyMap<string, Model>): Lineage {
  const columns = new Map<number, string[]>([[0, [name]]]);
  const placed = new Map<string, number>([[name, 0]]);
  const edges: [string, string][] = [];
  const walk = (step: number, next: (model: Model) => readonly string[]) => {
    let names = [name];
    for (let depth = 1; depth <= STEPS; depth += 1) {
      const found: string[] = [];
      for (const from of names) {
        const model = models.get(from);
        for (const to of model ? next(model) : []) {
          edges.push(step < 0 ? [to, from] : [from, to]);
          if (placed.has(to)) continue;
          placed.set(to, step * depth);
          found.push(to);
        }
      }
      if (found.length > 0) columns.set(step * depth, found.sort());
      names = found;
    }
  };
  walk(-1, (model) => model.inputs);
  walk(1, (model) => model.readers);
  const steps = [...columns.keys()].sort((left, right) => left - right);
  const most = Math.max(...[...columns.values()].map((list) => list.length));
  const height = most * (HEIGHT + GAP_Y) + GAP_Y;
  const width = steps.length * (WIDTH + GAP_X) - GAP_X;
  const at = new Map<string, readonly [number, number]>();
  steps.forEach((step, column) => {
    const list = columns.get(step) ?? [];
    const top = (height - list.length * (HEIGHT + GAP_Y)) / 2;
    list.forEach((each, row) => at.set(each, [column * (WIDTH + GAP_X), top + row * (HEIGHT + GAP_Y)]));
  });
  const lines = edges.flatMap(([from, to]) => {
    const [start, end] = [at.get(from), at.get(to)];
    if (!start || !end || start[0] >= end[0]) return [];
    const [x1, y1, x2, y2] = [start[0] + WIDTH, start[1] + HEIGHT / 2, end[0], end[1] + HEIGHT / 2];
    const middle = (x1 + x2) / 2;
    return [svg('path', { class: 'edge', d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` })];
  });
  const figures = new Map<string, SVGTextElement>();
  const nodes = [...at].map(([each, [x, y]]) => {
    const layer = models.get(each)?.layer ?? 'ods';
    const text = svg('text', { x: x + 8, y: y + 17 });
    text.textContent = each.length > 30 ? `${each.slice(0, 29)}…` : each;
    const figure = svg('text', { class: 'figure-text', x: x + 8, y: y + 33, 'data-flow': each });
    figures.set(each, figure);
    const title = svg('title');
    title.textContent = each;
    const box = svg('a', { href: `#/catalogue/${each}`, class: each === name ? 'node is-here' : 'node', 'data-layer': layer }, svg('rect', { x, y, width: WIDTH, height: HEIGHT, rx: 4 }), text, figure, title);
    return box;
  });
  const drawing = svg('svg', { class: 'lineage', viewBox: `0 0 ${width} ${height}`, width, height, role: 'group', 'aria-label': label }, ...lines, ...nodes);
  const element = h('div', { class: 'lineage-box', tabindex: 0, role: 'group', 'aria-label': label }, drawing as unknown as HTMLElement);
  const [x, y] = at.get(name) ?? [0, 0];
  return {
    element,
    centre: () => element.scrollTo(x + (WIDTH - element.clientWidth) / 2, y + (HEIGHT - element.clientHeight) / 2),
    draw: (textOf) => {
      for (const [each, figure] of figures) setText(figure as unknown as HTMLElement, textOf(each));
    },
  };
}
