//! Favourites: made, taken back, made again.

use serde::{Deserialize, Serialize};

use crate::facts::Fact;
use crate::members::is_test_member;
use crate::message::{Message, RowChange, row};
use crate::shop::{Event, Shop};

const MINUTE_US: i64 = 60_000_000;

/// A favourite of a member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Favor {
    id: u64,
    user: u64,
    sku: u64,
    is_cancelled: bool,
    created: String,
    /// When its row was last changed.
    operated: String,
}

impl Favor {
    fn data(&self) -> String {
        row(|data| {
            data.number("id", self.id)
                .number("user_id", self.user)
                .number("sku_id", self.sku)
                .number("spu_id", crate::catalogue::sku(self.sku).spu_id)
                .text("is_cancel", if self.is_cancelled { "1" } else { "0" });
            match self.is_cancelled {
                true => data.text("cancel_time", &self.operated),
                false => data.raw("cancel_time", "null"),
            };
            data.text("create_time", &self.created)
                .text("operate_time", &self.operated);
        })
    }
}

impl Shop {
    /// A member makes goods a favourite.
    pub(crate) fn add_favor(
        &mut self,
        time_us: i64,
        user: u64,
        sku: u64,
        messages: &mut Vec<Message>,
    ) {
        self.counters.favor += 1;
        let now = self.local(time_us).text();
        let favor = Favor {
            id: self.counters.favor,
            user,
            sku,
            is_cancelled: false,
            created: now.clone(),
            operated: now,
        };
        self.note_favor(time_us, &favor);
        self.state_favor(time_us, &favor);
        let change = RowChange::insert("favor_info", favor.data());
        self.send_changes(time_us, &[change], messages);
        self.plan_favor(time_us, favor);
    }

    /// The member thinks better of it.
    pub(crate) fn change_favor(
        &mut self,
        time_us: i64,
        mut favor: Favor,
        messages: &mut Vec<Message>,
    ) {
        let now = self.local(time_us).text();
        let (was_cancelled, operated) = (favor.is_cancelled, favor.operated.clone());
        favor.is_cancelled = !was_cancelled;
        favor.operated = now;
        if !favor.is_cancelled {
            self.note_favor(time_us, &favor);
        }
        self.state_favor(time_us, &favor);
        let old = row(|old| {
            old.text("is_cancel", if was_cancelled { "1" } else { "0" });
            match was_cancelled {
                true => old.text("cancel_time", &operated),
                false => old.raw("cancel_time", "null"),
            };
            old.text("operate_time", &operated);
        });
        let change = RowChange::update("favor_info", favor.data(), old);
        self.send_changes(time_us, &[change], messages);
        self.plan_favor(time_us, favor);
    }

    /// Every third favourite is taken back, every third of those made again.
    fn plan_favor(&mut self, time_us: i64, favor: Favor) {
        if self.random.per_mille(333) {
            let wait_us = self.random.between(MINUTE_US, 600 * MINUTE_US);
            self.plan(time_us + wait_us, Event::Favor(Box::new(favor)));
        }
    }

    fn state_favor(&mut self, time_us: i64, favor: &Favor) {
        self.facts.note(time_us, || Fact::Favor {
            id: favor.id,
            user: favor.user,
            is_test: is_test_member(favor.user),
            sku: favor.sku,
            is_made: !favor.is_cancelled,
        });
    }

    fn note_favor(&mut self, time_us: i64, favor: &Favor) {
        if is_test_member(favor.user) {
            return;
        }
        let day = self.local(time_us).day;
        let answers = &mut self.books.day(day).answers;
        answers.favors += 1;
        answers.goods.entry(favor.sku).or_default().favors += 1;
    }
}
