//! The shop at work: moments in the order of their time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::{Deserialize, Serialize};

use crate::activities::TakenCoupon;
use crate::answers::{OpenWindow, Unique};
use crate::books::Books;
use crate::comments::Comment;
use crate::device::Device;
use crate::facts::{Facts, Known};
use crate::favors::Favor;
use crate::full_rows::CouponTaken;
use crate::goods::{BrandName, GoodsState};
use crate::members::Member;
use crate::message::Message;
use crate::names::NameState;
use crate::order::Order;
use crate::random::Random;
use crate::refund_steps::RefundRequest;
use crate::season::busyness;
use crate::session::OpenSession;
use crate::time::Local;
use crate::visit::Visit;

/// Version of a saved shop.
const VERSION: u32 = 5;
/// Visitors arrive in steps of this length.
const TICK_US: i64 = 100_000;
/// Messages of an average visit, to turn a rate of messages into one of visits.
const MESSAGES_PER_VISIT: f64 = 5.65;
/// What kind of shop it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShopOptions {
    /// The same seed gives the same shop.
    pub seed: u64,
    /// The first moment, microseconds since 1970 UTC.
    pub start_us: i64,
    /// The shop's time zone, minutes east of UTC.
    pub time_zone_offset_minutes: i32,
    /// Mean number of messages a second over a day.
    pub messages_per_second: f64,
    /// Devices that may visit.
    pub devices: u32,
    /// Goods that are sold.
    pub skus: u64,
    /// Broken records in a thousand messages of the log, sent besides them.
    pub dirty_per_mille: u64,
    /// Messages in a thousand that are sent a second time later.
    pub duplicate_per_mille: u64,
    /// Messages of the log in a thousand that are sent late.
    pub late_per_mille: u64,
    /// Some members pay in other currencies than CNY, of which there is a table of
    /// rates by day.
    pub several_currencies: bool,
    /// Devices in a thousand whose app names no session.
    #[serde(default)]
    pub without_sid_per_mille: u64,
    /// Goods, products, categories and provinces get other names now and then.
    #[serde(default)]
    pub has_renames: bool,
    /// Coupons of orders that come to nothing can be used again.
    #[serde(default)]
    pub returns_coupons: bool,
    /// Transactions of the database in a thousand beside which somebody writes
    /// rows that no rule of the shop allows.
    #[serde(default)]
    pub dirty_changes_per_mille: u64,
    /// Visitors also look at pages beside the way to an order and do what can be done
    /// there, and apps tell all that a log may hold, some without an identity.
    #[serde(default)]
    pub has_details: bool,
    /// Requests for money back go through all their steps: agreed to, goods sent back,
    /// money on its way, closed.
    #[serde(default)]
    pub has_refund_steps: bool,
    /// Rows of the database have all columns of the contract, those that no number
    /// needs and personal ones too.
    #[serde(default)]
    pub has_all_columns: bool,
}

impl ShopOptions {
    /// A small Chinese shop that opens at `start_us`.
    pub fn new(seed: u64, start_us: i64) -> Self {
        Self {
            seed,
            start_us,
            time_zone_offset_minutes: 480,
            messages_per_second: 20.0,
            devices: 20_000,
            skus: 300,
            dirty_per_mille: 2,
            duplicate_per_mille: 4,
            late_per_mille: 10,
            several_currencies: false,
            without_sid_per_mille: 0,
            has_renames: false,
            returns_coupons: false,
            dirty_changes_per_mille: 0,
            has_details: false,
            has_refund_steps: false,
            has_all_columns: false,
        }
    }

    /// The same shop with everything that happens in a shop of some years.
    #[must_use]
    pub fn with_everything(self) -> Self {
        Self {
            several_currencies: true,
            without_sid_per_mille: 100,
            has_renames: true,
            returns_coupons: true,
            dirty_changes_per_mille: 10,
            has_details: true,
            has_refund_steps: true,
            has_all_columns: true,
            ..self
        }
    }
}

/// A shop cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// An option is out of range.
    #[error("{0}")]
    BadOption(&'static str),
    /// The saved shop cannot be read.
    #[error("the saved shop cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// The saved shop is of another version.
    #[error("the saved shop has format version {found}, this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
}

