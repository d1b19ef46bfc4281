/** The numbers of the page, each once: its column, and how it is written. */

export type MetricId = 'gmvGross' | 'gmvNet' | 'orders' | 'paidOrders' | 'pv' | 'uv';

export interface Metric {
  readonly id: MetricId;
  /** Its column in `ads_live_minute`. */
  readonly column: string;
  readonly form: 'money' | 'count';
}

export const METRICS: readonly Metric[] = [
  { id: 'gmvGross', column: 'gmv_gross', form: 'money' },
  { id: 'gmvNet', column: 'gmv_net', form: 'money' },
  { id: 'orders', column: 'orders', form: 'count' },
  { id: 'paidOrders', column: 'paid_orders', form: 'count' },
  { id: 'pv', column: 'pv', form: 'count' },
  // Each device counts in the first minute of its day, so these add up.
  { id: 'uv', column: 'uv_new_today', form: 'count' },
];

export function metric(id: MetricId): Metric {
  return METRICS.find((known) => known.id === id) ?? METRICS[0]!;
}
