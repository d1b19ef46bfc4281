//! The time zones that connections set for themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::prelude::SessionContext;
use datafusion_postgres::QueryHook;
use datafusion_postgres::pgwire::api::query::ExtendedQueryHandler;
use parking_lot::Mutex;

use super::service::{Reader, Service};
use crate::session;
use crate::{QueryEngine, ServeError};

/// Time zones other than the warehouse's for which sessions of DataFusion are
/// kept; further ones make them anew.
const KEPT_MAX: usize = 32;
/// Hours that a time zone may be ahead of or behind UTC.
const OFFSET_HOURS_MAX: f64 = 15.0;

/// A time zone by one of its names, as PostgreSQL reads them: that of a place, in
/// any case; an offset in hours, east of UTC; or an abbreviation with an offset
/// west of UTC (`GMT-8`, `<+08>-08`), as POSIX has them. `None` where there is no
/// such one.
pub(super) fn known(name: &str) -> Option<String> {
    let name = name.trim();
    let mut places = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    if let Some(place) = places.find(|place| place.eq_ignore_ascii_case(name)) {
        return Some(place.to_owned());
    }
    if let Some(east) = offset(name) {
        return Some(east);
    }
    let rest = match name.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?.1,
        None => {
            let rest = name.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
            (name.len() - rest.len() >= 3).then_some(rest)?
        }
    };
    let west = match rest.strip_prefix('-') {
        Some(digits) => digits.to_owned(),
        None => format!("-{}", rest.trim_start_matches('+')),
    };
    offset(&west)
}

/// `+08:00` for `8`, `+8`, `8.0` and `+08:00`.
fn offset(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let hours = match digits.split_once(':') {
        Some((hours, minutes)) => {
            let minutes: u8 = minutes.parse().ok().filter(|minutes| *minutes < 60)?;
            f64::from(hours.parse::<u8>().ok()?) + f64::from(minutes) / 60.0
        }
        None => digits.parse().ok()?,
    };
    if hours > OFFSET_HOURS_MAX {
        return None;
    }
    // At most the minutes of the hours above.
    let minutes = (hours * 60.0).round() as u32;
    Some(format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// What answers statements in one time zone.
#[derive(Clone)]
struct Zoned {
    session: Arc<SessionContext>,
    service: Arc<Service>,
}

impl Zoned {
    fn new(session: Arc<SessionContext>, hooks: &[Arc<dyn QueryHook>]) -> Self {
        let service = Service::new(session.clone(), hooks);
        Self {
            session,
            service: Arc::new(service),
        }
    }
}

/// What answers statements, for each time zone.
pub(super) struct Services {
    engine: Arc<QueryEngine>,
    hooks: Vec<Arc<dyn QueryHook>>,
    own: Zoned,
    others: Mutex<BTreeMap<String, Zoned>>,
}

impl Services {
    /// The time zone of whoever asks.
    pub(super) fn time_zone(&self) -> String {
        session::time_zone().unwrap_or_else(|| self.engine.options.time_zone.clone())
    }

    pub(super) fn new(
        engine: Arc<QueryEngine>,
        session: Arc<SessionContext>,
        hooks: Vec<Arc<dyn QueryHook>>,
    ) -> Self {
        Self {
            engine,
            own: Zoned::new(session, &hooks),
            hooks,
            others: Mutex::default(),
        }
    }

    /// Reads statements as whoever asks wants to read.
    pub(super) fn parser(&self) -> Arc<Reader> {
        // One whose tables cannot be registered says so when it answers.
        let zoned = self.zoned().unwrap_or_else(|_| self.own.clone());
        zoned.service.query_parser()
    }

    /// That of the time zone of whoever asks.
    ///
    /// # Errors
    /// When its tables cannot be registered.
    pub(super) fn get(&self) -> Result<Arc<Service>, ServeError> {
        self.zoned().map(|zoned| zoned.service)
    }

    /// The session of the time zone of whoever asks.
    ///
    /// # Errors
    /// When its tables cannot be registered.
    pub(super) fn session(&self) -> Result<Arc<SessionContext>, ServeError> {
        self.zoned().map(|zoned| zoned.session)
    }

    fn zoned(&self) -> Result<Zoned, ServeError> {
        let Some(zone) = session::time_zone() else {
            return Ok(self.own.clone());
        };
        if zone == self.engine.options.time_zone {
            return Ok(self.own.clone());
        }
        if let Some(known) = self.others.lock().get(&zone) {
            return Ok(known.clone());
        }
        let zoned = Zoned::new(self.engine.session_in(&zone)?, &self.hooks);
        let mut others = self.others.lock();
        if others.len() >= KEPT_MAX {
            others.clear();
        }
        others.insert(zone, zoned.clone());
        Ok(zoned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_have_postgresql_s_names() {
        for (name, expected) in [
            ("Asia/Shanghai", Some("Asia/Shanghai")),
            ("asia/shanghai", Some("Asia/Shanghai")),
            ("utc", Some("UTC")),
            ("8", Some("+08:00")),
            ("+08", Some("+08:00")),
            ("-3.5", Some("-03:30")),
            ("+05:30", Some("+05:30")),
            ("GMT-8", Some("+08:00")),
            ("GMT-08:00", Some("+08:00")),
            ("UTC+3", Some("-03:00")),
            ("<+08>-08", Some("+08:00")),
            ("Mars/Base", None),
            ("+99", None),
            ("", None),
            ("x", None),
            ("-", None),
            ("8:99", None),
            ("1e300", None),
            ("NaN", None),
        ] {
            assert_eq!(known(name).as_deref(), expected, "{name}");
        }
    }
}
