/** Draws the answer of a panel, each kind of chart in its way. */

import type { Row } from '../live/protocol';
import { init, palette, type ECharts, type Palette } from '../ui/charts';
import { h, wantsMotion } from '../ui/dom';
import { numberOf, type Chart, type PanelColumn } from './api';
import { ChartPoints } from './chart-points';
import { table } from './table';
import { tileMap } from './tile-map';
import type { Writer } from './writer';

export interface ChartData {
  readonly chart: Chart;
  readonly title: string;
  readonly columns: readonly PanelColumn[];
  readonly rows: readonly Row[];
  /** The same panel for the day or week before. */
  readonly before?: readonly Row[] | undefined;
}

export interface ChartTexts {
  readonly nothing: string;
  readonly before: (value: string) => string;
  readonly rows: string;
}

/** What is to be called with the row that was chosen. */
export type Open = ((row: Row) => void) | undefined;

interface Places {
  readonly category: number;
  readonly series: number;
  readonly values: readonly number[];
}

function placesOf(columns: readonly PanelColumn[]): Places {
  const of = (role: string) => columns.flatMap((column, place) => (column.role === role ? [place] : []));
  return { category: of('category')[0] ?? -1, series: of('series')[0] ?? -1, values: of('value') };
}

/** A drawing in `box`; ends what it needs when `dispose` is called. */
export class PanelChart {
  private chart: ECharts | undefined;
  private observer: ResizeObserver | undefined;
  private points: ChartPoints | undefined;
  private data: ChartData | undefined;

  constructor(
    private readonly box: HTMLElement,
    private readonly writer: Writer,
    private readonly texts: ChartTexts,
    private readonly open: Open,
  ) {}

  draw(data: ChartData): void {
    this.data = data;
    const isCanvas = ['line', 'bar', 'area', 'pie', 'funnel'].includes(data.chart) && data.rows.length > 0;
    if (!isCanvas) {
      this.endChart();
      this.box.replaceChildren(this.plain(data));
      return;
    }
    if (this.chart === undefined) {
      const canvas = h('div', { class: 'chart-canvas', role: 'img', 'aria-label': data.title });
      this.box.replaceChildren(canvas);
      this.chart = init(canvas, null, { renderer: 'canvas', width: Math.max(canvas.clientWidth, 100), height: Math.max(canvas.clientHeight, 100) });
      this.observer = new ResizeObserver(() => this.chart?.resize({ width: 'auto', height: 'auto' }));
      this.observer.observe(canvas);
      this.chart.on('click', (event) => this.clicked(event as { dataIndex?: number; seriesIndex?: number }));
      if (this.open !== undefined) {
        this.points = new ChartPoints((point) => this.openRow(point), (point) => this.showPoint(point));
        this.box.append(this.points.element);
      }
    }
    this.chart.setOption(this.option(data), { notMerge: true });
    this.chart.getDom().setAttribute('aria-label', this.summary(data));
    this.points?.draw(`${data.title}: ${this.texts.rows}`, data.rows.map((row) => this.pointText(row, data.columns)));
  }

  restyle(): void {
    if (this.data !== undefined) this.draw(this.data);
  }

  dispose(): void {
    this.endChart();
  }

  private endChart(): void {
    this.observer?.disconnect();
    this.chart?.dispose();
    this.chart = undefined;
    this.observer = undefined;
    this.points = undefined;
  }

  private openRow(place: number): void {
    const row = this.data?.rows[place];
    if (row) this.open?.(row);
  }

  /** The tip of a row's point; none for `undefined`. */
  private showPoint(place: number | undefined): void {
    const row = place === undefined ? undefined : this.data?.rows[place];
    if (this.data === undefined || row === undefined) {
      this.chart?.dispatchAction({ type: 'hideTip' });
      return;
    }
    const places = placesOf(this.data.columns);
    const { names, categories } = seriesOf(this.data.rows, places);
    const at = places.series < 0 ? { seriesIndex: 0, dataIndex: place } : { seriesIndex: names.indexOf(String(row[places.series])), dataIndex: categories.indexOf(String(row[places.category])) };
    this.chart?.dispatchAction({ type: 'showTip', ...at });
  }

  private pointText(row: Row, columns: readonly PanelColumn[]): string {
    const { category, series, values } = placesOf(columns);
    const write = (place: number) => (columns[place] ? [this.writer.cell(row[place], columns[place])] : []);
    return `${[...write(category), ...write(series)].join(', ')}: ${values.flatMap(write).join(', ')}`;
  }

  private clicked({ dataIndex, seriesIndex }: { dataIndex?: number; seriesIndex?: number }): void {
    const { data } = this;
    if (data === undefined || this.open === undefined || dataIndex === undefined) return;
    const places = placesOf(data.columns);
    if (places.series < 0) return this.openRow(dataIndex);
    const { names, categories } = seriesOf(data.rows, places);
    const row = data.rows.find((found) => String(found[places.category]) === categories[dataIndex] && String(found[places.series]) === names[seriesIndex ?? 0]);
    if (row) this.open(row);
  }

