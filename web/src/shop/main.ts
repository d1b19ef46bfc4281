/**
 * A little shop that shows how the tracker is used: home, list, detail, cart,
 * order. Pages are told apart by the address (`?page=good_detail&item=3`), so
 * the tracker notes the views by itself; the rest is said in attributes.
 */

import '../styles/tokens.css';
import '../styles/frame.css';
import '../styles/shop.css';
import { chooseLanguage, type Language } from '../i18n';
import { h, svg } from '../ui/dom';
import { applyTheme, readSetting, saveSetting, savedTheme } from '../ui/settings';
import { CATEGORIES, GOODS, type Category, type Good } from './goods';
import { lookOn, sentLog } from './sent-log';
import { TEXTS } from './texts';

interface Place {
  readonly page: string;
  readonly item?: string;
}

let language: Language = chooseLanguage(readSetting('language'), navigator.languages);
const cart = new Map<number, number>();
const favourites = new Set<number>();

const texts = () => TEXTS[language];
const price = (cents: number) => new Intl.NumberFormat(language === 'zh' ? 'zh-CN' : 'en', { style: 'currency', currency: 'CNY', currencyDisplay: 'narrowSymbol' }).format(cents / 100);

function place(): Place {
  const given = new URLSearchParams(location.search);
  const item = given.get('item');
  return { page: given.get('page') ?? 'home', ...(item === null ? {} : { item }) };
}

function address({ page, item }: Place): string {
  return page === 'home' ? location.pathname : `${location.pathname}?page=${page}${item === undefined ? '' : `&item=${item}`}`;
}

function go(to: Place): void {
  history.pushState(null, '', address(to));
  draw();
  scrollTo(0, 0);
  document.querySelector<HTMLElement>('main h1')?.focus();
}

function link(to: Place, attributes: Record<string, string>, ...children: (Node | string)[]): HTMLAnchorElement {
  const element = h('a', { href: address(to), ...attributes }, ...children);
  element.addEventListener('click', (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
  });
  return element;
}

/** A button that is an action of the behaviour log. */
function action(id: string, good: Good | undefined, label: string, onClick: () => void, kind = 'plain'): HTMLButtonElement {
  const item = good && { 'data-sluice-item': good.id, 'data-sluice-item-type': 'sku_id' };
  const button = h('button', { type: 'button', class: kind, 'data-sluice-action': id, ...item }, label);
  button.addEventListener('click', onClick);
  return button;
}

function drawing(good: Good): SVGSVGElement {
  return svg('svg', { viewBox: '0 0 48 48', class: 'drawing', 'aria-hidden': 'true' }, svg('path', { d: good.drawing, 'vector-effect': 'non-scaling-stroke' }));
}

function card(good: Good, order: number, kind: string): HTMLElement {
  const seen = { 'data-sluice-display': kind, 'data-sluice-item': String(good.id), 'data-sluice-item-type': 'sku_id', 'data-sluice-order': String(order), 'data-sluice-pos': '1' };
  const to = { page: 'good_detail', item: String(good.id) };
  return h('li', {}, link(to, { class: 'card', ...seen }, drawing(good), h('span', { class: 'card-name' }, good.name[language]), h('span', { class: 'card-price' }, price(good.price))));
}

function heading(text: string): HTMLHeadingElement {
  return h('h1', { tabindex: -1 }, text);
}

function homePage(): Node[] {
  return [heading(texts().recommended), h('ul', { class: 'cards' }, ...GOODS.map((good, place) => card(good, place + 1, 'recommend')))];
}

function listPage(category: string): Node[] {
  const goods = GOODS.filter((good) => good.category === category);
  return [heading(texts().categories[category as Category] ?? ''), h('ul', { class: 'cards' }, ...goods.map((good, place) => card(good, place + 1, 'query')))];
}

