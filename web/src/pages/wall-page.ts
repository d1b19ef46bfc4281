/** The wall screen: big numbers, the curve of the day, provinces, goods, the funnel, the latest orders. */

import { METRICS, type MetricId } from '../model/metrics';
import type { Part } from '../ui/context';
import { curve, type CurveChoice } from '../ui/curve';
import { h } from '../ui/dom';
import { orderList } from '../ui/order-list';
import { ranking } from '../ui/ranking';
import { tile } from '../ui/tile';
import { panels } from '../workbench/api';
import type { WorkContext } from '../workbench/context';
import { failureLine } from '../workbench/failure';
import { figureRows } from '../workbench/figure-rows';
import { panelCard, type PanelCard } from '../workbench/panel-card';

const REFRESH_MS = 2_000;
const SLOW_DRAW_MS = 250;
const PANELS = ['province_sales', 'traffic_funnel', 'goods_keywords'];

const choice: CurveChoice = { metric: 'gmvGross', span: 'total' };

export function wallPage(context: WorkContext): Part {
  const { shop, messages, texts } = context;
  const behind = figureRows(context);
  const tiles = METRICS.map(({ id }) => ({ id, part: tile(context, id, pick, behind) }));
  const chart = curve(context, choice, pick);
  const goods = ranking(context, { id: 'goods', view: 'ads_live_sku_day', rows: shop.goods, columns: { key: 'sku_id', name: 'sku_name', value: 'gmv_gross', beside: 'pieces' }, panel: 'goods_skus', ...messages.goods }, behind);
  const orders = orderList(context);
  const slow: Part[] = [chart, goods, orders];
  const today = h('section', { class: 'tiles', 'aria-labelledby': 'heading-wall' }, h('h2', { id: 'heading-wall', class: 'unseen' }, messages.today), ...tiles.map(({ part }) => part.element));
  // Panels are files of the project: it need not have all of these.
  const names = PANELS.filter((name) => shop.info?.panels.includes(name));
  const places = names.map((name) => h('div', { class: `wall-${name}` }));
  const element = h('main', { id: 'numbers', class: 'work wall', tabindex: -1 }, h('h2', { class: 'unseen' }, texts.headings.wall), today, chart.element, ...places, goods.element, orders.element);
  let cards: PanelCard[] = [];
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  panels().then(
    (all) => {
      if (isOver) return;
      cards = names.flatMap((name, place) => {
        const panel = all.find((known) => known.name === name);
        if (!panel) return [];
        const card = panelCard(context, panel, () => ({ day: '', compare: 'none' }));
        places[place]?.replaceChildren(card.element);
        return [card];
      });
      for (const card of cards) card.refresh();
    },
    (error: Error) => places[0]?.replaceChildren(failureLine(texts, error)),
  );
  const refreshing = setInterval(() => {
    if (document.visibilityState === 'visible') for (const card of cards) card.refresh();
  }, REFRESH_MS);

  function pick(id: MetricId): void {
    chart.pick(id);
    for (const { id: other, part } of tiles) part.select(other === id);
  }

  function drawSlow(): void {
    timer = undefined;
    for (const part of slow) part.draw();
  }

  pick(choice.metric);
  return {
    element,
    draw: () => {
      for (const { part } of tiles) part.draw();
      timer ??= setTimeout(drawSlow, SLOW_DRAW_MS);
    },
    restyle: () => [...slow, ...cards].forEach((part) => part.restyle?.()),
    dispose: () => {
      isOver = true;
      clearInterval(refreshing);
      clearTimeout(timer);
      for (const part of [...tiles.map((each) => each.part), ...slow, ...cards]) part.dispose?.();
    },
  };
}
