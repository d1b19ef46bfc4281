//! Visits and what the log says of them.

use std::fmt::Write;

use crate::catalogue::{CHANNELS, PROVINCES, sku};
use crate::message::RowChange;
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
        version: *random.choose(&["v2.1.134", "v2.1.132", "v2.1.111", "v2.0.9"]),
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
        Visit {
            device: device as u32,
            number: self.counters.visit,
            page,
            last_page: None,
            sku: 1 + self.random.skewed(self.options.skus),
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
        self.note_page(time_us, &visit);
        if visit.pages == 1 && traits(visit.device).channel != "web" {
            let payload = self.start_record(time_us, &visit);
            self.send_log(time_us, payload, messages);
        }
        let stays_us = self.random.between(1_500_000, 45_000_000);
        let adds_to_cart = visit.page == Page::GoodDetail && self.random.per_mille(220);
        let payload = self.page_record(time_us, stays_us, &visit, adds_to_cart);
        self.send_log(time_us, payload, messages);
        if self.random.per_mille(4) {
            let payload = self.error_record(time_us, &visit);
            self.send_log(time_us, payload, messages);
        }
        if adds_to_cart {
            let pieces = 1 + self.random.skewed(4) as u32;
            if !visit.cart.iter().any(|&(known, _)| known == visit.sku) && visit.cart.len() < 5 {
                visit.cart.push((visit.sku, pieces));
                self.add_to_cart(time_us, &visit, messages);
            }
        }
        if visit.page == Page::Trade {
            self.place_order(time_us, &mut visit, messages);
        }
        if let Some(next) = visit.next_page(&mut self.random) {
            visit.last_page = Some(visit.page);
            visit.page = next;
            if next == Page::GoodDetail {
                visit.sku = 1 + self.random.skewed(self.options.skus);
            }
            self.plan(time_us + stays_us, Event::Page(Box::new(visit)));
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
            if device.user > 0 {
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
        adds_to_cart: bool,
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
        let action = row(|action| {
            let ts = ts + stays_us / 2_000;
            action
                .text("action_id", "cart_add")
                .text("item", &visit.sku.to_string())
                .text("item_type", "sku_id")
                .number("ts", ts);
        });
        row(|record| {
            self.common(record, time_us, visit);
            record.raw("page", &page);
            if displays > 0 {
                record.raw("displays", &shown);
            }
            if adds_to_cart {
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

    /// The row of `cart_info` for what was just added.
    fn add_to_cart(&mut self, time_us: i64, visit: &Visit, messages: &mut Vec<Message>) {
        let user = self.devices[visit.device as usize].user;
        let Some(&(sku_id, pieces)) = visit.cart.last() else {
            return;
        };
        if user == 0 {
            return;
        }
        self.counters.cart += 1;
        let goods = sku(sku_id);
        let now = self.local(time_us).text();
        let data = row(|data| {
            data.number("id", self.counters.cart)
                .number("user_id", user)
                .number("sku_id", sku_id)
                .money("cart_price", goods.price_cents)
                .number("sku_num", pieces)
                .text("sku_name", &goods.name)
                .number("is_checked", 1)
                .number("is_ordered", 0)
                .text("create_time", &now)
                .text("operate_time", &now);
        });
        self.send_changes(time_us, &[RowChange::insert("cart_info", data)], messages);
    }
}
