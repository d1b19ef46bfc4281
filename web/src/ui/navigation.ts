/** The way from page to page. */

import type { Route, Site } from '../route';
import type { WorkContext } from '../workbench/context';
import type { Part } from './context';
import { h } from './dom';

/** Without a site it is not known yet which pages there are. */
export function navigation({ texts }: WorkContext, site: Site | undefined, route: Route | undefined): Part {
  const pages = site?.pages ?? [];
  const links = pages.map((name) => h('a', { href: `#/${name}`, 'aria-current': name === route?.page ? 'page' : undefined }, texts.nav[name]));
  return { element: h('nav', { class: 'page-nav', 'aria-label': texts.nav.label, hidden: pages.length === 0 }, ...links), draw: () => {} };
}
