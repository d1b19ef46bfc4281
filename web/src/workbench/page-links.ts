/** Ways on to other pages, with what each is for. */

import type { WorkMessages } from '../i18n/work';
import type { PageName } from '../route';
import { h } from '../ui/dom';

export function pageLinks(texts: WorkMessages, pages: readonly PageName[]): HTMLElement {
  const items = pages.map((name) => h('li', {}, h('a', { href: `#/${name}` }, texts.nav[name]), ` – ${texts.offers[name]}`));
  return h('ul', { class: 'page-links' }, ...items);
}
