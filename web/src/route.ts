/** Which pages a warehouse has for whoever looks at it, and which one the address names: `#/panels/trade`. */

import type { AccessRole } from './live/protocol';
import { mayAskSql } from './model/rights';

const PAGES = ['live', 'panels', 'wall', 'explore', 'sql', 'catalogue', 'alarms', 'health'] as const;
export type PageName = (typeof PAGES)[number];

/** What a page needs that is not there: the views of the live shop, or a role. */
export type Lack = 'shop' | 'role';

/** The pages that can be shown, and the one that the warehouse begins with. */
export interface Site {
  readonly pages: readonly PageName[];
  readonly first: PageName;
  /** Why the others are not among them. */
  readonly lacks: ReadonlyMap<PageName, Lack>;
}

/** What decides about the pages. */
export interface Offer {
  readonly hasShop: boolean;
  readonly hasPanels: boolean;
  readonly role: AccessRole;
}

export function siteOf({ hasShop, hasPanels, role }: Offer): Site {
  const lacks = new Map<PageName, Lack>();
  if (!hasShop) for (const name of ['live', 'wall'] as const) lacks.set(name, 'shop');
  if (!mayAskSql(role)) for (const name of ['explore', 'sql'] as const) lacks.set(name, 'role');
  const pages = PAGES.filter((name) => !lacks.has(name));
  const wanted: readonly PageName[] = ['live', ...(hasPanels ? (['panels'] as const) : []), 'sql', 'catalogue'];
  return { pages, first: wanted.find((name) => !lacks.has(name)) ?? 'catalogue', lacks };
}

export interface Route {
  readonly page: PageName;
  /** What of it, if the address says. */
  readonly part: string;
  /** Why the page cannot be shown, if it cannot. */
  readonly lack: Lack | undefined;
}

/** An address that names no page leads to the first one. */
export function routeOf(hash: string, { first, lacks }: Site): Route {
  const [, name = '', part = ''] = hash.split('/');
  const page = PAGES.find((known) => known === name) ?? first;
  return { page, part: decoded(part), lack: lacks.get(page) };
}

/** An address that somebody mistyped is a name that nothing has. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
