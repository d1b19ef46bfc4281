/** A question that was put together by choosing, as SQL and as a panel's file. No DOM. */

import type { Role } from './api';
import { kindOf, literal, quoted, quotedText, type ColumnKind } from './sql-text';

export type Grain = 'hour' | 'day' | 'week' | 'month';
export type Aggregate = 'count' | 'distinct' | 'sum' | 'avg' | 'min' | 'max';
export type Operator = 'equals' | 'differs' | 'more' | 'atLeast' | 'less' | 'atMost' | 'contains' | 'begins' | 'oneOf' | 'missing' | 'present';
export type ExploredChart = 'bar' | 'line' | 'pie' | 'table';

export interface Named {
  readonly name: string;
  readonly type: string;
}

/** A number for each group: of a column, or the count of rows. */
export interface Measure {
  readonly column?: Named | undefined;
  readonly aggregate: Aggregate;
}

/** What rows are grouped by: a column, or the hour, day, week or month of one. */
export interface Dimension {
  readonly column: string;
  readonly type: string;
  readonly grain?: Grain | undefined;
}

export interface Filter extends Dimension {
  readonly operator: Operator;
  /** `undefined` as long as nothing was written. */
  readonly value?: string | undefined;
}

export interface Exploration {
  readonly model: string;
  readonly measure: Measure;
  /** At least one. */
  readonly by: readonly Dimension[];
  readonly filters: readonly Filter[];
  /** One more condition, in SQL. */
  readonly condition: string;
  readonly chart: ExploredChart;
}

const ROWS_MAX = 200;
/** Of groups by several dimensions there are more. */
const ROWS_OF_SEVERAL_MAX = 1_000;
export const DETAIL_ROWS_MAX = 200;
/** Values that are offered for a filter. */
const VALUES_MAX = 50;

const SIGNS: Partial<Record<Operator, string>> = { equals: '=', differs: '<>', more: '>', atLeast: '>=', less: '<', atMost: '<=' };

/** Numbers that can be added up; numbers that name something cannot. */
export function isMeasure({ name, type }: Named): boolean {
  return /^(DECIMAL|BIGINT|INT|DOUBLE)/.test(type) && !/(^|_)(id|minute|day|step|rk)$/.test(name);
}

/** What can be computed of a column, the most likely first; of `undefined`, the rows. */
export function aggregatesOf(column: Named | undefined): readonly Aggregate[] {
  if (column === undefined) return ['count'];
  if (isMeasure(column)) return ['sum', 'avg', 'min', 'max', 'count', 'distinct'];
  const kind = kindOf(column.type);
  if (kind === 'other') return ['count'];
  return kind === 'text' || kind === 'boolean' ? ['distinct', 'count'] : ['distinct', 'count', 'min', 'max'];
}

/** Grains of a column, the finest first; `undefined` is every value by itself. */
export function grainsOf(type: string): readonly (Grain | undefined)[] {
  const kind = kindOf(type);
  if (kind === 'time') return ['hour', 'day', 'week', 'month', undefined];
  return kind === 'date' ? ['day', 'week', 'month'] : [undefined];
}

/** A column as people begin with it: times by day. */
export function dimensionOf({ name, type }: Named): Dimension {
  return { column: name, type, grain: grainsOf(type).includes('day') ? 'day' : undefined };
}

export function operatorsOf(type: string): readonly Operator[] {
  switch (kindOf(type)) {
    case 'text':
      return ['equals', 'differs', 'oneOf', 'contains', 'begins', 'missing', 'present'];
    case 'boolean':
      return ['equals', 'missing', 'present'];
    default:
      return ['equals', 'differs', 'more', 'atLeast', 'less', 'atMost', 'oneOf', 'missing', 'present'];
  }
}

export function needsValue(operator: Operator): boolean {
  return operator !== 'missing' && operator !== 'present';
}

/** A date column is its days. */
function isTruncated({ type, grain }: Dimension): boolean {
  return grain !== undefined && !(grain === 'day' && kindOf(type) === 'date');
}

