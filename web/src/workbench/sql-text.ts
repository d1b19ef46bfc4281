/** Names, values and conditions as they stand in a statement. No DOM. */

/** What can be asked of a column of a type. */
export type ColumnKind = 'text' | 'number' | 'date' | 'time' | 'boolean' | 'other';

/** Words of SQL that a column or table may be called, but only in quotes. */
const RESERVED = new Set('all and any array as asc between both by case cast collate column constraint create cross current_date current_time current_timestamp default desc distinct do else end except exists false fetch for foreign from full grant group having in inner intersect interval into is join lateral leading left like limit natural not null offset on or order outer primary references right select table then to trailing true union unique user using values when where window with'.split(' '));

export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

export function kindOf(type: string): ColumnKind {
  if (type === 'VARCHAR') return 'text';
  if (type === 'BOOLEAN') return 'boolean';
  if (type === 'DATE') return 'date';
  if (type.startsWith('TIMESTAMP')) return 'time';
  return /^(DECIMAL|BIGINT|INT|DOUBLE)\b|^(U?Int|Float|Decimal)\d/.test(type) ? 'number' : 'other';
}

/** Text between quotes, whatever is in it. */
export function quotedText(text: string): string {
  // `${` is for settings, which are put into files wherever it stands.
  return text
    .split(/(?<=\$)(?=\{)/)
    .map((part) => `'${part.replaceAll("'", "''")}'`)
    .join(' || ');
}

const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;
const DATE = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
const TIME = /^(?<day>\d{4}-\d{2}-\d{2})(?:[T ](?<minute>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d{1,9})?)?(?<zone>Z|[+-]\d{2}:\d{2})?)?$/;

/** A value of a kind of column; `undefined` for what is none. */
export function literal(kind: ColumnKind, value: string): string | undefined {
  const text = kind === 'text' ? value : value.trim();
  switch (kind) {
    case 'number':
      return NUMBER.test(text) ? text : undefined;
    case 'boolean':
      return /^(true|false)$/i.test(text) ? text.toUpperCase() : undefined;
    case 'date':
      return DATE.test(text) ? `DATE '${text}'` : undefined;
    case 'time': {
      const { day, minute = '00:00', second = ':00', zone = '' } = TIME.exec(text)?.groups ?? {};
      if (day === undefined || !DATE.test(day)) return undefined;
      // Without an offset it is a time of the shop's zone.
      return `${zone === '' ? 'TIMESTAMP' : 'TIMESTAMPTZ'} '${day} ${minute}${second}${zone}'`;
    }
    default:
      return quotedText(text);
  }
}
