//! Goods, which change now and then: their price, their category and brand, their
//! name, a brand's name; some leave the shop for a while.

use serde::{Deserialize, Serialize};

use crate::catalogue::{BRANDS, CATEGORIES_3, Sku, renamed, sku, sku_name};
use crate::facts::{Fact, GoodsFact};
use crate::full_rows::{of_brand, of_goods};
use crate::message::{Message, Object, RowChange, row};
use crate::shop::{Event, Shop};
use crate::time::DAY_US;

/// Mean time between two changes of the same goods.
const GOODS_LAST_US: i64 = 10 * DAY_US;

/// Goods that are not as the catalogue has them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct GoodsState {
    cents: i64,
    category3: u64,
    brand: u64,
    /// When the row was last changed.
    since_us: i64,
    /// They are not sold now.
    is_gone: bool,
    /// They have another name than at first.
    #[serde(default)]
    is_renamed: bool,
}

/// A brand that was renamed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BrandName {
    name: String,
    since_us: i64,
}

pub(crate) fn goods_fact(goods: &Sku) -> Fact {
    Fact::Goods(GoodsFact {
        sku: goods.id,
        name: goods.name.clone(),
        spu: goods.spu_id,
        brand: goods.brand,
        category: goods.category3,
    })
}

impl Shop {
    /// Goods as they are today.
    pub(crate) fn sku_now(&self, id: u64) -> Sku {
        let mut goods = sku(id);
        if let Some(state) = self.goods.get(&id) {
            goods.price_cents = state.cents;
            goods.category3 = state.category3;
            goods.brand = state.brand;
            if state.is_renamed {
                goods.name = renamed(&goods.name);
            }
        }
        goods
    }

    /// Whether goods have another name than at first.
    pub(crate) fn is_renamed(&self, id: u64) -> bool {
        self.goods.get(&id).is_some_and(|state| state.is_renamed)
    }

    fn goods_state(&self, id: u64) -> GoodsState {
        let goods = sku(id);
        self.goods.get(&id).copied().unwrap_or(GoodsState {
            cents: goods.price_cents,
            category3: goods.category3,
            brand: goods.brand,
            since_us: self.options.start_us,
            is_gone: false,
            is_renamed: false,
        })
    }

    /// Whether goods are not sold now.
    pub(crate) fn is_gone(&self, id: u64) -> bool {
        self.goods.get(&id).is_some_and(|state| state.is_gone)
    }

    /// Goods that somebody comes upon: few of them far more often than others.
    pub(crate) fn draw_goods(&mut self) -> u64 {
        let first = self.random.skewed(self.options.skus);
        let mut all = (first..self.options.skus).chain(0..first).map(|id| id + 1);
        all.find(|id| !self.is_gone(*id)).unwrap_or(1)
    }

    /// Some goods will change.
    pub(crate) fn plan_goods_change(&mut self, time_us: i64) {
        let mean_us = GOODS_LAST_US / self.options.skus as i64;
        let wait_us = self.random.between(mean_us / 2, mean_us * 3 / 2) + 1;
        self.plan(time_us + wait_us, Event::ChangeGoods);
    }

    pub(crate) fn change_goods(&mut self, time_us: i64, messages: &mut Vec<Message>) {
        self.plan_goods_change(time_us);
        let id = 1 + self.random.below(self.options.skus);
        let kind = self.random.below(100);
        let goods = self.sku_now(id);
        let mut state = self.goods_state(id);
        let change = if state.is_gone {
            state.is_gone = false;
            state.since_us = time_us;
            self.goods.insert(id, state);
            let data = self.sku_row(id);
            RowChange::insert("sku_info", data)
        } else if kind < 4 && self.options.skus > 1 {
            let data = self.sku_row(id);
            state.is_gone = true;
            self.goods.insert(id, state);
            self.facts.note(time_us, || Fact::GoodsGone(id));
            let change = RowChange::delete("sku_info", data);
            self.send_changes(time_us, &[change], messages);
            return;
        } else if kind < 7 {
            self.rename_brand(time_us, goods.brand, messages);
            return;
        } else {
            let before = state;
            match kind {
                7..12 => state.category3 = 1 + self.random.below(CATEGORIES_3.len() as u64),
                12..15 => state.brand = 1 + self.random.below(BRANDS.len() as u64),
                _ => state.cents = sku(id).price_cents * self.random.between(80, 115) / 100,
            }
            state.since_us = time_us;
            match self.sku_update(id, before, state) {
                Some(change) => change,
                None => return,
            }
        };
        let goods = self.sku_now(id);
        self.facts.note(time_us, || goods_fact(&goods));
        self.send_changes(time_us, &[change], messages);
    }

