/** Today against yesterday at this time. */

import { compare, subtract, ZERO, type Decimal } from './decimal';

export interface Comparison {
  readonly before: Decimal;
  readonly direction: 'up' | 'down' | 'same';
  /** `0.124` is 12.4 % more; undefined where nothing was before. */
  readonly change: number | undefined;
}

/** Less than this is written as 0.0 %. */
const CHANGE_MIN = 0.0005;

export function compareWith(now: Decimal, before: Decimal): Comparison {
  const order = compare(now, before);
  const change = relativeChange(now, before);
  const isSame = order === 0 || (change !== undefined && Math.abs(change) < CHANGE_MIN);
  return { before, direction: isSame ? 'same' : order > 0 ? 'up' : 'down', change };
}

function relativeChange(now: Decimal, before: Decimal): number | undefined {
  // A percentage of nothing, or of less than nothing, says nothing.
  if (compare(before, ZERO) <= 0) return undefined;
  const difference = subtract(now, before);
  const scale = Math.max(difference.scale, before.scale);
  const top = difference.units * 10n ** BigInt(scale - difference.scale);
  const bottom = before.units * 10n ** BigInt(scale - before.scale);
  return Number((top * 1_000_000n) / bottom) / 1_000_000;
}
