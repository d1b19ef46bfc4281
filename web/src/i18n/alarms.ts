/** Texts of the page of alarms. Both languages have the same keys. */

import type { Language } from '.';

export interface AlarmMessages {
  readonly instances: string;
  readonly instanceHead: readonly string[];
  readonly rules: string;
  readonly ruleHead: readonly string[];
  readonly silences: string;
  readonly silenceHead: readonly string[];
  readonly undelivered: string;
  readonly undeliveredHead: readonly [string, string];
  readonly nothingWrong: string;
  readonly noSilence: string;
  readonly phase: Readonly<Record<string, string>>;
  readonly severity: Readonly<Record<string, string>>;
  readonly silenced: string;
  readonly every: string;
  readonly silence: string;
  readonly silenceWhat: string;
  readonly alarm: string;
  readonly length: string;
  readonly why: string;
  readonly end: string;
  readonly endOf: (id: number) => string;
  readonly lengths: Readonly<Record<string, string>>;
}

const en: AlarmMessages = {
  instances: 'What is wrong, and what was',
  instanceHead: ['State', 'Severity', 'Alarm', 'Of', 'Message', 'Since', 'Resolved', 'Owner'],
  rules: 'Rules',
  ruleHead: ['Alarm', 'Title', 'Wrong is', 'Severity', 'Owner', 'Looked at', 'Problem'],
  silences: 'Silences',
  silenceHead: ['Alarm', 'Of', 'Until', 'Why', 'By'],
  undelivered: 'Not delivered yet',
  undeliveredHead: ['To', 'Why'],
  nothingWrong: 'Nothing is wrong',
  noSilence: 'Nothing is silenced',
  phase: { firing: 'firing', pending: 'pending', resolved: 'resolved' },
  severity: { info: 'info', warning: 'warning', critical: 'critical' },
  silenced: 'silenced',
  every: 'all alarms',
  silence: 'Silence',
  silenceWhat: 'Tell nobody for a while',
  alarm: 'Alarm',
  length: 'For',
  why: 'Why',
  end: 'End',
  endOf: (id) => `End silence ${id}`,
  lengths: { '30 minutes': '30 minutes', '2 hours': '2 hours', '8 hours': '8 hours', '1 day': '1 day', '7 days': '7 days' },
};

const zh: AlarmMessages = {
  instances: '当前与历史告警',
  instanceHead: ['状态', '级别', '告警', '对象', '说明', '开始', '恢复', '负责人'],
  rules: '规则',
  ruleHead: ['告警', '名称', '触发条件', '级别', '负责人', '上次检查', '问题'],
  silences: '静默',
  silenceHead: ['告警', '对象', '截止', '原因', '操作人'],
  undelivered: '尚未送达',
  undeliveredHead: ['接收方', '原因'],
  nothingWrong: '一切正常',
  noSilence: '没有静默',
  phase: { firing: '告警中', pending: '待定', resolved: '已恢复' },
  severity: { info: '提示', warning: '警告', critical: '严重' },
  silenced: '已静默',
  every: '全部告警',
  silence: '静默',
  silenceWhat: '暂停通知',
  alarm: '告警',
  length: '时长',
  why: '原因',
  end: '结束',
  endOf: (id) => `结束静默 ${id}`,
  lengths: { '30 minutes': '30 分钟', '2 hours': '2 小时', '8 hours': '8 小时', '1 day': '1 天', '7 days': '7 天' },
};

export const ALARMS: Readonly<Record<Language, AlarmMessages>> = { en, zh };
