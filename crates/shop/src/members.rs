//! Members: devices that registered and log in.

use crate::facts::Fact;
use crate::message::{Message, Object, RowChange, row};
use crate::shop::Shop;
use crate::visit::Visit;

impl Shop {
    /// The visitor logs in, and registers before, if need be. What was put in
    /// the cart until then is the member's now.
    pub(crate) fn log_in(&mut self, time_us: i64, visit: &mut Visit, messages: &mut Vec<Message>) {
        visit.is_logged_in = true;
        let mut changes = Vec::new();
        let device = &mut self.devices[visit.device as usize];
        if device.user == 0 {
            self.counters.user += 1;
            let user = self.counters.user;
            device.user = user;
            let now = self.local(time_us).text();
            let data = row(|data| {
                user_fields(data, user);
                data.text("create_time", &now).text("operate_time", &now);
            });
            changes.push(RowChange::insert("user_info", data));
            self.facts.note(time_us, || Fact::Register {
                user,
                is_test: is_test_member(user),
            });
            if !is_test_member(user) {
                let day = self.local(time_us).day;
                self.books.day(day).answers.registered += 1;
            }
        }
        changes.extend(self.keep_cart(time_us, visit));
        if !changes.is_empty() {
            self.send_changes(time_us, &changes, messages);
        }
    }
}

/// Every so many members is one of the shop's own.
const TEST_MEMBER: u64 = 97;

/// Whether a member is one of the shop's own, for tests.
pub(crate) fn is_test_member(user: u64) -> bool {
    user.is_multiple_of(TEST_MEMBER)
}

/// The columns of `user_info` besides its times. Nothing personal: nobody lives
/// here.
pub(crate) fn user_fields(data: &mut Object<'_>, user: u64) {
    data.number("id", user)
        .text("login_name", &format!("user{user}"))
        .text("user_level", if user.is_multiple_of(7) { "2" } else { "1" })
        .text("gender", if user.is_multiple_of(2) { "F" } else { "M" })
        .text(
            "birthday",
            &format!("{}-0{}-15", 1960 + user % 45, 1 + user % 9),
        )
        .number("is_test", u8::from(is_test_member(user)));
}
