/** Texts of the workbench. Both languages have the same keys. */

import type { Language } from '.';
import type { AccessRole } from '../live/protocol';
import type { PageName } from '../route';

export interface WorkMessages {
  readonly nav: { readonly label: string; readonly live: string; readonly panels: string; readonly wall: string; readonly explore: string; readonly sql: string; readonly catalogue: string; readonly alarms: string; readonly health: string };
  readonly headings: Readonly<Record<'panels' | 'wall' | 'explore' | 'sql' | 'catalogue' | 'alarms' | 'health', string>>;
  readonly subjects: Readonly<Record<string, string>>;
  readonly subjectLabel: string;
  readonly day: string;
  readonly compare: string;
  readonly compareWith: Readonly<Record<'none' | 'day' | 'week', string>>;
  readonly rows: string;
  readonly rowsBehind: (title: string) => string;
  readonly allRows: string;
  readonly firstOf: (shown: string, total: string) => string;
  readonly without: (column: string) => string;
  readonly close: string;
  readonly download: (form: string) => string;
  readonly nothing: string;
  readonly loading: string;
  readonly failed: (detail: string) => string;
  readonly roles: Readonly<Record<AccessRole, string>>;
  readonly needsRole: (role: string) => string;
  readonly yourRole: (role: string) => string;
  readonly needsShop: (view: string) => string;
  readonly instead: string;
  readonly offers: Readonly<Record<PageName, string>>;
  readonly noPanels: string;
  readonly before: (value: string) => string;
  readonly run: string;
  readonly statement: string;
  readonly answered: (rows: string, ms: string, epoch: string) => string;
  readonly firstRows: (shown: string) => string;
  readonly views: Readonly<Record<'table' | 'line' | 'bar' | 'pie', string>>;
  readonly viewLabel: string;
  readonly find: string;
  readonly models: string;
  readonly allModels: string;
  readonly columns: string;
  readonly columnHead: readonly [string, string, string];
  readonly lineage: string;
  readonly lineageOf: (name: string) => string;
  readonly rowCount: (rows: string) => string;
  readonly perSecond: (rate: string) => string;
  readonly flowNote: string;
  readonly kinds: Readonly<Record<string, string>>;
  readonly sources: string; readonly evaluationErrors: string;
  readonly sourceHead: Readonly<Record<'source' | 'kind' | 'state' | 'behind' | 'last' | 'since' | 'error', string>>;
  readonly sourceStates: Readonly<Record<string, string>>;
  readonly deadLetters: string;
  readonly newestLetters: string;
  readonly letterHead: Readonly<Record<'topic' | 'table' | 'reason' | 'letters' | 'settled' | 'last' | 'captured' | 'offset' | 'column' | 'detail' | 'sample' | 'outcome', string>>;
  readonly tryAgain: string;
  readonly replayed: (records: string) => string;
  readonly replayMore: string;
  readonly metrics: string;
  readonly metricHead: readonly [string, string, string];
  readonly state: string;
  readonly runsFor: string;
  readonly stateOf: Readonly<Record<'ready' | 'notReady', string>>;
  readonly measure: string;
  readonly dimension: string;
  readonly filter: string;
  readonly filterHint: string;
  readonly from: string;
  readonly asPanel: string;
  readonly savePanel: string;
  readonly saveName: string;
  readonly saveTitle: Readonly<Record<Language, string>>;
  readonly saveReplace: string;
  readonly saved: string;
  readonly notSaved: (detail: string) => string;
  readonly value: string;
}

