//! The shop's own books: what happened, counted as it happens, without SQL.
//!
//! Days and minutes are local. Money is in cents, goods without freight.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answers::AnswerBook;

/// What one minute of a day brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteBook {
    /// Goods of orders created.
    pub gross: i64,
    /// Goods paid minus goods refunded.
    pub net: i64,
    /// Orders created.
    pub orders: u64,
    /// Orders paid.
    pub paid_orders: u64,
    /// Page views.
    pub pv: u64,
    /// Devices seen for the first time this day.
    pub uv_new_today: u64,
}

/// A count of orders, pieces and money.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesBook {
    /// Orders (for goods: orders that hold them).
    pub orders: u64,
    /// Pieces.
    pub pieces: u64,
    /// Goods of orders created.
    pub gross: i64,
}

/// Traffic and sales of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelBook {
    /// Page views.
    pub pv: u64,
    /// Devices.
    pub uv: u64,
    /// Orders created.
    pub orders: u64,
    /// Goods of orders created.
    pub gross: i64,
}

/// What one day brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayBook {
    /// Goods of orders created this day.
    pub gross: i64,
    /// Of those, what is neither paid nor cancelled yet.
    pub unpaid: i64,
    /// Of those, what was cancelled without a payment.
    pub cancelled: i64,
    /// Goods of payments that came this day.
    pub paid: i64,
    /// Goods refunded this day.
    pub refunded: i64,
    /// Freight of orders created this day, after reduction.
    pub freight: i64,
    /// Orders created.
    pub orders: u64,
    /// Members who ordered.
    pub order_users: u64,
    /// Orders paid this day.
    pub paid_orders: u64,
    /// Page views.
    pub pv: u64,
    /// Devices.
    pub uv: u64,
    /// Sessions that began this day.
    pub sessions: u64,
    /// By minute of the day; empty for days before the last eight.
    pub minutes: BTreeMap<u32, MinuteBook>,
    /// By channel.
    pub channels: BTreeMap<String, ChannelBook>,
    /// By province id.
    pub provinces: BTreeMap<u64, SalesBook>,
    /// By sku id.
    pub skus: BTreeMap<u64, SalesBook>,
    /// What an analyst asks; empty for days before the last eight.
    pub answers: AnswerBook,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// By day, counted from 1970.
    pub days: BTreeMap<i64, DayBook>,
    /// Records that no warehouse can use.
    pub dirty: u64,
    /// Messages that were sent a second time.
    pub duplicates: u64,
    /// Messages that were sent after later ones.
    pub late: u64,
}

/// Days that the books keep.
const DAYS_MAX: usize = 40;
/// Days of which they keep minutes and answers.
const MINUTE_DAYS: i64 = 8;

impl Books {
    pub(crate) fn day(&mut self, day: i64) -> &mut DayBook {
        if !self.days.contains_key(&day) {
            if self.days.len() >= DAYS_MAX {
                self.days.pop_first();
            }
            for (_, old) in self.days.range_mut(..=day - MINUTE_DAYS) {
                old.minutes.clear();
                old.answers = AnswerBook::default();
            }
        }
        self.days.entry(day).or_default()
    }
}
