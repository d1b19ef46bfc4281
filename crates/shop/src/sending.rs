//! How messages leave the shop: late, twice, or with a broken one beside them,
//! at the rates of the options.

use crate::message::{Message, RowChange, Topic};
use crate::shop::{Event, Shop};

impl Shop {
    /// Sends a record of the log, perhaps late, perhaps twice, perhaps with a
    /// broken one beside it. Returns when it is sent first.
    pub(crate) fn send_log(
        &mut self,
        time_us: i64,
        payload: String,
        messages: &mut Vec<Message>,
    ) -> i64 {
        let mut again_us = i64::MAX;
        if self.random.per_mille(self.options.dirty_per_mille) {
            self.books.dirty += 1;
            let dirty = self.dirty(time_us, &payload);
            messages.push(log_message(time_us, dirty));
        }
        if self.random.per_mille(self.options.duplicate_per_mille) {
            self.books.duplicates += 1;
            let later_us = self.later(time_us);
            again_us = later_us;
            let again = log_message(later_us, payload.clone());
            self.plan(later_us, Event::Send(vec![again]));
        }
        if self.random.per_mille(self.options.late_per_mille) {
            self.books.late += 1;
            let later_us = self.later(time_us);
            let late = log_message(later_us, payload);
            self.plan(later_us, Event::Send(vec![late]));
            return later_us.min(again_us);
        }
        messages.push(log_message(time_us, payload));
        time_us
    }

    /// Seconds to a minute after a moment.
    fn later(&mut self, time_us: i64) -> i64 {
        time_us + self.random.between(1_000_000, 60_000_000)
    }

    /// A record that no warehouse can use: exactly one dead letter.
    fn dirty(&mut self, time_us: i64, payload: &str) -> String {
        let ts = time_us.div_euclid(1_000);
        match self.random.below(5) {
            // Cut off by a full disk.
            0 => payload[..payload.floor_char_boundary(payload.len() / 2)].to_owned(),
            1 => format!("{{\"common\":{{\"mid\":\"mid_0\"}},\"unknown\":true,\"ts\":{ts}}}"),
            2 => "<html>502 Bad Gateway</html>".to_owned(),
            // Wrong types: a time that is a word, a page that is a number.
            3 => "{\"common\":{\"mid\":\"mid_0\"},\"event_id\":\"no-time\",\"page\":{\"page_id\":\"home\"},\"ts\":\"yesterday\"}".to_owned(),
            _ => format!("{{\"common\":{{\"mid\":\"mid_0\"}},\"event_id\":\"no-page\",\"page\":7,\"ts\":{ts}}}"),
        }
    }

    /// Sends the changes of one transaction, perhaps a second time later. As
    /// with a reader of a binlog that starts again, whole transactions come
    /// twice, never single rows.
    pub(crate) fn send_changes(
        &mut self,
        time_us: i64,
        changes: &[RowChange],
        messages: &mut Vec<Message>,
    ) {
        let first = messages.len();
        self.send_transaction(time_us, changes, messages);
        if self.random.per_mille(self.options.duplicate_per_mille) {
            self.books.duplicates += changes.len() as u64;
            let later_us = self.later(time_us);
            let mut again = messages[first..].to_vec();
            for message in &mut again {
                message.send_time_us = later_us;
            }
            self.plan(later_us, Event::Send(again));
        }
        self.send_dirty_changes(time_us, messages);
    }

    /// Sends the changes of one transaction, once, without asking chance.
    pub(crate) fn send_transaction(
        &mut self,
        time_us: i64,
        changes: &[RowChange],
        messages: &mut Vec<Message>,
    ) {
        self.counters.xid += 1;
        let xid = self.counters.xid;
        for (xoffset, change) in changes.iter().enumerate() {
            let is_last = xoffset + 1 == changes.len();
            messages.push(Message {
                topic: Topic::ShopDb,
                send_time_us: time_us,
                payload: change.payload(time_us, xid, xoffset, is_last),
            });
        }
    }
}

fn log_message(send_time_us: i64, payload: String) -> Message {
    Message {
        topic: Topic::AppLog,
        send_time_us,
        payload,
    }
}
