//! Prices, which change now and then.

use serde::{Deserialize, Serialize};

use crate::catalogue::{Sku, sku};
use crate::message::{Message, Object, RowChange, row};
use crate::shop::{Event, Shop};
use crate::time::DAY_US;

/// Mean time between two changes of one price.
const PRICE_LASTS_US: i64 = 10 * DAY_US;

/// A price that is not the catalogue's.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Price {
    cents: i64,
    /// When it was set.
    since_us: i64,
}

impl Shop {
    /// Goods at today's price.
    pub(crate) fn sku_now(&self, id: u64) -> Sku {
        let mut goods = sku(id);
        if let Some(price) = self.prices.get(&id) {
            goods.price_cents = price.cents;
        }
        goods
    }

    /// Some goods will get another price.
    pub(crate) fn plan_price_change(&mut self, time_us: i64) {
        let mean_us = PRICE_LASTS_US / self.options.skus as i64;
        let wait_us = self.random.between(mean_us / 2, mean_us * 3 / 2) + 1;
        self.plan(time_us + wait_us, Event::ChangePrice);
    }

    pub(crate) fn change_price(&mut self, time_us: i64, messages: &mut Vec<Message>) {
        self.plan_price_change(time_us);
        let id = 1 + self.random.below(self.options.skus);
        let before = self.sku_now(id);
        let cents = sku(id).price_cents * self.random.between(80, 115) / 100;
        if cents == before.price_cents {
            return;
        }
        let opened = self.local(self.options.start_us).text();
        let since_us = self.prices.get(&id).map(|price| price.since_us);
        let operated = self.local(since_us.unwrap_or(self.options.start_us)).text();
        let now = self.local(time_us).text();
        let after = Price {
            cents,
            since_us: time_us,
        };
        self.prices.insert(id, after);
        let goods = self.sku_now(id);
        let data = row(|data| {
            sku_fields(data, &goods);
            data.text("create_time", &opened).text("operate_time", &now);
        });
        let old = row(|old| {
            old.money("price", before.price_cents);
            if operated != now {
                old.text("operate_time", &operated);
            }
        });
        let change = RowChange::update("sku_info", data, old);
        self.send_changes(time_us, &[change], messages);
    }
}

/// The columns of `sku_info` besides its times.
pub(crate) fn sku_fields(data: &mut Object<'_>, goods: &Sku) {
    data.number("id", goods.id)
        .number("spu_id", goods.spu_id)
        .money("price", goods.price_cents)
        .text("sku_name", &goods.name)
        .number("tm_id", goods.brand)
        .number("category3_id", goods.category3)
        .number("is_sale", 1);
}
