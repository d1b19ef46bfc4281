//! Orders and what becomes of them.

use serde::{Deserialize, Serialize};

use crate::activities::TakenCoupon;
use crate::catalogue::sku_name;
use crate::currencies::{Currency, RATE_ONE, worth};
use crate::full_rows::{Delivery, of_line};
use crate::message::{RowChange, row};
use crate::refund_steps::{RefundStatus, returns_goods};
use crate::time::Local;

pub(crate) const UNPAID: u16 = 1001;
pub(crate) const PAID: u16 = 1002;
pub(crate) const CANCELLED: u16 = 1003;
pub(crate) const FINISHED: u16 = 1004;
pub(crate) const REFUNDING: u16 = 1005;
pub(crate) const REFUNDED: u16 = 1006;

/// How buyers came to the goods of a line: mostly by search.
const SOURCES: [&str; 6] = ["2401", "2401", "2402", "2401", "2403", "2404"];

/// One line of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: u64,
    /// Goods, and what they are now.
    pub(crate) sku: u64,
    pub(crate) spu: u64,
    pub(crate) brand: u64,
    pub(crate) category: u64,
    pub(crate) pieces: u32,
    pub(crate) price: i64,
    pub(crate) activity: i64,
    pub(crate) coupon: i64,
    /// Pieces of which the money went back.
    pub(crate) refunded: u32,
    /// The goods had another name than at first.
    #[serde(default)]
    pub(crate) is_renamed: bool,
}

impl Line {
    pub(crate) fn original(&self) -> i64 {
        self.price * i64::from(self.pieces)
    }

    /// What is to be paid for it.
    pub(crate) fn total(&self) -> i64 {
        self.original() - self.activity - self.coupon
    }

    /// The name of the goods when they were ordered.
    pub(crate) fn name(&self) -> String {
        sku_name(self.sku, self.is_renamed)
    }
}

/// An order that something may still happen to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) user: u64,
    pub(crate) is_test: bool,
    /// In which its amounts are: the currency's place in the list.
    pub(crate) currency: u8,
    /// What that is worth on the order's day, in millionths.
    pub(crate) rate: i64,
    /// The activity that reduced it; 0 for none.
    pub(crate) activity: u64,
    /// The coupon that it uses.
    pub(crate) coupon_use: Option<TakenCoupon>,
    /// What brought the buyer; empty if nothing did.
    pub(crate) campaign: String,
    pub(crate) province: u64,
    pub(crate) channel: String,
    pub(crate) status: u16,
    pub(crate) lines: Vec<Line>,
    pub(crate) freight: i64,
    pub(crate) freight_reduce: i64,
    pub(crate) created: String,
    pub(crate) created_us: i64,
    /// When its row was last changed.
    pub(crate) operated: String,
    pub(crate) created_day: i64,
    pub(crate) payment_type: u16,
    /// When a first attempt to pay failed.
    pub(crate) failed: Option<String>,
    /// Line and pieces that are being refunded.
    pub(crate) refund: Option<(usize, u32)>,
    /// What its rows say beyond what numbers need; nothing in a shop without all
    /// columns.
    #[serde(default)]
    pub(crate) delivery: Option<Delivery>,
}

impl Order {
    pub(crate) fn goods(&self) -> i64 {
        self.lines.iter().map(Line::total).sum()
    }