  /** For those who do not see the chart. */
  private summary({ title, rows, columns }: ChartData): string {
    const { category, values } = placesOf(columns);
    const first = values[0] ?? 0;
    const column = columns[first];
    const name = columns[category];
    if (!column || !name) return title;
    const shown = rows.slice(0, 12).map((row) => `${this.writer.cell(row[category], name)} ${this.writer.cell(row[first], column)}`);
    return `${title}. ${this.writer.words(column.title)}: ${shown.join(', ')}${rows.length > 12 ? ' …' : ''}`;
  }

  private plain(data: ChartData): HTMLElement {
    const { columns, rows } = data;
    if (rows.length === 0) return h('p', { class: 'none' }, this.texts.nothing);
    const places = placesOf(columns);
    switch (data.chart) {
      case 'number':
        return this.numbers(data, places);
      case 'word_cloud':
        return this.words(data, places);
      case 'map':
        return this.map(data, places);
      default:
        return this.table(data);
    }
  }

  private table({ title, columns, rows }: ChartData): HTMLElement {
    const shown = columns.flatMap((column, place) => (column.role === 'hidden' ? [] : [{ title: this.writer.words(column.title), isNumber: column.role === 'value', write: (cell: Row[number] | undefined) => this.writer.cell(cell, column), place }]));
    return table(title, shown, rows, this.open, this.texts.rows);
  }

  private numbers({ columns, rows, before }: ChartData, { values }: Places): HTMLElement {
    const items = values.map((place) => {
      const column = columns[place]!;
      const now = rows[0]?.[place];
      const then = before?.[0]?.[place];
      const parts = [h('dt', {}, this.writer.words(column.title)), h('dd', { class: 'figure-value', 'data-column': column.name }, this.writer.cell(now, column))];
      if (before !== undefined) {
        const change = numberOf(now) / numberOf(then) - 1;
        const sign = change > 0 ? '+' : '';
        const text = Number.isFinite(change) ? `${sign}${this.writer.percent(change)} · ` : '';
        parts.push(h('dd', { class: change > 0 ? 'figure-before rise' : change < 0 ? 'figure-before fall' : 'figure-before' }, `${text}${this.texts.before(this.writer.cell(then, column))}`));
      }
      return h('div', { class: 'figure' }, ...parts);
    });
    return h('dl', { class: 'figure-grid' }, ...items);
  }

  private words({ columns, rows }: ChartData, { category, values }: Places): HTMLElement {
    const place = values[0] ?? 0;
    const column = columns[place]!;
    const most = Math.max(...rows.map((row) => numberOf(row[place])));
    // The greatest first: where there is no room for all, the least are cut off.
    const sorted = [...rows].sort((left, right) => numberOf(right[place]) - numberOf(left[place]));
    const items = sorted.map((row) => {
      const share = Math.sqrt(Math.max(0, numberOf(row[place])) / most);
      const word = this.writer.cell(row[category], columns[category]!);
      const value = this.writer.cell(row[place], column);
      const button = h('button', { type: 'button', class: 'word', style: `font-size:${(0.75 + share * 1.5).toFixed(2)}rem`, title: `${word}: ${value}`, 'aria-label': `${word}: ${value}` }, word);
      button.addEventListener('click', () => this.open?.(row));
      return h('li', {}, button);
    });
    return h('ul', { class: 'words' }, ...items);
  }

  private map({ title, columns, rows }: ChartData, { category, values }: Places): HTMLElement {
    const place = values[0] ?? 0;
    const column = columns[place]!;
    const tiles = rows.map((row) => ({
      name: String(row[category]),
      value: numberOf(row[place]),
      text: this.writer.cell(row[place], column),
      open: this.open && (() => this.open?.(row)),
    }));
    return tileMap(title, tiles, this.writer.language === 'zh');
  }

  private option(data: ChartData): Parameters<ECharts['setOption']>[0] {
    const colours = palette(this.box);
    const base = { animation: wantsMotion(), animationDuration: 250, color: shades(colours), textStyle: { fontFamily: colours.font, fontSize: colours.fontSize } };
    const places = placesOf(data.columns);
    return data.chart === 'pie' || data.chart === 'funnel' ? { ...base, ...this.parts(data, places, colours) } : { ...base, ...this.axes(data, places, colours) };
  }

