/** Rows with weights, kept current by changes. Changes may come in any order within an epoch. */

import type { Cell, Change, Column, Row } from './protocol';

/** Something that is built from the rows of a view and follows its changes. */
export interface LiveView {
  replace(columns: readonly Column[], rows: readonly Row[]): void;
  apply(changes: readonly Change[]): void;
}

/** Finds cells by the name of their column. */
export class ColumnIndex {
  private readonly places = new Map<string, number>();

  constructor(columns: readonly Column[] = []) {
    columns.forEach(({ name }, place) => this.places.set(name, place));
  }

  cell(row: Row, name: string): Cell {
    const place = this.places.get(name);
    return place === undefined ? null : (row[place] ?? null);
  }

  text(row: Row, name: string): string {
    const cell = this.cell(row, name);
    return cell === null ? '' : String(cell);
  }
}

export class ZSet implements LiveView {
  columns = new ColumnIndex();
  private readonly entries = new Map<string, { readonly row: Row; weight: number }>();

  replace(columns: readonly Column[], rows: readonly Row[]): void {
    this.columns = new ColumnIndex(columns);
    this.entries.clear();
    for (const row of rows) this.add(row, 1);
  }

  apply(changes: readonly Change[]): void {
    for (const [weight, row] of changes) this.add(row, weight);
  }

  private add(row: Row, weight: number): void {
    const key = JSON.stringify(row);
    const entry = this.entries.get(key);
    if (entry === undefined) {
      if (weight !== 0) this.entries.set(key, { row, weight });
      return;
    }
    entry.weight += weight;
    if (entry.weight === 0) this.entries.delete(key);
  }

  /** Rows that are there, each once. */
  *rows(): Generator<Row> {
    for (const { row, weight } of this.entries.values()) if (weight > 0) yield row;
  }

  weightOf(row: Row): number {
    return this.entries.get(JSON.stringify(row))?.weight ?? 0;
  }

  /** Forgets every entry that `keep` does not want. */
  retain(keep: (row: Row, weight: number) => boolean): void {
    for (const [key, { row, weight }] of this.entries) if (!keep(row, weight)) this.entries.delete(key);
  }

  get size(): number {
    return this.entries.size;
  }
}
