/** An address whose page this warehouse cannot show, or not to everybody: why, and what there is instead. */

import { SHOP_VIEW } from '../model/live-shop';
import type { Lack, PageName, Site } from '../route';
import type { Part } from '../ui/context';
import { h } from '../ui/dom';
import { pageLinks } from '../workbench/page-links';
import type { WorkContext } from '../workbench/context';

export function elsewherePage({ texts, role }: WorkContext, { pages }: Site, page: PageName, lack: Lack): Part {
  // What needs a role of its own is SQL, in one form or the other.
  const reasons = lack === 'shop' ? [texts.needsShop(SHOP_VIEW)] : [texts.needsRole(texts.roles.analyst), texts.yourRole(texts.roles[role])];
  const element = h(
    'main',
    { id: 'numbers', class: 'work', tabindex: -1 },
    h('section', { class: 'panel elsewhere', 'aria-labelledby': 'heading-elsewhere' }, h('h2', { id: 'heading-elsewhere' }, texts.nav[page]), h('p', { class: 'lack', 'data-lack': lack }, reasons.join(' ')), h('h3', {}, texts.instead), pageLinks(texts, pages)),
  );
  return { element, draw: () => {} };
}
