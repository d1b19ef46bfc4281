//! What apps tell beside what any number needs, and what visitors do beside the way
//! to an order: pages on which they look around, places where they clicked,
//! addresses, favourites taken back, errors in the middle of a record. Chance of its
//! own decides about it, and nothing of it happens in a shop without details.

use crate::message::{Object, row};
use crate::random::Random;
use crate::shop::Shop;
use crate::traffic::{CAMPAIGNS, traits};
use crate::visit::{Page, Visit};

/// What a visitor did: its name in the log, what it was done with (0 for nothing),
/// and what that is.
pub(crate) type Action = (&'static str, u64, &'static str);

/// Devices in a thousand whose app gives its records no identity.
const WITHOUT_EVENT_ID: u64 = 50;
/// Records in a thousand that tell of an error beside.
const WITH_ERROR: u64 = 4;
/// Codes and texts of such errors.
const ERRORS: [(u32, &str); 3] = [
    (1_104, "no answer"),
    (1_107, "picture missing"),
    (1_113, "out of memory"),
];
/// What browsers call themselves, by the device's model.
const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Linux; Android 15; Aurelo 12)",
    "Mozilla/5.0 (Linux; Android 14; Bexo P4)",
    "Mozilla/5.0 (Linux; Android 15; Corvin Mini)",
    "Mozilla/5.0 (Pomelo 9; OS 26_1)",
    "Mozilla/5.0 (Pomelo 8; OS 25_4)",
];
/// What programs call themselves.
const BOT_AGENT: &str = "ShopReader/1.0";

impl Shop {
    /// Chance of its own for one page of a visit; none in a shop without details.
    pub(crate) fn detail_chance(&self, name: &str, visit: &Visit) -> Option<Random> {
        let number = visit.number << 8 | u64::from(visit.pages);
        let has_details = self.options.has_details;
        has_details.then(|| Random::named(self.options.seed, name, number))
    }

    /// Whether a device's app gives its records an identity.
    pub(crate) fn names_records(&self, device: u32) -> bool {
        if !self.options.has_details {
            return true;
        }
        let number = u64::from(device);
        let mut chance = Random::named(self.options.seed, "apps without event_id", number);
        !chance.per_mille(WITHOUT_EVENT_ID)
    }

    /// A page on which the visitor looks around before going on.
    pub(crate) fn side_page(&self, visit: &Visit) -> Option<Page> {
        let mut chance = self.detail_chance("side pages", visit)?;
        let draw = chance.below(1_000);
        // Upper ends of the chances, in a thousand.
        let pages: &[(u64, Page)] = match visit.page {
            Page::Home => &[
                (30, Page::Activity),
                (50, Page::Coupon),
                (70, Page::Discovery),
                (90, Page::TopN),
                (120, Page::Favor),
            ],
            Page::GoodDetail => &[(60, Page::GoodSpec), (100, Page::Comment)],
            Page::Mine => &[
                (200, Page::Favor),
                (350, Page::OrdersUnpaid),
                (400, Page::Coupon),
            ],
            _ => &[],
        };
        let (_, page) = pages.iter().find(|(end, _)| draw < *end)?;
        let is_personal = matches!(page, Page::Favor | Page::OrdersUnpaid);
        (visit.is_logged_in || !is_personal).then_some(*page)
    }

    /// Whether a member takes a coupon on the page of coupons.
    pub(crate) fn takes_coupon_there(&self, visit: &Visit) -> bool {
        let chance = self.detail_chance("coupons", visit);
        let may = visit.page == Page::Coupon && visit.is_logged_in;
        may && chance.is_some_and(|mut chance| chance.per_mille(300))
    }

    /// What the visitor does on the page without goods, coupons and favourites.
    pub(crate) fn side_action(&self, visit: &Visit, takes_out: bool) -> Option<Action> {
        let mut chance = self.detail_chance("actions", visit)?;
        if takes_out {
            let fewer = visit.cart.iter().find(|line| line.pieces > 1);
            let fewer = fewer.map(|line| ("cart_minus_num", line.sku, "sku_id"));
            let none = visit.cart.last();
            let none = none.map(|line| ("cart_remove", line.sku, "sku_id"));
            return fewer.or(none);
        }
        let has_moved = visit.page == Page::Trade && chance.per_mille(80);
        has_moved.then_some(("trade_add_address", 0, ""))
    }

