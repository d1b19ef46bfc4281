//! Orders, payments, cancellations and refunds.

use std::collections::{BTreeMap, BTreeSet};

use crate::answers::{AnswerBook, Unique};
use crate::books::SalesBook;
use crate::cart::CartLine;
use crate::currencies::Currency;
use crate::facts::{CouponStep, Fact, LineFact, OrderFact};
use crate::members::is_test_member;
use crate::message::{Message, RowChange, row};
use crate::order::{CANCELLED, FINISHED, Line, Order, PAID, UNPAID};
use crate::shop::{Event, Shop};
use crate::traffic::traits;
use crate::visit::Visit;

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
/// Time to pay before an order is cancelled.
pub(crate) const PAY_TIME_US: i64 = 15 * MINUTE_US;
/// Goods from this amount on are sent free of charge.
const FREE_FREIGHT_CENTS: i64 = 9_900;
const FREIGHT_CENTS: i64 = 800;

impl Shop {
    /// The member orders what is in the cart.
    pub(crate) fn place_order(
        &mut self,
        time_us: i64,
        visit: &mut Visit,
        messages: &mut Vec<Message>,
    ) {
        let local = self.local(time_us);
        let now = local.text();
        let user = visit.user;
        let traits = traits(visit.device);
        let mut cart = std::mem::take(&mut visit.cart);
        // What left the shop meanwhile stays in the cart.
        cart.retain(|line| !self.is_gone(line.sku));
        if cart.is_empty() {
            return;
        }
        self.counters.order += 1;
        let currency = self.currency_of(user);
        let lines = self.order_lines(&cart, Currency::at(currency));
        let mut order = Order {
            id: self.counters.order,
            user,
            is_test: is_test_member(user),
            currency,
            rate: self.rate(currency, local.day),
            activity: 0,
            coupon_use: None,
            campaign: visit.campaign.clone(),
            province: traits.province,
            channel: traits.channel.to_owned(),
            status: UNPAID,
            lines,
            freight: Currency::at(currency).price(FREIGHT_CENTS),
            freight_reduce: 0,
            created: now.clone(),
            created_us: time_us,
            operated: now.clone(),
            created_day: local.day,
            payment_type: 1_101 + self.random.below(3) as u16,
            failed: None,
            refund: None,
            delivery: None,
        };
        order.delivery = self.delivery(time_us, &order);
        self.reduce(time_us, &mut order);
        if order.goods() >= Currency::at(currency).price(FREE_FREIGHT_CENTS) {
            order.freight_reduce = order.freight;
        }
        self.note_order(time_us, &order);
        if let Some(used) = &order.coupon_use {
            self.note_coupon(time_us, user, used, CouponStep::InOrder(order.id));
        }
        self.counters.status_log += 1;
        let mut changes = order.creation();
        changes.extend(order.reductions());
        let taken = order.coupon_use.as_ref().filter(|used| used.is_new);
        if let Some(coupon) = taken.map(|used| used.coupon) {
            changes.extend(self.count_taken(time_us, coupon));
        }
        changes.push(order.status_log(&now, self.counters.status_log));
        let payment = order.payment(&now, None);
        changes.push(RowChange::insert("payment_info", payment));
        changes.extend(self.empty_cart(time_us, user, &cart));
        self.send_changes(time_us, &changes, messages);
        let order = Box::new(order);
        match self.random.per_mille(850) {
            true => {
                let wait_us = self.random.between(3 * SECOND_US, 120 * SECOND_US);
                self.plan(time_us + wait_us, Event::Pay(order));
            }
            false => self.plan(time_us + PAY_TIME_US, Event::TimeOut(order)),
        }
    }

    /// The lines of an order; some goods take two of them.
    fn order_lines(&mut self, cart: &[CartLine], currency: &Currency) -> Vec<Line> {
        let mut lines = Vec::with_capacity(cart.len());
        for line in cart {
            let parts = match line.pieces > 1 && self.random.per_mille(30) {
                true => vec![line.pieces - 1, 1],
                false => vec![line.pieces],
            };
            let goods = self.sku_now(line.sku);
            let is_renamed = self.is_renamed(line.sku);
            for pieces in parts {
                self.counters.detail += 1;
                lines.push(Line {
                    id: self.counters.detail,
                    sku: line.sku,
                    spu: goods.spu_id,
                    brand: goods.brand,
                    category: goods.category3,
                    pieces,
                    price: currency.price(goods.price_cents),
                    activity: 0,
                    coupon: 0,
                    refunded: 0,
                    is_renamed,
                });
            }
        }
        lines
    }

