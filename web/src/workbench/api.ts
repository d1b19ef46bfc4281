/** What the workbench asks the warehouse. */

import type { Cell, Row } from '../live/protocol';
import { answered } from '../live/requests';

export interface Words {
  readonly en: string;
  readonly zh: string;
}

export type Chart = 'number' | 'line' | 'bar' | 'area' | 'pie' | 'funnel' | 'word_cloud' | 'map' | 'table';
export type Role = 'category' | 'value' | 'series' | 'text' | 'hidden';
export type Form = 'text' | 'integer' | 'decimal' | 'money' | 'percent' | 'seconds' | 'date' | 'time';

export interface PanelColumn {
  readonly name: string;
  readonly type: string;
  readonly title: Words;
  readonly role: Role;
  readonly format: Form;
  readonly words: Readonly<Record<string, Words>>;
}

export interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly title: Words;
  readonly value: string | null;
  readonly min: string | null;
  readonly max: string | null;
  readonly values: readonly string[];
}

export interface Panel {
  readonly name: string;
  readonly subject: string;
  readonly title: Words;
  readonly description: Words | null;
  readonly chart: Chart;
  readonly query: string;
  readonly parameters: readonly Parameter[];
  readonly columns: readonly PanelColumn[];
  readonly detail: boolean;
}

export interface PanelAnswer {
  readonly epoch: number;
  readonly parameters: Readonly<Record<string, string | null>>;
  readonly columns: readonly PanelColumn[];
  readonly rows: readonly Row[];
  /** Of a detail: how many rows there are; the first of each kind are given. */
  readonly rows_total?: number;
  /** The same by the value of `counts_for`, where there is such a column. */
  readonly rows_total_by_kind?: Readonly<Record<string, number>>;
}

export interface Model {
  readonly name: string;
  readonly layer: string;
  readonly kind: string;
  readonly grain: string;
  readonly text: readonly string[];
  readonly columns: readonly { readonly name: string; readonly type: string; readonly meaning: string }[];
  readonly inputs: readonly string[];
  readonly readers: readonly string[];
}

export interface Models {
  readonly layers: readonly string[];
  readonly models: readonly Model[];
}

/** Values of a panel's parameters and columns. What is absent has its default; null is what the chosen row has not. */
export type Values = Readonly<Record<string, string | null>>;

/** The browser asks with what it knows: an answer that is still true is not sent again. */
async function ask<T>(address: string): Promise<T> {
  const response = await answered(await fetch(address, { cache: 'no-cache' }));
  return (await response.json()) as T;
}

export async function panels(): Promise<readonly Panel[]> {
  return (await ask<{ panels: readonly Panel[] }>('/api/v1/panels')).panels;
}

export function panelAddress(name: string, values: Values, ending = '', isDetail = false): string {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value === null) given.append('null', key);
    else given.append(key, value);
  }
  const query = given.toString();
  const path = isDetail ? `${name}/detail` : `${name}${ending}`;
  return `/api/v1/panels/${path}${query ? `?${query}` : ''}`;
}

export function panelAnswer(name: string, values: Values, isDetail = false): Promise<PanelAnswer> {
  return ask<PanelAnswer>(panelAddress(name, values, '', isDetail));
}

/** Keeps a panel; answered when it is there. */
export async function savePanel(panel: object): Promise<void> {
  await answered(await fetch('/api/v1/panels', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(panel) }));
}

export function models(): Promise<Models> {
  return ask<Models>('/api/v1/models');
}

export async function rowCounts(): Promise<ReadonlyMap<string, number>> {
  const { collections } = await ask<{ collections: readonly { name: string; rows: number | null }[] }>('/api/v1/catalog');
  return new Map(collections.flatMap(({ name, rows }) => (rows === null ? [] : [[name, rows] as const])));
}

export interface MetricLine {
  readonly name: string;
  readonly value: string;
  readonly meaning: string;
}

/** The numbers of `/metrics`, without the parts of histograms. */
export async function metricLines(): Promise<readonly MetricLine[]> {
  const text = await (await fetch('/metrics', { cache: 'no-store' })).text();
  const meanings = new Map<string, string>();
  const lines: MetricLine[] = [];
  for (const line of text.split('\n')) {
    const help = /^# HELP (\S+) (.*)$/.exec(line);
    if (help) meanings.set(help[1] ?? '', help[2] ?? '');
    const value = /^([a-z_]+)(\{[^}]*\})? (\S+)$/.exec(line);
    if (!value || /_(bucket|sum|count)$/.test(value[1] ?? '')) continue;
    lines.push({ name: `${value[1]}${value[2] ?? ''}`, value: value[3] ?? '', meaning: meanings.get(value[1] ?? '') ?? '' });
  }
  return lines;
}

/** Whether records are taken. */
export async function isReady(): Promise<boolean> {
  return (await fetch('/readyz', { cache: 'no-store' })).ok;
}

export function numberOf(cell: Cell | undefined): number {
  return cell === null || cell === undefined || cell === '' ? Number.NaN : Number(cell);
}
