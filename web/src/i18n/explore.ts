/** Texts of the page on which questions are put together. Both languages have the same keys. */

import type { Language } from '.';
import type { Aggregate, Grain, Operator } from '../workbench/exploration';

export interface ExploreMessages {
  readonly rows: string;
  readonly compute: string;
  readonly aggregates: Readonly<Record<Aggregate, string>>;
  readonly andBy: string;
  readonly grain: (column: string) => string;
  readonly grains: Readonly<Record<Grain | 'exact', string>>;
  readonly addDimension: string;
  readonly removeDimension: (column: string) => string;
  readonly next: string;
  readonly nowhere: string;
  readonly filters: string;
  readonly addFilter: string;
  readonly removeFilter: (column: string) => string;
  readonly filterColumn: string;
  readonly filterOperator: (column: string) => string;
  readonly filterValue: (column: string) => string;
  readonly operators: Readonly<Record<Operator, string>>;
  readonly listHint: string;
  readonly noValue: string;
  readonly valueMissing: string;
  readonly yes: string;
  readonly no: string;
  readonly condition: string;
  readonly trail: string;
  readonly all: string;
  readonly missing: string;
  readonly drillInto: string;
  readonly answered: (groups: string, by: string) => string;
  readonly firstGroups: (shown: string) => string;
  readonly isTable: string;
  readonly isBars: string;
  readonly behind: string;
}

const en: ExploreMessages = {
  rows: 'rows',
  compute: 'Compute',
  aggregates: { count: 'count', distinct: 'count distinct', sum: 'sum', avg: 'average', min: 'minimum', max: 'maximum' },
  andBy: 'and by',
  grain: (column) => `Steps of ${column}`,
  grains: { hour: 'hour', day: 'day', week: 'week', month: 'month', exact: 'exact' },
  addDimension: 'Add a dimension',
  removeDimension: (column) => `Not by ${column}`,
  next: 'A click leads to',
  nowhere: 'its rows only',
  filters: 'Filters',
  addFilter: 'Add a filter',
  removeFilter: (column) => `Remove the filter on ${column}`,
  filterColumn: 'Column of the filter',
  filterOperator: (column) => `How ${column} is compared`,
  filterValue: (column) => `Value of ${column}`,
  operators: { equals: 'is', differs: 'is not', more: 'more than', atLeast: 'at least', less: 'less than', atMost: 'at most', contains: 'contains', begins: 'begins with', oneOf: 'is one of', missing: 'is missing', present: 'is there' },
  listHint: 'values with commas between them',
  noValue: 'not a value of this column: the filter is left out',
  valueMissing: 'no value yet: the filter is left out',
  yes: 'yes',
  no: 'no',
  condition: 'And where',
  trail: 'Drilled down',
  all: 'All',
  missing: 'missing',
  drillInto: 'Drill into row',
  answered: (groups, by) => `${groups} ${groups === '1' ? 'group' : 'groups'} by ${by}.`,
  firstGroups: (shown) => `No more than ${shown} are shown.`,
  isTable: 'Shown as a table: charts have up to two dimensions and a number.',
  isBars: 'Shown as bars: a pie has one dimension.',
  behind: 'Rows behind it',
};

const zh: ExploreMessages = {
  rows: '行',
  compute: '计算',
  aggregates: { count: '计数', distinct: '去重计数', sum: '求和', avg: '平均值', min: '最小值', max: '最大值' },
  andBy: '以及',
  grain: (column) => `${column} 的粒度`,
  grains: { hour: '小时', day: '日', week: '周', month: '月', exact: '原值' },
  addDimension: '添加维度',
  removeDimension: (column) => `移除维度 ${column}`,
  next: '点击下钻到',
  nowhere: '仅看明细',
  filters: '筛选',
  addFilter: '添加筛选',
  removeFilter: (column) => `移除 ${column} 的筛选`,
  filterColumn: '筛选字段',
  filterOperator: (column) => `${column} 的比较方式`,
  filterValue: (column) => `${column} 的值`,
  operators: { equals: '等于', differs: '不等于', more: '大于', atLeast: '不小于', less: '小于', atMost: '不大于', contains: '包含', begins: '开头是', oneOf: '属于', missing: '为空', present: '不为空' },
  listHint: '多个值用逗号分隔',
  noValue: '不是该字段的值，此筛选未生效',
  valueMissing: '尚未填写，此筛选未生效',
  yes: '是',
  no: '否',
  condition: '其他条件',
  trail: '下钻路径',
  all: '全部',
  missing: '空',
  drillInto: '下钻到第几行',
  answered: (groups, by) => `按 ${by} 共 ${groups} 组。`,
  firstGroups: (shown) => `最多显示 ${shown} 组。`,
  isTable: '以表格显示：图表最多两个维度和一个数值。',
  isBars: '以柱状图显示：饼图只有一个维度。',
  behind: '对应明细',
};

export const EXPLORE: Readonly<Record<Language, ExploreMessages>> = { en, zh };