  private parts({ chart, columns, rows }: ChartData, { category, values }: Places, colours: Palette): object {
    const place = values[0] ?? 0;
    const column = columns[place]!;
    // Steps of one way have one colour.
    const shade = chart === 'funnel' ? { itemStyle: { color: colours.bar } } : {};
    const data = rows.map((row) => ({ name: this.writer.cell(row[category], columns[category]!), value: numberOf(row[place]), ...shade }));
    const label = { color: colours.ink, fontSize: colours.fontSize, formatter: ({ name, value }: { name: string; value: number }) => `${name}  ${this.writer.form(value, column.format)}` };
    const isNarrow = this.box.clientWidth < colours.fontSize * 36;
    const shape = chart === 'pie' ? { type: 'pie', radius: isNarrow ? ['28%', '48%'] : ['45%', '75%'], label } : { type: 'funnel', sort: 'none', left: 8, right: '38%', top: 8, bottom: 8, gap: 2, minSize: '2%', label: { ...label, position: 'right' } };
    return { tooltip: this.tooltip(column, colours), series: [{ ...shape, data }] };
  }

  private tooltip(column: PanelColumn, colours: Palette): object {
    return { trigger: 'item', confine: true, backgroundColor: colours.surface, borderColor: colours.line, textStyle: { color: colours.ink, fontSize: colours.fontSize }, valueFormatter: (value: unknown) => this.writer.form(value as number, column.format) };
  }

  private axes({ chart, columns, rows, before }: ChartData, places: Places, colours: Palette): object {
    const { category, series, values } = places;
    const first = columns[values[0] ?? 0]!;
    const name = columns[category]!;
    const small = { color: colours.faint, fontSize: colours.fontSize };
    let categories = rows.map((row) => String(row[category]));
    const kind = chart === 'bar' ? { type: 'bar', barMaxWidth: colours.fontSize * 3 } : { type: 'line', symbolSize: colours.stroke * 2.5, lineStyle: { width: colours.stroke }, ...(chart === 'area' ? { areaStyle: { opacity: 0.18 } } : {}) };
    let lines: object[];
    if (series >= 0) {
      const split = seriesOf(rows, places);
      categories = split.categories;
      lines = split.names.map((title, line) => ({ ...kind, name: title, data: split.cells[line] }));
    } else {
      lines = values.map((place) => ({ ...kind, name: this.writer.words(columns[place]!.title), data: rows.map((row) => numberOf(row[place])) }));
    }
    if (before !== undefined && series < 0) {
      const place = values[0] ?? 0;
      const earlier = name.format === 'date' ? before.map((row) => numberOf(row[place])) : categories.map((wanted) => numberOf(before.find((row) => String(row[category]) === wanted)?.[place]));
      lines.push({ type: 'line', name: this.texts.before(this.writer.words(first.title)), data: earlier.slice(0, categories.length), symbol: 'none', lineStyle: { type: 'dashed', width: colours.stroke * 0.75, color: colours.before }, itemStyle: { color: colours.before } });
    }
    // Long names of goods are read on the left, not on their head.
    const isLying = chart === 'bar' && name.format === 'text';
    const write = (text: string) => this.writer.cell(text, name);
    const names = { type: 'category', data: categories, axisLabel: { ...small, formatter: write, ...(isLying ? { width: colours.fontSize * 11, overflow: 'truncate' } : { hideOverlap: true }) }, axisLine: { lineStyle: { color: colours.line } }, axisTick: { show: false }, inverse: isLying };
    const numbers = { type: 'value', axisLabel: { ...small, hideOverlap: true, formatter: (value: number) => this.writer.short(value, first.format) }, splitLine: { lineStyle: { color: colours.line } }, splitNumber: 4 };
    return {
      grid: { left: 8, right: 16, top: lines.length > 1 ? colours.fontSize * 3 : 14, bottom: 6, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
      ...(lines.length > 1 ? { legend: { type: 'scroll', top: 0, left: 0, textStyle: { color: colours.ink, fontSize: colours.fontSize }, itemWidth: colours.fontSize * 1.4, itemHeight: colours.fontSize * 0.7 } } : {}),
      tooltip: { ...this.tooltip(first, colours), trigger: 'axis' },
      xAxis: isLying ? numbers : names,
      yAxis: isLying ? names : numbers,
      series: lines,
    };
  }
}

/** One line for each text of the series column; what it has no row for is nothing. */
function seriesOf(rows: readonly Row[], { category, series, values }: Places): { names: string[]; categories: string[]; cells: number[][] } {
  const categories = [...new Set(rows.map((row) => String(row[category])))];
  const names = [...new Set(rows.map((row) => String(row[series])))];
  const cells = names.map((name) => categories.map((wanted) => numberOf(rows.find((row) => String(row[category]) === wanted && String(row[series]) === name)?.[values[0] ?? 0])));
  return { names, categories, cells };
}

function shades(colours: Palette): string[] {
  return [colours.accent, colours.second, colours.third, colours.bar, colours.before, colours.fourth];
}
