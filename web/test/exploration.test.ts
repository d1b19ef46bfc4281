import { describe, expect, it } from 'vitest';
import { dimensionsOf, drilled, filterOf, nextDimension } from '../src/workbench/drill';
import { FIRST, fitted } from '../src/workbench/explore-start';
import { aggregatesOf, conditionOf, detailQuery, exploreQuery, isMeasure, panelFile, rolesOf, savedPanel, shownAs, valuesQuery, type Exploration, type Filter, type Named, type Operator } from '../src/workbench/exploration';
import { kindOf, literal, quoted, quotedText } from '../src/workbench/sql-text';

const column = (name: string, type: string): Named => ({ name, type });
const day = { column: 'day', type: 'DATE' } as const;
const time = { column: 'create_time', type: 'TIMESTAMPTZ' } as const;
const channel = { column: 'channel', type: 'VARCHAR' } as const;
const amount = column('amount', 'DECIMAL(16, 2)');
const base: Exploration = { model: 'orders', measure: { column: amount, aggregate: 'sum' }, by: [channel], filters: [], condition: '', chart: 'bar' };
const filter = (name: string, type: string, operator: Operator, value?: string): Filter => ({ column: name, type, operator, value });

describe('names and values in statements', () => {
  it('keeps every text a text', () => {
    expect(quotedText("it's")).toBe("'it''s'");
    expect(quotedText("' OR '1'='1")).toBe("''' OR ''1''=''1'");
    expect(quotedText("\\'; DROP TABLE x --")).toBe("'\\''; DROP TABLE x --'");
    // Settings of a project are put in wherever these two stand together.
    expect(quotedText('a${b}')).toBe("'a$' || '{b}'");
    expect(quotedText('')).toBe("''");
  });
  it('takes as numbers, days and times only what is one', () => {
    expect(literal('number', ' -12.50 ')).toBe('-12.50');
    expect(literal('number', '1 OR 1=1')).toBeUndefined();
    expect(literal('number', '1e')).toBeUndefined();
    expect(literal('date', '2026-11-21')).toBe("DATE '2026-11-21'");
    expect(literal('date', "2026-11-21' OR '1")).toBeUndefined();
    expect(literal('date', '2026-13-01')).toBeUndefined();
    expect(literal('time', '2026-11-21T01:00:00.123456+08:00')).toBe("TIMESTAMPTZ '2026-11-21 01:00:00.123456+08:00'");
    // The shop's zone, where none is said.
    expect(literal('time', '2026-11-21 01:30')).toBe("TIMESTAMP '2026-11-21 01:30:00'");
    expect(literal('time', '2026-11-21')).toBe("TIMESTAMP '2026-11-21 00:00:00'");
    expect(literal('time', 'now')).toBeUndefined();
    expect(literal('boolean', 'true')).toBe('TRUE');
    expect(literal('boolean', 'TRUE OR TRUE')).toBeUndefined();
  });
  it('quotes names that need it', () => {
    expect(quoted('day')).toBe('day');
    expect(quoted('Order')).toBe('"Order"');
    expect(quoted('order')).toBe('"order"');
    expect(quoted('a"b')).toBe('"a""b"');
  });
  it('knows the kinds of types', () => {
    const types = ['VARCHAR', 'BIGINT UNSIGNED', 'INT', 'DECIMAL(26, 2)', 'DOUBLE', 'Int16', 'DATE', 'TIMESTAMPTZ', 'BOOLEAN', 'BINARY', 'Interval(DayTime)', 'List(Utf8)'];
    expect(types.map(kindOf)).toEqual(['text', 'number', 'number', 'number', 'number', 'number', 'date', 'time', 'boolean', 'other', 'other', 'other']);
  });
});

describe('filters', () => {
  it('are conditions with quoted values', () => {
    const cases: [Filter, string | undefined][] = [
      [filter('name', 'VARCHAR', 'equals', "O'Neil"), "name = 'O''Neil'"],
      [filter('name', 'VARCHAR', 'equals', ''), "name = ''"],
      [filter('name', 'VARCHAR', 'contains', "50%'"), "strpos(name, '50%''') > 0"],
      [filter('name', 'VARCHAR', 'begins', '_a'), "starts_with(name, '_a')"],
      [filter('name', 'VARCHAR', 'oneOf', "a, b'c，d"), "name IN ('a', 'b''c', 'd')"],
      [filter('n', 'BIGINT', 'oneOf', '1, 2'), 'n IN (1, 2)'],
      [filter('n', 'BIGINT', 'oneOf', '1, 2) OR (1=1'), undefined],
      [filter('n', 'BIGINT', 'atLeast', '3'), 'n >= 3'],
      [filter('n', 'BIGINT', 'differs', 'x'), undefined],
      [filter('n', 'BIGINT', 'equals'), undefined],
      [filter('day', 'DATE', 'less', '2026-11-21'), "day < DATE '2026-11-21'"],
      [filter('is_test', 'BOOLEAN', 'equals', 'false'), 'is_test = FALSE'],
      [filter('name', 'VARCHAR', 'missing'), 'name IS NULL'],
      [filter('Name', 'VARCHAR', 'present'), '"Name" IS NOT NULL'],
    ];
    for (const [given, wanted] of cases) expect(conditionOf(given), JSON.stringify(given)).toBe(wanted);
  });
  it('hold together, and with a condition that has its own OR', () => {
    const filters = [filter('channel', 'VARCHAR', 'equals', 'web'), filter('amount', 'DECIMAL(16, 2)', 'more')];
    expect(exploreQuery({ ...base, filters, condition: ' a OR b ' })).toContain("\nWHERE channel = 'web'\n  AND (a OR b)\n");
    expect(exploreQuery({ ...base, condition: ' a OR b ' })).toContain('\nWHERE a OR b\n');
  });
});