const en: WorkMessages = {
  nav: { label: 'Pages', live: 'Live', panels: 'Panels', wall: 'Wall', explore: 'Explore', sql: 'SQL', catalogue: 'Catalogue', alarms: 'Alarms', health: 'Health' },
  headings: { panels: 'Panels', wall: 'Wall screen', explore: 'Explore', sql: 'SQL', catalogue: 'Catalogue', alarms: 'Alarms', health: 'Health' },
  subjects: { trade: 'Trade', goods: 'Goods', places: 'Places', marketing: 'Marketing', traffic: 'Traffic', members: 'Members', health: 'Health', own: 'Own' },
  subjectLabel: 'Subject',
  day: 'Day',
  compare: 'Compare with',
  compareWith: { none: 'Nothing', day: 'Day before', week: 'Week before' },
  rows: 'Rows',
  rowsBehind: (title) => `Rows behind: ${title}`,
  allRows: 'All',
  firstOf: (shown, total) => `The first ${shown} of ${total} rows; CSV and XLSX have all.`,
  without: (column) => `without: ${column}`,
  close: 'Close',
  download: (form) => `Download as ${form}`,
  nothing: 'Nothing for this choice',
  loading: 'Asking …',
  failed: (detail) => `Not answered: ${detail}`,
  roles: { reader: 'reader', analyst: 'analyst', admin: 'admin' },
  needsRole: (role) => `This needs the role ${role}. Whoever keeps warehouse.toml can give it to you.`,
  yourRole: (role) => `You have the role ${role}.`,
  needsShop: (view) => `This page shows the numbers of the built-in e-commerce models, and this project has no view ${view}.`,
  instead: 'What there is here',
  offers: { live: 'the shop of today', panels: 'questions with a name, drawn', wall: 'one screen to hang up', explore: 'put a question together and keep it as a panel', sql: 'ask anything', catalogue: 'every table and view, what it means and holds', alarms: 'what is wrong, and what was', health: 'whether records are taken, and what became no rows' },
  noPanels: 'This project has no panel yet. A panel is a file panels/NAME.toml, or what Explore has saved as one.',
  before: (value) => `${value} before`,
  run: 'Run',
  statement: 'Statement',
  answered: (rows, ms, epoch) => `${rows} rows in ${ms} ms, epoch ${epoch}`,
  firstRows: (shown) => `The first ${shown} are shown.`,
  views: { table: 'Table', line: 'Lines', bar: 'Bars', pie: 'Parts' },
  viewLabel: 'Shown as',
  find: 'Find a table, model or column',
  models: 'Tables and models',
  allModels: 'All tables and models',
  columns: 'Columns',
  columnHead: ['Column', 'Type', 'Meaning'],
  lineage: 'Lineage',
  lineageOf: (name) => `What ${name} reads, and what reads it`,
  rowCount: (rows) => `${rows} rows`,
  perSecond: (rate) => `${rate}/s`,
  flowNote: 'Rows as of now, and changes of rows that came out a second, over the last ten seconds.',
  kinds: { table: 'table', 'materialized view': 'materialized view', 'query view': 'query view' },
  sources: 'Sources', evaluationErrors: 'Rows on which a view failed',
  sourceHead: { source: 'Source', kind: 'Kind', state: 'State', behind: 'Records behind', last: 'Last record', since: 'Failing since', error: 'Error' },
  sourceStates: { running: 'running', failing: 'failing', starting: 'starting' },
  deadLetters: 'Records that became no rows',
  newestLetters: 'The newest of them',
  letterHead: { topic: 'Topic', table: 'Table', reason: 'Reason', letters: 'Letters', settled: 'Settled', last: 'Last', captured: 'Captured', offset: 'Record', column: 'Column', detail: 'Detail', sample: 'Sample', outcome: 'Tried again' },
  tryAgain: 'Try again',
  replayed: (records) => `${records} records go to their tables once more`,
  replayMore: 'there are more: try again for the next ones',
  metrics: 'Numbers of the program',
  metricHead: ['Metric', 'Value', 'Meaning'],
  state: 'State',
  runsFor: 'Runs for',
  stateOf: { ready: 'takes records', notReady: 'not ready' },
  measure: 'Measure',
  dimension: 'By',
  filter: 'Only where',
  filterHint: 'a condition in SQL, such as province_name = \'上海\'',
  from: 'Of',
  asPanel: 'As a panel',
  savePanel: 'Save as panel',
  saveName: 'Name',
  saveTitle: { en: 'Title in English', zh: 'Title in Chinese' },
  saveReplace: 'Replace the saved one',
  saved: 'Saved, for everybody:',
  notSaved: (detail) => `Not saved: ${detail}`,
  value: 'Value',
};