function detailPage(good: Good): Node[] {
  const inCart = cart.has(good.id);
  const isFavourite = favourites.has(good.id);
  const add = () => {
    cart.set(good.id, (cart.get(good.id) ?? 0) + 1);
    draw();
  };
  const favour = () => {
    if (isFavourite) favourites.delete(good.id);
    else favourites.add(good.id);
    draw();
  };
  const buttons = h(
    'div',
    { class: 'buttons' },
    action(inCart ? 'cart_add_num' : 'cart_add', good, inCart ? `${texts().inCart} (${cart.get(good.id)})` : texts().toCart, add, 'strong'),
    action(isFavourite ? 'favor_cancel' : 'favor_add', good, isFavourite ? texts().favoured : texts().favour, favour),
  );
  return [h('div', { class: 'detail' }, drawing(good), h('div', {}, heading(good.name[language]), h('p', { class: 'detail-price' }, price(good.price)), buttons))];
}

function cartLines(canRemove: boolean): HTMLElement {
  const lines = GOODS.filter(({ id }) => cart.has(id)).map((good) => {
    const count = cart.get(good.id) ?? 0;
    const remove = () => {
      cart.delete(good.id);
      draw();
    };
    const last = canRemove ? action('cart_remove', good, texts().remove, remove) : '';
    return h('li', {}, drawing(good), h('span', { class: 'line-name' }, good.name[language]), h('span', {}, `× ${count}`), h('span', { class: 'line-price' }, price(good.price * count)), last);
  });
  const total = GOODS.reduce((sum, { id, price: each }) => sum + each * (cart.get(id) ?? 0), 0);
  return h('div', {}, h('ul', { class: 'lines' }, ...lines), h('p', { class: 'total' }, `${texts().total} `, h('b', {}, price(total))));
}

function cartPage(): Node[] {
  if (cart.size === 0) return [heading(texts().cart), h('p', {}, texts().empty)];
  return [heading(texts().cart), cartLines(true), link({ page: 'trade' }, { class: 'strong' }, texts().order)];
}

function tradePage(): Node[] {
  const pay = h('button', { type: 'button', class: 'strong' }, texts().confirm);
  pay.addEventListener('click', () => {
    cart.clear();
    go({ page: 'payment_done' });
  });
  return [heading(texts().trade), cartLines(false), pay];
}

function donePage(): Node[] {
  return [heading(texts().done), h('p', { class: 'done' }, texts().doneNote), link({ page: 'home' }, { class: 'strong' }, texts().again)];
}

function content({ page, item }: Place): Node[] {
  if (page === 'good_list') return listPage(item ?? '');
  const good = GOODS.find(({ id }) => String(id) === item);
  if (page === 'good_detail' && good) return detailPage(good);
  if (page === 'cart') return cartPage();
  if (page === 'trade') return tradePage();
  if (page === 'payment_done') return donePage();
  return homePage();
}

function draw(): void {
  const now = place();
  const { body } = document;
  document.title = texts().title;
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  // What the tracker says of this page.
  body.dataset['sluicePage'] = now.page;
  if (now.page === 'good_detail' && now.item) Object.assign(body.dataset, { sluiceItem: now.item, sluiceItemType: 'sku_id' });
  else for (const name of ['sluiceItem', 'sluiceItemType']) delete body.dataset[name];

  const count = [...cart.values()].reduce((sum, each) => sum + each, 0);
  const other = h('button', { type: 'button', class: 'plain' }, language === 'en' ? '中文' : 'English');
  other.addEventListener('click', () => {
    language = language === 'en' ? 'zh' : 'en';
    saveSetting('language', language);
    draw();
  });
  const menu = [
    link({ page: 'home' }, {}, texts().home),
    ...CATEGORIES.map((category) => link({ page: 'good_list', item: category }, {}, texts().categories[category])),
    link({ page: 'cart' }, { class: 'to-cart' }, `${texts().cart} (${count})`),
  ];
  for (const each of menu) if (each.getAttribute('href') === address(now)) each.setAttribute('aria-current', 'page');
  body.replaceChildren(
    h('header', { class: 'shop-head' }, h('strong', {}, texts().name), h('nav', {}, ...menu), h('a', { href: '/', class: 'to-live' }, texts().live), other),
    h('p', { class: 'shop-note' }, texts().note),
    h('main', {}, ...content(now)),
    sentLog(texts()),
  );
}

applyTheme(savedTheme());
lookOn();
addEventListener('popstate', draw);
draw();
