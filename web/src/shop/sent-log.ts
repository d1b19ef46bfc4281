/** Shows, at the foot of the sample shop, what the tracker sends and what becomes of it. */

import { h } from '../ui/dom';
import type { Texts } from './texts';

const LINES_MAX = 8;

interface Sent {
  readonly id: string;
  readonly what: string;
  state: 'waiting' | 'taken' | 'refused';
}

const sent: Sent[] = [];
let onChange = () => {};

/** The tracker uses `fetch`: looking on there needs nothing from it. */
export function lookOn(): void {
  const original = window.fetch;
  window.fetch = async (input, init) => {
    const isCollect = String(input).includes('/collect/') && typeof init?.body === 'string';
    if (!isCollect) return original(input, init);
    const lines = (init.body as string).split('\n').map(note);
    try {
      const answer = await original(input, init);
      for (const line of lines) line.state = answer.ok ? 'taken' : 'refused';
      return answer;
    } catch (error) {
      for (const line of lines) line.state = 'refused';
      throw error;
    } finally {
      onChange();
    }
  };
}

function note(line: string): Sent {
  const record = JSON.parse(line) as Record<string, unknown>;
  const known = sent.find(({ id }) => id === record['event_id']);
  if (known) return known;
  const entry: Sent = { id: String(record['event_id']), what: describe(record), state: 'waiting' };
  sent.unshift(entry);
  sent.length = Math.min(sent.length, LINES_MAX);
  onChange();
  return entry;
}

function describe(record: Record<string, unknown>): string {
  const item = ({ item }: { item?: unknown }) => (item === undefined ? '' : ` ${String(item)}`);
  const { page, displays, actions } = record as { page?: { page_id: string; item?: unknown }; displays?: { item?: unknown }[]; actions?: { action_id: string; item?: unknown }[] };
  if (page) return `page · ${page.page_id}${item(page)}`;
  if (displays) return `displays · ${displays.map((each) => item(each).trim()).join(', ')}`;
  if (actions) return `action · ${actions.map((each) => each.action_id + item(each)).join(', ')}`;
  return 'err' in record ? 'error' : 'start';
}

export function sentLog(texts: Texts): HTMLElement {
  const list = h('ol', { class: 'sent-list' });
  const draw = () => {
    const lines = sent.map(({ what, state }) => h('li', { 'data-state': state }, h('code', {}, what), h('span', {}, texts[state])));
    list.replaceChildren(...(lines.length > 0 ? lines : [h('li', {}, texts.sentNone)]));
  };
  onChange = draw;
  draw();
  return h('section', { class: 'sent', 'aria-labelledby': 'heading-sent' }, h('h2', { id: 'heading-sent' }, texts.sent), list);
}
