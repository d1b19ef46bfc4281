import { describe, expect, it } from 'vitest';
import { RateMeter } from '../src/workbench/row-rates';
import { Writer } from '../src/workbench/writer';

const counts = (count: number) => new Map([['orders', count]]);

describe('row rates', () => {
  it('are what came between two counts', () => {
    const meter = new RateMeter();
    expect(meter.perSecond('orders')).toBeUndefined();
    meter.add(1_000, counts(100));
    expect(meter.perSecond('orders')).toBeUndefined();
    meter.add(3_000, counts(140));
    expect(meter.perSecond('orders')).toBe(20);
    meter.add(5_000, counts(140));
    expect(meter.perSecond('orders')).toBe(10);
  });
  it('forget what is more than ten seconds old', () => {
    const meter = new RateMeter();
    for (const [at, count] of [[0, 0], [2_000, 1_000], [12_000, 1_050]] as const) meter.add(at, counts(count));
    expect(meter.perSecond('orders')).toBe(5);
    meter.add(24_000, counts(1_050));
    expect(meter.perSecond('orders')).toBeUndefined();
  });
  it('begin anew with counts that do, and with names that were gone', () => {
    const meter = new RateMeter();
    meter.add(0, counts(1_000));
    meter.add(2_000, counts(10));
    expect(meter.perSecond('orders')).toBeUndefined();
    meter.add(4_000, counts(30));
    expect(meter.perSecond('orders')).toBe(10);
    meter.add(6_000, new Map());
    meter.add(8_000, counts(50));
    expect(meter.perSecond('orders')).toBeUndefined();
  });
  it('are written with a digit behind the point while they are small', () => {
    const writer = new Writer('en', 'CNY', 'Asia/Shanghai');
    expect([0, 0.04, 2.25, 12.4, 1234.5].map((rate) => writer.rate(rate))).toEqual(['0', '0', '2.3', '12', '1,235']);
  });
});