describe('exploration', () => {
  it('adds up by one dimension, the largest first', () => {
    expect(exploreQuery(base)).toBe('SELECT channel, sum(amount) AS amount\nFROM orders\nGROUP BY 1\nORDER BY 2 DESC, 1\nLIMIT 200');
  });
  it('has all aggregates', () => {
    const value = (measure: Exploration['measure']) => exploreQuery({ ...base, measure }).split('\n')[0];
    expect(value({ aggregate: 'count' })).toBe('SELECT channel, count(*) AS count');
    expect(value({ column: amount, aggregate: 'avg' })).toBe('SELECT channel, avg(amount) AS avg_amount');
    expect(value({ column: amount, aggregate: 'min' })).toBe('SELECT channel, min(amount) AS min_amount');
    expect(value({ column: amount, aggregate: 'max' })).toBe('SELECT channel, max(amount) AS max_amount');
    expect(value({ column: amount, aggregate: 'count' })).toBe('SELECT channel, count(amount) AS count_amount');
    expect(value({ column: column('user_id', 'BIGINT'), aggregate: 'distinct' })).toBe('SELECT channel, count(DISTINCT user_id) AS distinct_user_id');
    // The dimension has the name of its own.
    expect(value({ column: column('channel', 'BIGINT'), aggregate: 'sum' })).toBe('SELECT channel, sum(channel) AS channel_of_group');
  });
  it('takes times by hour, day, week and month, the newest, in their order', () => {
    const query = (grain: 'hour' | 'day' | 'week' | 'month', of: typeof day | typeof time) => exploreQuery({ ...base, by: [{ ...of, grain }] }).split('\n')[1];
    expect(exploreQuery({ ...base, by: [{ ...time, grain: 'hour' }] })).toBe("SELECT * FROM (\nSELECT date_trunc('hour', create_time) AS create_time_hour, sum(amount) AS amount\nFROM orders\nGROUP BY 1\nORDER BY 1 DESC\nLIMIT 200\n) AS newest\nORDER BY 1");
    expect(query('day', time)).toBe("SELECT CAST(date_trunc('day', create_time) AS DATE) AS create_time_day, sum(amount) AS amount");
    expect(query('week', day)).toBe("SELECT CAST(date_trunc('week', day) AS DATE) AS day_week, sum(amount) AS amount");
    expect(query('month', day)).toBe("SELECT CAST(date_trunc('month', day) AS DATE) AS day_month, sum(amount) AS amount");
    expect(query('day', day)).toBe('SELECT day, sum(amount) AS amount');
  });
  it('splits by a second dimension, and is a table of more', () => {
    const two: Exploration = { ...base, by: [day, channel], chart: 'pie' };
    expect(shownAs(two)).toBe('bar');
    expect(exploreQuery({ ...two, chart: 'line' })).toBe('SELECT * FROM (\nSELECT day, channel, sum(amount) AS amount\nFROM orders\nGROUP BY 1, 2\nORDER BY 1 DESC, 2\nLIMIT 1000\n) AS newest\nORDER BY 1, 2');
    expect(rolesOf(two)).toEqual([['day', 'category'], ['channel', 'series'], ['amount', 'value']]);
    const three: Exploration = { ...base, by: [channel, day, { column: 'kind', type: 'VARCHAR' }] };
    expect(shownAs(three)).toBe('table');
    expect(rolesOf(three).map(([, role]) => role)).toEqual(['category', 'category', 'category', 'value']);
    // The first day of somebody is no height of a bar.
    expect(shownAs({ ...base, measure: { column: column('day', 'DATE'), aggregate: 'min' } })).toBe('table');
  });
  it('does not add up what names something', () => {
    expect(isMeasure(amount)).toBe(true);
    expect(isMeasure(column('user_id', 'BIGINT'))).toBe(false);
    expect(isMeasure(column('name', 'VARCHAR'))).toBe(false);
    expect(aggregatesOf(column('user_id', 'BIGINT'))).toEqual(['distinct', 'count', 'min', 'max']);
    expect(aggregatesOf(undefined)).toEqual(['count']);
  });
  it('shows its rows and offers values', () => {
    const filters = [filter('channel', 'VARCHAR', 'equals', 'web')];
    expect(detailQuery({ ...base, filters }, [column('channel', 'VARCHAR'), column('create_time', 'TIMESTAMPTZ')])).toBe("SELECT *\nFROM orders\nWHERE channel = 'web'\nORDER BY create_time DESC\nLIMIT 200");
    expect(valuesQuery('Orders', 'channel')).toBe('SELECT channel FROM "Orders" WHERE channel IS NOT NULL GROUP BY channel ORDER BY count(*) DESC, 1 LIMIT 50');
  });
  it('is kept with its words, the English ones where no others are given, and its query with all of it', () => {
    const words = { name: 'by_day', en: 'By day', zh: ' ', subject: 'own', replace: false };
    const exploration: Exploration = { ...base, by: [{ ...time, grain: 'week' }, channel], filters: [filter('channel', 'VARCHAR', 'differs', "a'b${c}")], condition: 'amount > 0', chart: 'line' };
    const query = exploreQuery(exploration);
    expect(query).toContain("WHERE channel <> 'a''b$' || '{c}'\n  AND (amount > 0)");
    expect(savedPanel(exploration, words)).toEqual({
      name: 'by_day',
      title: { en: 'By day', zh: 'By day' },
      subject: 'own',
      chart: 'line',
      query,
      columns: { create_time_week: { role: 'category' }, channel: { role: 'series' }, amount: { role: 'value' } },
      replace: false,
    });
    expect(panelFile(exploration)).toContain(query);
    expect(panelFile(exploration)).toContain('[columns."channel"]\nrole = "series"');
  });
  it('asks the same of another model as far as it can', () => {
    const columns = [column('sku_id', 'BIGINT'), column('sku_name', 'VARCHAR'), column('day', 'DATE'), column('pieces', 'BIGINT')];
    const before: Exploration = { ...FIRST, filters: [filter('day', 'DATE', 'equals', '2026-11-21'), filter('channel', 'VARCHAR', 'equals', 'web')], condition: 'is_test' };
    expect(fitted(before, 'skus', columns)).toEqual({ ...before, model: 'skus', measure: { column: columns[3], aggregate: 'sum' }, by: [{ column: 'sku_name', type: 'VARCHAR' }], filters: [before.filters[0]], condition: '' });
  });
});

