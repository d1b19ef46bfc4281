//! Names that change: of goods, products, categories and provinces. What was
//! ordered before keeps the name that it had then.

use serde::{Deserialize, Serialize};

use crate::catalogue::{
    CATEGORIES_1, CATEGORIES_2, CATEGORIES_3, PROVINCES, SKUS_PER_SPU, renamed, sku,
};
use crate::facts::Fact;
use crate::full_rows::of_product;
use crate::message::{Message, Object, RowChange, row};
use crate::random::Random;
use crate::shop::{Event, Shop};

const HOUR_US: i64 = 3_600_000_000;

/// A table of which the shop names the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Province,
    Category1,
    Category2,
    Category3,
    Product,
}

impl Named {
    /// Those of which a shop has the same rows, whatever it sells.
    pub(crate) const FIXED: [Self; 4] = [
        Self::Province,
        Self::Category1,
        Self::Category2,
        Self::Category3,
    ];

    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Province => "base_province",
            Self::Category1 => "base_category1",
            Self::Category2 => "base_category2",
            Self::Category3 => "base_category3",
            Self::Product => "spu_info",
        }
    }

    fn name_column(self) -> &'static str {
        match self {
            Self::Product => "spu_name",
            _ => "name",
        }
    }

    /// Rows of a shop with so many goods; their ids begin at 1.
    pub(crate) fn rows(self, skus: u64) -> u64 {
        match self {
            Self::Province => PROVINCES.len() as u64,
            Self::Category1 => CATEGORIES_1.len() as u64,
            Self::Category2 => CATEGORIES_2.len() as u64,
            Self::Category3 => CATEGORIES_3.len() as u64,
            Self::Product => skus.div_ceil(SKUS_PER_SPU),
        }
    }

    /// The name with which the shop opens.
    pub(crate) fn first_name(self, id: u64) -> String {
        let place = id as usize - 1;
        match self {
            Self::Province => PROVINCES[place].name.to_owned(),
            Self::Category1 => CATEGORIES_1[place].to_owned(),
            Self::Category2 => CATEGORIES_2[place].0.to_owned(),
            Self::Category3 => CATEGORIES_3[place].0.to_owned(),
            Self::Product => {
                // That of its goods, without their variant.
                let mut name = sku((id - 1) * SKUS_PER_SPU + 1).name;
                name.truncate(name.len() - 2);
                name
            }
        }
    }

    /// The row above a row: a region's or a category's; 0 for none.
    pub(crate) fn above(self, id: u64) -> u64 {
        let place = id as usize - 1;
        match self {
            Self::Province => u64::from(PROVINCES[place].region),
            Self::Category2 => CATEGORIES_2[place].1,
            Self::Category3 => CATEGORIES_3[place].1,
            Self::Category1 | Self::Product => 0,
        }
    }

    fn fields(self, data: &mut Object<'_>, id: u64, name: &str) {
        data.number("id", id).text(self.name_column(), name);
        match self {
            Self::Province => {
                let province = &PROVINCES[id as usize - 1];
                data.number("region_id", province.region)
                    .text("area_code", province.area_code)
                    .text("iso_code", province.iso)
                    .text("iso_3166_2", province.iso);
            }
            Self::Category1 => {}
            Self::Category2 => {
                data.number("category1_id", self.above(id));
            }
            Self::Category3 => {
                data.number("category2_id", self.above(id));
            }
            Self::Product => {
                let goods = sku((id - 1) * SKUS_PER_SPU + 1);
                data.number("category3_id", goods.category3)
                    .number("tm_id", goods.brand);
            }
        }
    }
}

/// The name of a row that was changed before.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct NameState {
    /// It is not the first one.
    is_other: bool,
    since_us: i64,
}

impl Shop {
    /// The columns of a row besides its times.
    pub(crate) fn named_fields(&self, data: &mut Object<'_>, kind: Named, id: u64, name: &str) {
        kind.fields(data, id, name);
        if self.options.has_all_columns && kind == Named::Product {
            of_product(data, &kind.first_name(id));
        }
    }

    /// Something will get another name.
    pub(crate) fn plan_rename(&mut self, time_us: i64) {
        if self.options.has_renames {
            let mut chance = self.rename_chance("times of names");
            let wait_us = chance.between(HOUR_US / 2, HOUR_US * 3 / 2);
            self.plan(time_us + wait_us, Event::Rename);
        }
    }

    fn rename_chance(&self, name: &str) -> Random {
        Random::named(self.options.seed, name, self.counters.rename)
    }

    /// Something gets another name, or its first one again: mostly goods.
    pub(crate) fn rename(&mut self, time_us: i64, messages: &mut Vec<Message>) {
        self.counters.rename += 1;
        self.plan_rename(time_us);
        let mut chance = self.rename_chance("names");
        let kind = match chance.below(10) {
            0..4 => None,
            4 | 5 => Some(Named::Product),
            6 | 7 => Some(Named::Province),
            8 => Some(Named::Category3),
            _ => Some(*chance.choose(&[Named::Category1, Named::Category2])),
        };
        let rows = kind.map_or(self.options.skus, |kind| kind.rows(self.options.skus));
        let id = 1 + chance.below(rows);
        match kind {
            Some(kind) => self.rename_row(time_us, kind, id, messages),
            None => self.rename_goods(time_us, id, messages),
        }
    }

    fn rename_row(&mut self, time_us: i64, kind: Named, id: u64, messages: &mut Vec<Message>) {
        let key = format!("{}/{id}", kind.table());
        let before = self.names.get(&key).copied().unwrap_or(NameState {
            is_other: false,
            since_us: self.options.start_us,
        });
        let after = NameState {
            is_other: !before.is_other,
            since_us: time_us,
        };
        let name = |state: NameState| match state.is_other {
            true => renamed(&kind.first_name(id)),
            false => kind.first_name(id),
        };
        let (old_name, name) = (name(before), name(after));
        let now = self.local(time_us).text();
        let operated = self.local(before.since_us).text();
        let opened = self.local(self.options.start_us).text();
        let old = row(|old| {
            old.text(kind.name_column(), &old_name);
            if operated != now {
                old.text("operate_time", &operated);
            }
        });
        let data = row(|data| {
            self.named_fields(data, kind, id, &name);
            data.text("create_time", &opened).text("operate_time", &now);
        });
        self.names.insert(key, after);
        let fact = || Fact::Name(kind.table(), id, name, kind.above(id));
        self.facts.note(time_us, fact);
        let change = RowChange::update(kind.table(), data, old);
        self.send_transaction(time_us, &[change], messages);
    }
}
