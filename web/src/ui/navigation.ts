/** The way from page to page. */

import type { Route, Site } from '../route';
import type { WorkContext } from '../workbench/context';
import type { Part } from './context';
import { h } from './dom';

export function navigation({ texts }: WorkContext, { pages }: Site, route: Route): Part {
  const links = pages.map((name) => h('a', { href: `#/${name}`, 'aria-current': name === route.page ? 'page' : undefined }, texts.nav[name]));
  return { element: h('nav', { class: 'page-nav', 'aria-label': texts.nav.label }, ...links), draw: () => {} };
}