const zh: WorkMessages = {
  nav: { label: '页面', live: '实时', panels: '面板', wall: '大屏', explore: '探索', sql: 'SQL', catalogue: '目录', alarms: '告警', health: '健康' },
  headings: { panels: '面板', wall: '大屏', explore: '探索', sql: 'SQL', catalogue: '数据目录', alarms: '告警', health: '健康' },
  subjects: { trade: '交易', goods: '商品', places: '地域', marketing: '营销', traffic: '流量', members: '用户', health: '健康', own: '自定义' },
  subjectLabel: '主题',
  day: '日期',
  compare: '对比',
  compareWith: { none: '不对比', day: '前一日', week: '上周同日' },
  rows: '明细',
  rowsBehind: (title) => `明细：${title}`,
  allRows: '全部',
  firstOf: (shown, total) => `显示前 ${shown} 行，共 ${total} 行；CSV 与 XLSX 含全部。`,
  without: (column) => `无${column}`,
  close: '关闭',
  download: (form) => `下载 ${form}`,
  nothing: '没有数据',
  loading: '查询中…',
  failed: (detail) => `查询失败：${detail}`,
  roles: { reader: '读者（reader）', analyst: '分析员（analyst）', admin: '管理员（admin）' },
  needsRole: (role) => `此操作需要角色：${role}。可由维护 warehouse.toml 的人授予。`,
  yourRole: (role) => `您的角色：${role}。`,
  needsShop: (view) => `此页显示内置电商模型的数据，而本项目没有视图 ${view}。`,
  instead: '本项目可用的页面',
  offers: { live: '今日店铺', panels: '以图表回答的固定问题', wall: '挂墙大屏', explore: '组合问题并存为面板', sql: '任意查询', catalogue: '全部表与视图的含义与数据量', alarms: '当前与历史告警', health: '是否在接收数据，以及未能成为行的记录' },
  noPanels: '本项目还没有面板。面板是文件 panels/NAME.toml，也可在“探索”中保存。',
  before: (value) => `对比期 ${value}`,
  run: '运行',
  statement: '语句',
  answered: (rows, ms, epoch) => `${rows} 行，${ms} 毫秒，批次 ${epoch}`,
  firstRows: (shown) => `显示前 ${shown} 行。`,
  views: { table: '表格', line: '折线', bar: '柱状', pie: '饼图' },
  viewLabel: '显示方式',
  find: '查找表、模型或字段',
  models: '表与模型',
  allModels: '全部表与模型',
  columns: '字段',
  columnHead: ['字段', '类型', '含义'],
  lineage: '血缘',
  lineageOf: (name) => `${name} 的上游与下游`,
  rowCount: (rows) => `${rows} 行`,
  perSecond: (rate) => `${rate}/秒`,
  flowNote: '当前行数，以及最近十秒内每秒产出的行变化数。',
  kinds: { table: '表', 'materialized view': '物化视图', 'query view': '查询视图' },
  sources: '数据源', evaluationErrors: '计算失败的行',
  sourceHead: { source: '数据源', kind: '类型', state: '状态', behind: '落后记录数', last: '最近一条', since: '故障起始', error: '错误' },
  sourceStates: { running: '运行中', failing: '故障', starting: '启动中' },
  deadLetters: '死信：未能成为行的记录',
  newestLetters: '最近的死信',
  letterHead: { topic: '主题', table: '表', reason: '原因', letters: '条数', settled: '已了结', last: '最近一条', captured: '采集时间', offset: '记录', column: '字段', detail: '说明', sample: '样本', outcome: '重试结果' },
  tryAgain: '重试',
  replayed: (records) => `${records} 条记录已重新送入`,
  replayMore: '还有更多：再次点击重试其余记录',
  metrics: '程序指标',
  metricHead: ['指标', '数值', '含义'],
  state: '状态',
  runsFor: '已运行',
  stateOf: { ready: '正在接收', notReady: '未就绪' },
  measure: '指标',
  dimension: '维度',
  filter: '筛选条件',
  filterHint: 'SQL 条件，例如 province_name = \'上海\'',
  from: '数据',
  asPanel: '存为面板',
  savePanel: '保存为面板',
  saveName: '名称',
  saveTitle: { en: '英文标题', zh: '中文标题' },
  saveReplace: '替换已保存的面板',
  saved: '已保存，所有人可见：',
  notSaved: (detail) => `未保存：${detail}`,
  value: '数值',
};

export const WORK: Readonly<Record<Language, WorkMessages>> = { en, zh };
