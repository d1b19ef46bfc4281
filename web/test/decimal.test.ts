import { describe, expect, it } from 'vitest';
import { ZERO, add, between, compare, parseDecimal, portion, subtract, times, toNumber, toText } from '../src/model/decimal';

const text = (value: string | number | null) => toText(parseDecimal(value));

describe('exact decimals', () => {
  it('reads what the server writes', () => {
    expect(text('0.10')).toBe('0.10');
    expect(text('-12.34')).toBe('-12.34');
    expect(text('-0.05')).toBe('-0.05');
    expect(text(42)).toBe('42');
    expect(text(-7)).toBe('-7');
    expect(text(null)).toBe('0');
    expect(text('9007199254740993')).toBe('9007199254740993');
    expect(text('1.5e3')).toBe('1500');
    expect(text(0.25)).toBe('0.25');
    expect(text('nonsense')).toBe('0');
  });

  it('adds a million cents without losing one', () => {
    let sum = ZERO;
    for (let place = 0; place < 100_000; place += 1) sum = add(sum, parseDecimal('0.10'));
    expect(toText(sum)).toBe('10000.00');
  });

  it('adds amounts that no float can hold', () => {
    expect(toText(add(parseDecimal('90071992547409930.01'), parseDecimal('0.02')))).toBe('90071992547409930.03');
  });

  it('aligns scales', () => {
    expect(toText(add(parseDecimal('1.5'), parseDecimal('2.25')))).toBe('3.75');
    expect(toText(subtract(parseDecimal('1'), parseDecimal('0.001')))).toBe('0.999');
    expect(compare(parseDecimal('1.10'), parseDecimal('1.1'))).toBe(0);
    expect(compare(parseDecimal('-1'), parseDecimal('0.5'))).toBe(-1);
  });

  it('weighs', () => {
    expect(toText(times(parseDecimal('3.30'), -2))).toBe('-6.60');
    expect(toText(portion(parseDecimal('60.00'), 20, 60))).toBe('20.00');
  });

  it('moves from one value to another and ends exactly on it', () => {
    const from = parseDecimal('10');
    const to = parseDecimal('20.55');
    expect(toNumber(between(from, to, 0))).toBe(10);
    expect(toNumber(between(from, to, 0.5))).toBeCloseTo(15.27, 1);
    expect(between(from, to, 1)).toBe(to);
  });
});
