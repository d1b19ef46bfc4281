/** The numbers of the page, each once: its column, and how it is written. */

export type MetricId = 'gmvGross' | 'gmvNet' | 'orders' | 'paidOrders' | 'pv' | 'uv';

export interface Metric {
  readonly id: MetricId;
  /** Its column in `ads_live_minute`. */
  readonly column: string;
  readonly form: 'money' | 'count';
  /** The panel whose detail are its rows. */
  readonly panel: string;
  /** The kind of these rows that it counts; without one it is made of all of them. */
  readonly countsFor?: string;
}

export const METRICS: readonly Metric[] = [
  { id: 'gmvGross', column: 'gmv_gross', form: 'money', panel: 'trade_totals', countsFor: 'ordered' },
  { id: 'gmvNet', column: 'gmv_net', form: 'money', panel: 'trade_totals' },
  { id: 'orders', column: 'orders', form: 'count', panel: 'trade_totals', countsFor: 'ordered' },
  { id: 'paidOrders', column: 'paid_orders', form: 'count', panel: 'trade_pay_interval' },
  { id: 'pv', column: 'pv', form: 'count', panel: 'traffic_totals', countsFor: 'pv' },
  // Each device counts in the first minute of its day, so these add up.
  { id: 'uv', column: 'uv_new_today', form: 'count', panel: 'traffic_visitors' },
];

export function metric(id: MetricId): Metric {
  return METRICS.find((known) => known.id === id) ?? METRICS[0]!;
}
