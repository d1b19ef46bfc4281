//! What a connection keeps of the transaction in which it is: what was set in it, its
//! savepoints, and the state of the tables that it reads.
//!
//! SET LOCAL holds until it ends, ROLLBACK takes back every other SET too, and ROLLBACK
//! TO those behind the savepoint. A text of several statements is a transaction, and so
//! is what a client of the extended protocol sends before a Sync, as far as these do
//! not begin and end others: their statements read one state of the tables. In one that
//! BEGIN has begun, its level of isolation says whether they do.

use std::collections::BTreeMap;

use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use sluice_store::Snapshot;

use super::codes::error;
use super::cursors::{KnownCursors, close_newer};
use super::isolation::Isolation;
use super::setting_values::is_setting;
use super::startup_options::first_settings;
use crate::session::{self, SESSION};
use crate::tables::SnapshotSource;

/// Savepoints of one transaction; one that is set again where nothing has changed
/// counts once.
const SAVEPOINTS_MAX: usize = 1_000;

/// All that a connection has set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Values {
    /// By the names under which they are kept.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) time_zone: Option<String>,
}

impl Values {
    /// What holds now.
    pub(super) fn of<C: ClientInfo + ?Sized>(client: &C) -> Self {
        let known = client.metadata().iter();
        let settings = known.filter(|(key, _)| is_setting(key));
        Self {
            settings: settings
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            time_zone: session::time_zone(),
        }
    }

    /// What held when the client connected.
    pub(super) fn first<C: ClientInfo + ?Sized>(client: &C) -> Self {
        let time_zone = SESSION.try_with(|session| session.first_time_zone());
        Self {
            settings: first_settings(client),
            time_zone: time_zone.ok().flatten(),
        }
    }
}

/// Of the transaction in which a connection is.
#[derive(Debug)]
pub(crate) struct TransactionSettings {
    /// `None` as long as nothing was set in it.
    set: Option<ValuesAround>,
    savepoints: Vec<Savepoint>,
    /// `None` for one that begins and ends by itself.
    isolation: Option<Isolation>,
    /// What its statements read, once one has.
    tables: Option<Snapshot>,
    /// Those that there were before it.
    cursors: KnownCursors,
}

impl TransactionSettings {
    fn sees_one_state(&self) -> bool {
        self.isolation.is_none_or(Isolation::sees_one_state)
    }
}

#[derive(Debug)]
struct ValuesAround {
    /// What held before, and holds again after ROLLBACK.
    before: Values,
    /// What holds after COMMIT.
    kept: Values,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    /// How often it was set without a change.
    times: usize,
    then: Then,
}

/// What there was when a savepoint was set.
#[derive(Debug, PartialEq)]
struct Then {
    now: Values,
    kept: Values,
    cursors: KnownCursors,
}

/// Works on the transaction; `None` where nobody is connected.
fn with<T>(work: impl FnOnce(&mut Option<TransactionSettings>) -> T) -> Option<T> {
    let done = SESSION.try_with(|session| work(&mut session.transaction.lock()));
    done.ok()
}

/// A transaction begins by itself, unless there is one.
pub(super) fn begin() {
    if is_begun() {
        return;
    }
    let begun = TransactionSettings {
        set: None,
        savepoints: Vec::new(),
        isolation: None,
        tables: None,
        cursors: KnownCursors::now(),
    };
    with(|transaction| *transaction = Some(begun));
}

/// A transaction begins that ends with COMMIT or ROLLBACK. It goes on with one that has
/// begun by itself: what that has set before is then of it.
pub(super) fn begin_block(isolation: Isolation) {
    begin();
    set_isolation(isolation, true);
}

/// The level of isolation of the transaction from now on; that of one which began by
/// itself only where it `becomes_block`.
pub(super) fn set_isolation(isolation: Isolation, becomes_block: bool) {
    with(|transaction| {
        let Some(transaction) = transaction else {
            return;
        };
        if transaction.isolation.is_none() && !becomes_block {
            return;
        }
        transaction.isolation = Some(isolation);
        if !isolation.sees_one_state() {
            transaction.tables = None;
        }
    });
}

/// The level of isolation of the transaction that BEGIN has begun.
pub(super) fn isolation() -> Option<Isolation> {
    with(|transaction| transaction.as_ref().and_then(|known| known.isolation)).flatten()
}

/// Whether what is set is set within a transaction.
pub(super) fn is_begun() -> bool {
    with(|transaction| transaction.is_some()).unwrap_or(false)
}

/// The tables that a statement reads: the newest, or those that the first statement of
/// its transaction has read.
pub(crate) fn tables_to_read(newest: &SnapshotSource) -> Snapshot {
    let of_transaction = with(|transaction| {
        let transaction = transaction.as_mut()?;
        if !transaction.sees_one_state() {
            return None;
        }
        if transaction.tables.is_none() {
            transaction.tables = Some(newest());
        }
        transaction.tables.clone()
    });
    match of_transaction {
        Some(Some(tables)) => tables,
        _ => newest(),
    }
}

