//! Columns that no number needs: what goods are like, what buyers write, when coupons
//! end, who members are and where their parcels go. All of it follows from numbers of
//! rows, and nothing of it is in a shop without all columns. Nobody lives here: the
//! telephone numbers are none that are given out, the addresses are of a domain for
//! examples.

use serde::{Deserialize, Serialize};

use crate::catalogue::{PROVINCES, sku};
use crate::message::{Object, RowChange, row};
use crate::offers::activity_of;
use crate::order::{Line, Order};
use crate::random::Random;
use crate::shop::Shop;
use crate::time::{DAY_US, Local};
use crate::trade::PAY_TIME_US;

/// Days in which goods may be given back, from their arrival on.
const REFUNDABLE_DAYS: i64 = 7;
/// A coupon can be used so long after it was taken.
const COUPON_DAYS: i64 = 30;
/// Every so many orders goes to somebody else than the member.
const PRESENT: u64 = 8;

const FAMILY_NAMES: [&str; 10] = ["王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周"];
const GIVEN_NAMES: [&str; 10] = [
    "伟", "芳", "娜", "敏", "静", "强", "磊", "洋", "秀英", "建国",
];
const STREETS: [&str; 6] = ["人民路", "中山路", "解放路", "建设路", "和平路", "新华路"];
/// What buyers write: good, middling, bad, nothing of their own.
const COMMENTS: [[&str; 3]; 4] = [
    [
        "很好，下次再买",
        "Just as described, quick delivery",
        "喜欢",
    ],
    ["一般", "Fine for the price", "还可以，包装普通"],
    ["不满意", "Came with a scratch", "质量差，不推荐"],
    ["此用户没有填写评价"; 3],
];

/// Somebody's name, from a number.
fn person_name(number: u64) -> String {
    let mut chance = Random::named(0, "names of persons", number);
    let family = *chance.choose(&FAMILY_NAMES);
    let given = *chance.choose(&GIVEN_NAMES);
    format!("{family}{given}")
}

/// A telephone number that nobody has, from a number.
fn person_phone(number: u64) -> String {
    format!("100{:08}", number % 100_000_000)
}

/// The other columns of `user_info`.
pub(crate) fn of_member(data: &mut Object<'_>, user: u64) {
    let secret = Random::named(0, "passwords", user).next();
    data.text("nick_name", &format!("Visitor {user}"))
        .text("passwd", &format!("{secret:016x}"))
        .text("name", &person_name(user))
        .text("phone_num", &person_phone(user))
        .text("email", &format!("user{user}@shop.example"));
}

/// The other columns of `sku_info`; goods that get another name keep what is said of
/// them.
pub(crate) fn of_goods(data: &mut Object<'_>, id: u64) {
    let goods = sku(id);
    let desc = format!("{}, with two years of guarantee", goods.name);
    let hundredths_kg = 15 + goods.spu_id as i64 * 37 % 900;
    data.text("sku_desc", &desc).money("weight", hundredths_kg);
}

/// The other column of `spu_info`.
pub(crate) fn of_product(data: &mut Object<'_>, first_name: &str) {
    data.text("description", &format!("{first_name} in three sizes"));
}

/// The other column of `base_trademark`.
pub(crate) fn of_brand(data: &mut Object<'_>, id: u64) {
    let url = format!("https://img.shop.example/brands/{id}.png");
    data.text("logo_url", &url);
}

/// The other column of `comment_info`.
pub(crate) fn of_comment(data: &mut Object<'_>, id: u64, appraise: &str) {
    let kind = match appraise {
        "1201" => 0,
        "1202" => 1,
        "1203" => 2,
        _ => 3,
    };
    let text = *Random::named(0, "comments", id).choose(&COMMENTS[kind]);
    data.text("comment_txt", text);
}

/// The other column of `order_detail`: the number of the advertisement, of the place of
/// a recommendation, or of the activity that led to the goods. A search has none.
pub(crate) fn of_line(data: &mut Object<'_>, line: &Line, source: &str) {
    let id = match source {
        "2402" => Some(1 + line.id % 20),
        "2403" => Some(1 + line.id % 5),
        "2404" => Some(activity_of(line.sku).unwrap_or(1)),
        _ => None,
    };
    match id {
        Some(id) => data.number("source_id", id),
        None => data.raw("source_id", "null"),
    };
}