    /// Counts a new order in the books.
    pub(crate) fn note_order(&mut self, time_us: i64, order: &Order) {
        self.facts
            .note(time_us, || Fact::Order(Box::new(order_fact(order))));
        if order.is_test {
            return;
        }
        let local = self.local(time_us);
        self.note_unique(local, Unique::OrderUser, order.user);
        let today = local.day + 1;
        let last = self
            .known_member(order.user)
            .map_or(0, |member| std::mem::replace(&mut member.order_day, today));
        let (is_first_today, is_first) = (last != today, last == 0);
        let goods = order.goods_worth();
        let day = self.books.day(local.day);
        day.gross += goods;
        day.unpaid += goods;
        day.freight += order.worth(order.freight - order.freight_reduce);
        day.orders += 1;
        day.order_users += u64::from(is_first_today);
        day.answers.new_buyers += u64::from(is_first);
        let minute = day.minutes.entry(local.minute()).or_default();
        minute.gross += goods;
        minute.orders += 1;
        let province = day.provinces.entry(order.province).or_default();
        province.orders += 1;
        province.pieces += order.pieces();
        province.gross += goods;
        let channel = day.channels.entry(order.channel.clone()).or_default();
        channel.orders += 1;
        channel.gross += goods;
        let campaign = day.answers.campaign(&order.channel, &order.campaign);
        campaign.orders += 1;
        campaign.gross += goods;
        let mut seen = BTreeSet::new();
        for line in &order.lines {
            let goods = day.skus.entry(line.sku).or_default();
            goods.orders += u64::from(seen.insert(line.sku));
            goods.pieces += u64::from(line.pieces);
            goods.gross += order.worth(line.total());
            let goods = day.answers.goods.entry(line.sku).or_default();
            goods.lines += 1;
            goods.pieces += u64::from(line.pieces);
            goods.gross += order.worth(line.total());
        }
        note_lines(&mut day.answers, order);
    }

    /// The order's goods, as far as they count.
    fn counted(order: &Order) -> i64 {
        match order.is_test {
            true => 0,
            false => order.goods_worth(),
        }
    }

    pub(crate) fn pay(&mut self, time_us: i64, mut order: Order, messages: &mut Vec<Message>) {
        let local = self.local(time_us);
        let now = local.text();
        if order.failed.is_none() && self.random.per_mille(30) {
            self.fail_to_pay(time_us, order, messages);
            return;
        }
        self.note_payment(time_us, &order);
        let old = row(|old| {
            let (status, since) = match &order.failed {
                Some(failed) => ("1603", failed),
                None => ("1601", &order.created),
            };
            old.text("payment_status", status)
                .raw("callback_time", "null")
                .text("operate_time", since);
        });
        let payment = order.payment(&order.created, Some(&now));
        let mut changes = vec![RowChange::update("payment_info", payment, old)];
        self.counters.status_log += 1;
        changes.extend(order.move_to(PAID, local, self.counters.status_log));
        changes.extend(order.use_coupon(&now));
        if let Some(used) = &order.coupon_use {
            self.note_coupon(time_us, order.user, used, CouponStep::Paid);
        }
        changes.extend(self.raise_member(time_us, order.user));
        self.send_changes(time_us, &changes, messages);
        self.plan_comment(time_us, &order);
        match self.random.below(1_000) {
            0..60 => self.plan_refund(time_us, order),
            60..70 => {
                let wait_us = self.random.between(MINUTE_US, HOUR_US);
                self.plan(time_us + wait_us, Event::Revoke(Box::new(order)));
            }
            70..120 => {
                let wait_us = self.random.between(HOUR_US, 3 * HOUR_US);
                self.plan(time_us + wait_us, Event::Finish(Box::new(order)));
            }
            _ => {}
        }
    }

    /// The payment service refuses; the buyer tries again.
    fn fail_to_pay(&mut self, time_us: i64, mut order: Order, messages: &mut Vec<Message>) {
        let now = self.local(time_us).text();
        let old = row(|old| {
            old.text("payment_status", "1601")
                .text("operate_time", &order.created);
        });
        order.failed = Some(now);
        let payment = order.payment(&order.created, None);
        let change = RowChange::update("payment_info", payment, old);
        self.send_changes(time_us, &[change], messages);
        let wait_us = self.random.between(5 * SECOND_US, 5 * MINUTE_US);
        self.plan(time_us + wait_us, Event::Pay(Box::new(order)));
    }

