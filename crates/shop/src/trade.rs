//! Orders, payments, cancellations and refunds.

use crate::message::{Message, RowChange, row};
use crate::order::{CANCELLED, Line, Order, PAID, REFUNDED, REFUNDING, UNPAID};
use crate::shop::{Event, Shop};
use crate::traffic::traits;
use crate::visit::Visit;

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
/// Time to pay before an order is cancelled.
const PAY_TIME_US: i64 = 15 * MINUTE_US;
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
        let user = self.devices[visit.device as usize].user;
        self.counters.order += 1;
        let traits = traits(visit.device);
        let cart = std::mem::take(&mut visit.cart);
        let mut lines = Vec::with_capacity(cart.len());
        for line in &cart {
            self.counters.detail += 1;
            lines.push(Line {
                id: self.counters.detail,
                sku: line.sku,
                pieces: line.pieces,
                price: self.sku_now(line.sku).price_cents,
                activity: 0,
                coupon: 0,
            });
        }
        let mut order = Order {
            id: self.counters.order,
            user,
            province: traits.province,
            channel: traits.channel.to_owned(),
            status: UNPAID,
            lines,
            freight: FREIGHT_CENTS,
            freight_reduce: 0,
            created: now.clone(),
            operated: now.clone(),
            created_day: local.day,
            payment_type: 1_101 + self.random.below(3) as u16,
            refund: None,
        };
        order.reduce(&mut self.random);
        if order.goods() >= FREE_FREIGHT_CENTS {
            order.freight_reduce = order.freight;
        }
        self.note_order(time_us, visit.device, &order);
        self.counters.status_log += 1;
        let mut changes = order.creation();
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

    /// Counts a new order in the books.
    fn note_order(&mut self, time_us: i64, device: u32, order: &Order) {
        let local = self.local(time_us);
        let device = &mut self.devices[device as usize];
        let is_first_today = device.order_day != local.day + 1;
        device.order_day = local.day + 1;
        let goods = order.goods();
        let day = self.books.day(local.day);
        day.gross += goods;
        day.unpaid += goods;
        day.freight += order.freight - order.freight_reduce;
        day.orders += 1;
        day.order_users += u64::from(is_first_today);
        let minute = day.minutes.entry(local.minute()).or_default();
        minute.gross += goods;
        minute.orders += 1;
        let pieces = |lines: &[Line]| lines.iter().map(|line| u64::from(line.pieces)).sum::<u64>();
        let province = day.provinces.entry(order.province).or_default();
        province.orders += 1;
        province.pieces += pieces(&order.lines);
        province.gross += goods;
        let channel = day.channels.entry(order.channel.clone()).or_default();
        channel.orders += 1;
        channel.gross += goods;
        for line in &order.lines {
            let goods = day.skus.entry(line.sku).or_default();
            goods.orders += 1;
            goods.pieces += u64::from(line.pieces);
            goods.gross += line.total();
        }
    }

    pub(crate) fn pay(&mut self, time_us: i64, mut order: Order, messages: &mut Vec<Message>) {
        let local = self.local(time_us);
        let goods = order.goods();
        self.books.day(order.created_day).unpaid -= goods;
        let day = self.books.day(local.day);
        day.paid += goods;
        day.paid_orders += 1;
        let minute = day.minutes.entry(local.minute()).or_default();
        minute.net += goods;
        minute.paid_orders += 1;

        let now = local.text();
        let old = row(|old| {
            old.text("payment_status", "1601")
                .raw("callback_time", "null")
                .text("operate_time", &order.created);
        });
        let payment = order.payment(&order.created, Some(&now));
        let mut changes = vec![RowChange::update("payment_info", payment, old)];
        self.counters.status_log += 1;
        changes.extend(order.move_to(PAID, local, self.counters.status_log));
        self.send_changes(time_us, &changes, messages);
        if self.random.per_mille(60) {
            let line = self.random.below(order.lines.len() as u64) as usize;
            let pieces = 1 + self.random.below(u64::from(order.lines[line].pieces)) as u32;
            order.refund = Some((line, pieces));
            let wait_us = self.random.between(5 * MINUTE_US, 30 * HOUR_US);
            self.plan(time_us + wait_us, Event::AskRefund(Box::new(order)));
        }
    }

    pub(crate) fn time_out(&mut self, time_us: i64, mut order: Order, messages: &mut Vec<Message>) {
        let goods = order.goods();
        let day = self.books.day(order.created_day);
        day.unpaid -= goods;
        day.cancelled += goods;
        self.counters.status_log += 1;
        let changes = order.move_to(CANCELLED, self.local(time_us), self.counters.status_log);
        self.send_changes(time_us, &changes, messages);
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
        let amount = order.refund_amount();
        let day = self.books.day(local.day);
        day.refunded += amount;
        day.minutes.entry(local.minute()).or_default().net -= amount;
        let payment = order.refund_payment(id, &now);
        let old = row(|old| {
            old.text("refund_status", "0701")
                .text("operate_time", asked);
        });
        let request = order.refund_request(id, "0705", asked, &now);
        let mut changes = vec![
            RowChange::insert("refund_payment", payment),
            RowChange::update("order_refund_info", request, old),
        ];
        self.counters.status_log += 1;
        changes.extend(order.move_to(REFUNDED, local, self.counters.status_log));
        self.send_changes(time_us, &changes, messages);
    }
}
