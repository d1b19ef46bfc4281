import { describe, expect, it } from 'vitest';
import { panelAddress, type Model, type Panel, type PanelColumn } from '../src/workbench/api';
import { valuesOfRow } from '../src/workbench/chosen-row';
import { suggest, wordBefore } from '../src/workbench/completion';
import { firstStatement } from '../src/workbench/first-statement';
import { Writer } from '../src/workbench/writer';

const model = (name: string, ...columns: string[]): Model => ({
  name,
  layer: 'ads',
  kind: 'query view',
  grain: '',
  text: [],
  columns: columns.map((column) => ({ name: column, type: 'BIGINT', meaning: '' })),
  inputs: [],
  readers: [],
});
const models = [model('ads_hour', 'hour', 'orders'), model('ads_live_day', 'day', 'orders', 'gmv_gross')];
const texts = (text: string) => suggest(text, text.length, models).map((found) => found.text);

describe('completion', () => {
  it('knows the word before the caret', () => {
    expect(wordBefore('SELECT gm', 9)).toEqual({ word: 'gm', start: 7 });
    expect(wordBefore('SELECT ', 7)).toEqual({ word: '', start: 7 });
  });
  it('gives tables after FROM, and columns of the named tables elsewhere', () => {
    expect(texts('SELECT * FROM ads_')).toEqual(['ads_hour', 'ads_live_day']);
    expect(suggest('SELECT gm FROM ads_live_day', 9, models)[0]?.text).toBe('gmv_gross');
    expect(suggest('SELECT gm FROM ads_hour', 9, models)).toEqual([]);
  });
  it('follows an alias', () => {
    expect(suggest('SELECT d. FROM ads_live_day AS d', 9, models).map((found) => found.text)).toEqual(['day', 'orders', 'gmv_gross']);
  });
});

describe('the first statement', () => {
  it('asks for the last days of a shop, else for the first table, and always answers', () => {
    const days = model('ads_live_day', 'day', 'gmv_gross', 'gmv_net', 'orders');
    const table: Model = { ...model('Orders', 'id'), kind: 'table' };
    expect(firstStatement([model('ads_hour', 'hour'), table, days])).toBe('SELECT day, gmv_gross, gmv_net, orders\nFROM ads_live_day\nORDER BY day DESC\nLIMIT 14');
    // A model of this name, but with columns of its own.
    expect(firstStatement([model('ads_live_day', 'day', 'orders'), table])).toBe('SELECT *\nFROM "Orders"\nLIMIT 14');
    expect(firstStatement([model('ads_hour', 'hour')])).toBe('SELECT *\nFROM ads_hour\nLIMIT 14');
    expect(firstStatement([])).toBe('SELECT 1');
  });
});

describe('writer', () => {
  it('keeps every digit of money and has words for nothing', () => {
    const writer = new Writer('en', 'CNY', 'Asia/Shanghai');
    expect(writer.form('12345678901234567.89', 'money')).toBe('¥12,345,678,901,234,567.89');
    expect(writer.form(null, 'money')).toBe('–');
    expect(writer.form(0.1234, 'percent')).toBe('12.3%');
    expect(writer.form('75.2', 'seconds')).toBe('1 min 15 s');
  });
});

describe('the rows behind a row', () => {
  const words = { en: '', zh: '' };
  const column = (name: string, role: PanelColumn['role']): PanelColumn => ({ name, type: 'Utf8', title: words, role, format: 'text', words: {} });
  const columns = [column('channel', 'category'), column('brand_id', 'hidden'), column('day', 'text'), column('gmv', 'value')];
  const parameter = (name: string, value: string | null) => ({ name, type: 'text', title: words, value, min: null, max: null, values: [] });
  const panel: Panel = { name: 'brands', subject: 'own', title: words, description: null, chart: 'table', query: '', parameters: [parameter('day', 'today'), parameter('channel', null)], columns, detail: true };
  const address = (values: Record<string, string>, row?: readonly (string | number | null)[]) => panelAddress('brands', valuesOfRow(panel, values, columns, row), '', true);

  it('are those of its values, and of none where it has none', () => {
    expect(address({})).toBe('/api/v1/panels/brands/detail');
    expect(address({}, ['a&b', 3, '2024-11-10', '7.50'])).toBe('/api/v1/panels/brands/detail?channel=a%26b&brand_id=3&day=2024-11-10');
    expect(address({}, [null, null, '2024-11-10', null])).toBe('/api/v1/panels/brands/detail?null=channel&null=brand_id&day=2024-11-10');
    expect(address({}, ['', null, '2024-11-10', 0])).toBe('/api/v1/panels/brands/detail?channel=&null=brand_id&day=2024-11-10');
  });
  it('are those of a parameter that has a value', () => {
    expect(address({ channel: 'web' }, [null, 3, null, 1])).toBe('/api/v1/panels/brands/detail?channel=web&brand_id=3');
  });
});
