/** What the warehouse is doing, as far as the page can tell. */

import type { ZSet } from '../live/zset';
import { MINUTES_A_DAY, type BusinessMoment } from './business-time';
import type { Minutes } from './minutes';

export type Activity =
  /** Nothing has come in, ever. */
  | { readonly kind: 'empty' }
  /** Data of earlier times is coming in; it has reached `day` and `minute`. */
  | { readonly kind: 'filling'; readonly day: string; readonly minute: number | undefined; readonly done: number }
  | { readonly kind: 'quiet'; readonly day: string; readonly minute: number | undefined }
  | { readonly kind: 'current' };

/** The first minute of `day` that has not come in yet; all have unless past days are being filled. */
export function reachedMinute(activity: Activity, day: string): number {
  if (activity.kind !== 'filling' || day < activity.day) return MINUTES_A_DAY;
  return day > activity.day ? 0 : (activity.minute ?? 0) + 1;
}

const BEHIND_MINUTES_MAX = 3;
/** Changes this recent mean that data is coming in. */
const MOVING_MS_MAX = 6_000;

export function activityOf(
  minutes: Minutes,
  days: ZSet,
  now: BusinessMoment,
  changedAtMs: number | undefined,
  machineNowMs: number,
): Activity {
  const known = [...days.rows()].map((row) => days.columns.text(row, 'day')).filter((day) => day <= now.day);
  const ofMinutes = minutes.has(now.day) ? now.day : minutes.lastDay();
  if (ofMinutes !== undefined && ofMinutes <= now.day) known.push(ofMinutes);
  known.sort();
  const first = known[0];
  const day = known.at(-1);
  if (first === undefined || day === undefined) return { kind: 'empty' };
  const minute = minutes.lastMinute(day);
  const behind = daysBetween(day, now.day) * MINUTES_A_DAY + now.minute - (minute ?? 0);
  if (behind <= BEHIND_MINUTES_MAX) return { kind: 'current' };
  const isMoving = changedAtMs !== undefined && machineNowMs - changedAtMs < MOVING_MS_MAX;
  if (!isMoving) return { kind: 'quiet', day, minute };
  const whole = daysBetween(first, now.day) * MINUTES_A_DAY + now.minute;
  return { kind: 'filling', day, minute, done: whole > 0 ? Math.max(0, 1 - behind / whole) : 0 };
}

function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000);
}