/// The other columns of `order_info`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    consignee: String,
    phone: String,
    address: String,
    /// Until when it may be paid.
    pay_until: String,
    /// Until when goods may be given back; `None` before the buyer has them.
    refundable_until: Option<String>,
}

impl Delivery {
    pub(crate) fn columns(&self, data: &mut Object<'_>) {
        data.text("consignee", &self.consignee)
            .text("consignee_tel", &self.phone)
            .text("delivery_address", &self.address)
            .text("expire_time", &self.pay_until);
        match &self.refundable_until {
            Some(until) => data.text("refundable_time", until),
            None => data.raw("refundable_time", "null"),
        };
    }

    /// The buyer has the goods.
    pub(crate) fn arrive(&mut self, at: Local) {
        let day = at.day + REFUNDABLE_DAYS;
        self.refundable_until = Some(Local { day, ..at }.text());
    }
}

/// A coupon of which members took some.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct CouponTaken {
    count: u64,
    /// When its row was last changed; empty if it never was.
    since: String,
}

impl Shop {
    /// Where an order goes; `None` in a shop without all columns.
    pub(crate) fn delivery(&self, time_us: i64, order: &Order) -> Option<Delivery> {
        if !self.options.has_all_columns {
            return None;
        }
        // Numbers from there on are nobody's member.
        let number = match order.id.is_multiple_of(PRESENT) {
            true => u64::from(u32::MAX) + order.id,
            false => order.user,
        };
        let province = PROVINCES[order.province as usize - 1].name;
        let mut chance = Random::named(0, "addresses", number);
        let street = *chance.choose(&STREETS);
        let house = chance.between(1, 300);
        Some(Delivery {
            consignee: person_name(number),
            phone: person_phone(number),
            address: format!("{province}{street}{house}号"),
            pay_until: self.local(time_us + PAY_TIME_US).text(),
            refundable_until: None,
        })
    }

    /// Until when a coupon that is taken now can be used; empty in a shop without all
    /// columns, where coupons do not end.
    pub(crate) fn coupon_ends(&self, time_us: i64) -> String {
        match self.options.has_all_columns {
            true => self.local(time_us + COUPON_DAYS * DAY_US).text(),
            false => String::new(),
        }
    }

    /// A member took a coupon: its row counts them.
    pub(crate) fn count_taken(&mut self, time_us: i64, coupon: u64) -> Option<RowChange> {
        if !self.options.has_all_columns {
            return None;
        }
        let now = self.local(time_us).text();
        let opened = self.local(self.options.start_us).text();
        let taken = self.coupons_taken.entry(coupon).or_default();
        let before = taken.clone();
        taken.count += 1;
        taken.since = now.clone();
        let since = match before.since.is_empty() {
            true => &opened,
            false => &before.since,
        };
        let old = row(|old| {
            old.number("taken_count", before.count);
            if *since != now {
                old.text("operate_time", since);
            }
        });
        let data = row(|data| {
            self.coupon_fields(data, coupon);
            data.text("create_time", &opened).text("operate_time", &now);
        });
        Some(RowChange::update("coupon_info", data, old))
    }

    /// The other columns of `coupon_info`: the first coupon belongs to the first
    /// activity; all can be used a while after they can be taken.
    pub(crate) fn of_coupon(&self, data: &mut Object<'_>, id: u64, end_us: i64) {
        match id {
            1 => data.number("activity_id", 1),
            _ => data.raw("activity_id", "null"),
        };
        let taken = self.coupons_taken.get(&id);
        let ends = self.local(end_us + COUPON_DAYS * DAY_US).text();
        data.number("taken_count", taken.map_or(0, |taken| taken.count))
            .text("expire_time", &ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goods_can_be_given_back_for_seven_days() {
        let mut delivery = Delivery {
            consignee: String::new(),
            phone: String::new(),
            address: String::new(),
            pay_until: String::new(),
            refundable_until: None,
        };
        // Half past ten in the night of the 28th of February 2024, in Shanghai.
        delivery.arrive(Local::of(1_709_130_600_000_000, 480));
        let until = delivery.refundable_until.as_deref();
        assert_eq!(until, Some("2024-03-06 22:30:00"));
    }

    #[test]
    fn telephone_numbers_have_eleven_digits_that_nobody_has() {
        assert_eq!(person_phone(12), "10000000012");
        assert_eq!(person_phone(u64::from(u32::MAX) + 8), "10094967303");
    }
}
