//! What a connection sets within a transaction: SET LOCAL holds until it ends, and
//! ROLLBACK takes back every other SET too. A text of several statements is one too,
//! as far as these do not begin and end others.

use std::collections::BTreeMap;

use datafusion_postgres::pgwire::api::ClientInfo;

use super::settings::is_setting;
use crate::session::{self, SESSION};

/// All that a connection has set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Values {
    /// By the names under which they are kept.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) time_zone: Option<String>,
}

impl Values {
    fn of<C: ClientInfo + ?Sized>(client: &C) -> Self {
        let known = client.metadata().iter();
        let settings = known.filter(|(key, _)| is_setting(key));
        Self {
            settings: settings
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            time_zone: session::time_zone(),
        }
    }
}

/// Of the transaction in which a connection is.
#[derive(Debug)]
pub(crate) struct TransactionSettings {
    /// What held before, and holds again after ROLLBACK.
    before: Values,
    /// What holds after COMMIT.
    kept: Values,
}

/// A transaction begins, unless the text in which it does is one already: what that
/// has set before is then of it.
pub(super) fn begin<C: ClientInfo + ?Sized>(client: &C) {
    if is_begun() {
        return;
    }
    let before = Values::of(client);
    let kept = before.clone();
    let settings = TransactionSettings { before, kept };
    let _ = SESSION.try_with(|session| *session.transaction.lock() = Some(settings));
}

/// Whether what is set is set within a transaction.
pub(super) fn is_begun() -> bool {
    let is_begun = SESSION.try_with(|session| session.transaction.lock().is_some());
    is_begun.unwrap_or(false)
}

/// A transaction ends; what holds from now on. `None` outside of one.
pub(super) fn end(is_committed: bool) -> Option<Values> {
    let ended = SESSION.try_with(|session| session.transaction.lock().take());
    let ended = ended.ok().flatten()?;
    Some(match is_committed {
        true => ended.kept,
        false => ended.before,
    })
}

fn keep(change: impl FnOnce(&mut Values)) {
    let _ = SESSION.try_with(|session| {
        if let Some(settings) = &mut *session.transaction.lock() {
            change(&mut settings.kept);
        }
    });
}

/// A setting, `None` for the default, is to hold after COMMIT too.
pub(super) fn keep_setting(key: &str, value: Option<&str>) {
    keep(|kept| {
        match value {
            Some(value) => kept.settings.insert(key.to_owned(), value.to_owned()),
            None => kept.settings.remove(key),
        };
    });
}

/// The time zone that holds now is to hold after COMMIT too.
pub(super) fn keep_time_zone() {
    keep(|kept| kept.time_zone = session::time_zone());
}

/// No setting is to hold after COMMIT.
pub(super) fn keep_no_setting() {
    keep(|kept| kept.settings.clear());
}
