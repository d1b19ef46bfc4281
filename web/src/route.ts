/** Which page the address names: `#/panels/trade`. */

export const PAGES = ['live', 'panels', 'wall', 'explore', 'sql', 'catalogue', 'alarms', 'health'] as const;
export type PageName = (typeof PAGES)[number];

/** The pages of a warehouse, and the one that it begins with. */
export interface Site {
  readonly pages: readonly PageName[];
  readonly first: PageName;
}

export const SITE_OF_SHOP: Site = { pages: PAGES, first: 'live' };

/** Without the views of a live shop there are no pages of them. */
export function siteWithoutShop(hasPanels: boolean): Site {
  return { pages: PAGES.filter((name) => name !== 'live' && name !== 'wall'), first: hasPanels ? 'panels' : 'sql' };
}

export interface Route {
  readonly page: PageName;
  /** What of it, if the address says. */
  readonly part: string;
}

export function routeOf(hash: string, { pages, first }: Site = SITE_OF_SHOP): Route {
  const [, name = '', part = ''] = hash.split('/');
  const page = pages.find((known) => known === name) ?? first;
  return { page, part: decodeURIComponent(part) };
}
