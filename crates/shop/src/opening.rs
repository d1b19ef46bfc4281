//! The tables that exist before anything happens.

use crate::activities::names_of_reductions;
use crate::catalogue::{BRANDS, REGIONS, SKUS_PER_SPU, sku};
use crate::facts::Fact;
use crate::goods::goods_fact;
use crate::members::is_test_member;
use crate::message::{Message, Object, RowChange, Topic, row};
use crate::names::Named;
use crate::shop::Shop;
use crate::time::DAY_US;

/// Members who registered before the shop was watched, of ten devices.
const OLD_MEMBERS_OF_TEN: u32 = 4;
/// They registered within so many days.
const OLD_MEMBERS_DAYS: u64 = 400;

impl Shop {
    /// Sends the tables that exist before anything happens, as a snapshot.
    pub(crate) fn open(&mut self, messages: &mut Vec<Message>) {
        let time_us = self.now_us();
        let now = self.local(time_us).text();
        let mut rows: Vec<(&'static str, String)> = Vec::new();
        let mut add = |table, fields: &dyn Fn(&mut Object<'_>)| {
            let data = row(|data| {
                fields(data);
                data.text("create_time", &now).text("operate_time", &now);
            });
            rows.push((table, data));
        };
        for (id, region) in (1..).zip(REGIONS) {
            add("base_region", &|data| {
                data.number("id", id).text("region_name", region);
            });
        }
        for kind in Named::FIXED {
            for id in 1..=kind.rows(self.options.skus) {
                let name = kind.first_name(id);
                add(kind.table(), &|data| {
                    self.named_fields(data, kind, id, &name);
                });
            }
        }
        for (id, name) in (1..).zip(BRANDS) {
            add("base_trademark", &|data| self.brand_fields(data, id, name));
        }
        for id in 1..=self.options.skus {
            let goods = sku(id);
            if (id - 1).is_multiple_of(SKUS_PER_SPU) {
                let (kind, id) = (Named::Product, goods.spu_id);
                let name = kind.first_name(id);
                add(kind.table(), &|data| {
                    self.named_fields(data, kind, id, &name);
                });
            }
            add("sku_info", &|data| self.goods_fields(data, &goods));
        }
        self.open_activities(&mut rows);
        self.open_rates(time_us, &mut rows);
        self.note_opening(time_us);
        for device in 0..self.options.devices {
            if device % 10 < OLD_MEMBERS_OF_TEN {
                self.counters.user += 1;
                let user = self.counters.user;
                self.devices[device as usize].user = user;
                let days_ago = 1 + (user * 37 % OLD_MEMBERS_DAYS) as i64;
                let since_us = time_us - days_ago * DAY_US;
                self.facts.note_late(since_us, time_us, || Fact::Register {
                    user,
                    is_test: is_test_member(user),
                });
                let data = self.register(since_us, user);
                let level = self.level(user);
                let fact = || Fact::Level { user, level };
                self.facts.note_late(since_us, time_us, fact);
                rows.push(("user_info", data));
            }
        }
        self.plan_goods_change(time_us);
        self.plan_rename(time_us);
        for (table, data) in rows {
            let change = RowChange {
                table,
                kind: "bootstrap-insert",
                data,
                old: String::new(),
            };
            messages.push(Message {
                topic: Topic::ShopDb,
                send_time_us: time_us,
                payload: change.payload(time_us, 0, 0, false),
            });
        }
    }

    /// Takes note of names and goods.
    fn note_opening(&mut self, time_us: i64) {
        let mut name = |table, id, name: &str, above| {
            self.facts
                .note(time_us, || Fact::Name(table, id, name.to_owned(), above));
        };
        for (id, region) in (1..).zip(REGIONS) {
            name("base_region", id, region, 0);
        }
        for kind in Named::FIXED {
            for id in 1..=kind.rows(self.options.skus) {
                name(kind.table(), id, &kind.first_name(id), kind.above(id));
            }
        }
        for (id, brand) in (1..).zip(BRANDS) {
            name("base_trademark", id, brand, 0);
        }
        for (table, id, text) in names_of_reductions() {
            name(table, id, text, 0);
        }
        let kind = Named::Product;
        for id in 1..=kind.rows(self.options.skus) {
            name(kind.table(), id, &kind.first_name(id), kind.above(id));
        }
        for id in 1..=self.options.skus {
            self.facts.note(time_us, || goods_fact(&sku(id)));
        }
    }
}
