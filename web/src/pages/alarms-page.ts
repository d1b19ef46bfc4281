/** Alarms: what is wrong and what was, the rules, silences. */

import type { Language } from '../i18n';
import { ALARMS } from '../i18n/alarms';
import { mayChange } from '../model/rights';
import type { Part } from '../ui/context';
import { h } from '../ui/dom';
import type { Row } from '../live/protocol';
import { alarms, endSilence, labelText, silence, type Alarms } from '../workbench/alarms';
import type { WorkContext } from '../workbench/context';
import { failureLine, failureText } from '../workbench/failure';
import { table } from '../workbench/table';

const REFRESH_MS = 2_000;
const LENGTHS = ['30 minutes', '2 hours', '8 hours', '1 day', '7 days'] as const;

export function alarmsPage(context: WorkContext): Part {
  const { texts, messages } = context;
  const words = ALARMS[messages.locale.startsWith('zh') ? 'zh' : ('en' satisfies Language)];
  const instances = h('div', {}, h('p', { class: 'none' }, texts.loading));
  const rules = h('div', {});
  const silences = h('div', {});
  const undelivered = h('div', {});
  const said = h('p', { class: 'none', role: 'status' });
  // Silences are for admins to make and to end; others see them.
  const isAdmin = mayChange(context.role);
  const alarm = h('select', { id: 'silence-alarm' });
  const length = h('select', { id: 'silence-length' }, ...LENGTHS.map((value) => h('option', { value, selected: value === '2 hours' }, words.lengths[value] ?? value)));
  const why = h('input', { type: 'text', id: 'silence-why', size: 24 });
  const button = h('button', { type: 'submit', class: 'primary' }, words.silence);
  const field = (label: string, control: HTMLElement) => h('label', { class: 'field' }, h('span', {}, label), control);
  const form = h('form', { class: 'panel-controls', 'aria-label': words.silenceWhat }, field(words.alarm, alarm), field(words.length, length), field(words.why, why), button);
  const section = (id: string, heading: string, ...body: HTMLElement[]) => h('section', { class: 'panel work-panel is-wide', 'aria-labelledby': id }, h('header', { class: 'panel-head' }, h('h2', { id }, heading)), ...body);
  const element = h('main', { id: 'numbers', class: 'work', tabindex: -1 }, h('div', { class: 'panel-grid' }, section('alarm-instances', words.instances, instances), section('alarm-silences', words.silences, ...(isAdmin ? [form, said] : []), silences), section('alarm-rules', words.rules, rules, undelivered)));
  const moment = new Intl.DateTimeFormat(messages.locale, { timeZone: context.shop.clock.timeZone, dateStyle: 'short', timeStyle: 'medium' });
  const at = (time: string | null) => (time === null ? '–' : moment.format(new Date(time)));
  const columns = (heads: readonly string[]) => heads.map((title, place) => ({ title, isNumber: false, place, write: (cell: Row[number] | undefined) => String(cell ?? '–') }));
  let drawn = '';
  let isOver = false;

  function draw(found: Alarms): void {
    // What has not changed is not drawn again: a reader of the page, and who is about to press a button, keep their place.
    const print = JSON.stringify([found.instances, found.silences, found.undelivered, found.alarms.map(({ name, error }) => [name, error])]);
    if (print === drawn) return;
    drawn = print;
    const state = (phase: string, isSilenced: boolean) => `${words.phase[phase] ?? phase}${isSilenced ? ` (${words.silenced})` : ''}`;
    const severity = (name: string) => words.severity[name] ?? name;
    instances.replaceChildren(
      found.instances.length === 0 ? h('p', { class: 'none' }, words.nothingWrong) : table(words.instances, columns(words.instanceHead), found.instances.map((one) => [state(one.state, one.silenced), severity(one.severity), one.alarm, labelText(one.labels), one.message, at(one.since), at(one.resolved), one.owner])),
    );
    rules.replaceChildren(table(words.rules, columns(words.ruleHead), found.alarms.map((one) => [one.name, one.title, one.condition, severity(one.severity), one.owner, at(one.evaluated), one.error ?? ''])));
    undelivered.replaceChildren(...(found.undelivered.length === 0 ? [] : [h('h3', {}, words.undelivered), table(words.undelivered, columns(words.undeliveredHead), found.undelivered.map(({ to, error }) => [to, error]))]));
    silences.replaceChildren(found.silences.length === 0 ? h('p', { class: 'none' }, words.noSilence) : silenceList(found));
    const chosen = alarm.value;
    alarm.replaceChildren(h('option', { value: '' }, words.every), ...found.alarms.map(({ name }) => h('option', { value: name, selected: name === chosen }, name)));
  }

  function silenceList(found: Alarms): HTMLElement {
    const head = h('tr', {}, ...words.silenceHead.map((title) => h('th', { scope: 'col' }, title)), isAdmin ? h('td', {}) : undefined);
    const rows = found.silences.map((one) => {
      const end = h('button', { type: 'button', class: 'row-open', 'aria-label': words.endOf(one.id) }, '×');
      end.addEventListener('click', () => void act(() => endSilence(one.id)));
      const cells = [one.alarm ?? words.every, labelText(one.labels), at(one.until), one.comment, one.by];
      return h('tr', {}, ...cells.map((cell) => h('td', {}, cell)), isAdmin ? h('td', { class: 'row-end' }, end) : undefined);
    });
    return h('div', { class: 'table-box', tabindex: 0, role: 'group', 'aria-label': words.silences }, h('table', { id: 'silence-list' }, h('caption', { class: 'unseen' }, words.silences), h('thead', {}, head), h('tbody', {}, ...rows)));
  }

  async function act(action: () => Promise<void>): Promise<void> {
    try {
      await action();
      said.textContent = '';
    } catch (error) {
      said.textContent = failureText(texts, error);
    }
    await refresh();
  }

  async function refresh(): Promise<void> {
    try {
      const found = await alarms();
      if (!isOver) draw(found);
    } catch (error) {
      if (!isOver) instances.replaceChildren(failureLine(texts, error));
      drawn = '';
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void act(() => silence(alarm.value, length.value, why.value));
  });
  void refresh();
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') void refresh();
  }, REFRESH_MS);
  return {
    element,
    draw: () => {},
    dispose: () => {
      isOver = true;
      clearInterval(timer);
    },
  };
}
