/** A line above the numbers whenever they are not simply live. */

import { minuteText } from '../model/business-time';
import type { Context, Part } from './context';
import { h, setText } from './dom';
import { stateOf } from './state';

export function banner(context: Context): Part {
  const { shop, messages, format } = context;
  const text = messages.banner;
  const words = h('span', { class: 'banner-words' });
  const countdown = h('span', { class: 'banner-countdown' });
  const retry = h('button', { type: 'button', class: 'plain' }, text.retryNow);
  retry.addEventListener('click', () => shop.retry());
  const visit = h('a', { href: '/shop' }, text.tryShop);
  const progress = h('progress', { max: 1, value: 0, 'aria-label': messages.connection.filling });
  const element = h('div', { class: 'banner', hidden: true }, words, progress, countdown, retry, visit);

  function draw(): void {
    const kind = stateOf(shop);
    element.dataset['state'] = kind;
    element.hidden = kind === 'live' || kind === 'connecting' || kind === 'absent';
    retry.hidden = kind !== 'waiting' && kind !== 'refused';
    visit.hidden = kind !== 'empty' || shop.info?.sample_shop !== true;
    progress.hidden = kind !== 'filling';
    setText(words, sentence());
    setText(countdown, untilRetry());
  }

  function sentence(): string {
    const { connection } = shop;
    if (stateOf(shop) === 'waiting') {
      const what = shop.isComplete && shop.heardAtMs !== undefined ? text.waiting(format.time(shop.heardAtMs)) : text.waitingFirst;
      return connection.kind === 'waiting' && connection.detail ? `${what} (${connection.detail})` : what;
    }
    if (connection.kind === 'refused') return text.refused(connection.detail);
    const activity = shop.activity();
    if (activity.kind === 'empty') return text.empty;
    if (activity.kind === 'current') return '';
    const moment = `${format.day(activity.day)}${activity.minute === undefined ? '' : ` ${minuteText(activity.minute)}`}`;
    if (activity.kind === 'quiet') return text.quiet(moment);
    progress.value = activity.done;
    return text.filling(moment);
  }

  function untilRetry(): string {
    const { connection } = shop;
    if (connection.kind !== 'waiting') return '';
    return text.retryIn(Math.max(0, Math.ceil((connection.retryAtMs - Date.now()) / 1000)));
  }

  return { element, draw };
}