/** What the values of a dimension are. */
export function kindOfDimension(dimension: Dimension): ColumnKind {
  const kind = kindOf(dimension.type);
  return kind === 'time' && dimension.grain !== undefined && dimension.grain !== 'hour' ? 'date' : kind;
}

function expressionOf(dimension: Dimension): string {
  const column = quoted(dimension.column);
  if (!isTruncated(dimension)) return column;
  const truncated = `date_trunc('${dimension.grain}', ${column})`;
  return kindOfDimension(dimension) === 'date' ? `CAST(${truncated} AS DATE)` : truncated;
}

/** The name of its column in the answer. */
export function aliasOf(dimension: Dimension): string {
  return isTruncated(dimension) ? `${dimension.column}_${dimension.grain}` : dimension.column;
}

/** A filter as a condition; `undefined` if its value is missing or is no value of the column. */
export function conditionOf(filter: Filter): string | undefined {
  const { operator, value } = filter;
  const expression = expressionOf(filter);
  if (operator === 'missing') return `${expression} IS NULL`;
  if (operator === 'present') return `${expression} IS NOT NULL`;
  if (value === undefined) return undefined;
  const kind = kindOfDimension(filter);
  if (operator === 'contains') return `strpos(${expression}, ${quotedText(value)}) > 0`;
  if (operator === 'begins') return `starts_with(${expression}, ${quotedText(value)})`;
  if (operator === 'oneOf') {
    const values = value.split(/[,，]/).map((each) => literal(kind, each.trim()));
    return values.includes(undefined) ? undefined : `${expression} IN (${values.join(', ')})`;
  }
  const text = literal(kind, value);
  return text === undefined ? undefined : `${expression} ${SIGNS[operator]} ${text}`;
}

/** `WHERE` with all filters, on a line of its own, or nothing. */
function whereOf({ filters, condition }: Exploration): string {
  const chosen = filters.map(conditionOf).filter((text) => text !== undefined);
  const written = condition.trim();
  // Its own OR must not reach beyond it.
  if (written !== '') chosen.push(chosen.length === 0 ? written : `(${written})`);
  return chosen.length === 0 ? '' : `\nWHERE ${chosen.join('\n  AND ')}`;
}

function valueOf({ column, aggregate }: Measure): string {
  if (column === undefined) return 'count(*)';
  return aggregate === 'distinct' ? `count(DISTINCT ${quoted(column.name)})` : `${aggregate}(${quoted(column.name)})`;
}

/** The name of the measure in the answer: a sum has the name of what is added up, and with it its format. */
function valueAlias({ measure, by }: Exploration): string {
  const { column, aggregate } = measure;
  const name = column === undefined ? 'count' : aggregate === 'sum' ? column.name : `${aggregate}_${column.name}`;
  const taken = new Set(by.map(aliasOf));
  return taken.has(name) ? `${name}_of_group` : name;
}

export function isTimely(dimension: Dimension | undefined): boolean {
  return dimension !== undefined && ['date', 'time'].includes(kindOf(dimension.type));
}

/** Whether the measure is a number. */
function isDrawable({ column, aggregate }: Measure): boolean {
  return column === undefined || !['min', 'max'].includes(aggregate) || kindOf(column.type) === 'number';
}

/** The chart that can show it: a pie has parts of one kind, and lines and bars are split once. */
export function shownAs({ chart, by, measure }: Exploration): ExploredChart {
  if (by.length > 2 || !isDrawable(measure)) return 'table';
  return chart === 'pie' && by.length > 1 ? 'bar' : chart;
}

export function rowsMax({ by }: Exploration): number {
  return by.length > 1 ? ROWS_OF_SEVERAL_MAX : ROWS_MAX;
}

