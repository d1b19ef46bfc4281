/** The curve of today over yesterday's. */

import { addDays, minuteText, MINUTES_A_DAY } from '../model/business-time';
import { DAY_BUCKET_MINUTES, HOUR_MINUTES, SPANS, curvePoints, spanRange, type Point, type Span } from '../model/curve';
import { reachedMinute } from '../model/activity';
import { METRICS, metric, type MetricId } from '../model/metrics';
import { init, palette, type ECharts, type Palette } from './charts';
import type { Context, Part } from './context';
import { h, setText, wantsMotion } from './dom';
import { segmented } from './segmented';

export interface Curve extends Part {
  pick(id: MetricId): void;
}

export interface CurveChoice {
  metric: MetricId;
  span: Span;
}

export function curve(context: Context, choice: CurveChoice, onPick: (id: MetricId) => void): Curve {
  const { shop, messages, format } = context;
  const text = messages.curve;
  const metrics = segmented(
    text.metricLabel,
    METRICS.map(({ id }) => ({ value: id, text: messages.metrics[id].short })),
    choice.metric,
    onPick,
  );
  const spans = segmented(
    text.spanLabel,
    SPANS.map((span) => ({ value: span, text: text.spans[span] })),
    choice.span,
    (span) => {
      choice.span = span;
      draw();
    },
  );
  const note = h('p', { class: 'panel-note' });
  const key = h('p', { class: 'curve-key', 'aria-hidden': 'true' }, h('span', { class: 'key-today' }, messages.todaySeries), h('span', { class: 'key-before' }, messages.yesterday));
  const canvas = h('div', { class: 'curve-canvas', role: 'img' });
  const element = h(
    'section',
    { class: 'panel curve', 'aria-labelledby': 'heading-curve' },
    h('header', { class: 'panel-head' }, h('h2', { id: 'heading-curve' }, text.heading), note, key),
    h('div', { class: 'curve-controls' }, metrics.element, spans.element),
    canvas,
  );

  let chart: ECharts | undefined;
  let colours: Palette = palette(element);
  const observer = new ResizeObserver(() => {
    // The canvas has a size only once it is in the page.
    if (chart === undefined && canvas.clientWidth > 0 && canvas.clientHeight > 0) {
      colours = palette(element);
      chart = init(canvas, null, { renderer: 'canvas' });
      draw();
    }
    chart?.resize();
  });
  observer.observe(canvas);

  function draw(): void {
    const { name } = messages.metrics[choice.metric];
    setText(note, `${name}, ${text.units[choice.span]}`);
    metrics.set(choice.metric);
    element.dataset['span'] = choice.span;
    if (!shop.isComplete) return;
    describe(name);
    chart?.setOption(option(), { replaceMerge: ['series'] });
  }

  /** For those who do not see the chart; once a minute is enough. */
  function describe(name: string): void {
    const { day, minute } = shop.now();
    const { form } = metric(choice.metric);
    const today = format.value(shop.minutes.sum(day, choice.metric, 0, minute), form);
    const before = format.value(shop.minutes.sum(addDays(day, -1), choice.metric, 0, minute), form);
    const summary = text.summary(name, text.units[choice.span], today, before);
    if (canvas.getAttribute('aria-label') !== summary) canvas.setAttribute('aria-label', summary);
  }

  function option(): Parameters<ECharts['setOption']>[0] {
    const { day, minute } = shop.now();
    const { form } = metric(choice.metric);
    const { span } = choice;
    const [from, to] = spanRange(span, minute);
    const activity = shop.activity();
    const points = (of: string, end: number) => curvePoints(shop.minutes, of, choice.metric, span, minute, Math.min(end, reachedMinute(activity, of)));
    const today = points(day, span === 'day' ? minute : minute + 1);
    const before = points(addDays(day, -1), MINUTES_A_DAY);
    const small = { color: colours.faint, fontSize: colours.fontSize, fontFamily: colours.font, margin: colours.fontSize * 0.75 };
    return {
      animation: wantsMotion(),
      animationDuration: 0,
      animationDurationUpdate: 250,
      grid: { left: 4, right: 14, top: 14, bottom: 2, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
      xAxis: {
        type: 'value',
        min: from,
        max: span === 'hour' ? to - 1 : to,
        axisLabel: { ...small, formatter: (at: number) => minuteText(at), customValues: marks(from, to, span), alignMaxLabel: span === 'hour' ? undefined : 'right' },
        axisLine: { lineStyle: { color: colours.line } },
        axisTick: { show: false },
        splitLine: { show: false },
        axisPointer: { snap: true },
      },
      yAxis: {
        type: 'value',
        splitNumber: 4,
        minInterval: form === 'count' ? 1 : 0,
        axisLabel: { ...small, formatter: (value: number) => format.short(value, form) },
        axisLine: { show: false },
        axisTick: { show: false },
        splitLine: { lineStyle: { color: colours.line } },
      },
      tooltip: {
        trigger: 'axis',
        confine: true,
        className: 'curve-tip',
        backgroundColor: 'transparent',
        borderWidth: 0,
        padding: 0,
        shadowBlur: 0,
        extraCssText: 'box-shadow:none',
        axisPointer: { type: 'line', lineStyle: { color: colours.faint, type: 'solid', width: 1 } },
        formatter: (given: unknown) => tip(given as TipPoint[]),
      },
      series: [beforeSeries(before, span === 'hour' ? colours.ink : colours.before), span === 'hour' ? barSeries(today, minute) : lineSeries(today)],
    };
  }

  /** Round times, and not more than have room. */
  function marks(from: number, to: number, span: Span): number[] {
    const isNarrow = canvas.clientWidth < colours.fontSize * 42;
    const step = span === 'hour' ? HOUR_MINUTES / (isNarrow ? 3 : 6) : isNarrow ? 360 : 180;
    const first = Math.ceil(from / step) * step;
    const last = span === 'hour' ? to - 1 : to;
    return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, place) => first + place * step);
  }

  function beforeSeries(points: Point[], color: string): object {
    return { id: 'before', name: messages.yesterday, type: 'line', data: points, symbol: 'none', silent: true, z: 2, lineStyle: { color, width: colours.stroke * 0.75 }, itemStyle: { color }, emphasis: { disabled: true } };
  }

  function lineSeries(points: Point[]): object {
    const last = points.length - 1;
    const data = points.map((value, place) => ({ value, symbol: place === last ? 'circle' : 'none', symbolSize: colours.stroke * 4 }));
    return { id: 'today', name: messages.todaySeries, type: 'line', data, z: 3, showSymbol: true, lineStyle: { color: colours.accent, width: colours.stroke }, itemStyle: { color: colours.accent }, areaStyle: { color: colours.accentSoft }, emphasis: { disabled: true } };
  }

  /** The minute that still runs is drawn lighter: it grows. */
  function barSeries(points: Point[], minuteNow: number): object {
    const data = points.map((value) => ({ value, itemStyle: { color: value[0] === minuteNow ? colours.barSoft : colours.bar } }));
    return { id: 'today-bars', name: messages.todaySeries, type: 'bar', data, z: 1, barCategoryGap: '22%', itemStyle: { color: colours.bar }, emphasis: { disabled: true } };
  }

  function tip(points: readonly TipPoint[]): HTMLElement {
    const { form } = metric(choice.metric);
    const at = points[0]?.value[0] ?? 0;
    const until = choice.span === 'day' ? `–${minuteText(at + DAY_BUCKET_MINUTES)}` : '';
    const rows = [...points].reverse().map((point) => {
      const isToday = point.seriesId !== 'before';
      const value = { units: BigInt(Math.round(point.value[1] * 100)), scale: 2 };
      return h('div', { class: isToday ? 'tip-row key-today' : 'tip-row key-before' }, h('span', {}, point.seriesName), h('b', {}, format.value(value, form)));
    });
    return h('div', { class: 'tip' }, h('div', { class: 'tip-time' }, `${minuteText(at)}${until}`), ...rows);
  }

  return {
    element,
    draw,
    pick: (id) => {
      choice.metric = id;
      draw();
    },
    restyle: () => {
      colours = palette(element);
      draw();
    },
    dispose: () => {
      observer.disconnect();
      chart?.dispose();
    },
  };
}

interface TipPoint {
  readonly seriesId: string;
  readonly seriesName: string;
  readonly value: Point;
}
