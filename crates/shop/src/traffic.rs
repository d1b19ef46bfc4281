//! Visits and what the log says of them.

use std::fmt::Write;

use crate::answers::{FUNNEL, Unique};
use crate::catalogue::{CHANNELS, PROVINCES};
use crate::facts::{Fact, PageFact};
use crate::members::{is_shared, is_test_member};
use crate::message::{Message, Object, row};
use crate::shop::{Device, Event, Shop};
use crate::visit::{Page, Visit};

/// What visitors search for, and the words that it is made of.
const KEYWORDS: [(&str, &[&str]); 10] = [
    ("小米手机", &["小米", "手机"]),
    ("laptop", &["laptop"]),
    ("shoes", &["shoes"]),
    ("tea", &["tea"]),
    ("coffee", &["coffee"]),
    ("lipstick", &["lipstick"]),
    ("Fleece外套", &["fleece", "外套"]),
    ("headphones", &["headphones"]),
    ("Rice cooker", &["rice", "cooker"]),
    ("backpack", &["backpack"]),
];
/// Versions of the app, the newest first.
const VERSIONS: [&str; 4] = ["v2.1.134", "v2.1.132", "v2.1.111", "v2.0.9"];
const MODELS: [(&str, &str, &str); 5] = [
    ("Aurelo", "Aurelo 12", "Android 15.0"),
    ("Bexo", "Bexo P4", "Android 14.0"),
    ("Corvin", "Corvin Mini", "Android 15.0"),
    ("Pomelo", "Pomelo 9", "iOS 26.1"),
    ("Pomelo", "Pomelo 8", "iOS 25.4"),
];

/// Every so many devices is a program that reads the shop's pages.
const BOT_DEVICE: u32 = 199;
/// Campaigns: what brings every twentieth visitor.
const CAMPAIGNS: [&str; 3] = ["double_11", "newsletter", "friends"];

/// What never changes about a device, from its number alone.
pub(crate) struct Traits {
    pub(crate) province: u64,
    pub(crate) channel: &'static str,
    /// No person.
    pub(crate) is_bot: bool,
    model: usize,
    /// Place of its first app in [`VERSIONS`].
    version: usize,
}

pub(crate) fn traits(device: u32) -> Traits {
    let mut random = crate::random::Random::new(u64::from(device) ^ 0x5bd1_e995);
    Traits {
        is_bot: device % BOT_DEVICE == BOT_DEVICE - 1,
        // Populous provinces come first in nobody's list: the skew only makes
        // the map uneven.
        province: 1 + (random.skewed(PROVINCES.len() as u64) * 19 + 18) % PROVINCES.len() as u64,
        channel: CHANNELS[random.skewed(CHANNELS.len() as u64) as usize],
        model: random.below(MODELS.len() as u64) as usize,
        version: random.below(VERSIONS.len() as u64) as usize,
    }
}

impl Device {
    /// Takes note of a page, and returns the step of the funnel that the device
    /// saw for the first time today, and the one that it took after the one
    /// before.
    fn note_funnel(&mut self, page: &str) -> (Option<usize>, Option<usize>) {
        let Some(step) = FUNNEL.iter().position(|&step| step == page) else {
            return (None, None);
        };
        let is_new = self.seen & (1 << step) == 0;
        self.seen |= 1 << step;
        let follows = usize::from(self.steps) == step;
        self.steps += u8::from(follows);
        (is_new.then_some(step), follows.then_some(step))
    }
}

impl Shop {
    pub(crate) fn new_visit(&mut self, time_us: i64) -> Visit {
        self.counters.visit += 1;
        let devices = u64::from(self.options.devices);
        // A few come often, most seldom.
        let device = match self.random.per_mille(400) {
            true => self.random.skewed(devices),
            false => self.random.below(devices),
        };
        let page = match self.random.below(10) {
            0 => Page::GoodDetail,
            1 => Page::Search,
            _ => Page::Home,
        };
        let is_person = !traits(device as u32).is_bot;
        let known = self.devices[device as usize];
        let is_second = is_shared(device as u32) && known.user > 0 && self.random.per_mille(400);
        let user = match is_second {
            true => known.second_user,
            false => known.user,
        };
        let is_member = is_person && user > 0;
        let campaign = match self.random.below(60) {
            number @ 0..3 => CAMPAIGNS[number as usize].to_owned(),
            _ => String::new(),
        };
        Visit {
            device: device as u32,
            number: self.counters.visit,
            page,
            last_page: None,
            sku: self.draw_goods(),
            user,
            is_second,
            is_logged_in: is_member && self.random.per_mille(850),
            cart: Vec::new(),
            pages: 0,
            day: self.local(time_us).day,
            campaign,
        }
    }

