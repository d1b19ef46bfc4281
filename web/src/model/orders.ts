/** The latest orders, each in its current state. */

import type { Change, Column, Row, SqlAnswer } from '../live/protocol';
import { ZSet, type LiveView } from '../live/zset';
import { parseDecimal, type Decimal } from './decimal';

export interface Order {
  readonly id: string;
  readonly province: string;
  /** Zero where the time is not known. */
  readonly createdMs: number;
  readonly status: string;
  readonly statusName: string;
  readonly amount: Decimal;
  readonly lines: number;
}

/** More than any screen shows, so that an order that goes leaves no hole. */
export const ORDERS_KEPT = 120;

/** All columns, so that these rows and those of the stream have one form. */
export function firstOrdersSql(): string {
  return `SELECT * FROM dwd_trade_order ORDER BY create_time DESC, order_id DESC LIMIT ${ORDERS_KEPT}`;
}

export class LatestOrders implements LiveView {
  private readonly rows = new ZSet();
  /** Changes that came before the first orders; `undefined` once those are there. */
  private early: { readonly epoch: number; readonly changes: readonly Change[] }[] | undefined;

  streamColumns: readonly Column[] = [];

  /** From now on changes wait for the first orders, which are asked for apart. */
  awaitFirst(): void {
    this.early = [];
  }

  begin(first: SqlAnswer): void {
    const later = this.early ?? [];
    this.early = undefined;
    this.rows.replace(first.columns, first.rows);
    for (const { epoch, changes } of later) if (epoch > first.epoch) this.apply(changes);
    this.trim();
  }

  replace(columns: readonly Column[], rows: readonly Row[]): void {
    // The stream was asked for no snapshot: an empty one only names the columns.
    this.streamColumns = columns;
    if (rows.length > 0 && this.early === undefined) this.rows.replace(columns, rows);
  }

  apply(changes: readonly Change[], epoch = 0): void {
    if (this.early !== undefined) {
      this.early.push({ epoch, changes });
      return;
    }
    this.rows.apply(changes);
    this.trim();
  }

  latest(count: number): Order[] {
    return this.sorted().slice(0, count);
  }

  private sorted(): Order[] {
    const orders = new Map<string, Order>();
    // One row an order: should a state before not have gone, the later one counts.
    for (const row of this.rows.rows()) {
      const order = this.order(row);
      orders.set(order.id, order);
    }
    return [...orders.values()].sort((a, b) => b.createdMs - a.createdMs || compareIds(b.id, a.id));
  }

  private order(row: Row): Order {
    const { columns } = this.rows;
    return {
      id: columns.text(row, 'order_id'),
      province: columns.text(row, 'province_name'),
      createdMs: Date.parse(columns.text(row, 'create_time')) || 0,
      status: columns.text(row, 'status'),
      statusName: columns.text(row, 'status_name'),
      amount: parseDecimal(columns.cell(row, 'goods_amount')),
      lines: Number(columns.cell(row, 'lines') ?? 0),
    };
  }

  private trim(): void {
    if (this.rows.size <= ORDERS_KEPT * 2) return;
    const oldest = this.sorted()[ORDERS_KEPT - 1]?.createdMs ?? -Infinity;
    // Weights below zero are updates of orders that had been let go.
    this.rows.retain((row, weight) => weight > 0 && this.order(row).createdMs >= oldest);
  }
}

/** Ids are numbers of any length, as text. */
function compareIds(left: string, right: string): number {
  return left.length - right.length || (left < right ? -1 : left > right ? 1 : 0);
}
