/** A small button beside a figure that opens its rows; there is none where a warehouse has no panel of them. */

import type { FigureSource, RowsBehind } from './context';
import { h } from './dom';

export interface RowsButton {
  readonly element: HTMLElement;
  draw(): void;
}

export function rowsButton(behind: RowsBehind, source: FigureSource, title: string): RowsButton {
  const label = behind.label(title);
  const element = h('button', { type: 'button', class: 'rows-button', 'aria-label': label, title: label, hidden: true }, '›');
  element.addEventListener('click', () => behind.open(source, title));
  return {
    element,
    draw: () => {
      element.hidden = !behind.has(source.panel);
    },
  };
}
