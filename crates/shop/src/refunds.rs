//! Money that goes back: for some pieces of a line, or for a whole order that was
//! cancelled after it was paid.

use crate::facts::Fact;
use crate::message::{Message, RowChange, row};
use crate::order::{CANCELLED, Order, PAID, REFUNDED, REFUNDING};
use crate::shop::{Event, Shop};

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

impl Shop {
    /// A buyer will want money back for some pieces of a line.
    pub(crate) fn plan_refund(&mut self, time_us: i64, mut order: Order) {
        let line = self.random.below(order.lines.len() as u64) as usize;
        let left = order.lines[line].pieces - order.lines[line].refunded;
        if left > 0 {
            let pieces = 1 + self.random.below(u64::from(left)) as u32;
            order.refund = Some((line, pieces));
            let wait_us = self.random.between(5 * MINUTE_US, 30 * HOUR_US);
            self.plan(time_us + wait_us, Event::AskRefund(Box::new(order)));
        }
    }

    pub(crate) fn ask_refund(
        &mut self,
        time_us: i64,
        mut order: Order,
        messages: &mut Vec<Message>,
    ) {
        let local = self.local(time_us);
        let now = local.text();
        self.counters.refund += 1;
        let id = self.counters.refund;
        let request = order.refund_request(id, "0701", &now, &now);
        let mut changes = vec![RowChange::insert("order_refund_info", request)];
        self.counters.status_log += 1;
        changes.extend(order.move_to(REFUNDING, local, self.counters.status_log));
        self.send_changes(time_us, &changes, messages);
        let wait_us = self.random.between(2 * MINUTE_US, 10 * HOUR_US);
        let event = Event::Refund(Box::new(order), now, id);
        self.plan(time_us + wait_us, event);
    }

    /// What was asked for is paid out, or refused.
    pub(crate) fn refund(
        &mut self,
        time_us: i64,
        mut order: Order,
        asked: &str,
        id: u64,
        messages: &mut Vec<Message>,
    ) {
        let local = self.local(time_us);
        let now = local.text();
        let is_refused = self.random.per_mille(80);
        let old = row(|old| {
            old.text("refund_status", "0701")
                .text("operate_time", asked);
        });
        let status = if is_refused { "0703" } else { "0705" };
        let request = order.refund_request(id, status, asked, &now);
        let request = RowChange::update("order_refund_info", request, old);
        self.counters.status_log += 1;
        let log_id = self.counters.status_log;
        if is_refused {
            order.refund = None;
            let had_one = order.lines.iter().any(|line| line.refunded > 0);
            let status = if had_one { REFUNDED } else { PAID };
            let mut changes = vec![request];
            changes.extend(order.move_to(status, local, log_id));
            self.send_changes(time_us, &changes, messages);
            return;
        }
        let mut changes = vec![self.pay_back(time_us, &mut order, id), request];
        changes.extend(order.move_to(REFUNDED, local, log_id));
        if order.lines.iter().all(|line| line.refunded == line.pieces) {
            changes.extend(self.return_coupon(time_us, &mut order));
        }
        self.send_changes(time_us, &changes, messages);
        if self.random.per_mille(250) {
            self.plan_refund(time_us, order);
        }
    }

    /// An order that was paid is cancelled: everything goes back at once, and nobody
    /// asked for it before. It counts as a refund, not as a cancellation.
    pub(crate) fn revoke(&mut self, time_us: i64, mut order: Order, messages: &mut Vec<Message>) {
        let mut changes = Vec::new();
        for place in 0..order.lines.len() {
            order.refund = Some((place, order.lines[place].pieces));
            self.counters.refund += 1;
            let id = self.counters.refund;
            changes.push(self.pay_back(time_us, &mut order, id));
        }
        self.counters.status_log += 1;
        let local = self.local(time_us);
        changes.extend(order.move_to(CANCELLED, local, self.counters.status_log));
        changes.extend(self.return_coupon(time_us, &mut order));
        self.send_changes(time_us, &changes, messages);
    }

    /// Pays out what the order's refund says, and counts it in the books.
    fn pay_back(&mut self, time_us: i64, order: &mut Order, id: u64) -> RowChange {
        let local = self.local(time_us);
        let payment = order.refund_payment(id, &local.text());
        let cents = order.refund_amount();
        let (line, pieces) = order.refund.take().unwrap_or_default();
        order.lines[line].refunded += pieces;
        let sku = order.lines[line].sku;
        self.facts
            .note(time_us, || Fact::Refund(order.id, sku, cents));
        if !order.is_test {
            let amount = order.worth(cents);
            let day = self.books.day(local.day);
            day.refunded += amount;
            day.minutes.entry(local.minute()).or_default().net -= amount;
            day.answers.goods.entry(sku).or_default().refunded += amount;
            let day = self.books.day(order.created_day);
            day.answers.refunded_of_orders += amount;
        }
        RowChange::insert("refund_payment", payment)
    }
}