/// What will happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A visitor opens a page.
    Page(Box<Visit>),
    /// An order is paid.
    Pay(Box<Order>),
    /// An order was not paid in time.
    TimeOut(Box<Order>),
    /// A buyer wants money back.
    AskRefund(Box<Order>),
    /// The money goes back; when it was asked for, and the request's id.
    Refund(Box<Order>, String, u64),
    /// A request for money back goes one step on.
    RefundStep(Box<Order>, Box<RefundRequest>),
    /// Messages are sent, late or a second time.
    Send(Vec<Message>),
    /// An order that was paid is cancelled.
    Revoke(Box<Order>),
    /// A buyer has the goods.
    Finish(Box<Order>),
    /// Some goods change.
    ChangeGoods,
    /// A day begins, with rates of its own.
    NewRates,
    /// A rate comes late, or instead of a wrong one: the currency's place, and the
    /// wrong rate with the time at which it came.
    MendRate(u8, Option<(i64, String)>),
    /// A favourite is taken back or made again.
    Favor(Box<Favor>),
    /// A buyer says what the goods are like.
    Comment(Box<Comment>),
    /// Something gets another name.
    Rename,
}

/// An event with its time. Events of one moment keep the order in which they
/// were planned.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Planned {
    time_us: i64,
    number: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.time_us, self.number) == (other.time_us, other.number)
    }
}
impl Eq for Planned {}
impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time_us, self.number).cmp(&(other.time_us, other.number))
    }
}

/// Numbers that are given out in order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) visit: u64,
    pub(crate) event: u64,
    pub(crate) user: u64,
    pub(crate) order: u64,
    pub(crate) detail: u64,
    pub(crate) status_log: u64,
    pub(crate) cart: u64,
    pub(crate) refund: u64,
    pub(crate) favor: u64,
    pub(crate) comment: u64,
    pub(crate) coupon_use: u64,
    #[serde(default)]
    pub(crate) rename: u64,
    pub(crate) xid: u64,
    planned: u64,
}

/// See the crate's documentation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shop {
    version: u32,
    pub(crate) options: ShopOptions,
    pub(crate) random: Random,
    now_us: i64,
    next_tick_us: i64,
    has_opened: bool,
    /// Messages so far.
    sequence: u64,
    planned: BinaryHeap<Reverse<Planned>>,
    pub(crate) devices: Vec<Device>,
    pub(crate) counters: Counters,
    /// Those who registered, in the order of their numbers.
    pub(crate) members: Vec<Member>,
    /// Goods that are not as the catalogue has them.
    pub(crate) goods: BTreeMap<u64, GoodsState>,
    /// Brands that were renamed.
    pub(crate) brands: BTreeMap<u64, BrandName>,
    /// Other rows with a name that was changed, by table and id.
    #[serde(default)]
    pub(crate) names: BTreeMap<String, NameState>,
    /// The last sessions of devices whose apps name none.
    #[serde(default)]
    pub(crate) sessions: BTreeMap<u32, OpenSession>,
    /// Coupons that members keep for later.
    pub(crate) coupons: BTreeMap<u64, Vec<TakenCoupon>>,
    /// How many members took of each coupon, in a shop with all columns.
    #[serde(default)]
    pub(crate) coupons_taken: BTreeMap<u64, CouponTaken>,
    /// Favourites that members change by hand; none of the lists is empty.
    #[serde(default)]
    pub(crate) liked: BTreeMap<u64, Vec<Favor>>,
    pub(crate) books: Books,
    window: OpenWindow,
    #[serde(skip)]
    pub(crate) facts: Facts,
}

