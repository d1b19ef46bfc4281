//! Favourites: made, taken back, made again.

use serde::{Deserialize, Serialize};

use crate::details::Action;
use crate::facts::Fact;
use crate::members::is_test_member;
use crate::message::{Message, RowChange, row};
use crate::random::Random;
use crate::shop::{Event, Shop};
use crate::visit::{Page, Visit};

const MINUTE_US: i64 = 60_000_000;
/// Favourites in a thousand that their members change by hand.
const BY_HAND_SHARE: u64 = 500;
/// Favourites of a member that wait for that at most.
const LIKED_MAX: usize = 5;
/// Looks at the page of favourites in a thousand that change one.
const CHANGED_SHARE: u64 = 700;

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
    /// What its member does with it next.
    pub(crate) fn change(&self) -> Action {
        match self.is_cancelled {
            true => ("favor_add", self.sku, "sku_id"),
            false => ("favor_cancel", self.sku, "sku_id"),
        }
    }

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
            if operated != favor.operated {
                old.text("operate_time", &operated);
            }
        });
        let change = RowChange::update("favor_info", favor.data(), old);
        self.send_changes(time_us, &[change], messages);
        self.plan_favor(time_us, favor);
    }

    /// The favourite that the member changes on the page of favourites.
    pub(crate) fn changed_favor(&mut self, visit: &Visit) -> Option<Favor> {
        if visit.page != Page::Favor {
            return None;
        }
        let mut chance = self.detail_chance("favourites", visit)?;
        if !chance.per_mille(CHANGED_SHARE) {
            return None;
        }
        let mut liked = self.liked.remove(&visit.user)?;
        let favor = liked.remove(0);
        if !liked.is_empty() {
            self.liked.insert(visit.user, liked);
        }
        Some(favor)
    }

    /// Keeps some favourites for their members to change by hand, and gives back the
    /// others.
    fn keep_favor(&mut self, favor: Favor) -> Option<Favor> {
        if !self.options.has_details {
            return Some(favor);
        }
        let mut chance = Random::named(self.options.seed, "favourites by hand", favor.id);
        let held = self.liked.get(&favor.user).map_or(0, Vec::len);
        if held >= LIKED_MAX || !chance.per_mille(BY_HAND_SHARE) {
            return Some(favor);
        }
        self.liked.entry(favor.user).or_default().push(favor);
        None
    }

    /// Every third favourite is taken back, every third of those made again.
    fn plan_favor(&mut self, time_us: i64, favor: Favor) {
        let Some(favor) = self.keep_favor(favor) else {
            return;
        };
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