    /// A buyer has the goods and is content.
    pub(crate) fn finish(&mut self, time_us: i64, mut order: Order, messages: &mut Vec<Message>) {
        self.counters.status_log += 1;
        let local = self.local(time_us);
        let changes = order.move_to(FINISHED, local, self.counters.status_log);
        self.send_changes(time_us, &changes, messages);
    }

    /// Counts a payment in the books.
    pub(crate) fn note_payment(&mut self, time_us: i64, order: &Order) {
        self.facts.note(time_us, || Fact::Pay(order.id));
        if order.is_test {
            return;
        }
        let local = self.local(time_us);
        self.note_unique(local, Unique::PayUser, order.user);
        let today = local.day + 1;
        let last = self
            .known_member(order.user)
            .map_or(0, |member| std::mem::replace(&mut member.pay_day, today));
        let (is_first_today, is_first) = (last != today, last == 0);
        let goods = order.goods_worth();
        self.books.day(order.created_day).unpaid -= goods;
        let day = self.books.day(local.day);
        day.paid += goods;
        day.paid_orders += 1;
        let minute = day.minutes.entry(local.minute()).or_default();
        minute.net += goods;
        minute.paid_orders += 1;
        day.answers.pay_users += u64::from(is_first_today);
        day.answers.new_payers += u64::from(is_first);
        // The database knows seconds only.
        let seconds = time_us.div_euclid(SECOND_US) - order.created_us.div_euclid(SECOND_US);
        day.answers.pay_seconds += seconds;
        for line in &order.lines {
            day.answers.goods.entry(line.sku).or_default().paid += order.worth(line.total());
        }
    }

    pub(crate) fn time_out(&mut self, time_us: i64, mut order: Order, messages: &mut Vec<Message>) {
        self.facts.note(time_us, || Fact::Cancel(order.id));
        let goods = Self::counted(&order);
        let day = self.books.day(order.created_day);
        day.unpaid -= goods;
        day.cancelled += goods;
        let today = self.local(time_us).day;
        self.books.day(today).answers.cancelled_then += goods;
        self.counters.status_log += 1;
        let mut changes = order.move_to(CANCELLED, self.local(time_us), self.counters.status_log);
        changes.extend(self.return_coupon(time_us, &mut order));
        self.send_changes(time_us, &changes, messages);
    }
}

fn order_fact(order: &Order) -> OrderFact {
    let lines = order.lines.iter().map(|line| LineFact {
        id: line.id,
        sku: line.sku,
        name: line.name(),
        spu: line.spu,
        brand: line.brand,
        category: line.category,
        pieces: line.pieces,
        original: line.original(),
        activity: line.activity,
        coupon: line.coupon,
    });
    OrderFact {
        id: order.id,
        user: order.user,
        is_test: order.is_test,
        currency: Currency::at(order.currency).code,
        province: order.province,
        channel: order.channel.clone(),
        campaign: order.campaign.clone(),
        freight: order.freight - order.freight_reduce,
        activity: order.activity,
        coupon: order.coupon_use.as_ref().map_or(0, |used| used.coupon),
        lines: lines.collect(),
    }
}

/// Counts an order by brand, category, product, activity and coupon.
fn note_lines(answers: &mut AnswerBook, order: &Order) {
    let add = |books: &mut BTreeMap<u64, SalesBook>, of: fn(&Line) -> u64| {
        let mut seen = BTreeSet::new();
        for line in &order.lines {
            let id = of(line);
            let book = books.entry(id).or_default();
            book.orders += u64::from(seen.insert(id));
            book.pieces += u64::from(line.pieces);
            book.gross += order.worth(line.total());
        }
    };
    add(&mut answers.brands, |line| line.brand);
    add(&mut answers.categories, |line| line.category);
    add(&mut answers.products, |line| line.spu);
    for (books, id, part) in [
        (
            &mut answers.activities,
            order.activity,
            (|line| line.activity) as fn(&Line) -> i64,
        ),
        (
            &mut answers.coupons,
            order.coupon_use.as_ref().map_or(0, |used| used.coupon),
            |line| line.coupon,
        ),
    ] {
        let lines = || order.lines.iter().filter(|line| part(line) > 0);
        if lines().count() > 0 {
            let book = books.entry(id).or_default();
            book.orders += 1;
            book.original += lines().map(|line| order.original_worth(line)).sum::<i64>();
            book.reduced += lines().map(|line| order.worth(part(line))).sum::<i64>();
        }
    }
    for line in &order.lines {
        answers.original += order.original_worth(line);
        answers.activity += order.worth(line.activity);
        answers.coupon += order.worth(line.coupon);
    }
}
