//! Money that goes back: for some pieces of a line, or for a whole order that was
//! cancelled after it was paid.

use crate::facts::Fact;
use crate::message::{Message, RowChange, row};
use crate::order::{CANCELLED, Order, PAID, REFUNDED, REFUNDING};
use crate::refund_steps::RefundStatus;
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
        let request = order.refund_request(id, RefundStatus::Asked, &now, &now);
        let mut changes = vec![RowChange::insert("order_refund_info", request)];
        self.counters.status_log += 1;
        changes.extend(order.move_to(REFUNDING, local, self.counters.status_log));
        self.send_changes(time_us, &changes, messages);
        let end_us = time_us + self.random.between(2 * MINUTE_US, 10 * HOUR_US);
        if self.options.has_refund_steps {
            self.plan_refund_steps(time_us, end_us, order, id);
            return;
        }
        let event = Event::Refund(Box::new(order), now, id);
        self.plan(end_us, event);
    }

    /// What was asked for is paid out, or refused.
    pub(crate) fn refund(
        &mut self,
        time_us: i64,
        order: Order,
        asked: &str,
        id: u64,
        messages: &mut Vec<Message>,
    ) {
        let now = self.local(time_us).text();
        let is_refused = self.random.per_mille(80);
        let status = match is_refused {
            true => RefundStatus::Refused,
            false => RefundStatus::Finished,
        };
        let old = row(|old| {
            old.text("refund_status", RefundStatus::Asked.code())
                .text("operate_time", asked);
        });
        let request = order.refund_request(id, status, asked, &now);
        let request = RowChange::update("order_refund_info", request, old);
        if is_refused {
            self.end_refund(time_us, order, vec![request], messages);
            return;
        }
        let payment = order.refund_payment(id, status, &now, &now);
        let payment = RowChange::insert("refund_payment", payment);
        self.finish_refund(time_us, order, vec![payment, request], messages);
    }

    /// A request comes to nothing; the order is what it was before.
    pub(crate) fn end_refund(
        &mut self,
        time_us: i64,
        mut order: Order,
        mut changes: Vec<RowChange>,
        messages: &mut Vec<Message>,
    ) {
        order.refund = None;
        let had_one = order.lines.iter().any(|line| line.refunded > 0);
        let status = if had_one { REFUNDED } else { PAID };
        self.counters.status_log += 1;
        changes.extend(order.move_to(status, self.local(time_us), self.counters.status_log));
        self.send_changes(time_us, &changes, messages);
    }

    /// What was asked for goes back, as `changes` tell.
    pub(crate) fn finish_refund(
        &mut self,
        time_us: i64,
        mut order: Order,
        mut changes: Vec<RowChange>,
        messages: &mut Vec<Message>,
    ) {
        self.note_refund(time_us, &mut order);
        self.counters.status_log += 1;
        changes.extend(order.move_to(REFUNDED, self.local(time_us), self.counters.status_log));
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
            let now = self.local(time_us).text();
            let id = self.counters.refund;
            let payment = order.refund_payment(id, RefundStatus::Finished, &now, &now);
            changes.push(RowChange::insert("refund_payment", payment));
            self.note_refund(time_us, &mut order);
        }
        self.counters.status_log += 1;
        let local = self.local(time_us);
        changes.extend(order.move_to(CANCELLED, local, self.counters.status_log));
        changes.extend(self.return_coupon(time_us, &mut order));
        self.send_changes(time_us, &changes, messages);
    }

    /// Counts in the books that what the order's refund says goes back.
    fn note_refund(&mut self, time_us: i64, order: &mut Order) {
        let local = self.local(time_us);
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
    }
}