    pub(crate) fn pieces(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.pieces)).sum()
    }

    pub(crate) fn total(&self) -> i64 {
        self.goods() + self.freight - self.freight_reduce
    }

    /// What an amount of it is worth in the shop's own currency, each rounded by
    /// itself.
    pub(crate) fn worth(&self, cents: i64) -> i64 {
        worth(cents, self.rate)
    }

    /// What its goods are worth in the shop's own currency.
    pub(crate) fn goods_worth(&self) -> i64 {
        let lines = self.lines.iter();
        lines.map(|line| self.worth(line.total())).sum()
    }

    /// What pieces times price of a line are worth: what is to be paid, and what was
    /// taken off.
    pub(crate) fn original_worth(&self, line: &Line) -> i64 {
        match self.rate {
            RATE_ONE => line.original(),
            _ => [line.total(), line.activity, line.coupon]
                .into_iter()
                .map(|cents| self.worth(cents))
                .sum(),
        }
    }

    /// The row of `order_info`.
    pub(crate) fn data(&self) -> String {
        let sum = |part: fn(&Line) -> i64| self.lines.iter().map(part).sum::<i64>();
        row(|data| {
            data.number("id", self.id)
                .money("total_amount", self.total())
                .text("order_status", &self.status.to_string())
                .number("user_id", self.user)
                .text("payment_way", &self.payment_type.to_string())
                .text("out_trade_no", &format!("T{:012}", self.id))
                .number("province_id", self.province)
                .money("activity_reduce_amount", sum(|line| line.activity))
                .money("coupon_reduce_amount", sum(|line| line.coupon))
                .money("original_total_amount", sum(Line::original))
                .money("feight_fee", self.freight)
                .money("feight_fee_reduce", self.freight_reduce)
                .text("channel", &self.channel)
                .number("is_test", u8::from(self.is_test));
            if let Some(delivery) = &self.delivery {
                delivery.columns(data);
            }
            if self.currency > 0 {
                data.text("currency", Currency::at(self.currency).code);
            }
            if !self.campaign.is_empty() {
                data.text("campaign", &self.campaign);
            }
            data.text("create_time", &self.created)
                .text("operate_time", &self.operated);
        })
    }

    /// The changes that create it.
    pub(crate) fn creation(&self) -> Vec<RowChange> {
        let order = RowChange::insert("order_info", self.data());
        let mut changes = vec![order];
        for line in &self.lines {
            let source = SOURCES[line.id as usize % SOURCES.len()];
            let data = row(|data| {
                data.number("id", line.id)
                    .number("order_id", self.id)
                    .number("sku_id", line.sku)
                    .text("sku_name", &line.name())
                    .money("order_price", line.price)
                    .number("sku_num", line.pieces)
                    .money("split_total_amount", line.total())
                    .money("split_activity_amount", line.activity)
                    .money("split_coupon_amount", line.coupon)
                    .text("source_type", source);
                if self.delivery.is_some() {
                    of_line(data, line, source);
                }
                data.text("create_time", &self.created)
                    .text("operate_time", &self.created);
            });
            changes.push(RowChange::insert("order_detail", data));
        }
        changes
    }

    /// Changes the status, which is an update of the order and a row of its
    /// log.
    pub(crate) fn move_to(&mut self, status: u16, at: Local, log_id: u64) -> Vec<RowChange> {
        let old_status = self.status;
        self.status = status;
        let arriving = self.delivery.as_mut().filter(|_| status == FINISHED);
        let arrives = arriving.is_some();
        if let Some(delivery) = arriving {
            delivery.arrive(at);
        }
        let now = at.text();
        let operated = std::mem::replace(&mut self.operated, now.clone());
        let old = row(|old| {
            old.text("order_status", &old_status.to_string());
            if arrives {
                old.raw("refundable_time", "null");
            }
            if operated != now {
                old.text("operate_time", &operated);
            }
        });
        vec![
            RowChange::update("order_info", self.data(), old),
            self.status_log(&now, log_id),
        ]
    }

    /// The row of `order_status_log` for the present status.
    pub(crate) fn status_log(&self, now: &str, id: u64) -> RowChange {
        let data = row(|data| {
            data.number("id", id)
                .number("order_id", self.id)
                .text("order_status", &self.status.to_string())
                .text("create_time", now)
                .text("operate_time", now);
        });
        RowChange::insert("order_status_log", data)
    }

    /// The row of `payment_info`; `paid` is when the payment succeeded.
    pub(crate) fn payment(&self, asked: &str, paid: Option<&str>) -> String {
        let status = match (paid, &self.failed) {
            (Some(_), _) => "1602",
            (None, Some(_)) => "1603",
            (None, None) => "1601",
        };
        row(|data| {
            data.number("id", self.id)
                .text("out_trade_no", &format!("T{:012}", self.id))
                .number("order_id", self.id)
                .number("user_id", self.user)
                .text("payment_type", &self.payment_type.to_string())
                .text("trade_no", &format!("P{:012}", self.id))
                .money("total_amount", self.total())
                .text("payment_status", status);
            match paid {
                Some(paid) => data.text("callback_time", paid),
                None => data.raw("callback_time", "null"),
            };
            data.text("create_time", asked).text(
                "operate_time",
                paid.or(self.failed.as_deref()).unwrap_or(asked),
            );
        })
    }

    /// What is refunded: the share of the line's amount that its pieces have,
    /// rounded down to what can be paid.
    pub(crate) fn refund_amount(&self) -> i64 {
        let Some((line, pieces)) = self.refund else {
            return 0;
        };
        let line = &self.lines[line];
        let share = line.total() * i64::from(pieces) / i64::from(line.pieces);
        Currency::at(self.currency).cut(share)
    }

    /// The row of `order_refund_info` with that status.
    pub(crate) fn refund_request(
        &self,
        id: u64,
        status: RefundStatus,
        asked: &str,
        now: &str,
    ) -> String {
        let (line, pieces) = self.refund.unwrap_or_default();
        row(|data| {
            data.number("id", id)
                .number("user_id", self.user)
                .number("order_id", self.id)
                .number("sku_id", self.lines[line].sku)
                .text(
                    "refund_type",
                    if returns_goods(id) { "1502" } else { "1501" },
                )
                .number("refund_num", pieces)
                .money("refund_amount", self.refund_amount())
                .text("refund_reason_type", &(1_301 + id % 7).to_string())
                .text("refund_status", status.code())
                .text("create_time", asked)
                .text("operate_time", now);
        })
    }

    /// The row of `refund_payment` that was made at `made` and has that status since
    /// `now`.
    pub(crate) fn refund_payment(
        &self,
        id: u64,
        status: RefundStatus,
        made: &str,
        now: &str,
    ) -> String {
        let (line, _) = self.refund.unwrap_or_default();
        row(|data| {
            data.number("id", id)
                .text("out_trade_no", &format!("T{:012}", self.id))
                .number("order_id", self.id)
                .number("sku_id", self.lines[line].sku)
                .text("payment_type", &self.payment_type.to_string())
                .text("trade_no", &format!("R{id:012}"))
                .money("total_amount", self.refund_amount())
                .text("refund_status", status.code());
            match status {
                RefundStatus::Finished => data.text("callback_time", now),
                _ => data.raw("callback_time", "null"),
            };
            data.text("create_time", made).text("operate_time", now);
        })
    }
}
