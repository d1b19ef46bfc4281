/** The parts of ECharts that the page needs, and no others. */

import { BarChart, FunnelChart, LineChart, PieChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TooltipComponent } from 'echarts/components';
import { init, use, type ECharts } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

use([LineChart, BarChart, PieChart, FunnelChart, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);

export { init };
export type { ECharts };

/** Colours as the style sheet has them now. */
export interface Palette {
  readonly ink: string;
  readonly faint: string;
  readonly line: string;
  readonly accent: string;
  readonly accentSoft: string;
  readonly bar: string;
  readonly barSoft: string;
  readonly before: string;
  readonly surface: string;
  /** Beside the accent, for several lines. */
  readonly second: string;
  readonly third: string;
  readonly fourth: string;
  readonly fontSize: number;
  /** Width of the main line: thicker on a wall. */
  readonly stroke: number;
  readonly font: string;
}

export function palette(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const fontSize = Math.round(Number.parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.75);
  return {
    ink: colour('--ink-2'),
    faint: colour('--ink-3'),
    line: colour('--rule'),
    accent: colour('--accent'),
    accentSoft: colour('--accent-soft'),
    bar: colour('--bar'),
    barSoft: colour('--bar-soft'),
    before: colour('--before'),
    surface: colour('--surface'),
    second: colour('--second'),
    third: colour('--third'),
    fourth: colour('--fourth'),
    fontSize,
    stroke: Math.max(2, fontSize / 6.5),
    font: style.fontFamily,
  };
}
