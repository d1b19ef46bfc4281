/** Until the warehouse has said what it has, nothing of it can be shown. */

import type { Context, Part } from '../ui/context';
import { h } from '../ui/dom';

export function waitingPage({ messages }: Context): Part {
  const element = h('main', { id: 'numbers', class: 'work', tabindex: -1 }, h('p', { class: 'none', role: 'status' }, messages.loading));
  return { element, draw: () => {} };
}
