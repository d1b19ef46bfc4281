import { describe, expect, it } from 'vitest';
import type { Change, Row } from '../src/live/protocol';
import { ZSet } from '../src/live/zset';

const columns = [{ name: 'sku', type: 'Int64' }, { name: 'gmv', type: 'Decimal128(38, 2)' }];
const rowsOf = (set: ZSet) => [...set.rows()];

describe('rows with weights', () => {
  it('takes an update as the old row going and the new one coming', () => {
    const set = new ZSet();
    set.replace(columns, [[1, '10.00'], [2, '5.00']]);
    set.apply([[-1, [1, '10.00']], [1, [1, '12.50']]]);
    expect(rowsOf(set)).toEqual([[2, '5.00'], [1, '12.50']]);
  });

  it('does not mind the order of changes', () => {
    const set = new ZSet();
    set.replace(columns, [[1, '10.00']]);
    set.apply([[1, [1, '11.00']], [-1, [1, '11.00']], [1, [1, '12.00']], [-1, [1, '10.00']]]);
    expect(rowsOf(set)).toEqual([[1, '12.00']]);
    expect(set.size).toBe(1);
  });

  it('keeps a row that goes before it comes out of sight', () => {
    const set = new ZSet();
    set.replace(columns, []);
    set.apply([[-1, [1, '1.00']]]);
    expect(rowsOf(set)).toEqual([]);
    expect(set.weightOf([1, '1.00'])).toBe(-1);
    set.apply([[1, [1, '1.00']]]);
    expect(set.size).toBe(0);
  });

  it('counts equal rows', () => {
    const set = new ZSet();
    set.replace(columns, [[1, '1.00'], [1, '1.00']]);
    set.apply([[-1, [1, '1.00']]]);
    expect(rowsOf(set)).toEqual([[1, '1.00']]);
    set.apply([[2, [1, '1.00']]]);
    expect(set.weightOf([1, '1.00'])).toBe(3);
  });

  it('tells text, numbers and nothing apart', () => {
    const set = new ZSet();
    set.replace(columns, [[1, null], ['1', null], [1, 'null']]);
    expect(set.size).toBe(3);
  });

  it('finds cells by name, wherever they stand', () => {
    const set = new ZSet();
    set.replace([...columns].reverse(), [['10.00', 1]]);
    expect(set.columns.cell(['10.00', 1], 'sku')).toBe(1);
    expect(set.columns.cell(['10.00', 1], 'absent')).toBe(null);
  });

  it('equals a recount after many changes', () => {
    const set = new ZSet();
    const counted = new Map<string, number>();
    set.replace(columns, []);
    let state = 17;
    const dice = (sides: number) => (state = (state * 48271) % 2147483647) % sides;
    for (let round = 0; round < 5_000; round += 1) {
      const row: Row = [dice(40), `${dice(9)}.00`];
      const weight = dice(2) === 0 ? 1 : -1;
      set.apply([[weight, row] satisfies Change]);
      counted.set(JSON.stringify(row), (counted.get(JSON.stringify(row)) ?? 0) + weight);
    }
    for (const [key, weight] of counted) expect(set.weightOf(JSON.parse(key) as Row)).toBe(weight);
    expect(set.size).toBe([...counted.values()].filter((weight) => weight !== 0).length);
  });
});
