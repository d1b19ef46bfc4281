//! The books of what an analyst asks beyond money and minutes: funnels, members,
//! brands, goods, reductions, campaigns, and windows of ten seconds.
//!
//! Test members and bots are left out, as everywhere in the books.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::books::SalesBook;
use crate::time::Local;

/// Seconds of a window.
const WINDOW_SECONDS: i64 = 10;
/// Hour of the day of which the windows are kept.
const WINDOW_HOUR: usize = 20;
/// Pages of the way to a payment, in their order.
pub(crate) const FUNNEL: [&str; 5] = ["home", "good_detail", "cart", "trade", "payment"];

/// What happened to one sku on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodsBook {
    /// Times shown.
    pub displays: u64,
    /// Views of its own page.
    pub clicks: u64,
    /// Times made a favourite.
    pub favors: u64,
    /// Times put in a member's cart.
    pub carts: u64,
    /// Order lines.
    pub lines: u64,
    /// Pieces ordered.
    pub pieces: u64,
    /// What was to be paid for them.
    pub gross: i64,
    /// Of payments that came this day.
    pub paid: i64,
    /// Refunded this day.
    pub refunded: i64,
    /// Comments.
    pub comments: u64,
    /// Good ones.
    pub good_comments: u64,
}

/// What an activity or a coupon did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReductionBook {
    /// Orders with it.
    pub orders: u64,
    /// Pieces times price of their lines.
    pub original: i64,
    /// What it took off.
    pub reduced: i64,
}

/// Sessions and orders of a campaign in a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignBook {
    /// Sessions that began.
    pub sessions: u64,
    /// Of them, those of one page so far.
    pub bounces: u64,
    /// Orders created.
    pub orders: u64,
    /// Goods of them.
    pub gross: i64,
}

/// What does not add up over windows, of ten seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowBook {
    /// Devices.
    pub uv: u64,
    /// Devices that saw the home page.
    pub home_uv: u64,
    /// Devices that looked at goods.
    pub good_detail_uv: u64,
    /// Members who put something in their cart.
    pub cart_users: u64,
    /// Members who ordered.
    pub order_users: u64,
    /// Members who paid.
    pub pay_users: u64,
}

/// Whoever a window counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Unique {
    Device,
    AtHome,
    AtGoods,
    CartUser,
    OrderUser,
    PayUser,
}

/// Those who were counted in the window that is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenWindow {
    day: i64,
    window: i64,
    seen: BTreeSet<(Unique, u64)>,
}

impl OpenWindow {
    /// The window's number in the day if windows of this time are kept and
    /// whoever it is has not been counted in it.
    pub(crate) fn first_in(&mut self, local: Local, unique: Unique, id: u64) -> Option<i64> {
        if local.hour() != WINDOW_HOUR {
            return None;
        }
        let window = local.second / WINDOW_SECONDS;
        if (self.day, self.window) != (local.day, window) {
            self.day = local.day;
            self.window = window;
            self.seen.clear();
        }
        self.seen.insert((unique, id)).then_some(window)
    }
}

/// What one day brought, beside its [`crate::DayBook`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerBook {
    /// Devices on their first day.
    pub new_uv: u64,
    /// Sessions that began this day and have one page so far.
    pub bounces: u64,
    /// Page views of the sessions that began this day.
    pub session_pages: u64,
    /// How long those lasted, in milliseconds.
    pub session_ms: u64,
    /// Devices that saw home, goods, cart, trade, payment.
    pub open_funnel: [u64; 5],
    /// Devices that did so each after the page before.
    pub closed_funnel: [u64; 5],
    /// How often each word was searched for.
    pub keywords: BTreeMap<String, u64>,
    /// Members who were active while logged in.
    pub active_users: u64,
    /// Of them, those who were not for eight or more days.
    pub back_users: u64,
    /// Members who registered.
    pub registered: u64,
    /// Times something was put in a member's cart.
    pub cart_adds: u64,
    /// Pieces of those.
    pub cart_pieces: u64,
    /// Times goods were made a favourite.
    pub favors: u64,
    /// Coupons that members took.
    pub coupons_taken: u64,
    /// Pieces times price of orders created.
    pub original: i64,
    /// What activities took off.
    pub activity: i64,
    /// What coupons took off.
    pub coupon: i64,
    /// Members whose first order was this day.
    pub new_buyers: u64,
    /// Members who paid this day.
    pub pay_users: u64,
    /// Members whose first payment was this day.
    pub new_payers: u64,
    /// Goods of orders that were cancelled this day.
    pub cancelled_then: i64,
    /// Seconds from creation to payment, of orders paid this day.
    pub pay_seconds: i64,
    /// Goods of this day's orders that were refunded until now.
    pub refunded_of_orders: i64,
    /// By brand id; brand, category and product of goods that the shop does not have
    /// are 0.
    pub brands: BTreeMap<u64, SalesBook>,
    /// By id of the category of the third level.
    pub categories: BTreeMap<u64, SalesBook>,
    /// By spu id.
    pub products: BTreeMap<u64, SalesBook>,
    /// By activity id.
    pub activities: BTreeMap<u64, ReductionBook>,
    /// By coupon id.
    pub coupons: BTreeMap<u64, ReductionBook>,
    /// By channel and campaign, separated by `/`; an empty campaign is none.
    pub campaigns: BTreeMap<String, CampaignBook>,
    /// By sku id.
    pub goods: BTreeMap<u64, GoodsBook>,
    /// By number of the window in the day; of one hour only.
    pub windows: BTreeMap<i64, WindowBook>,
}

impl AnswerBook {
    /// Counts one who is new in a window.
    pub(crate) fn count(&mut self, window: i64, unique: Unique) {
        let book = self.windows.entry(window).or_default();
        let count = match unique {
            Unique::Device => &mut book.uv,
            Unique::AtHome => &mut book.home_uv,
            Unique::AtGoods => &mut book.good_detail_uv,
            Unique::CartUser => &mut book.cart_users,
            Unique::OrderUser => &mut book.order_users,
            Unique::PayUser => &mut book.pay_users,
        };
        *count += 1;
    }

    pub(crate) fn campaign(&mut self, channel: &str, campaign: &str) -> &mut CampaignBook {
        self.campaigns
            .entry(format!("{channel}/{campaign}"))
            .or_default()
    }
}
