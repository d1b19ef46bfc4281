//! Visits and what the log says of them.

use std::fmt::Write;

use crate::cart::CartAction;
use crate::catalogue::{CHANNELS, PROVINCES};
use crate::message::{Message, Object, row};
use crate::shop::{Event, Shop};
use crate::visit::{Page, Visit};

/// Words that visitors search for.
const KEYWORDS: [&str; 10] = [
    "phone",
    "laptop",
    "shoes",
    "tea",
    "coffee",
    "lipstick",
    "jacket",
    "headphones",
    "rice cooker",
    "backpack",
];
const VERSIONS: [&str; 4] = ["v2.1.134", "v2.1.132", "v2.1.111", "v2.0.9"];
const MODELS: [(&str, &str, &str); 5] = [
    ("Aurelo", "Aurelo 12", "Android 15.0"),
    ("Bexo", "Bexo P4", "Android 14.0"),
    ("Corvin", "Corvin Mini", "Android 15.0"),
    ("Pomelo", "Pomelo 9", "iOS 26.1"),
    ("Pomelo", "Pomelo 8", "iOS 25.4"),
];

/// What never changes about a device, from its number alone.
pub(crate) struct Traits {
    pub(crate) province: u64,
    pub(crate) channel: &'static str,
    model: usize,
    version: &'static str,
}

pub(crate) fn traits(device: u32) -> Traits {
    let mut random = crate::random::Random::new(u64::from(device) ^ 0x5bd1_e995);
    Traits {
        // Populous provinces come first in nobody's list: the skew only makes
        // the map uneven.
        province: 1 + (random.skewed(PROVINCES.len() as u64) * 19 + 18) % PROVINCES.len() as u64,
        channel: CHANNELS[random.skewed(CHANNELS.len() as u64) as usize],
        model: random.below(MODELS.len() as u64) as usize,
        version: VERSIONS[random.below(VERSIONS.len() as u64) as usize],
    }
}

impl Shop {
    pub(crate) fn new_visit(&mut self) -> Visit {
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
        let is_member = self.devices[device as usize].user > 0;
        Visit {
            device: device as u32,
            number: self.counters.visit,
            page,
            last_page: None,
            sku: 1 + self.random.skewed(self.options.skus),
            is_logged_in: is_member && self.random.per_mille(850),
            cart: Vec::new(),
            pages: 0,
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
        self.note_page(time_us, &visit);
        if visit.pages == 1 && traits(visit.device).channel != "web" {
            let payload = self.start_record(time_us, &visit);
            self.send_log(time_us, payload, messages);
        }
        let stays_us = self.random.between(1_500_000, 45_000_000);
        let wants_it = visit.page == Page::GoodDetail && self.random.per_mille(160);
        let action = Self::cart_action(&visit).filter(|_| wants_it);
        let payload = self.page_record(time_us, stays_us, &visit, action);
        self.send_log(time_us, payload, messages);
        if self.random.per_mille(4) {
            let payload = self.error_record(time_us, &visit);
            self.send_log(time_us, payload, messages);
        }
        if action.is_some() {
            self.put_in_cart(time_us, &mut visit, messages);
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
                visit.sku = 1 + self.random.skewed(self.options.skus);
            }
            self.plan(time_us + stays_us, Event::Page(Box::new(visit)));
        }
    }

    /// Where a visitor becomes known.
    fn entrance(&self, visit: &Visit) -> Page {
        match (visit.page, self.devices[visit.device as usize].user) {
            // It comes from there.
            (Page::Login | Page::Register, _) => Page::Trade,
            (_, 0) => Page::Register,
            _ => Page::Login,
        }
    }

    /// Counts a page view in the books.
    fn note_page(&mut self, time_us: i64, visit: &Visit) {
        let local = self.local(time_us);
        let device = &mut self.devices[visit.device as usize];
        let is_first_today = device.last_day != local.day + 1;
        device.last_day = local.day + 1;
        if device.first_day == 0 {
            device.first_day = local.day + 1;
        }
        let day = self.books.day(local.day);
        day.pv += 1;
        day.uv += u64::from(is_first_today);
        day.sessions += u64::from(visit.pages == 1);
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
                .text("vc", traits.version);
            if visit.is_logged_in {
                common.text("uid", &device.user.to_string());
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

    fn page_record(
        &mut self,
        time_us: i64,
        stays_us: i64,
        visit: &Visit,
        action: Option<CartAction>,
    ) -> String {
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
                    let keyword = *self.random.choose(&KEYWORDS);
                    page.text("item", keyword).text("item_type", "keyword");
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
            let item = 1 + self.random.skewed(self.options.skus);
            let position = self.random.between(1, 5);
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
            if let Some(action) = action {
                let action = row(|object| {
                    object
                        .text("action_id", action.id())
                        .text("item", &visit.sku.to_string())
                        .text("item_type", "sku_id")
                        .number("ts", ts + stays_us / 2_000);
                });
                record.raw("actions", &format!("[{action}]"));
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
