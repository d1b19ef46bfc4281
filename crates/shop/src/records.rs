//! Records of the log.

use std::fmt::Write;

use crate::details::Action;
use crate::facts::PageFact;
use crate::members::is_test_member;
use crate::message::{Object, row};
use crate::shop::Shop;
use crate::traffic::traits;
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
/// Makers, models and systems of devices.
pub(crate) const MODELS: [(&str, &str, &str); 5] = [
    ("Aurelo", "Aurelo 12", "Android 15.0"),
    ("Bexo", "Bexo P4", "Android 14.0"),
    ("Corvin", "Corvin Mini", "Android 15.0"),
    ("Pomelo", "Pomelo 9", "iOS 26.1"),
    ("Pomelo", "Pomelo 8", "iOS 25.4"),
];

impl Shop {
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
                .text("os", os);
            if self.names_session(visit.device) {
                common.text("sid", &format!("s{:010}", visit.number));
            }
            if let Some(agent) = self.agent(visit) {
                common.text("ua", agent);
            }
            common.text("vc", self.app_of(visit.device));
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
        object.raw("common", &common);
        if self.names_records(visit.device) {
            object.text("event_id", &event_id);
        }
    }

    pub(crate) fn start_record(&mut self, time_us: i64, visit: &Visit) -> String {
        let first_day = self.devices[visit.device as usize].first_day;
        let is_new = first_day == self.local(time_us).day + 1;
        let start = row(|start| {
            let entry = *self.random.choose(&["icon", "icon", "notice", "install"]);
            start
                .text("entry", self.entry(entry, is_new))
                .number("loading_time", self.random.between(300, 4_000))
                .number("open_ad_id", self.random.between(1, 20));
            let shown_ms = self.random.between(500, 5_000);
            start
                .number("open_ad_ms", shown_ms)
                .number("open_ad_skip_ms", self.skipped_ms(visit, shown_ms));
        });
        row(|record| {
            self.common(record, time_us, visit);
            record.raw("start", &start);
            if let Some(error) = self.error_beside("errors of starts", visit) {
                record.raw("err", &error);
            }
            record.number("ts", time_us.div_euclid(1_000));
        })
    }

    /// A page view, without what chance decides while its record is written.
    pub(crate) fn page_fact(&self, time_us: i64, stays_us: i64, visit: &Visit) -> PageFact {
        let device = self.devices[visit.device as usize];
        let traits = traits(visit.device);
        let user = match visit.is_logged_in {
            true => visit.user,
            false => 0,
        };
        PageFact {
            device: visit.device,
            visit: visit.number,
            names_session: self.names_session(visit.device),
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

    pub(crate) fn page_record(
        &mut self,
        time_us: i64,
        stays_us: i64,
        visit: &Visit,
        actions: &[Action],
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
                        .text("source_type", self.source_of(visit));
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
                _ => self.side_item(visit, page),
            }
            self.origin(visit, page);
        });
        let ts = time_us.div_euclid(1_000);
        let mut displays = visit.page.displays(&mut self.random);
        let number_name = self.display_number_name(visit);
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
            let display_type = self.display_type(visit, number);
            // Writing to a string does not fail.
            let _ = write!(
                shown,
                "{{\"display_type\":\"{display_type}\",\"item\":\"{item}\",\"item_type\":\"sku_id\",\"pos_id\":{position},\"{number_name}\":{}}}",
                number + 1
            );
        }
        if let Some(offer) = self.shown_offer(visit, displays + 1) {
            if displays > 0 {
                shown.push(',');
            }
            shown.push_str(&offer);
            displays += 1;
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
                        object.text("action_id", id);
                        if *item > 0 {
                            object
                                .text("item", &item.to_string())
                                .text("item_type", item_type);
                        }
                        object.number("ts", ts + stays_us / 2_000);
                    })
                });
                let actions: Vec<String> = actions.collect();
                record.raw("actions", &format!("[{}]", actions.join(",")));
            }
            if let Some(error) = self.error_beside("errors of pages", visit) {
                record.raw("err", &error);
            }
            record.number("ts", ts);
        })
    }

    pub(crate) fn error_record(&mut self, time_us: i64, visit: &Visit) -> String {
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
