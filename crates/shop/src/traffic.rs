//! Visits, page after page, and what follows from them.

use crate::answers::Unique;
use crate::catalogue::{CHANNELS, PROVINCES};
use crate::details::Action;
use crate::facts::Fact;
use crate::favors::Favor;
use crate::members::{is_shared, is_test_member};
use crate::message::Message;
use crate::records::MODELS;
use crate::session::Session;
use crate::shop::{Event, Shop};
use crate::visit::{Page, Visit};

/// Versions of the app, the newest first.
const VERSIONS: [&str; 4] = ["v2.1.134", "v2.1.132", "v2.1.111", "v2.0.9"];
/// Every so many devices is a program that reads the shop's pages.
const BOT_DEVICE: u32 = 199;
/// Campaigns: what brings every twentieth visitor.
pub(crate) const CAMPAIGNS: [&str; 3] = ["double_11", "newsletter", "friends"];

/// What never changes about a device, from its number alone.
pub(crate) struct Traits {
    pub(crate) province: u64,
    pub(crate) channel: &'static str,
    /// No person.
    pub(crate) is_bot: bool,
    /// Place in [`MODELS`].
    pub(crate) model: usize,
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
            after: None,
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
        let session = is_person.then(|| self.session_of(time_us, &visit));
        if let Some(session) = &session {
            self.note_page(time_us, &visit, session);
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
            visit.page == Page::Home && visit.is_logged_in && self.random.per_mille(10)
                || self.takes_coupon_there(&visit);
        let takes_out = visit.page == Page::Cart && self.random.per_mille(100);
        if let Some(session) = &session {
            let answers = &mut self.books.day(session.day).answers;
            answers.session_ms += (stays_us / 1_000) as u64;
        }
        let coupon = visit.offer();
        let changed = self.changed_favor(&visit);
        let mut actions: Vec<Action> = Vec::new();
        if let Some(action) = action {
            actions.push((action.id(), visit.sku, "sku_id"));
        }
        if likes_it {
            actions.push(("favor_add", visit.sku, "sku_id"));
        }
        if takes_coupon {
            actions.push(("get_coupon", coupon, "coupon_id"));
        }
        actions.extend(changed.as_ref().map(Favor::change));
        actions.extend(self.side_action(&visit, takes_out));
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
        if let Some(favor) = changed {
            self.change_favor(time_us, favor, messages);
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
        let next = visit.after.take();
        let next = next.or_else(|| visit.next_page(&mut self.random));
        if let Some(next) = next {
            let side_page = self.side_page(&visit);
            visit.last_page = Some(visit.page);
            visit.page = match (side_page, next) {
                (Some(side_page), _) => side_page,
                (None, Page::Trade) if !visit.is_logged_in => self.entrance(&visit),
                (None, _) => next,
            };
            visit.after = side_page.map(|_| next);
            if side_page.is_none() && next == Page::GoodDetail {
                visit.sku = self.draw_goods();
            }
            // The app becomes a newer one, also in mid-session.
            if self.random.per_mille(2) {
                let upgrades = &mut self.devices[visit.device as usize].upgrades;
                *upgrades = upgrades.saturating_add(1);
            }
            let next_us = time_us + stays_us + self.pause_us(&visit);
            self.plan(next_us, Event::Page(Box::new(visit)));
        }
    }

    /// The version of a device's app.
    pub(crate) fn app_of(&self, device: u32) -> &'static str {
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
    fn note_page(&mut self, time_us: i64, visit: &Visit, session: &Session) {
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
        day.sessions += u64::from(session.pages == 1);
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
        self.note_session(visit.device, session);
    }

    /// Counts a page view for its session, on the day on which that began.
    fn note_session(&mut self, device: u32, session: &Session) {
        let answers = &mut self.books.day(session.day).answers;
        answers.session_pages += 1;
        let campaign = answers.campaign(traits(device).channel, &session.campaign);
        match session.pages {
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
}
