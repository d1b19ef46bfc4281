/** Records of the behaviour log, as the collector takes them. */

import { uuid, type Identity } from './identity';

export type Fields = Record<string, unknown>;

export class Events {
  /** What every record says about visitor and page: `ar`, `ch`, `vc`, `uid` … */
  readonly common: Fields;
  private pageId: string | undefined;

  constructor(
    common: Fields,
    private readonly identity: Identity,
    private readonly now: () => number,
    private readonly take: (event: object) => void,
  ) {
    this.common = common;
  }

  /** A page view; it becomes the page that later events happen on. */
  page(page: Fields & { page_id: string }): void {
    const lastPageId = this.identity.page(page.page_id);
    this.pageId = page.page_id;
    this.record({ page: { ...page, last_page_id: page['last_page_id'] ?? lastPageId } });
  }

  // What is seen and done after the page view must not count as another view:
  // these records carry no `page`, but each entry names its page.

  displays(displays: Fields[]): void {
    this.record({ displays: displays.map((display) => ({ page_id: this.pageId, ...display })) });
  }

  actions(actions: Fields[]): void {
    this.record({ actions: actions.map((action) => ({ ts: this.now(), page_id: this.pageId, ...action })) });
  }

  error(err: Fields): void {
    this.record({ err });
  }

  start(start: Fields): void {
    this.record({ start });
  }

  private record(content: Fields): void {
    const common = { ...this.common, ...this.identity.visit() };
    this.take({ event_id: uuid(), common, ...content, ts: this.now() });
  }
}
