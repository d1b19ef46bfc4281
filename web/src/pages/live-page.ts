/** The live page: the numbers of today as they come. */

import { METRICS, type MetricId } from '../model/metrics';
import type { RankingColumns } from '../model/ranking';
import type { Part } from '../ui/context';
import { curve, type CurveChoice } from '../ui/curve';
import { h } from '../ui/dom';
import { figures } from '../ui/figures';
import { orderList } from '../ui/order-list';
import { ranking } from '../ui/ranking';
import { tile } from '../ui/tile';
import type { WorkContext } from '../workbench/context';
import { figureRows } from '../workbench/figure-rows';

/** Numbers follow every change; lists and the curve only so often, to stay readable. */
const SLOW_DRAW_MS = 250;

/** Outlives a page that is built again in another language. */
const choice: CurveChoice = { metric: 'gmvGross', span: 'day' };

export function livePage(context: WorkContext): Part {
  const { shop, messages } = context;
  const behind = figureRows(context);
  const tiles = METRICS.map(({ id }) => ({ id, part: tile(context, id, pick, behind) }));
  const chart = curve(context, choice, pick);
  const byGross = (key: string, name: string, beside: string): RankingColumns => ({ key, name, value: 'gmv_gross', beside });
  const goods = ranking(context, { id: 'goods', view: 'ads_live_sku_day', rows: shop.goods, columns: byGross('sku_id', 'sku_name', 'pieces'), panel: 'goods_skus', ...messages.goods }, behind);
  const provinces = ranking(context, { id: 'provinces', view: 'ads_live_province_day', rows: shop.provinces, columns: byGross('province_id', 'province_name', 'orders'), panel: 'province_sales', ...messages.provinces, nameOf: messages.provinceName }, behind);
  const channels = ranking(context, { id: 'channels', view: 'ads_live_channel_day', rows: shop.channels, columns: byGross('channel', 'channel', 'uv'), panel: 'traffic_channel_sales', ...messages.channels }, behind);
  const strip = figures(context, behind);
  const orders = orderList(context);
  const slow: Part[] = [chart, goods, provinces, channels, strip, orders];

  const today = h('section', { class: 'tiles', 'aria-labelledby': 'heading-today' }, h('h2', { id: 'heading-today', class: 'unseen' }, messages.today), ...tiles.map(({ part }) => part.element));
  const element = h('main', { id: 'numbers', class: 'live', tabindex: -1 }, today, strip.element, chart.element, orders.element, goods.element, provinces.element, channels.element);

  let drawnMs = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function pick(id: MetricId): void {
    chart.pick(id);
    for (const { id: other, part } of tiles) part.select(other === id);
  }

  function draw(): void {
    for (const { part } of tiles) part.draw();
    if (timer !== undefined) return;
    timer = setTimeout(drawSlow, Math.max(0, drawnMs + SLOW_DRAW_MS - performance.now()));
  }

  function drawSlow(): void {
    timer = undefined;
    drawnMs = performance.now();
    for (const part of slow) part.draw();
  }

  pick(choice.metric);
  return {
    element,
    draw,
    restyle: () => slow.forEach((part) => part.restyle?.()),
    dispose: () => {
      clearTimeout(timer);
      for (const part of [...tiles.map((each) => each.part), ...slow]) part.dispose?.();
    },
  };
}
