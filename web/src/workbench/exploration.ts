/** A question that was put together by choosing, as SQL and as a panel's file. No DOM. */

export interface Exploration {
  model: string;
  measure: string;
  by: string;
  filter: string;
  chart: 'bar' | 'line' | 'pie' | 'table';
}

const ROWS_MAX = 200;

/** Numbers that can be added up; numbers that name something cannot. */
export function isMeasure({ name, type }: { readonly name: string; readonly type: string }): boolean {
  return /^(DECIMAL|BIGINT|INT|DOUBLE)/.test(type) && !/(^|_)(id|minute|day|step|rk)$/.test(name);
}

export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

export function exploreQuery({ model, measure, by, filter, chart }: Exploration): string {
  const isCount = measure === 'count(*)';
  const value = isCount ? 'count(*) AS "count"' : `sum(${quoted(measure)}) AS ${quoted(measure)}`;
  const where = filter.trim() === '' ? '' : `\nWHERE ${filter.trim()}`;
  // Along a line the axis has its own order; elsewhere the largest come first.
  const order = chart === 'line' ? '1' : '2 DESC, 1';
  return `SELECT ${quoted(by)}, ${value}\nFROM ${quoted(model)}${where}\nGROUP BY ${quoted(by)}\nORDER BY ${order}\nLIMIT ${ROWS_MAX}`;
}

/** TOML of the same. */
export function panelFile(exploration: Exploration): string {
  const { measure, by, model, chart } = exploration;
  const title = `${measure === 'count(*)' ? model : measure} by ${by}`;
  const query = exploreQuery(exploration).replaceAll('\\', '\\\\').replaceAll('"""', '\\"\\"\\"');
  const value = measure === 'count(*)' ? 'count' : measure;
  const text = JSON.stringify(title);
  return `title = { en = ${text}, zh = ${text} }\nsubject = "own"\nchart = "${chart}"\nquery = """\n${query}\n"""\n\n[columns."${by}"]\nrole = "category"\n\n[columns."${value}"]\nrole = "value"\n`;
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
  const { by, measure, chart } = exploration;
  const value = measure === 'count(*)' ? 'count' : measure;
  const { name, subject, replace } = words;
  const title = { en: words.en.trim(), zh: words.zh.trim() || words.en.trim() };
  return { name, title, subject, chart, query: exploreQuery(exploration), columns: { [by]: { role: 'category' }, [value]: { role: 'value' } }, replace };
}