describe('drill-down', () => {
  const columns = [column('order_id', 'VARCHAR'), column('channel', 'VARCHAR'), column('province_name', 'VARCHAR'), column('create_time', 'TIMESTAMPTZ'), amount];
  it('leads from months and weeks to days and hours, and from names to the next ones', () => {
    const next = (exploration: Exploration) => nextDimension(exploration, columns);
    expect(next({ ...base, by: [{ ...time, grain: 'month' }] })).toEqual({ ...time, grain: 'day' });
    expect(next({ ...base, by: [{ ...time, grain: 'day' }] })).toEqual({ ...time, grain: 'hour' });
    expect(next({ ...base, by: [{ ...time, grain: 'hour' }] })).toEqual(channel);
    expect(next(base)?.column).toBe('province_name');
    expect(next({ ...base, filters: [filter('province_name', 'VARCHAR', 'equals', 'x')] })).toBeUndefined();
  });
  it('asks of what was chosen alone', () => {
    const to = drilled({ ...base, chart: 'line', by: [{ ...time, grain: 'week' }, channel] }, ['2026-11-16', null, '12.00'], { column: 'province_name', type: 'VARCHAR' });
    expect(exploreQuery(to)).toBe("SELECT province_name, sum(amount) AS amount\nFROM orders\nWHERE CAST(date_trunc('week', create_time) AS DATE) = DATE '2026-11-16'\n  AND channel IS NULL\nGROUP BY 1\nORDER BY 2 DESC, 1\nLIMIT 200");
    expect(to.chart).toBe('bar');
    expect(conditionOf(filterOf({ ...time, grain: 'hour' }, '2026-11-21T01:00:00+08:00'))).toBe("date_trunc('hour', create_time) = TIMESTAMPTZ '2026-11-21 01:00:00+08:00'");
    expect(conditionOf(filterOf(channel, ''))).toBe("channel = ''");
    // Without a next one it is the same question.
    expect(drilled(base, ['web', '1.00'], undefined).by).toEqual([channel]);
  });
  it('offers times with each grain', () => {
    expect(dimensionsOf([column('day', 'DATE'), column('blob', 'BINARY')]).map(({ grain }) => grain)).toEqual(['day', 'week', 'month']);
  });
});
