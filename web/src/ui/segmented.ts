/** One choice of a few: a group of radio buttons that looks like one control. */

import { h } from './dom';

let groups = 0;

export interface Segmented<Value extends string> {
  readonly element: HTMLElement;
  set(value: Value): void;
}

export function segmented<Value extends string>(
  label: string,
  choices: readonly { readonly value: Value; readonly text: string }[],
  chosen: Value,
  onChoose: (value: Value) => void,
): Segmented<Value> {
  groups += 1;
  const name = `choice-${groups}`;
  const inputs = new Map<Value, HTMLInputElement>();
  const items = choices.map(({ value, text }) => {
    const input = h('input', { type: 'radio', name, value, checked: value === chosen });
    input.addEventListener('change', () => onChoose(value));
    inputs.set(value, input);
    return h('label', {}, input, h('span', {}, text));
  });
  const element = h('fieldset', { class: 'segmented' }, h('legend', { class: 'unseen' }, label), ...items);
  return {
    element,
    set: (value) => {
      const input = inputs.get(value);
      if (input) input.checked = true;
    },
  };
}