    /// Goods get another name, or their first one again. Sent once: whether messages
    /// come twice is decided by the chance that all else shares.
    pub(crate) fn rename_goods(&mut self, time_us: i64, id: u64, messages: &mut Vec<Message>) {
        if self.is_gone(id) {
            return;
        }
        let before = self.goods_state(id);
        let after = GoodsState {
            is_renamed: !before.is_renamed,
            since_us: time_us,
            ..before
        };
        if let Some(change) = self.sku_update(id, before, after) {
            let goods = self.sku_now(id);
            self.facts.note(time_us, || goods_fact(&goods));
            self.send_transaction(time_us, &[change], messages);
        }
    }

    /// Makes goods what `after` says; `None` if that is what they were.
    fn sku_update(&mut self, id: u64, before: GoodsState, after: GoodsState) -> Option<RowChange> {
        let (was, is) = (self.local(before.since_us), self.local(after.since_us));
        let columns = |state: GoodsState| {
            let GoodsState {
                cents,
                category3,
                brand,
                is_renamed,
                ..
            } = state;
            (cents, category3, brand, is_renamed)
        };
        if columns(before) == columns(after) {
            return None;
        }
        let old = row(|old| {
            if before.cents != after.cents {
                old.money("price", before.cents);
            }
            if before.brand != after.brand {
                old.number("tm_id", before.brand);
            }
            if before.category3 != after.category3 {
                old.number("category3_id", before.category3);
            }
            if before.is_renamed != after.is_renamed {
                old.text("sku_name", &sku_name(id, before.is_renamed));
            }
            if was.text() != is.text() {
                old.text("operate_time", &was.text());
            }
        });
        self.goods.insert(id, after);
        Some(RowChange::update("sku_info", self.sku_row(id), old))
    }

    /// The row of `sku_info`.
    fn sku_row(&self, id: u64) -> String {
        let opened_us = self.options.start_us;
        let since_us = self
            .goods
            .get(&id)
            .map_or(opened_us, |state| state.since_us);
        row(|data| {
            self.goods_fields(data, &self.sku_now(id));
            data.text("create_time", &self.local(opened_us).text())
                .text("operate_time", &self.local(since_us).text());
        })
    }

    /// A brand gets another name, or its old one again.
    fn rename_brand(&mut self, time_us: i64, id: u64, messages: &mut Vec<Message>) {
        let first = BRANDS[id as usize - 1];
        let before = self.brands.remove(&id).unwrap_or_else(|| BrandName {
            name: first.to_owned(),
            since_us: self.options.start_us,
        });
        let name = match before.name == first {
            true => renamed(first),
            false => first.to_owned(),
        };
        let now = self.local(time_us).text();
        let operated = self.local(before.since_us).text();
        let opened = self.local(self.options.start_us).text();
        let old = row(|old| {
            old.text("tm_name", &before.name);
            if operated != now {
                old.text("operate_time", &operated);
            }
        });
        let data = row(|data| {
            self.brand_fields(data, id, &name);
            data.text("create_time", &opened).text("operate_time", &now);
        });
        let fact = || Fact::Name("base_trademark", id, name.clone(), 0);
        self.facts.note(time_us, fact);
        let since_us = time_us;
        self.brands.insert(id, BrandName { name, since_us });
        let change = RowChange::update("base_trademark", data, old);
        self.send_changes(time_us, &[change], messages);
    }
}

impl Shop {
    /// The columns of `sku_info` besides its times.
    pub(crate) fn goods_fields(&self, data: &mut Object<'_>, goods: &Sku) {
        data.number("id", goods.id)
            .number("spu_id", goods.spu_id)
            .money("price", goods.price_cents)
            .text("sku_name", &goods.name)
            .number("tm_id", goods.brand)
            .number("category3_id", goods.category3)
            .number("is_sale", 1);
        if self.options.has_all_columns {
            of_goods(data, goods.id);
        }
    }

    /// The columns of `base_trademark` besides its times.
    pub(crate) fn brand_fields(&self, data: &mut Object<'_>, id: u64, name: &str) {
        data.number("id", id).text("tm_name", name);
        if self.options.has_all_columns {
            of_brand(data, id);
        }
    }
}
