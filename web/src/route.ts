/** Which page the address names: `#/panels/trade`. */

export const PAGES = ['live', 'panels', 'wall', 'explore', 'sql', 'catalogue', 'alarms', 'health'] as const;
export type PageName = (typeof PAGES)[number];

export interface Route {
  readonly page: PageName;
  /** What of it, if the address says. */
  readonly part: string;
}

export function routeOf(hash: string): Route {
  const [, name = '', part = ''] = hash.split('/');
  const page = PAGES.find((known) => known === name) ?? 'live';
  return { page, part: decodeURIComponent(part) };
}
