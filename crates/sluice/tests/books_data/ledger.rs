//! Facts of the shop, kept as small as five million page views ask for.

use std::collections::BTreeMap;

use sluice_shop::{CouponStep, Fact, GoodsFact, Known, LineFact, OrderFact, PageFact};

const DAY_US: i64 = 86_400_000_000;
const OWN_CURRENCY: &str = "CNY";
/// The rate of the shop's own currency, in millionths.
const RATE_ONE: i64 = 1_000_000;
/// The shop is eight hours east of Greenwich.
const ZONE_US: i64 = 8 * 3_600_000_000;

/// The business day of a moment, counted from 1970.
pub fn day_of(time_us: i64) -> i64 {
    (time_us + ZONE_US).div_euclid(DAY_US)
}

/// The minute of the business day.
pub fn minute_of(time_us: i64) -> i64 {
    (time_us + ZONE_US).rem_euclid(DAY_US) / 60_000_000
}

/// Cents of the shop's currency, halves up.
fn in_own_currency(cents: i64, rate: i64) -> i64 {
    (cents * rate + RATE_ONE / 2) / RATE_ONE
}

/// The database knows seconds only.
pub fn second_of(time_us: i64) -> i64 {
    time_us.div_euclid(1_000_000) * 1_000_000
}

/// A text's number, given in the order in which texts were first seen.
pub type TextId = u8;

/// A page view. The log knows milliseconds only.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub time_us: i64,
    pub during_ms: i64,
    pub device: u32,
    pub visit: u32,
    pub user: u32,
    pub sku: u32,
    pub province: u8,
    pub channel: TextId,
    pub app: TextId,
    pub campaign: TextId,
    pub page: TextId,
    pub last_page: TextId,
    /// Words searched for, as one text with blanks between them.
    pub words: TextId,
    pub is_test: bool,
    pub is_bot: bool,
    pub says_new: bool,
    pub names_session: bool,
}

/// An order with what became of it.
#[derive(Debug, Clone)]
pub struct Order {
    /// As the buyer sees it, in the currency of the order.
    told: OrderFact,
    told_refunds: Vec<(i64, u64, i64)>,
    /// The same in the shop's currency, at the rate that is known now.
    pub fact: OrderFact,
    pub time_us: i64,
    pub paid_us: Option<i64>,
    pub cancelled_us: Option<i64>,
    /// When, which sku, cents of the shop's currency.
    pub refunds: Vec<(i64, u64, i64)>,
}

impl Order {
    fn new(told: OrderFact, time_us: i64) -> Self {
        Self {
            fact: told.clone(),
            told,
            told_refunds: Vec::new(),
            time_us,
            paid_us: None,
            cancelled_us: None,
            refunds: Vec::new(),
        }
    }

    /// Amounts count at the rate of the order's day, each rounded by itself, and as
    /// nothing while nobody knows it; what a line was before its reductions is their
    /// sum.
    fn convert(&mut self, rates: &BTreeMap<(&'static str, i64), i64>) {
        let rate = match self.told.currency {
            OWN_CURRENCY => RATE_ONE,
            other => rates.get(&(other, self.day())).copied().unwrap_or(0),
        };
        self.fact.freight = in_own_currency(self.told.freight, rate);
        for (line, told) in self.fact.lines.iter_mut().zip(&self.told.lines) {
            line.activity = in_own_currency(told.activity, rate);
            line.coupon = in_own_currency(told.coupon, rate);
            let to_pay = in_own_currency(told.total(), rate);
            line.original = to_pay + line.activity + line.coupon;
        }
        let refunds = self.told_refunds.iter();
        let refunds =
            refunds.map(|(time_us, sku, cents)| (*time_us, *sku, in_own_currency(*cents, rate)));
        self.refunds = refunds.collect();
    }

    /// The lines that a reduction applied to, whatever it is worth.
    pub fn reduced_lines(
        &self,
        part: impl Fn(&LineFact) -> i64,
    ) -> impl Iterator<Item = &LineFact> {
        let lines = self.fact.lines.iter().zip(&self.told.lines);
        lines
            .filter(move |(_, told)| part(told) > 0)
            .map(|(line, _)| line)
    }

    pub fn goods(&self) -> i64 {
        self.fact.lines.iter().map(|line| line.total()).sum()
    }

    pub fn pieces(&self) -> i64 {
        let pieces = self.fact.lines.iter().map(|line| i64::from(line.pieces));
        pieces.sum()
    }

    pub fn day(&self) -> i64 {
        day_of(self.time_us)
    }

    /// `paid`, `cancelled` without a payment, or `unpaid`.
    pub fn status(&self) -> &'static str {
        match (self.paid_us, self.cancelled_us) {
            (Some(_), _) => "paid",
            (None, Some(_)) => "cancelled",
            (None, None) => "unpaid",
        }
    }
}

