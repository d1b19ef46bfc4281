/** The shop as it is now: every view that the page follows, and how current they are. */

import { LiveConnection, type ConnectionState } from '../live/connection';
import { liveAddress, type Info, type LiveEvent, type WatchedView } from '../live/protocol';
import * as requests from '../live/requests';
import { ZSet, type LiveView } from '../live/zset';
import { BusinessClock, addDays, type BusinessMoment } from './business-time';
import { Minutes } from './minutes';
import { LatestOrders, firstOrdersSql } from './orders';
import { activityOf, type Activity } from './activity';
import { mayAskSql } from './rights';

const DAYS_SHOWN = 14;
/** Until changes have had the time to come. */
const SETTLING_MS = 2_000;
const INFO_RETRY_MS = 2_000;
/** Who may not ask for the latest orders in SQL gets those of this time with the stream. */
const ORDERS_BACK_MS = 600_000;
/** The view whose numbers the tiles and the curve show; without it there is no live shop. */
export const SHOP_VIEW = 'ads_live_minute';
const ORDERS_VIEW = 'dwd_trade_order';

export class LiveShop {
  readonly minutes = new Minutes();
  readonly days = new ZSet();
  readonly channels = new ZSet();
  readonly provinces = new ZSet();
  readonly goods = new ZSet();
  readonly orders = new LatestOrders();

  info: Info | undefined;
  clock = new BusinessClock('UTC');
  connection: ConnectionState = { kind: 'connecting' };
  epoch = 0;
  /** When anything last changed, by this machine's clock. */
  changedAtMs: number | undefined;
  /** When the connection was last known to be sound, by the warehouse's clock. */
  heardAtMs: number | undefined;
  /** The connection was lost and is not back yet. */
  wasLost = false;
  /** Snapshots of all views have come at least once. */
  isComplete = false;
  /** Views that this warehouse does not have. */
  missing = new Set<string>();
  /** It has no live shop, so that there is nothing to follow. */
  isAbsent = false;

  private readonly views: Record<string, LiveView> = {
    [SHOP_VIEW]: this.minutes,
    ads_live_day: this.days,
    ads_live_channel_day: this.channels,
    ads_live_province_day: this.provinces,
    ads_live_sku_day: this.goods,
    [ORDERS_VIEW]: this.orders,
  };
  private readonly seen = new Set<string>();
  private connectedDay = '';
  private liveSinceMs = 0;
  private lastActivity: Activity | undefined;
  private readonly live: LiveConnection;

  /**
   * `onChange` is called after every change, however small; drawing is the caller's
   * matter. `onKnown` is called when the warehouse has said what it is and has, and
   * when it turns out to have no live shop any more.
   */
  constructor(
    private readonly onChange: () => void,
    private readonly onKnown: () => void,
  ) {
    this.live = new LiveConnection({
      address: () => {
        this.connectedDay = this.now().day;
        return liveAddress(this.watched(this.connectedDay));
      },
      onOpen: () => this.beginOrders(),
      onEvent: (event) => this.take(event),
      onState: (state) => this.setConnection(state),
    });
  }

  start(): void {
    requests.info().then(
      (info) => {
        this.clock = new BusinessClock(info.time_zone, info.now);
        this.learn(info);
        this.onKnown();
        if (!this.isAbsent) this.live.connect();
      },
      () => {
        this.setConnection({ kind: 'waiting', retryAtMs: Date.now() + INFO_RETRY_MS, detail: '' });
        setTimeout(() => this.start(), INFO_RETRY_MS);
      },
    );
  }

  /** Tries again at once. */
  retry(): void {
    if (this.info !== undefined && !this.isAbsent) this.live.connect();
  }

  now(): BusinessMoment {
    return this.clock.now();
  }

  /** Silence says nothing while the connection is not there, or has only just come back. */
  activity(): Activity {
    const isSettled = this.connection.kind === 'live' && Date.now() - this.liveSinceMs > SETTLING_MS;
    const found = activityOf(this.minutes, this.days, this.now(), this.changedAtMs, Date.now());
    if (found.kind !== 'quiet' || isSettled || this.lastActivity === undefined) this.lastActivity = found;
    return this.lastActivity;
  }

