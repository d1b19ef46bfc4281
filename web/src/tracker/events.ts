/** Records of the behaviour log, as the collector takes them. */

import { uuid, type Identity } from './identity';

export type Fields = Record<string, unknown>;

export interface Events {
  /** A page view; it becomes the page that later events happen on. */
  page(page: Fields): void;
  displays(displays: Fields[]): void;
  actions(actions: Fields[]): void;
  error(err: Fields): void;
  start(start: Fields): void;
}

/** `common` is what every record says about visitor and page: `ar`, `ch`, `vc`, `uid` … */
export function makeEvents(common: Fields, identity: Identity, now: () => number, take: (event: object) => void): Events {
  let page_id: unknown;

  const record = (content: Fields) => take({ event_id: uuid(), common: { ...common, ...identity.visit() }, ...content, ts: now() });

  // What is seen and done after the page view must not count as another view:
  // these records carry no `page`, but each entry names its page.
  return {
    page: (page) => {
      page_id = page['page_id'];
      record({ page: { last_page_id: identity.page(String(page_id)), ...page } });
    },
    displays: (displays) => record({ displays: displays.map((display) => ({ page_id, ...display })) }),
    actions: (actions) => record({ actions: actions.map((action) => ({ ts: now(), page_id, ...action })) }),
    error: (err) => record({ err }),
    start: (start) => record({ start }),
  };
}