impl Shop {
    /// A shop that opens at its first moment.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(options: ShopOptions) -> Result<Self, ShopError> {
        let rate = options.messages_per_second;
        if !(rate > 0.0 && rate <= 1_000_000.0) {
            let problem = "messages_per_second must be above 0 and at most 1,000,000";
            return Err(ShopError::BadOption(problem));
        }
        if options.devices == 0 || options.skus == 0 {
            return Err(ShopError::BadOption("a shop needs devices and goods"));
        }
        Ok(Self {
            version: VERSION,
            random: Random::new(options.seed),
            now_us: options.start_us,
            next_tick_us: options.start_us,
            has_opened: false,
            sequence: 0,
            planned: BinaryHeap::new(),
            devices: vec![Device::default(); options.devices as usize],
            counters: Counters::default(),
            members: Vec::new(),
            goods: BTreeMap::new(),
            brands: BTreeMap::new(),
            names: BTreeMap::new(),
            sessions: BTreeMap::new(),
            coupons: BTreeMap::new(),
            coupons_taken: BTreeMap::new(),
            liked: BTreeMap::new(),
            books: Books::default(),
            window: OpenWindow::default(),
            facts: Facts::default(),
            options,
        })
    }

    /// Appends everything that is sent before `until_us`, in that order.
    pub fn advance(&mut self, until_us: i64, messages: &mut Vec<Message>) {
        let before = messages.len();
        if !self.has_opened && until_us > self.now_us {
            self.has_opened = true;
            self.open(messages);
        }
        loop {
            let next = self.planned.peek().map(|Reverse(planned)| planned.time_us);
            let next = next.unwrap_or(i64::MAX);
            if self.next_tick_us < until_us && self.next_tick_us <= next {
                self.tick();
            } else if next < until_us {
                if let Some(Reverse(planned)) = self.planned.pop() {
                    self.happen(planned.time_us, planned.event, messages);
                }
            } else {
                break;
            }
        }
        self.now_us = self.now_us.max(until_us);
        self.sequence += (messages.len() - before) as u64;
    }

    /// Up to when everything has been sent.
    pub fn now_us(&self) -> i64 {
        self.now_us
    }

    /// Number of messages so far.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The shop's own books.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Keeps facts from now on, for [`Shop::take_facts`]. They are no part of a
    /// saved shop.
    pub fn keep_facts(&mut self) {
        self.facts.keep();
    }

    /// What happened since the last call, in the order in which it happened.
    pub fn take_facts(&mut self) -> Vec<Known> {
        self.facts.take()
    }

    /// The day of a moment, as the books count it.
    pub fn day_of(&self, time_us: i64) -> i64 {
        self.local(time_us).day
    }

    /// The options that the shop was made with.
    pub fn options(&self) -> &ShopOptions {
        &self.options
    }

    /// Changes how busy the shop is from now on.
    pub fn set_rate(&mut self, messages_per_second: f64) {
        if messages_per_second > 0.0 && messages_per_second <= 1_000_000.0 {
            self.options.messages_per_second = messages_per_second;
        }
    }

    /// The whole shop as bytes.
    pub fn save(&self) -> Vec<u8> {
        // Numbers, texts, lists and maps with numbers as keys always have a
        // JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// A shop that goes on where [`Shop::save`] was called.
    ///
    /// # Errors
    /// When the bytes are damaged or of another version.
    pub fn restore(bytes: &[u8]) -> Result<Self, ShopError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(ShopError::Version { found: version });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    pub(crate) fn local(&self, time_us: i64) -> Local {
        Local::of(time_us, self.options.time_zone_offset_minutes)
    }

    pub(crate) fn plan(&mut self, time_us: i64, event: Event) {
        self.counters.planned += 1;
        self.planned.push(Reverse(Planned {
            time_us,
            number: self.counters.planned,
            event,
        }));
    }

    /// Counts one in the window of its moment, once.
    pub(crate) fn note_unique(&mut self, local: Local, unique: Unique, id: u64) {
        if let Some(window) = self.window.first_in(local, unique, id) {
            self.books.day(local.day).answers.count(window, unique);
        }
    }

    /// Visitors arrive.
    fn tick(&mut self) {
        let tick_us = self.next_tick_us;
        self.next_tick_us += TICK_US;
        let local = self.local(tick_us);
        let rate = self.options.messages_per_second * busyness(local);
        // In millionths of a visit; what is left over is left to chance.
        let visits = rate / MESSAGES_PER_VISIT * TICK_US as f64;
        let visits = visits as u64;
        let count =
            visits / 1_000_000 + u64::from(self.random.below(1_000_000) < visits % 1_000_000);
        for _ in 0..count {
            let time_us = tick_us + self.random.below(TICK_US as u64) as i64;
            let visit = self.new_visit(time_us);
            self.plan(time_us, Event::Page(Box::new(visit)));
        }
    }

    fn happen(&mut self, time_us: i64, event: Event, messages: &mut Vec<Message>) {
        match event {
            Event::Page(visit) => self.open_page(time_us, *visit, messages),
            Event::Pay(order) => self.pay(time_us, *order, messages),
            Event::TimeOut(order) => self.time_out(time_us, *order, messages),
            Event::AskRefund(order) => self.ask_refund(time_us, *order, messages),
            Event::Refund(order, asked, id) => self.refund(time_us, *order, &asked, id, messages),
            Event::RefundStep(order, request) => {
                self.refund_step(time_us, *order, *request, messages);
            }
            Event::Send(again) => messages.extend(again),
            Event::Revoke(order) => self.revoke(time_us, *order, messages),
            Event::Finish(order) => self.finish(time_us, *order, messages),
            Event::ChangeGoods => self.change_goods(time_us, messages),
            Event::NewRates => self.publish_rates(time_us, messages),
            Event::MendRate(place, wrong) => self.mend_rate(time_us, place, wrong, messages),
            Event::Favor(favor) => self.change_favor(time_us, *favor, messages),
            Event::Comment(comment) => self.comment(time_us, &comment, messages),
            Event::Rename => self.rename(time_us, messages),
        }
    }
}