    /// A page is opened: it is logged, it has its consequences, and perhaps
    /// another one follows.
    pub(crate) fn open_page(
        &mut self,
        time_us: i64,
        mut visit: Visit,
        messages: &mut Vec<Message>,
    ) {
        visit.pages += 1;
        if visit.page == Page::Trade && !visit.is_logged_in {
            self.log_in(time_us, &mut visit, messages);
        }
        let is_person = !traits(visit.device).is_bot;
        if is_person {
            self.note_page(time_us, &visit);
        }
        if visit.pages == 1 && traits(visit.device).channel != "web" {
            let payload = self.start_record(time_us, &visit);
            self.send_log(time_us, payload, messages);
        }
        let stays_us = self.random.between(1_500_000, 45_000_000);
        let looks = is_person && visit.page == Page::GoodDetail && !self.is_gone(visit.sku);
        let wants_it = looks && self.random.per_mille(160);
        let action = Self::cart_action(&visit).filter(|_| wants_it);
        let likes_it = looks && visit.is_logged_in && self.random.per_mille(40);
        let takes_coupon =
            visit.page == Page::Home && visit.is_logged_in && self.random.per_mille(10);
        let takes_out = visit.page == Page::Cart && self.random.per_mille(100);
        if is_person {
            let answers = &mut self.books.day(visit.day).answers;
            answers.session_ms += (stays_us / 1_000) as u64;
        }
        let coupon = 1 + visit.number % 3;
        let mut actions = Vec::new();
        if let Some(action) = action {
            actions.push((action.id(), visit.sku, "sku_id"));
        }
        if likes_it {
            actions.push(("favor_add", visit.sku, "sku_id"));
        }
        if takes_coupon {
            actions.push(("get_coupon", coupon, "coupon_id"));
        }
        let mut fact = self.page_fact(time_us, stays_us, &visit);
        let payload = self.page_record(time_us, stays_us, &visit, &actions, &mut fact);
        let known_us = self.send_log(time_us, payload, messages);
        self.facts
            .note_late(time_us, known_us, || Fact::Page(Box::new(fact)));
        if self.random.per_mille(4) {
            let payload = self.error_record(time_us, &visit);
            self.send_log(time_us, payload, messages);
        }
        if action.is_some() {
            self.put_in_cart(time_us, &mut visit, messages);
        }
        let user = visit.user;
        if likes_it {
            self.add_favor(time_us, user, visit.sku, messages);
        }
        if takes_coupon {
            self.take_coupon(time_us, user, coupon, messages);
        }
        if takes_out {
            self.take_from_cart(time_us, &mut visit, messages);
        }
        if visit.page == Page::Trade {
            self.place_order(time_us, &mut visit, messages);
        }
        if let Some(next) = visit.next_page(&mut self.random) {
            visit.last_page = Some(visit.page);
            visit.page = match next {
                Page::Trade if !visit.is_logged_in => self.entrance(&visit),
                _ => next,
            };
            if next == Page::GoodDetail {
                visit.sku = self.draw_goods();
            }
            // The app becomes a newer one, also in mid-session.
            if self.random.per_mille(2) {
                let upgrades = &mut self.devices[visit.device as usize].upgrades;
                *upgrades = upgrades.saturating_add(1);
            }
            self.plan(time_us + stays_us, Event::Page(Box::new(visit)));
        }
    }

