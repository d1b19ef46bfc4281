/** Controls with what they are called. */

import { h } from '../ui/dom';

export interface Option {
  readonly value: string;
  readonly text: string;
}

/** A label in front of its control. */
export function field(label: string, control: HTMLElement): HTMLLabelElement {
  return h('label', { class: 'field' }, h('span', {}, label), control);
}

export function select(id: string, options: readonly Option[], chosen: string, onChoose: (value: string) => void, label?: string): HTMLSelectElement {
  const control = h('select', { id, 'aria-label': label }, ...options.map(({ value, text }) => h('option', { value, selected: value === chosen }, text)));
  control.addEventListener('change', () => onChoose(control.value));
  return control;
}

export function button(text: string, onClick: () => void, attributes: { readonly id?: string; readonly class?: string; readonly 'aria-label'?: string } = {}): HTMLButtonElement {
  const control = h('button', { type: 'button', class: 'plain', ...attributes });
  control.textContent = text;
  control.addEventListener('click', onClick);
  return control;
}

/** Draws anew what has the focus, and leaves it there. */
export function keepFocus(draw: () => void): void {
  const focused = document.activeElement?.id;
  draw();
  if (focused) document.getElementById(focused)?.focus();
}
