/** The head of the page: the name of the project, the shop's time, the state of the connection, the switches. */

import type { Context, Part } from './context';
import { h, setText, svg } from './dom';
import { stateOf } from './state';
import { THEMES, applyTheme, saveSetting, savedTheme } from './settings';

export interface HeaderActions {
  readonly onLanguage: () => void;
  readonly onTheme: () => void;
}

export function header(context: Context, actions: HeaderActions): Part {
  const { shop, messages, format } = context;
  const date = h('span', { class: 'clock-date' });
  const time = h('span', { class: 'clock-time' });
  const zone = h('span', { class: 'clock-zone' });
  const dot = h('span', { class: 'state-dot', 'aria-hidden': 'true' });
  const state = h('span', { role: 'status', 'aria-label': messages.footer.connectionLabel });
  const mark = h('p', { class: 'state', 'data-state': 'connecting' }, dot, state);

  let theme = savedTheme();
  const themeButton = h('button', { type: 'button', class: 'plain', id: 'theme' });
  const showTheme = () => {
    setText(themeButton, messages.theme[theme]);
    themeButton.setAttribute('aria-label', `${messages.theme.label}: ${messages.theme[theme]}`);
    themeButton.title = messages.theme.label;
  };
  themeButton.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
    saveSetting('theme', theme);
    applyTheme(theme);
    showTheme();
    actions.onTheme();
  });
  showTheme();
  const languageButton = h('button', { type: 'button', class: 'plain', id: 'language', 'aria-label': messages.otherLanguageLabel, lang: messages.locale === 'en' ? 'zh-CN' : 'en' }, messages.otherLanguage);
  languageButton.addEventListener('click', actions.onLanguage);

  const element = h(
    'header',
    { class: 'page-head' },
    h('div', { class: 'brand' }, logo(), h('span', { class: 'brand-name' }, 'Sluice'), h('h1', {}, shop.info?.name ?? messages.heading)),
    h('p', { class: 'clock' }, date, time, zone),
    h('div', { class: 'head-end' }, mark, languageButton, themeButton),
  );

  function draw(): void {
    const kind = stateOf(shop);
    mark.dataset['state'] = kind;
    mark.hidden = kind === 'absent';
    if (kind !== 'absent') setText(state, messages.connection[kind]);
    if (shop.info === undefined) return;
    const now = shop.clock.nowMs();
    setText(date, format.date(now));
    setText(time, format.time(now));
    setText(zone, shop.clock.timeZone);
  }

  return { element, draw };
}

/** Water through a gate. */
function logo(): SVGSVGElement {
  const bars = [
    [2, 4, 20],
    [2, 10.5, 13],
    [2, 17, 7],
  ].map(([x, y, width]) => svg('rect', { x, y, width, height: 3, rx: 1.5 }));
  return svg('svg', { class: 'logo', viewBox: '0 0 24 24', 'aria-hidden': 'true' }, ...bars);
}
