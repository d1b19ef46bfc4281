//! Rows of the database that no rule of the shop allows: written by hand, by a
//! faulty program, or left over where others were deleted. Each is told of once, in
//! a transaction of its own.

use crate::catalogue::CHANNELS;
use crate::currencies::RATE_ONE;
use crate::message::{Message, Object, RowChange, row};
use crate::order::{Line, Order, PAID};
use crate::random::Random;
use crate::shop::Shop;

/// Rows, members, goods and orders from here on are none of the shop's.
const STRAY: u64 = 900_000_000;
/// A province that is in no list.
const STRAY_PROVINCE: u64 = 99;

impl Shop {
    /// Writes something strange beside some transactions; to be called after each.
    pub(crate) fn send_dirty_changes(&mut self, time_us: i64, messages: &mut Vec<Message>) {
        let share = self.options.dirty_changes_per_mille;
        if share == 0 {
            return;
        }
        let number = self.counters.xid;
        let mut chance = Random::named(self.options.seed, "dirty changes", number);
        if !chance.per_mille(share) {
            return;
        }
        let id = STRAY + number;
        let change = match chance.below(8) {
            0 => self.unusable(self.stray_goods(time_us, id)),
            1 => self.unusable(self.stray_line(time_us, id, "-5.00")),
            2 => self.unusable(self.stray_cart(time_us, id)),
            3 => self.stray_line(time_us, id, "5.00"),
            4 => self.stray_payment(time_us, id),
            _ => {
                let pieces = 1 + chance.below(3) as u32;
                let changes = self.stray_order(time_us, id, pieces);
                self.send_transaction(time_us, &changes, messages);
                return;
            }
        };
        self.send_transaction(time_us, &[change], messages);
    }

    /// Counts a record that no warehouse can use.
    fn unusable(&mut self, change: RowChange) -> RowChange {
        self.books.dirty += 1;
        change
    }

    fn stray_row(
        &self,
        table: &'static str,
        time_us: i64,
        fields: impl FnOnce(&mut Object<'_>),
    ) -> RowChange {
        let now = self.local(time_us).text();
        let data = row(|data| {
            fields(data);
            data.text("create_time", &now).text("operate_time", &now);
        });
        RowChange::insert(table, data)
    }

    /// Goods with a price below nothing.
    fn stray_goods(&self, time_us: i64, id: u64) -> RowChange {
        self.stray_row("sku_info", time_us, |data| {
            data.number("id", id)
                .number("spu_id", 1)
                .raw("price", "-9.90")
                .text("sku_name", "No name")
                .number("tm_id", 1)
                .number("category3_id", 1)
                .number("is_sale", 1);
        })
    }

    /// A line of an order that nobody made.
    fn stray_line(&self, time_us: i64, id: u64, price: &str) -> RowChange {
        self.stray_row("order_detail", time_us, |data| {
            data.number("id", id)
                .number("order_id", id)
                .number("sku_id", 1)
                .text("sku_name", "No name")
                .raw("order_price", price)
                .number("sku_num", 1)
                .raw("split_total_amount", price)
                .money("split_activity_amount", 0)
                .money("split_coupon_amount", 0)
                .text("source_type", "2401");
        })
    }

    /// Fewer than no pieces in a cart.
    fn stray_cart(&self, time_us: i64, id: u64) -> RowChange {
        self.stray_row("cart_info", time_us, |data| {
            data.number("id", id)
                .number("user_id", id)
                .number("sku_id", 1)
                .money("cart_price", 500)
                .number("sku_num", -1)
                .text("sku_name", "No name")
                .number("is_checked", 1)
                .number("is_ordered", 0)
                .raw("order_time", "null");
        })
    }

    /// A payment for an order that nobody made.
    fn stray_payment(&self, time_us: i64, id: u64) -> RowChange {
        let now = self.local(time_us).text();
        self.stray_row("payment_info", time_us, |data| {
            data.number("id", id)
                .text("out_trade_no", &format!("T{id:012}"))
                .number("order_id", id)
                .number("user_id", id)
                .text("payment_type", "1101")
                .text("trade_no", &format!("P{id:012}"))
                .money("total_amount", 500)
                .text("payment_status", "1602")
                .text("callback_time", &now);
        })
    }

    /// An order that is in order but for what it names: a member, goods and a
    /// province that the shop does not have. It is paid at once, and counts.
    fn stray_order(&mut self, time_us: i64, id: u64, pieces: u32) -> Vec<RowChange> {
        let local = self.local(time_us);
        let now = local.text();
        let line = Line {
            id,
            sku: id,
            spu: 0,
            brand: 0,
            category: 0,
            pieces,
            price: 1_250,
            activity: 0,
            coupon: 0,
            refunded: 0,
            is_renamed: false,
        };
        let order = Order {
            id,
            user: id,
            is_test: false,
            currency: 0,
            rate: RATE_ONE,
            activity: 0,
            coupon_use: None,
            campaign: String::new(),
            province: STRAY_PROVINCE,
            channel: CHANNELS[0].to_owned(),
            status: PAID,
            lines: vec![line],
            freight: 0,
            freight_reduce: 0,
            created: now.clone(),
            created_us: time_us,
            operated: now.clone(),
            created_day: local.day,
            payment_type: 1_101,
            failed: None,
            refund: None,
            delivery: None,
        };
        self.note_order(time_us, &order);
        self.note_payment(time_us, &order);
        let mut changes = order.creation();
        let payment = order.payment(&now, Some(&now));
        changes.push(RowChange::insert("payment_info", payment));
        changes
    }
}
