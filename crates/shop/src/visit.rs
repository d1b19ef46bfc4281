//! A visit: what a device looks at, page after page.

use serde::{Deserialize, Serialize};

use crate::cart::CartLine;
use crate::random::Random;

/// Pages of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Page {
    Home,
    Category,
    Search,
    GoodList,
    GoodDetail,
    Cart,
    Trade,
    Payment,
    PaymentDone,
    Mine,
    Login,
    Register,
    // Beside the way to an order.
    Activity,
    Comment,
    Coupon,
    Discovery,
    Favor,
    GoodSpec,
    OrdersUnpaid,
    TopN,
}

impl Page {
    /// Its name in the log.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Category => "category",
            Self::Search => "search",
            Self::GoodList => "good_list",
            Self::GoodDetail => "good_detail",
            Self::Cart => "cart",
            Self::Trade => "trade",
            Self::Payment => "payment",
            Self::PaymentDone => "payment_done",
            Self::Mine => "mine",
            Self::Login => "login",
            Self::Register => "register",
            Self::Activity => "activity",
            Self::Comment => "comment",
            Self::Coupon => "coupon",
            Self::Discovery => "discovery",
            Self::Favor => "favor",
            Self::GoodSpec => "good_spec",
            Self::OrdersUnpaid => "orders_unpaid",
            Self::TopN => "top_n",
        }
    }

    /// Whether it may show goods.
    pub(crate) fn has_displays(self) -> bool {
        use Page::{Activity, Category, Discovery, GoodList, Home, Search, TopN};
        matches!(
            self,
            Home | Category | GoodList | Search | Activity | Discovery | TopN
        )
    }

    /// Goods that are shown on it.
    pub(crate) fn displays(self, random: &mut Random) -> u64 {
        match self {
            Self::Home => random.below(5),
            _ if self.has_displays() => 2 + random.below(5),
            _ => 0,
        }
    }
}

/// A visit in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) device: u32,
    /// Distinguishes the visits of all devices.
    pub(crate) number: u64,
    pub(crate) page: Page,
    pub(crate) last_page: Option<Page>,
    /// Where the visitor goes after a page beside the way.
    #[serde(default)]
    pub(crate) after: Option<Page>,
    /// The goods that are looked at.
    pub(crate) sku: u64,
    /// Member; 0 for somebody unknown.
    pub(crate) user: u64,
    /// The second one of those who share the device.
    pub(crate) is_second: bool,
    pub(crate) is_logged_in: bool,
    pub(crate) cart: Vec<CartLine>,
    pub(crate) pages: u32,
    /// Day on which it began.
    pub(crate) day: i64,
    /// What brought the visitor; empty if nothing did.
    pub(crate) campaign: String,
}

/// A visit ends after so many pages, whatever happens.
const PAGES_MAX: u32 = 40;

impl Visit {
    /// The coupon or activity that the visitor looks at.
    pub(crate) fn offer(&self) -> u64 {
        1 + self.number % 3
    }

    /// The page after this one; `None` when the visitor leaves.
    pub(crate) fn next_page(&self, random: &mut Random) -> Option<Page> {
        if self.pages >= PAGES_MAX {
            return None;
        }
        let draw = random.below(1_000);
        // Upper ends of the chances, in a thousand.
        let choices: &[(u64, Page)] = match self.page {
            Page::Home => &[
                (250, Page::GoodList),
                (450, Page::Search),
                (600, Page::Category),
                (780, Page::GoodDetail),
                (810, Page::Mine),
            ],
            Page::Category | Page::Search => &[(550, Page::GoodList), (800, Page::GoodDetail)],
            Page::GoodList => &[(650, Page::GoodDetail), (720, Page::Search)],
            Page::GoodDetail if self.cart.is_empty() => &[
                (350, Page::GoodDetail),
                (600, Page::GoodList),
                (680, Page::Home),
            ],
            Page::GoodDetail => &[
                (250, Page::GoodDetail),
                (400, Page::GoodList),
                (750, Page::Cart),
            ],
            Page::Cart => &[(550, Page::Trade), (750, Page::GoodList)],
            Page::Trade => &[(1_000, Page::Payment)],
            Page::Payment => &[(850, Page::PaymentDone)],
            Page::PaymentDone => &[(250, Page::Home)],
            Page::Mine => &[(300, Page::Home), (450, Page::Cart)],
            Page::Login => &[(950, Page::Trade)],
            Page::Register => &[(900, Page::Trade)],
            // Where those lead is known before.
            Page::Activity
            | Page::Comment
            | Page::Coupon
            | Page::Discovery
            | Page::Favor
            | Page::GoodSpec
            | Page::OrdersUnpaid
            | Page::TopN => &[],
        };
        let found = choices.iter().find(|(end, _)| draw < *end);
        let page = found.map(|(_, page)| *page);
        // Nothing can be ordered with an empty cart.
        page.filter(|page| *page != Page::Trade || !self.cart.is_empty())
    }
}
