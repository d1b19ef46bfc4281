import { describe, expect, it } from 'vitest';
import { activityOf, reachedMinute } from '../src/model/activity';
import { compareWith } from '../src/model/comparison';
import { curvePoints, spanRange } from '../src/model/curve';
import { parseDecimal, toText } from '../src/model/decimal';
import { Minutes } from '../src/model/minutes';
import { ZSet } from '../src/live/zset';
import type { Row } from '../src/live/protocol';

const names = ['day', 'minute', 'gmv_gross', 'gmv_net', 'orders', 'paid_orders', 'pv', 'uv_new_today'];
const columns = names.map((name) => ({ name, type: '' }));
const row = (day: string, minute: number, gross: string, pv: number, uv: number): Row => [day, minute, gross, gross, 1, 1, pv, uv];
const TODAY = '2026-11-20';
const YESTERDAY = '2026-11-19';

function minutes(): Minutes {
  const found = new Minutes();
  found.replace(columns, [
    row(YESTERDAY, 0, '10.00', 5, 3),
    row(YESTERDAY, 60, '20.00', 7, 2),
    row(YESTERDAY, 61, '60.00', 60, 6),
    row(YESTERDAY, 1439, '99.00', 9, 1),
    row(TODAY, 0, '0.10', 1, 1),
    row(TODAY, 61, '0.20', 4, 2),
  ]);
  return found;
}

describe('minutes of days', () => {
  it('sums a day exactly', () => {
    expect(toText(minutes().sum(TODAY, 'gmvGross'))).toBe('0.30');
    expect(toText(minutes().sum(YESTERDAY, 'uv'))).toBe('12');
    expect(toText(minutes().sum('2026-11-21', 'pv'))).toBe('0');
  });

  it('follows changes by their weight', () => {
    const found = minutes();
    found.apply([[-1, row(TODAY, 61, '0.20', 4, 2)], [1, row(TODAY, 61, '7.20', 5, 2)], [1, row(TODAY, 62, '1.00', 1, 0)]]);
    expect(toText(found.sum(TODAY, 'gmvGross'))).toBe('8.30');
    expect(toText(found.sum(TODAY, 'pv'))).toBe('7');
    found.apply([[-1, row(TODAY, 62, '1.00', 1, 0)]]);
    expect(found.lastMinute(TODAY)).toBe(61);
  });

  it('knows what yesterday had by this time: whole minutes, and the part of the present one', () => {
    const found = minutes();
    expect(toText(found.soFar(YESTERDAY, 'gmvGross', 61, 0))).toBe('30.00');
    expect(toText(found.soFar(YESTERDAY, 'gmvGross', 61, 20))).toBe('50.00');
    expect(toText(found.soFar(YESTERDAY, 'pv', 61, 30))).toBe('42');
    expect(toText(found.soFar(YESTERDAY, 'gmvGross', 62, 0))).toBe('90.00');
  });

  it('leaves out rows that are no minutes of a day', () => {
    const found = new Minutes();
    found.replace(columns, [row(TODAY, 1440, '1.00', 1, 1), row(TODAY, -1, '1.00', 1, 1), ['', 3, '1.00', '1', 1, 1, 1, 1]]);
    expect(found.has(TODAY)).toBe(false);
  });
});

describe('against yesterday at this time', () => {
  const against = (now: string, before: string) => compareWith(parseDecimal(now), parseDecimal(before));

  it('says how much more or less', () => {
    expect(against('112.40', '100.00')).toMatchObject({ direction: 'up', change: 0.124 });
    expect(against('50', '100')).toMatchObject({ direction: 'down', change: -0.5 });
    expect(against('100.0', '100')).toMatchObject({ direction: 'same', change: 0 });
    expect(against('10001', '10000')).toMatchObject({ direction: 'same', change: 0.0001 });
  });

  it('gives no percentage of nothing, or of less', () => {
    expect(against('5', '0').change).toBeUndefined();
    expect(against('5', '-3.00').change).toBeUndefined();
  });

  it('goes below zero where refunds outweigh payments', () => {
    expect(against('-10', '100')).toMatchObject({ direction: 'down', change: -1.1 });
  });
});

describe('the curve', () => {
  it('shows whole buckets only', () => {
    expect(curvePoints(minutes(), TODAY, 'pv', 'day', 65, 65).map(([at]) => at)).toEqual([0, 10, 20, 30, 40, 50]);
    const points = curvePoints(minutes(), YESTERDAY, 'gmvGross', 'day', 65, 1440);
    expect(points).toHaveLength(144);
    expect(points[6]).toEqual([60, 80]);
  });

  it('adds up', () => {
    const points = curvePoints(minutes(), YESTERDAY, 'gmvGross', 'total', 65, 1440);
    expect(points.at(-1)).toEqual([1440, 189]);
    expect(points[61]).toEqual([61, 30]);
  });

  it('shows an hour, also right after midnight', () => {
    expect(spanRange('hour', 754)).toEqual([695, 755]);
    expect(spanRange('hour', 3)).toEqual([0, 60]);
    expect(curvePoints(minutes(), TODAY, 'pv', 'hour', 61, 62).at(-1)).toEqual([61, 4]);
  });
});

describe('what the warehouse is doing', () => {
  const days = (...known: string[]) => {
    const set = new ZSet();
    set.replace([{ name: 'day', type: 'Date32' }], known.map((day) => [day]));
    return set;
  };
  const at = (minute: number) => ({ day: TODAY, minute, second: 0 });

  it('is empty before the first row', () => {
    expect(activityOf(new Minutes(), days(), at(600), undefined, 0)).toEqual({ kind: 'empty' });
  });

  it('is current while the newest minute is close', () => {
    expect(activityOf(minutes(), days(TODAY), at(62), undefined, 0)).toEqual({ kind: 'current' });
  });

  it('is filling while earlier times come in', () => {
    const found = new Minutes();
    found.replace(columns, [row(YESTERDAY, 720, '1.00', 1, 1)]);
    const activity = activityOf(found, days('2026-11-16', YESTERDAY), at(600), 10_000, 11_000);
    expect(activity).toMatchObject({ kind: 'filling', day: YESTERDAY, minute: 720 });
    expect(activity.kind === 'filling' && activity.done).toBeCloseTo(1 - 1320 / (4 * 1440 + 600), 6);
  });

  it('knows how far the filling has come', () => {
    const filling = { kind: 'filling', day: YESTERDAY, minute: 720, done: 0.5 } as const;
    expect(reachedMinute(filling, '2026-11-18')).toBe(1440);
    expect(reachedMinute(filling, YESTERDAY)).toBe(721);
    expect(reachedMinute(filling, TODAY)).toBe(0);
    expect(reachedMinute({ kind: 'current' }, TODAY)).toBe(1440);
  });

  it('is quiet when nothing comes', () => {
    expect(activityOf(minutes(), days(TODAY), at(300), 10_000, 99_000)).toMatchObject({ kind: 'quiet', day: TODAY, minute: 61 });
  });
});
