/** Words that can stand at a place of a statement. No DOM. */

import type { Model } from './api';

const KEYWORDS = ['SELECT', 'FROM', 'WHERE', 'GROUP BY', 'ORDER BY', 'HAVING', 'LIMIT', 'JOIN', 'LEFT JOIN', 'ON', 'AS', 'AND', 'OR', 'NOT', 'NULL', 'IS', 'IN', 'BETWEEN', 'LIKE', 'CASE', 'WHEN', 'THEN', 'ELSE', 'END', 'COUNT', 'SUM', 'AVG', 'MIN', 'MAX', 'DISTINCT', 'CAST', 'DATE', 'INTERVAL', 'DESC', 'UNION ALL', 'WITH', 'OVER', 'PARTITION BY', 'EXPLAIN'];
const SHOWN_MAX = 12;

export interface Suggestion {
  readonly text: string;
  readonly kind: 'table' | 'column' | 'keyword';
  readonly note: string;
}

/** The word before `at`, and where it begins. */
export function wordBefore(text: string, at: number): { readonly word: string; readonly start: number } {
  const word = /[\w.]*$/.exec(text.slice(0, at))?.[0] ?? '';
  return { word, start: at - word.length };
}

/** Tables first after FROM and JOIN, columns of the statement's tables elsewhere; then all words. */
export function suggest(text: string, at: number, models: readonly Model[]): readonly Suggestion[] {
  const { word, start } = wordBefore(text, at);
  const [qualifier, last] = word.includes('.') ? [word.slice(0, word.lastIndexOf('.')), word.slice(word.lastIndexOf('.') + 1)] : ['', word];
  const wanted = last.toLowerCase();
  const named = models.filter(({ name }) => new RegExp(`\\b${name}\\b`, 'i').test(text.slice(0, start) + text.slice(at)));
  const isAfterFrom = /\b(from|join)\s+$/i.test(text.slice(0, start));
  const tables: Suggestion[] = models.map(({ name, layer }) => ({ text: name, kind: 'table', note: layer }));
  const of = (model: Model): Suggestion[] => model.columns.map(({ name, type }) => ({ text: name, kind: 'column', note: `${model.name} ${type}` }));
  const aliased = qualifier === '' ? named : named.filter(({ name }) => name === qualifier || new RegExp(`\\b${name}\\s+(?:as\\s+)?${qualifier}\\b`, 'i').test(text));
  const columns = aliased.flatMap(of);
  const keywords: Suggestion[] = KEYWORDS.map((keyword) => ({ text: keyword, kind: 'keyword', note: '' }));
  const all = qualifier !== '' ? columns : isAfterFrom ? tables : [...columns, ...keywords, ...tables];
  const seen = new Set<string>();
  const matches = all.filter((found) => {
    const key = found.text.toLowerCase();
    if (seen.has(key) || !key.includes(wanted) || key === wanted) return false;
    seen.add(key);
    return true;
  });
  // Sorting keeps the order of equals.
  const rank = ({ text: name }: Suggestion) => (name.toLowerCase().startsWith(wanted) ? 0 : 1);
  return matches.sort((left, right) => rank(left) - rank(right)).slice(0, SHOWN_MAX);
}