export function exploreQuery(exploration: Exploration): string {
  const { model, measure, by } = exploration;
  const groups = by.map((dimension) => (isTruncated(dimension) ? `${expressionOf(dimension)} AS ${quoted(aliasOf(dimension))}` : expressionOf(dimension)));
  const places = by.map((_, place) => place + 1).join(', ');
  const chosen = `SELECT ${groups.join(', ')}, ${valueOf(measure)} AS ${quoted(valueAlias(exploration))}\nFROM ${quoted(model)}${whereOf(exploration)}\nGROUP BY ${places}`;
  const limit = `LIMIT ${rowsMax(exploration)}`;
  const chart = shownAs(exploration);
  // Of a time the newest are wanted, in their order.
  if (isTimely(by[0]) && chart !== 'pie') {
    const rest = by.slice(1).map((_, place) => `, ${place + 2}`).join('');
    return `SELECT * FROM (\n${chosen}\nORDER BY 1 DESC${rest}\n${limit}\n) AS newest\nORDER BY ${places}`;
  }
  // Along a line the axis has its own order; elsewhere the largest come first.
  const order = chart === 'line' ? places : `${by.length + 1} DESC, ${places}`;
  return `${chosen}\nORDER BY ${order}\n${limit}`;
}

/** The rows that the numbers are made of, the newest first where the model has a time. */
export function detailQuery(exploration: Exploration, columns: readonly Named[]): string {
  const time = columns.find(({ type }) => kindOf(type) === 'time') ?? columns.find(({ type }) => kindOf(type) === 'date');
  const order = time === undefined ? '' : `\nORDER BY ${quoted(time.name)} DESC`;
  return `SELECT *\nFROM ${quoted(exploration.model)}${whereOf(exploration)}${order}\nLIMIT ${DETAIL_ROWS_MAX}`;
}

/** The commonest values of a column. */
export function valuesQuery(model: string, column: string): string {
  const name = quoted(column);
  return `SELECT ${name} FROM ${quoted(model)} WHERE ${name} IS NOT NULL GROUP BY ${name} ORDER BY count(*) DESC, 1 LIMIT ${VALUES_MAX}`;
}

/** What each column of the answer is for. */
export function rolesOf(exploration: Exploration): readonly (readonly [name: string, role: Role])[] {
  const isSplit = exploration.by.length === 2 && shownAs(exploration) !== 'table';
  const groups = exploration.by.map((dimension, place) => [aliasOf(dimension), isSplit && place === 1 ? 'series' : 'category'] as const);
  return [...groups, [valueAlias(exploration), isDrawable(exploration.measure) ? 'value' : 'text']];
}

/** It in one line. */
export function titleOf({ model, measure, by }: Exploration): string {
  const value = measure.column === undefined ? model : measure.aggregate === 'sum' ? measure.column.name : valueOf(measure);
  return `${value} by ${by.map(aliasOf).join(', ')}`;
}

/** TOML of the same. */
export function panelFile(exploration: Exploration): string {
  const query = exploreQuery(exploration).replaceAll('\\', '\\\\').replaceAll('"""', '\\"\\"\\"');
  const title = JSON.stringify(titleOf(exploration));
  const columns = rolesOf(exploration).map(([name, role]) => `\n[columns.${JSON.stringify(name)}]\nrole = "${role}"\n`);
  return `title = { en = ${title}, zh = ${title} }\nsubject = "own"\nchart = "${shownAs(exploration)}"\nquery = """\n${query}\n"""\n${columns.join('')}`;
}

/** What people say of a panel that they keep. */
export interface PanelWords {
  name: string;
  en: string;
  zh: string;
  subject: string;
  replace: boolean;
}

/** The same as the warehouse takes it to keep it. */
export function savedPanel(exploration: Exploration, words: PanelWords): object {
  const { name, subject, replace } = words;
  const title = { en: words.en.trim(), zh: words.zh.trim() || words.en.trim() };
  const columns = Object.fromEntries(rolesOf(exploration).map(([column, role]) => [column, { role }]));
  return { name, title, subject, chart: shownAs(exploration), query: exploreQuery(exploration), columns, replace };
}
