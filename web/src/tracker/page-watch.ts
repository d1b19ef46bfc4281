/** What a page says by itself: where the visitor is, what is seen, what is clicked, what breaks. */

import type { Events, Fields } from './events';

const SEEN_SHARE = 0.5;
const GATHER_MS = 200;
const ERRORS_MAX = 10;
/** Codes of errors are numbers. */
const SCRIPT_ERROR = 1;
const UNHANDLED_REJECTION = 2;

/** `data-sluice-item-type="sku_id"` is the part `item-type`. */
const part = (element: Element, name: string) => element.getAttribute(`data-sluice-${name}`) || undefined;

const item = (element: Element): Fields => ({ item: part(element, 'item'), item_type: part(element, 'item-type') });

/** The page's own name: said in the page, or taken from its address. */
export function currentPage(): Fields {
  const { body } = document;
  const fromPath = location.pathname.replace(/\.\w+$/, '').split('/').filter(Boolean).pop();
  return { page_id: part(body, 'page') ?? fromPath ?? 'home', ...item(body), source_type: part(body, 'source-type'), refer_id: part(body, 'refer-id') };
}

/** A view when the page opens, and whenever its address changes; `before` is done before each. */
export function watchViews(events: Events, before: () => void): void {
  let seen = '';
  const look = () => {
    if (seen === location.href) return;
    seen = location.href;
    before();
    events.page(currentPage());
  };
  // Pages draw themselves after they have changed the address.
  const plan = () => setTimeout(look);
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

/**
 * `data-sluice-display`: noted once for each element, when half of it is on the
 * screen. Gives a function that sends at once what waits.
 */
export function watchDisplays(events: Events): () => void {
  let waiting: Fields[] = [];
  const send = () => {
    if (waiting.length) events.displays(waiting);
    waiting = [];
  };
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        const order = part(target, 'order');
        if (!waiting.length) setTimeout(send, GATHER_MS);
        waiting.push({ display_type: part(target, 'display'), ...item(target), pos_id: part(target, 'pos'), order: order && +order });
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
  new MutationObserver(find).observe(document, { childList: true, subtree: true });
  find();
  return send;
}

/** `data-sluice-action`: noted when it is clicked. */
export function watchActions(events: Events): void {
  const clicked = ({ target }: Event) => {
    const element = (target as Element).closest?.('[data-sluice-action]');
    if (element) events.actions([{ action_id: part(element, 'action'), ...item(element) }]);
  };
  document.addEventListener('click', clicked, true);
}

/** A page that fails again and again says so only so often. */
export function watchErrors(events: Events): void {
  let left = ERRORS_MAX;
  const note = (error_code: number, what: unknown) => {
    if (left-- > 0) events.error({ error_code, msg: String(what).slice(0, 500) });
  };
  addEventListener('error', ({ message }) => message && note(SCRIPT_ERROR, message));
  addEventListener('unhandledrejection', ({ reason }) => note(UNHANDLED_REJECTION, reason));
}