/// Somebody did something with goods.
#[derive(Debug, Clone, Copy)]
pub struct Deed {
    pub time_us: i64,
    pub user: u64,
    pub is_test: bool,
    pub sku: u64,
    /// Pieces; of comments 1 for a good one.
    pub count: i64,
}

/// A coupon that a member took.
#[derive(Debug, Clone, Copy)]
pub struct Coupon {
    pub coupon: u64,
    pub user: u64,
    /// The order that it is used for; 0 for none.
    pub order: u64,
    pub taken_us: i64,
    pub using_us: Option<i64>,
    pub paid_us: Option<i64>,
}

impl Coupon {
    fn step(&mut self, step: CouponStep, time_us: i64) {
        match step {
            CouponStep::Taken => {}
            CouponStep::InOrder(order) => {
                self.order = order;
                self.using_us = Some(time_us);
            }
            CouponStep::Paid => self.paid_us = Some(time_us),
            CouponStep::Returned => (self.order, self.using_us, self.paid_us) = (0, None, None),
        }
    }
}

/// A name, with the row above it, and the moment from which on a row had it.
type NameSince = (i64, String, u64);

/// What is known until a moment.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub window_us: i64,
    texts: Vec<String>,
    text_ids: BTreeMap<String, TextId>,
    /// Names of a table's rows, one after another.
    names: BTreeMap<(&'static str, u64), Vec<NameSince>>,
    /// Goods as they are now.
    pub goods: BTreeMap<u64, GoodsFact>,
    /// Rates by currency and day, in millionths.
    rates: BTreeMap<(&'static str, i64), i64>,
    pub views: Vec<View>,
    /// When goods were shown to a person.
    pub displays: Vec<(i64, u32)>,
    pub orders: BTreeMap<u64, Order>,
    pub registers: Vec<(i64, u64, bool)>,
    /// Levels of members, each with the moment from which on it held.
    levels: BTreeMap<u64, Vec<(i64, u8)>>,
    pub cart_adds: Vec<Deed>,
    /// Places of carts: test, sku, pieces.
    pub carts: BTreeMap<u64, (bool, u64, i64)>,
    pub favor_adds: Vec<Deed>,
    /// Favourites: test, sku, whether it stands.
    pub favors: BTreeMap<u64, (bool, u64, bool)>,
    pub comments: Vec<Deed>,
    pub coupons: BTreeMap<u64, Coupon>,
    /// Facts whose message was not sent yet.
    waiting: Vec<Known>,
}

impl Ledger {
    pub fn new(window_us: i64) -> Self {
        let mut ledger = Self {
            window_us,
            ..Self::default()
        };
        assert_eq!(ledger.text_id(""), 0);
        ledger
    }

    pub fn text(&self, id: TextId) -> &str {
        &self.texts[usize::from(id)]
    }

    pub fn text_id(&mut self, text: &str) -> TextId {
        if let Some(id) = self.text_ids.get(text) {
            return *id;
        }
        let id = TextId::try_from(self.texts.len()).unwrap();
        self.texts.push(text.to_owned());
        self.text_ids.insert(text.to_owned(), id);
        id
    }

    /// The name of a row today, and nothing if it has none.
    pub fn name(&self, table: &'static str, id: u64) -> &str {
        self.name_at(table, id, i64::MAX)
    }

    /// The name that a row had at a moment; its first one held since ever.
    pub fn name_at(&self, table: &'static str, id: u64, time_us: i64) -> &str {
        let Some(names) = self.names.get(&(table, id)) else {
            return "";
        };
        let before = names.iter().rfind(|(since_us, ..)| *since_us <= time_us);
        &before.unwrap_or(&names[0]).1
    }

    /// The row above a row.
    pub fn above(&self, table: &'static str, id: u64) -> u64 {
        let names = self.names.get(&(table, id));
        let newest = names.and_then(|names| names.last());
        newest.map_or(0, |(_, _, above)| *above)
    }

    /// Beginning of the window of a moment, in seconds.
    pub fn window(&self, time_us: i64) -> i64 {
        time_us.div_euclid(self.window_us) * self.window_us / 1_000_000
    }

    /// Learns what was told before `until_us`.
    pub fn learn(&mut self, facts: Vec<Known>, until_us: i64) {
        let mut all = std::mem::take(&mut self.waiting);
        all.extend(facts);
        for known in all {
            if known.known_us >= until_us {
                self.waiting.push(known);
            } else {
                self.learn_one(known);
            }
        }
    }

    fn learn_one(&mut self, known: Known) {
        let Known { time_us, fact, .. } = known;
        let deed = |user, is_test, sku, count| Deed {
            time_us: second_of(time_us),
            user,
            is_test,
            sku,
            count,
        };
        match fact {
            Fact::Name(table, id, name, above) => {
                let names = self.names.entry((table, id)).or_default();
                names.push((second_of(time_us), name, above));
            }
            Fact::Goods(goods) => {
                self.goods.insert(goods.sku, goods);
            }
            Fact::GoodsGone(sku) => {
                self.goods.remove(&sku);
            }
            Fact::Register { user, is_test } => {
                self.registers.push((second_of(time_us), user, is_test));
            }
            Fact::Level { user, level } => {
                let levels = self.levels.entry(user).or_default();
                levels.push((second_of(time_us), level));
            }
            Fact::Page(page) => self.learn_page(time_us, &page),
            Fact::CartAdd {
                user,
                is_test,
                sku,
                pieces,
            } => {
                let add = deed(user, is_test, sku, i64::from(pieces));
                self.cart_adds.push(add);
            }
            Fact::CartHolds {
                id,
                is_test,
                sku,
                pieces,
            } => {
                self.carts.insert(id, (is_test, sku, i64::from(pieces)));
            }
            Fact::Favor {
                id,
                user,
                is_test,
                sku,
                is_made,
            } => {
                self.favors.insert(id, (is_test, sku, is_made));
                if is_made {
                    self.favor_adds.push(deed(user, is_test, sku, 1));
                }
            }
            Fact::Order(fact) => {
                let mut order = Order::new(*fact, second_of(time_us));
                order.convert(&self.rates);
                self.orders.insert(order.fact.id, order);
            }
            Fact::Rate {
                currency,
                day,
                rate,
            } => {
                self.rates.insert((currency, day), rate);
                let orders = self.orders.values_mut();
                for order in orders.filter(|it| it.told.currency == currency && it.day() == day) {
                    order.convert(&self.rates);
                }
            }
            Fact::Pay(id) => self.order(id).paid_us = Some(second_of(time_us)),
            Fact::Cancel(id) => self.order(id).cancelled_us = Some(second_of(time_us)),
            Fact::Refund(id, sku, cents) => {
                let refund = (second_of(time_us), sku, cents);
                let order = self.orders.get_mut(&id).unwrap();
                order.told_refunds.push(refund);
                order.convert(&self.rates);
            }
            Fact::Comment {
                is_test,
                sku,
                is_good,
            } => {
                let comment = deed(0, is_test, sku, i64::from(is_good));
                self.comments.push(comment);
            }
            Fact::Coupon {
                id,
                coupon,
                user,
                step,
            } => {
                let time_us = second_of(time_us);
                let taken = self.coupons.entry(id).or_insert(Coupon {
                    coupon,
                    user,
                    order: 0,
                    taken_us: time_us,
                    using_us: None,
                    paid_us: None,
                });
                taken.step(step, time_us);
            }
        }
    }

    fn order(&mut self, id: u64) -> &mut Order {
        self.orders.get_mut(&id).unwrap()
    }

    fn learn_page(&mut self, time_us: i64, page: &PageFact) {
        let time_us = time_us.div_euclid(1_000) * 1_000;
        if !page.is_bot {
            let shown = page.displays.iter().map(|sku| (time_us, *sku as u32));
            self.displays.extend(shown);
        }
        let view = View {
            time_us,
            during_ms: page.during_ms,
            device: page.device,
            visit: page.visit as u32,
            user: page.user as u32,
            sku: page.sku as u32,
            province: page.province as u8,
            channel: self.text_id(page.channel),
            app: self.text_id(page.app),
            campaign: self.text_id(&page.campaign),
            page: self.text_id(page.page),
            last_page: self.text_id(page.last_page.unwrap_or_default()),
            words: self.text_id(&page.words.join(" ")),
            is_test: page.is_test,
            is_bot: page.is_bot,
            says_new: page.says_new,
            names_session: page.names_session,
        };
        self.views.push(view);
    }

    /// The level that a member had at a moment; 0 of somebody who is none.
    pub fn level_at(&self, user: u64, time_us: i64) -> u8 {
        let Some(levels) = self.levels.get(&user) else {
            return 0;
        };
        let before = levels.iter().rfind(|(since_us, _)| *since_us <= time_us);
        before.unwrap_or(&levels[0]).1
    }

    /// Orders that count.
    pub fn counted(&self) -> impl Iterator<Item = &Order> {
        self.orders.values().filter(|order| !order.fact.is_test)
    }

    /// Page views of people.
    pub fn people(&self) -> impl Iterator<Item = &View> {
        self.views.iter().filter(|view| !view.is_bot)
    }
}