/// A transaction ends; what holds from now on, where something was set in it. `None`
/// outside of one too. Cursors of one that is not committed are closed.
pub(super) fn end(is_committed: bool) -> Option<Values> {
    let ended = with(Option::take).flatten()?;
    if !is_committed {
        close_newer(&ended.cursors);
    }
    let set = ended.set?;
    Some(match is_committed {
        true => set.kept,
        false => set.before,
    })
}

/// Something is about to be set: what holds now is noted where it is the first in its
/// transaction.
pub(super) fn will_set<C: ClientInfo + ?Sized>(client: &C) {
    let is_first = with(|transaction| match transaction {
        Some(transaction) => transaction.set.is_none(),
        None => false,
    });
    if is_first != Some(true) {
        return;
    }
    let before = Values::of(client);
    let kept = before.clone();
    with(|transaction| {
        if let Some(transaction) = transaction {
            transaction.set = Some(ValuesAround { before, kept });
        }
    });
}

fn keep(change: impl FnOnce(&mut Values)) {
    with(|transaction| {
        if let Some(set) = transaction.as_mut().and_then(|known| known.set.as_mut()) {
            change(&mut set.kept);
        }
    });
}

/// A setting, `None` for none, is to hold after COMMIT too.
pub(super) fn keep_setting(key: &str, value: Option<&str>) {
    keep(|kept| {
        match value {
            Some(value) => kept.settings.insert(key.to_owned(), value.to_owned()),
            None => kept.settings.remove(key),
        };
    });
}

/// A time zone is to hold after COMMIT too.
pub(super) fn keep_time_zone(time_zone: Option<String>) {
    keep(|kept| kept.time_zone = time_zone);
}

/// These values, and no others, are to hold after COMMIT.
pub(super) fn keep_all(values: &Values) {
    keep(|kept| kept.clone_from(values));
}

fn no_savepoint(name: &str) -> PgWireError {
    // 3B001: invalid_savepoint_specification.
    error("3B001", format!("savepoint \"{name}\" does not exist"))
}

/// Sets a savepoint.
///
/// # Errors
/// When the transaction has too many.
pub(super) fn set_savepoint<C: ClientInfo + ?Sized>(name: &str, client: &C) -> PgWireResult<()> {
    let now = Values::of(client);
    let cursors = KnownCursors::now();
    let done = with(|transaction| {
        let Some(transaction) = transaction else {
            return Ok(());
        };
        let kept = match &transaction.set {
            Some(set) => set.kept.clone(),
            None => now.clone(),
        };
        let then = Then { now, kept, cursors };
        let savepoints = &mut transaction.savepoints;
        if let Some(last) = savepoints.last_mut()
            && last.name == name
            && last.then == then
        {
            last.times += 1;
            return Ok(());
        }
        if savepoints.len() >= SAVEPOINTS_MAX {
            // 53000: insufficient_resources.
            let problem =
                format!("a transaction has at most {SAVEPOINTS_MAX} savepoints; release some");
            return Err(error("53000", problem));
        }
        savepoints.push(Savepoint {
            name: name.to_owned(),
            times: 1,
            then,
        });
        Ok(())
    });
    done.unwrap_or(Ok(()))
}

/// Forgets a savepoint, and those behind it: what was set stays.
///
/// # Errors
/// When there is no such one.
pub(super) fn release_savepoint(name: &str) -> PgWireResult<()> {
    let done = with(|transaction| {
        let savepoints = &mut transaction.as_mut()?.savepoints;
        let place = savepoints.iter().rposition(|known| known.name == name)?;
        savepoints.truncate(place + 1);
        let last = savepoints.last_mut()?;
        if last.times > 1 {
            last.times -= 1;
        } else {
            savepoints.pop();
        }
        Some(())
    });
    done.flatten().ok_or_else(|| no_savepoint(name))
}

/// Goes back to a savepoint, which stays, and forgets those behind it; what holds from
/// now on, where something was set in the transaction.
///
/// # Errors
/// When there is no such one.
pub(super) fn return_to_savepoint(name: &str) -> PgWireResult<Option<Values>> {
    let found = with(|transaction| {
        let transaction = transaction.as_mut()?;
        let savepoints = &mut transaction.savepoints;
        let place = savepoints.iter().rposition(|known| known.name == name)?;
        savepoints.truncate(place + 1);
        let then = &savepoints.last()?.then;
        let values = transaction.set.as_mut().map(|set| {
            set.kept.clone_from(&then.kept);
            then.now.clone()
        });
        Some((values, then.cursors.clone()))
    });
    let (values, cursors) = found.flatten().ok_or_else(|| no_savepoint(name))?;
    close_newer(&cursors);
    Ok(values)
}