  /** To be called every second: at midnight the views of the new day are asked for. */
  tick(): void {
    const isLive = this.connection.kind === 'live';
    if (isLive && this.connectedDay !== '' && this.connectedDay !== this.now().day) this.live.connect();
  }

  private watched(today: string): WatchedView[] {
    const moment = (epochMs: number) => new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ');
    const ordersSince = (epochMs: number) => `create_time >= TIMESTAMPTZ '${moment(epochMs)}Z'`;
    // No upper bounds: what belongs to the new day comes in at midnight by itself.
    const since = (day: string) => `day >= DATE '${day}'`;
    const all: WatchedView[] = [
      { view: SHOP_VIEW, filter: since(addDays(today, -1)) },
      { view: 'ads_live_day', filter: since(addDays(today, -DAYS_SHOWN)) },
      { view: 'ads_live_channel_day', filter: since(today) },
      { view: 'ads_live_province_day', filter: since(today) },
      { view: 'ads_live_sku_day', filter: since(today) },
      this.asksForOrders ? { view: ORDERS_VIEW, filter: ordersSince(this.clock.startOfDayMs(today)), snapshot: 'none' } : { view: ORDERS_VIEW, filter: ordersSince(this.clock.nowMs() - ORDERS_BACK_MS) },
    ];
    return all.filter(({ view }) => !this.missing.has(view));
  }

  private take(event: LiveEvent): void {
    if (event.kind === 'reset') {
      // Fresh snapshots follow; the orders have none.
      this.beginOrders();
      return;
    }
    if (event.kind === 'problem') return;
    this.epoch = Math.max(this.epoch, event.epoch);
    const view = this.views[event.view];
    if (event.kind === 'snapshot') {
      if (view === this.orders && !this.asksForOrders) this.orders.begin(event);
      else view?.replace(event.columns, event.rows);
      this.seen.add(event.view);
      this.isComplete ||= this.watched(this.connectedDay).every(({ view: name, snapshot }) => snapshot === 'none' || this.seen.has(name));
    } else {
      if (view === this.orders) this.orders.apply(event.changes, event.epoch);
      else view?.apply(event.changes);
      this.changedAtMs = Date.now();
    }
    this.onChange();
  }

  /** Whether the latest orders are asked for apart; else the stream begins with them. */
  private get asksForOrders(): boolean {
    return this.info !== undefined && mayAskSql(this.info.role);
  }

  private beginOrders(): void {
    if (this.missing.has(ORDERS_VIEW) || !this.asksForOrders) return;
    this.orders.awaitFirst();
    requests.sql(firstOrdersSql()).then(
      (first) => {
        this.orders.begin(first);
        this.onChange();
      },
      () => {
        // The next connection asks again; until then the stream alone fills the list.
        this.orders.begin({ epoch: -1, columns: this.orders.streamColumns, rows: [] });
      },
    );
  }

  private setConnection(state: ConnectionState): void {
    if (this.connection.kind === 'live' && state.kind === 'waiting') this.heardAtMs = this.clock.nowMs();
    if (state.kind === 'waiting') this.wasLost = true;
    if (state.kind === 'live') {
      this.wasLost = false;
      this.liveSinceMs = Date.now();
    }
    if (state.kind === 'refused') {
      // It may have views missing; nobody need hear of a refusal that this explains.
      this.findMissing(state);
      return;
    }
    this.connection = state;
    this.onChange();
  }

  /** A warehouse of somebody's own need not have all views. */
  private learn(info: Info): void {
    this.info = info;
    const present = new Set(info.collections);
    this.missing = new Set(Object.keys(this.views).filter((view) => !present.has(view)));
    this.isAbsent = this.missing.has(SHOP_VIEW);
  }

  /** Views may have gone since: go on with those that there are. */
  private findMissing(refused: ConnectionState): void {
    const say = () => {
      this.connection = refused;
      this.onChange();
    };
    const before = this.missing;
    requests.info().then(
      (info) => {
        this.learn(info);
        const isNews = [...this.missing].some((view) => !before.has(view));
        if (this.isAbsent) this.onKnown();
        else if (isNews) this.live.connect();
        else say();
      },
      () => {
        say();
        setTimeout(() => this.live.connect(), INFO_RETRY_MS);
      },
    );
  }
}
