//! Members: devices that registered and log in.

use serde::{Deserialize, Serialize};

use crate::facts::Fact;
use crate::full_rows::of_member;
use crate::message::{Message, Object, RowChange, row};
use crate::shop::Shop;
use crate::time::Local;
use crate::visit::Visit;

/// What the shop knows of a member.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(from = "([i64; 4], bool)", into = "([i64; 4], bool)")]
pub(crate) struct Member {
    /// When the member registered.
    pub(crate) since_us: i64,
    /// Day of the last order plus one; 0 before it.
    pub(crate) order_day: i64,
    /// Day of the last payment plus one.
    pub(crate) pay_day: i64,
    /// Day of the last page view while logged in plus one.
    pub(crate) active_day: i64,
    /// On a higher level than at first.
    pub(crate) is_raised: bool,
}

impl From<([i64; 4], bool)> for Member {
    fn from((times, is_raised): ([i64; 4], bool)) -> Self {
        let [since_us, order_day, pay_day, active_day] = times;
        Self {
            since_us,
            order_day,
            pay_day,
            active_day,
            is_raised,
        }
    }
}

impl From<Member> for ([i64; 4], bool) {
    fn from(member: Member) -> Self {
        let Member {
            since_us,
            order_day,
            pay_day,
            active_day,
            is_raised,
        } = member;
        ([since_us, order_day, pay_day, active_day], is_raised)
    }
}

/// Every so many devices is shared by two people.
const SHARED_DEVICE: u32 = 40;

/// Whether two people use a device.
pub(crate) fn is_shared(device: u32) -> bool {
    device % SHARED_DEVICE == 3
}

impl Shop {
    /// The visitor logs in, and registers before, if need be. What was put in
    /// the cart until then is the member's now.
    pub(crate) fn log_in(&mut self, time_us: i64, visit: &mut Visit, messages: &mut Vec<Message>) {
        visit.is_logged_in = true;
        let mut changes = Vec::new();
        let device = &mut self.devices[visit.device as usize];
        let place = match visit.is_second {
            true => &mut device.second_user,
            false => &mut device.user,
        };
        if *place == 0 {
            self.counters.user += 1;
            *place = self.counters.user;
            let (user, local) = (*place, self.local(time_us));
            changes.push(RowChange::insert("user_info", self.register(time_us, user)));
            self.facts.note(time_us, || Fact::Register {
                user,
                is_test: is_test_member(user),
            });
            let level = self.level(user);
            self.facts.note(time_us, || Fact::Level { user, level });
            if !is_test_member(user) {
                self.books.day(local.day).answers.registered += 1;
            }
            visit.user = user;
        } else {
            visit.user = *place;
        }
        changes.extend(self.keep_cart(time_us, visit));
        if !changes.is_empty() {
            self.send_changes(time_us, &changes, messages);
        }
    }
}

impl Shop {
    /// Takes in a member, the next one, and gives the row of `user_info`.
    pub(crate) fn register(&mut self, time_us: i64, user: u64) -> String {
        self.members.push(Member {
            since_us: time_us,
            ..Member::default()
        });
        self.user_row(user, self.local(time_us))
    }

    /// What the shop knows of a member.
    pub(crate) fn member(&mut self, user: u64) -> &mut Member {
        &mut self.members[user as usize - 1]
    }

    /// The same; `None` of somebody who never registered.
    pub(crate) fn known_member(&mut self, user: u64) -> Option<&mut Member> {
        self.members.get_mut(user as usize - 1)
    }

    /// The level of a member.
    pub(crate) fn level(&self, user: u64) -> u8 {
        let member = self.members[user as usize - 1];
        1 + u8::from(user.is_multiple_of(7) || member.is_raised)
    }

    /// The row of `user_info`.
    fn user_row(&self, user: u64, operated: Local) -> String {
        let member = self.members[user as usize - 1];
        row(|data| {
            user_fields(data, user, self.level(user));
            if self.options.has_all_columns {
                of_member(data, user);
            }
            data.text("create_time", &self.local(member.since_us).text())
                .text("operate_time", &operated.text());
        })
    }

    /// Some members who paid get on a higher level.
    pub(crate) fn raise_member(&mut self, time_us: i64, user: u64) -> Option<RowChange> {
        let is_low = !user.is_multiple_of(7) && !self.member(user).is_raised;
        if !is_low || !self.random.per_mille(60) {
            return None;
        }
        self.member(user).is_raised = true;
        let level = self.level(user);
        self.facts.note(time_us, || Fact::Level { user, level });
        let local = self.local(time_us);
        let since_us = self.member(user).since_us;
        let registered = self.local(since_us).text();
        let old = row(|old| {
            old.text("user_level", "1");
            if registered != local.text() {
                old.text("operate_time", &registered);
            }
        });
        Some(RowChange::update(
            "user_info",
            self.user_row(user, local),
            old,
        ))
    }
}

/// Every so many members is one of the shop's own.
const TEST_MEMBER: u64 = 97;

/// Whether a member is one of the shop's own, for tests.
pub(crate) fn is_test_member(user: u64) -> bool {
    user.is_multiple_of(TEST_MEMBER)
}

/// The columns of `user_info` besides its times and what is personal.
fn user_fields(data: &mut Object<'_>, user: u64, level: u8) {
    data.number("id", user)
        .text("login_name", &format!("user{user}"))
        .text("user_level", &level.to_string())
        .text("gender", if user.is_multiple_of(2) { "F" } else { "M" })
        .text(
            "birthday",
            &format!("{}-0{}-15", 1960 + user % 45, 1 + user % 9),
        )
        .number("is_test", u8::from(is_test_member(user)));
}
