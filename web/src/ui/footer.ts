/** How current the page is, and of which warehouse. */

import type { Context, Part } from './context';
import { h, setText } from './dom';

const FRESH_MS_MAX = 60_000;

export function footer(context: Context): Part {
  const { shop, messages, format } = context;
  const text = messages.footer;
  const changed = h('dd', { class: 'changed' }, text.never);
  const epoch = h('dd', { class: 'epoch' }, '–');
  const name = h('span', { class: 'version' });
  const figures = h('dl', {}, h('div', {}, h('dt', {}, text.changed), changed), h('div', {}, h('dt', {}, text.epoch), epoch));
  const element = h(
    'footer',
    { class: 'page-foot' },
    figures,
    shop.info?.sample_shop === true ? h('a', { href: '/shop' }, text.shop) : undefined,
    name,
  );

  function draw(): void {
    figures.hidden = shop.isAbsent;
    setText(epoch, shop.epoch > 0 ? String(shop.epoch) : '–');
    if (shop.info) setText(name, `Sluice ${shop.info.version}`);
    if (shop.changedAtMs === undefined) return;
    const agoMs = Math.max(0, Date.now() - shop.changedAtMs);
    const at = text.at(format.time(shop.changedAtMs + (shop.clock.nowMs() - Date.now())));
    setText(changed, agoMs < FRESH_MS_MAX ? text.secondsAgo((agoMs / 1000).toFixed(agoMs < 9_950 ? 1 : 0)) : at);
  }

  return { element, draw };
}