    /// The version of a device's app.
    fn app_of(&self, device: u32) -> &'static str {
        let upgrades = usize::from(self.devices[device as usize].upgrades);
        VERSIONS[traits(device).version.saturating_sub(upgrades)]
    }

    /// Where a visitor becomes known.
    fn entrance(&self, visit: &Visit) -> Page {
        let device = self.devices[visit.device as usize];
        let user = match visit.is_second {
            true => device.second_user,
            false => device.user,
        };
        match (visit.page, user) {
            // It comes from there.
            (Page::Login | Page::Register, _) => Page::Trade,
            (_, 0) => Page::Register,
            _ => Page::Login,
        }
    }

    /// Counts a page view in the books.
    fn note_page(&mut self, time_us: i64, visit: &Visit) {
        let local = self.local(time_us);
        let mid = u64::from(visit.device);
        self.note_unique(local, Unique::Device, mid);
        match visit.page {
            Page::Home => self.note_unique(local, Unique::AtHome, mid),
            Page::GoodDetail => self.note_unique(local, Unique::AtGoods, mid),
            _ => {}
        }
        let device = &mut self.devices[visit.device as usize];
        let is_first_today = device.last_day != local.day + 1;
        let is_first = device.first_day == 0;
        if is_first {
            device.first_day = local.day + 1;
        }
        if is_first_today {
            device.seen = 0;
            device.steps = 0;
        }
        device.last_day = local.day + 1;
        let (opened, closed) = device.note_funnel(visit.page.id());
        let active = visit.is_logged_in && !is_test_member(visit.user);
        let away = match active {
            true => {
                let active_day = &mut self.member(visit.user).active_day;
                local.day + 1 - std::mem::replace(active_day, local.day + 1)
            }
            false => 0,
        };
        let day = self.books.day(local.day);
        day.pv += 1;
        day.uv += u64::from(is_first_today);
        day.sessions += u64::from(visit.pages == 1);
        let answers = &mut day.answers;
        answers.new_uv += u64::from(is_first);
        answers.active_users += u64::from(away > 0);
        // A member who was never seen before has been away since 1970.
        answers.back_users += u64::from((8..=local.day).contains(&away));
        if let Some(step) = opened {
            answers.open_funnel[step] += 1;
        }
        if let Some(step) = closed {
            answers.closed_funnel[step] += 1;
        }
        if visit.page == Page::GoodDetail {
            answers.goods.entry(visit.sku).or_default().clicks += 1;
        }
        let minute = day.minutes.entry(local.minute()).or_default();
        minute.pv += 1;
        minute.uv_new_today += u64::from(is_first_today);
        let channel = traits(visit.device).channel;
        if !day.channels.contains_key(channel) {
            day.channels.insert(channel.to_owned(), Default::default());
        }
        if let Some(channel) = day.channels.get_mut(channel) {
            channel.pv += 1;
            channel.uv += u64::from(is_first_today);
        }
        self.note_session(visit);
    }

    /// Counts a page view for its session, on the day on which that began.
    fn note_session(&mut self, visit: &Visit) {
        let answers = &mut self.books.day(visit.day).answers;
        answers.session_pages += 1;
        let channel = traits(visit.device).channel;
        let campaign = answers.campaign(channel, &visit.campaign);
        match visit.pages {
            1 => {
                campaign.sessions += 1;
                campaign.bounces += 1;
                answers.bounces += 1;
            }
            2 => {
                campaign.bounces -= 1;
                answers.bounces -= 1;
            }
            _ => {}
        }
    }

    fn next_event_id(&mut self) -> String {
        self.counters.event += 1;
        format!("{:x}-{:08x}", self.options.seed, self.counters.event)
    }

    /// Begins a record: what all of them have in common.
    fn common(&mut self, object: &mut Object<'_>, time_us: i64, visit: &Visit) {
        let device = self.devices[visit.device as usize];
        let traits = traits(visit.device);
        let (brand, model, os) = MODELS[traits.model];
        let is_new = device.first_day == self.local(time_us).day + 1;
        let common = row(|common| {
            common
                .text("ar", &traits.province.to_string())
                .text("ba", brand)
                .text("ch", traits.channel)
                .text("is_new", if is_new { "1" } else { "0" })
                .text("md", model)
                .text("mid", &format!("mid_{:07}", visit.device))
                .text("os", os)
                .text("sid", &format!("s{:010}", visit.number))
                .text("vc", self.app_of(visit.device));
            if visit.is_logged_in {
                common.text("uid", &visit.user.to_string());
            }
            if traits.is_bot {
                common.raw("is_bot", "true");
            }
            if !visit.campaign.is_empty() {
                common
                    .text("utm_source", "partner")
                    .text("utm_campaign", &visit.campaign);
            }
        });
        let event_id = self.next_event_id();
        object.raw("common", &common).text("event_id", &event_id);
    }

    fn start_record(&mut self, time_us: i64, visit: &Visit) -> String {
        let start = row(|start| {
            let entry = *self.random.choose(&["icon", "icon", "notice", "install"]);
            start
                .text("entry", entry)
                .number("loading_time", self.random.between(300, 4_000))
                .number("open_ad_id", self.random.between(1, 20))
                .number("open_ad_ms", self.random.between(500, 5_000))
                .number("open_ad_skip_ms", 0);
        });
        row(|record| {
            self.common(record, time_us, visit);
            record
                .raw("start", &start)
                .number("ts", time_us.div_euclid(1_000));
        })
    }

    /// A page view, without what chance decides while its record is written.
    fn page_fact(&self, time_us: i64, stays_us: i64, visit: &Visit) -> PageFact {
        let device = self.devices[visit.device as usize];
        let traits = traits(visit.device);
        let user = match visit.is_logged_in {
            true => visit.user,
            false => 0,
        };
        PageFact {
            device: visit.device,
            visit: visit.number,
            user,
            is_test: user > 0 && is_test_member(user),
            is_bot: traits.is_bot,
            says_new: device.first_day == self.local(time_us).day + 1,
            channel: traits.channel,
            province: traits.province,
            app: self.app_of(visit.device),
            campaign: visit.campaign.clone(),
            page: visit.page.id(),
            last_page: visit.last_page.map(Page::id),
            sku: match visit.page {
                Page::GoodDetail => visit.sku,
                _ => 0,
            },
            words: &[],
            during_ms: stays_us / 1_000,
            displays: Vec::new(),
        }
    }

    fn page_record(
        &mut self,
        time_us: i64,
        stays_us: i64,
        visit: &Visit,
        actions: &[(&str, u64, &str)],
        fact: &mut PageFact,
    ) -> String {
        let is_person = !traits(visit.device).is_bot;
        let day = self.local(time_us).day;
        let page = row(|page| {
            page.text("page_id", visit.page.id())
                .number("during_time", stays_us / 1_000);
            if let Some(last_page) = visit.last_page {
                page.text("last_page_id", last_page.id());
            }
            match visit.page {
                Page::GoodDetail => {
                    page.text("item", &visit.sku.to_string())
                        .text("item_type", "sku_id")
                        .text("source_type", "query");
                }
                Page::Search | Page::GoodList => {
                    let (keyword, words) = *self.random.choose(&KEYWORDS);
                    page.text("item", keyword).text("item_type", "keyword");
                    fact.words = words;
                    if is_person {
                        let answers = &mut self.books.day(day).answers;
                        for &word in words {
                            *answers.keywords.entry(word.to_owned()).or_default() += 1;
                        }
                    }
                }
                _ => {}
            }
        });
        let ts = time_us.div_euclid(1_000);
        let displays = visit.page.displays(&mut self.random);
        let mut shown = String::from("[");
        for number in 0..displays {
            if number > 0 {
                shown.push(',');
            }
            let item = self.draw_goods();
            let position = self.random.between(1, 5);
            fact.displays.push(item);
            if is_person {
                let answers = &mut self.books.day(day).answers;
                answers.goods.entry(item).or_default().displays += 1;
            }
            // Writing to a string does not fail.
            let _ = write!(
                shown,
                "{{\"display_type\":\"promotion\",\"item\":\"{item}\",\"item_type\":\"sku_id\",\"pos_id\":{position},\"order\":{}}}",
                number + 1
            );
        }
        shown.push(']');
        row(|record| {
            self.common(record, time_us, visit);
            record.raw("page", &page);
            if displays > 0 {
                record.raw("displays", &shown);
            }
            if !actions.is_empty() {
                let actions = actions.iter().map(|(id, item, item_type)| {
                    row(|object| {
                        object
                            .text("action_id", id)
                            .text("item", &item.to_string())
                            .text("item_type", item_type)
                            .number("ts", ts + stays_us / 2_000);
                    })
                });
                let actions: Vec<String> = actions.collect();
                record.raw("actions", &format!("[{}]", actions.join(",")));
            }
            record.number("ts", ts);
        })
    }

    fn error_record(&mut self, time_us: i64, visit: &Visit) -> String {
        let code = self.random.between(1_000, 1_020);
        row(|record| {
            self.common(record, time_us, visit);
            record
                .raw(
                    "err",
                    &format!("{{\"error_code\":{code},\"msg\":\"request failed\"}}"),
                )
                .number("ts", time_us.div_euclid(1_000));
        })
    }
}