    /// How an app was opened: one that was seen before is not installed again.
    pub(crate) fn entry(&self, drawn: &'static str, is_new: bool) -> &'static str {
        match self.options.has_details && drawn == "install" && !is_new {
            true => "icon",
            false => drawn,
        }
    }

    /// Milliseconds until an advertisement of that length was skipped; 0 if it was
    /// not.
    pub(crate) fn skipped_ms(&self, visit: &Visit, shown_ms: i64) -> i64 {
        let Some(mut chance) = self.detail_chance("advertisements", visit) else {
            return 0;
        };
        match chance.per_mille(300) {
            true => chance.between(200, shown_ms),
            false => 0,
        }
    }

    /// What a browser calls itself.
    pub(crate) fn agent(&self, visit: &Visit) -> Option<&'static str> {
        let traits = traits(visit.device);
        let is_browser = self.options.has_details && traits.channel == "web";
        is_browser.then(|| match traits.is_bot {
            true => BOT_AGENT,
            false => AGENTS[traits.model],
        })
    }

    /// What led to the goods that are looked at.
    pub(crate) fn source_of(&self, visit: &Visit) -> &'static str {
        if !self.options.has_details {
            return "query";
        }
        match visit.last_page {
            Some(Page::Activity) => "activity",
            Some(Page::Home | Page::TopN) => "promotion",
            Some(Page::Search | Page::GoodList | Page::Category) => "query",
            None if !visit.campaign.is_empty() => "promotion",
            _ => "recommend",
        }
    }

    /// What a page is about that goods and words are not looked at on.
    pub(crate) fn side_item(&self, visit: &Visit, page: &mut Object<'_>) {
        if !self.options.has_details {
            return;
        }
        let (item, item_type) = match visit.page {
            Page::GoodSpec | Page::Comment => (visit.sku.to_string(), "sku_id"),
            Page::Activity => (visit.offer().to_string(), "activity_id"),
            Page::Coupon => (visit.offer().to_string(), "coupon_id"),
            Page::Trade if !visit.cart.is_empty() => {
                let skus: Vec<String> = visit.cart.iter().map(|it| it.sku.to_string()).collect();
                (skus.join(","), "sku_ids")
            }
            _ => return,
        };
        page.text("item", &item).text("item_type", item_type);
    }

    /// Where on the page before the visitor clicked, or what outside the app led here.
    pub(crate) fn origin(&self, visit: &Visit, page: &mut Object<'_>) {
        let Some(mut chance) = self.detail_chance("places", visit) else {
            return;
        };
        if visit.last_page.is_some_and(Page::has_displays) {
            page.number("from_pos_id", chance.between(1, 5))
                .number("from_pos_seq", chance.between(1, 6));
        }
        let campaign = CAMPAIGNS.iter().position(|name| *name == visit.campaign);
        if let (Some(place), None) = (campaign, visit.last_page) {
            page.text("refer_id", &(place + 1).to_string());
        }
    }

    /// As what a page shows goods.
    pub(crate) fn display_type(&self, visit: &Visit, number: u64) -> &'static str {
        if !self.options.has_details {
            return "promotion";
        }
        match visit.page {
            Page::Home if number.is_multiple_of(2) => "promotion",
            Page::Search | Page::GoodList | Page::Category => "query",
            Page::Activity => "activity",
            _ => "recommend",
        }
    }

    /// What an app calls the number of what it shows.
    pub(crate) fn display_number_name(&self, visit: &Visit) -> &'static str {
        match self.options.has_details && visit.device % 2 == 1 {
            true => "pos_seq",
            false => "order",
        }
    }

    /// An activity or a coupon that the first page shows beside goods, as the last of
    /// them.
    pub(crate) fn shown_offer(&self, visit: &Visit, number: u64) -> Option<String> {
        let mut chance = self.detail_chance("offers", visit)?;
        if visit.page != Page::Home || !chance.per_mille(300) {
            return None;
        }
        let item_type = *chance.choose(&["activity_id", "coupon_id"]);
        Some(row(|display| {
            display
                .text("display_type", "activity")
                .text("item", &visit.offer().to_string())
                .text("item_type", item_type)
                .number("pos_id", 1)
                .number(self.display_number_name(visit), number);
        }))
    }

    /// An error that a record tells of beside what else it tells.
    pub(crate) fn error_beside(&self, name: &str, visit: &Visit) -> Option<String> {
        let mut chance = self.detail_chance(name, visit)?;
        if !chance.per_mille(WITH_ERROR) {
            return None;
        }
        let (code, text) = *chance.choose(&ERRORS);
        Some(row(|error| {
            error.number("error_code", code).text("msg", text);
        }))
    }
}
