/** The points of the curve: one metric of one day, by minute or summed up. */

import { MINUTES_A_DAY } from './business-time';
import { ZERO, add, toNumber } from './decimal';
import type { MetricId } from './metrics';
import type { Minutes } from './minutes';

export type Span = 'hour' | 'day' | 'total';
export const SPANS: readonly Span[] = ['hour', 'day', 'total'];

/** Minute of the day, value. */
export type Point = [minute: number, value: number];

export const HOUR_MINUTES = 60;
export const DAY_BUCKET_MINUTES = 10;

/** First minute and the one after the last that a span shows at `minute`. */
export function spanRange(span: Span, minute: number): [from: number, to: number] {
  if (span !== 'hour') return [0, MINUTES_A_DAY];
  const from = Math.max(0, minute - HOUR_MINUTES + 1);
  return [from, from + HOUR_MINUTES];
}

/**
 * Points of `day` up to `end` (exclusive). By buckets only whole ones are
 * shown, because a part of one would look like a fall.
 */
export function curvePoints(minutes: Minutes, day: string, metric: MetricId, span: Span, minuteNow: number, end: number): Point[] {
  const [from, to] = spanRange(span, minuteNow);
  const last = Math.min(to, end);
  if (span === 'hour') return perMinute(minutes, day, metric, from, last);
  if (span === 'day') return perBucket(minutes, day, metric, last);
  return runningTotal(minutes, day, metric, last);
}

function perMinute(minutes: Minutes, day: string, metric: MetricId, from: number, to: number): Point[] {
  const points: Point[] = [];
  for (let minute = from; minute < to; minute += 1) points.push([minute, toNumber(minutes.at(day, metric, minute))]);
  return points;
}

function perBucket(minutes: Minutes, day: string, metric: MetricId, to: number): Point[] {
  const points: Point[] = [];
  for (let start = 0; start + DAY_BUCKET_MINUTES <= to; start += DAY_BUCKET_MINUTES) {
    points.push([start, toNumber(minutes.sum(day, metric, start, start + DAY_BUCKET_MINUTES))]);
  }
  return points;
}

function runningTotal(minutes: Minutes, day: string, metric: MetricId, to: number): Point[] {
  const points: Point[] = [[0, 0]];
  let sum = ZERO;
  for (let minute = 0; minute < to; minute += 1) {
    sum = add(sum, minutes.at(day, metric, minute));
    points.push([minute + 1, toNumber(sum)]);
  }
  return points;
}
