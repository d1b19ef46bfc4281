/** What a page says by itself: where the visitor is, what is seen, what is clicked, what breaks. */

import type { Events, Fields } from './events';

const SEEN_SHARE = 0.5;
const GATHER_MS = 200;
const ERRORS_MAX = 10;

/** `data-sluice-item-type="sku_id"` is `item_type`, and so on. */
function item(element: Element): Fields {
  const given = (name: string) => element.getAttribute(`data-sluice-${name}`) ?? undefined;
  return { item: given('item'), item_type: given('item-type') };
}

/** The page's own name: said in the page, or taken from its address. */
export function currentPage(): Fields & { page_id: string } {
  const { body } = document;
  const given = (name: string) => body.getAttribute(`data-sluice-${name}`) ?? undefined;
  const fromPath = location.pathname.replace(/\.\w+$/, '').split('/').filter(Boolean).pop();
  return { page_id: given('page') ?? fromPath ?? 'home', ...item(body), source_type: given('source-type'), refer_id: given('refer-id') };
}

/** A view when the page opens, and whenever its address changes. */
export function watchViews(events: Events): void {
  let seen = '';
  let isPlanned = false;
  const look = () => {
    isPlanned = false;
    if (seen === location.href) return;
    seen = location.href;
    events.page(currentPage());
  };
  // Pages draw themselves after they have changed the address.
  const plan = () => {
    if (!isPlanned) setTimeout(look, 0);
    isPlanned = true;
  };
  for (const name of ['pushState', 'replaceState'] as const) {
    const original = history[name];
    history[name] = function (this: History, ...given) {
      original.apply(this, given);
      plan();
    };
  }
  addEventListener('popstate', plan);
  addEventListener('hashchange', plan);
  // A page that comes back out of the browser's memory is seen again.
  addEventListener('pageshow', ({ persisted }) => {
    if (!persisted) return;
    seen = '';
    plan();
  });
  look();
}

/** `data-sluice-display`: noted once for each view of a page, when half of it is on the screen. */
export function watchDisplays(events: Events): void {
  if (!('IntersectionObserver' in window)) return;
  let waiting: Fields[] = [];
  const send = () => {
    events.displays(waiting);
    waiting = [];
  };
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        const given = (name: string) => target.getAttribute(`data-sluice-${name}`) ?? undefined;
        if (waiting.length === 0) setTimeout(send, GATHER_MS);
        waiting.push({ display_type: given('display') || undefined, ...item(target), pos_id: given('pos'), order: given('order') && Number(given('order')) });
      }
    },
    { threshold: SEEN_SHARE },
  );
  const known = new WeakSet<Element>();
  const find = () => {
    for (const element of document.querySelectorAll('[data-sluice-display]')) {
      if (!known.has(element)) observer.observe(element);
      known.add(element);
    }
  };
  new MutationObserver(find).observe(document.documentElement, { childList: true, subtree: true });
  find();
}

/** `data-sluice-action`: noted when it is clicked. */
export function watchActions(events: Events): void {
  const clicked = ({ target }: Event) => {
    const element = target instanceof Element && target.closest('[data-sluice-action]');
    if (element) events.actions([{ action_id: element.getAttribute('data-sluice-action'), ...item(element) }]);
  };
  document.addEventListener('click', clicked, true);
}

/** A page that fails again and again says so only so often. */
export function watchErrors(events: Events): void {
  let left = ERRORS_MAX;
  const note = (code: string, what: unknown) => {
    left -= 1;
    if (left >= 0) events.error({ error_code: code, msg: String(what).slice(0, 500) });
  };
  addEventListener('error', ({ message }) => message && note('script', message));
  addEventListener('unhandledrejection', ({ reason }) => note('promise', reason));
}
