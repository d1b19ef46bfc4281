//! Sessions as those who read the log know them. An app that names no session
//! leaves them only its pages: a session begins at a page without one before it, or
//! after a pause.

use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::shop::Shop;
use crate::visit::Visit;

const MINUTE_US: i64 = 60_000_000;
/// A session ends after a longer pause.
const IDLE_MS: i64 = 30 * 60_000;

/// The session of a page view.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Day on which it began.
    pub(crate) day: i64,
    /// Its pages so far.
    pub(crate) pages: u32,
    /// What brought the visitor when it began.
    pub(crate) campaign: String,
}

/// The last session of a device whose app names none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenSession {
    last_ms: i64,
    day: i64,
    pages: u32,
    campaign: String,
}

impl Shop {
    /// Whether a device's app says which session a record belongs to.
    pub(crate) fn names_session(&self, device: u32) -> bool {
        let share = self.options.without_sid_per_mille;
        if share == 0 {
            return true;
        }
        let mut chance = Random::named(self.options.seed, "apps without sid", u64::from(device));
        !chance.per_mille(share)
    }

    /// The session of the page that is opened now.
    pub(crate) fn session_of(&mut self, time_us: i64, visit: &Visit) -> Session {
        if self.names_session(visit.device) {
            return Session {
                day: visit.day,
                pages: visit.pages,
                campaign: visit.campaign.clone(),
            };
        }
        // The log knows milliseconds only.
        let now_ms = time_us.div_euclid(1_000);
        let day = self.local(time_us).day;
        let open = self.sessions.remove(&visit.device);
        let goes_on =
            |open: &OpenSession| visit.last_page.is_some() && now_ms - open.last_ms <= IDLE_MS;
        let mut open = open.filter(goes_on).unwrap_or_else(|| OpenSession {
            last_ms: now_ms,
            day,
            pages: 0,
            campaign: visit.campaign.clone(),
        });
        open.last_ms = now_ms;
        open.pages += 1;
        let session = Session {
            day: open.day,
            pages: open.pages,
            campaign: open.campaign.clone(),
        };
        self.sessions.insert(visit.device, open);
        session
    }

    /// How long somebody looks elsewhere before the next page. Where the app names
    /// the session, nobody could tell.
    pub(crate) fn pause_us(&self, visit: &Visit) -> i64 {
        if self.names_session(visit.device) {
            return 0;
        }
        let number = visit.number << 8 | u64::from(visit.pages);
        let mut chance = Random::named(self.options.seed, "pauses", number);
        match chance.per_mille(30) {
            true => chance.between(20 * MINUTE_US, 60 * MINUTE_US),
            false => 0,
        }
    }
}
