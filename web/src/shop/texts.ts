/** Every text of the sample shop. */

import type { Language } from '../i18n';

const en = {
  title: 'Sample shop · Sluice',
  name: 'Sample shop',
  note: 'Nothing is sold here. Every click goes to the warehouse as an event; watch it on the live page.',
  live: 'Live page',
  home: 'Home',
  cart: 'Cart',
  categories: { kitchen: 'Kitchen', desk: 'Desk', outdoors: 'Outdoors' },
  recommended: 'Recommended',
  toCart: 'Add to cart',
  inCart: 'In the cart',
  favour: 'Add to favourites',
  favoured: 'A favourite',
  remove: 'Remove',
  empty: 'The cart is empty.',
  total: 'Total',
  order: 'Order',
  confirm: 'Order and pay',
  trade: 'Your order',
  done: 'Thank you',
  doneNote: 'This would have been an order. Only the page views were sent: a real order comes from the shop’s database.',
  again: 'Go on looking',
  sent: 'What this page has told the warehouse',
  sentNone: 'Nothing yet. A browser that asks not to be tracked sends nothing.',
  waiting: 'waiting',
  taken: 'taken',
  refused: 'not taken, will be sent again',
};

export type Texts = typeof en;

const zh: Texts = {
  title: '示例店铺 · Sluice',
  name: '示例店铺',
  note: '这里不卖东西。每次点击都会作为事件送入数仓，可在实时页面上看到。',
  live: '实时页面',
  home: '首页',
  cart: '购物车',
  categories: { kitchen: '厨房', desk: '书桌', outdoors: '户外' },
  recommended: '推荐',
  toCart: '加入购物车',
  inCart: '已在购物车',
  favour: '收藏',
  favoured: '已收藏',
  remove: '移除',
  empty: '购物车是空的。',
  total: '合计',
  order: '去结算',
  confirm: '下单并支付',
  trade: '确认订单',
  done: '谢谢',
  doneNote: '这本应是一笔订单。这里只发送了页面浏览；真正的订单来自店铺的数据库。',
  again: '继续逛逛',
  sent: '本页已告诉数仓的内容',
  sentNone: '暂无。要求不被跟踪的浏览器不会发送任何内容。',
  waiting: '等待中',
  taken: '已接收',
  refused: '未被接收，稍后重发',
};

export const TEXTS: Record<Language, Texts> = { en, zh };
