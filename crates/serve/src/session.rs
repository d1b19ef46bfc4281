//! Who asks, and what they said about how long an answer may take.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::access::{Access, Action, Role, User, Who};
use crate::postgres::{Cursors, NotedSettings, TransactionSettings};

tokio::task_local! {
    /// The session of the task that answers. A task without one is treated as
    /// somebody who has not said who they are.
    pub(crate) static SESSION: Arc<Session>;
}

/// Runs what the program asks of itself, such as the queries of alarms: nothing
/// is kept from it.
pub async fn as_program<F: Future>(work: F) -> F::Output {
    let session = Session::new(None);
    *session.who.lock() = Who::Program;
    SESSION.scope(session, work).await
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    who: Mutex<Who>,
    /// The name that they gave, which may be anybody's.
    claimed: Mutex<Option<String>>,
    /// Where they are; `None` for the program itself.
    from: Option<SocketAddr>,
    /// 0 where there is none.
    timeout_ms: AtomicU64,
    time_zone: Mutex<TimeZone>,
    cancelled: watch::Sender<u64>,
    /// Prepared statements and portals by kind and name, and their bytes.
    kept: Mutex<BTreeMap<(u8, String), usize>>,
    /// Open cursors.
    pub(crate) cursors: Cursors,
    /// What was set before the transaction in which they are, and in it.
    pub(crate) transaction: Mutex<Option<TransactionSettings>>,
    /// Settings as functions read and set them.
    pub(crate) noted_settings: Mutex<NotedSettings>,
    /// The statement that is answered, and rows that were made for it.
    asked: Mutex<(Option<String>, u64)>,
}

/// In which time zone they want to read; `None` for that of the warehouse.
#[derive(Debug, Default)]
struct TimeZone {
    now: Option<String>,
    /// As it was when they connected.
    first: Option<String>,
}

/// Statements and portals that a connection may keep, and their bytes together.
const KEPT_MAX: usize = 1_000;
const KEPT_BYTES_MAX: usize = 8 << 20;

impl Session {
    /// A session of somebody who has not said who they are.
    pub(crate) fn new(from: Option<SocketAddr>) -> Arc<Self> {
        Arc::new(Self {
            who: Mutex::new(Who::Unknown),
            claimed: Mutex::new(None),
            from,
            timeout_ms: AtomicU64::new(0),
            time_zone: Mutex::default(),
            cancelled: watch::Sender::new(0),
            kept: Mutex::default(),
            cursors: Mutex::default(),
            transaction: Mutex::default(),
            noted_settings: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// A session of `user`, who has shown the secret.
    pub(crate) fn of(user: &User, from: Option<SocketAddr>) -> Arc<Self> {
        let session = Self::new(from);
        session.sign_in(user);
        session
    }

    pub(crate) fn sign_in(&self, user: &User) {
        *self.who.lock() = Who::User {
            name: user.name.clone(),
            role: user.role,
        };
    }

    /// Notes the name that they gave.
    pub(crate) fn claim(&self, name: &str) {
        *self.claimed.lock() = Some(name.to_owned());
    }

    pub(crate) fn who(&self) -> Who {
        self.who.lock().clone()
    }

    /// Where they are; `None` for the program itself.
    pub(crate) fn from(&self) -> Option<SocketAddr> {
        self.from
    }

    /// Notes what is asked.
    pub(crate) fn ask(&self, statement: &str) {
        *self.asked.lock() = (Some(statement.to_owned()), 0);
    }

    /// Notes rows of the answer.
    pub(crate) fn count_rows(&self, rows: usize) {
        self.asked.lock().1 += rows as u64;
    }

    /// Rows that were made for the answer so far.
    pub(crate) fn rows_made(&self) -> u64 {
        self.asked.lock().1
    }

    /// The statement that is answered.
    pub(crate) fn asked(&self) -> Option<String> {
        self.asked.lock().0.clone()
    }

    /// The name that they gave, which may be anybody's.
    pub(crate) fn claimed(&self) -> Option<String> {
        self.claimed.lock().clone()
    }

    /// What was asked, and the rows that were made for it.
    pub(crate) fn take_asked(&self) -> (Option<String>, u64) {
        std::mem::take(&mut self.asked.lock())
    }

    /// The statement that runs may take so long; 0 for the warehouse's limit.
    pub(crate) fn set_timeout_ms(&self, timeout_ms: u64) {
        self.timeout_ms.store(timeout_ms, Ordering::Relaxed);
    }

    pub(crate) fn timeout_ms(&self) -> Option<u64> {
        let timeout_ms = self.timeout_ms.load(Ordering::Relaxed);
        (timeout_ms > 0).then_some(timeout_ms)
    }

    /// They connect, and want to read in this time zone.
    pub(crate) fn begin_in(&self, time_zone: Option<String>) {
        *self.time_zone.lock() = TimeZone {
            now: time_zone.clone(),
            first: time_zone,
        };
    }

    /// In which time zone they wanted to read when they connected.
    pub(crate) fn first_time_zone(&self) -> Option<String> {
        self.time_zone.lock().first.clone()
    }

    /// They want to read in this time zone.
    pub(crate) fn set_time_zone(&self, time_zone: Option<String>) {
        self.time_zone.lock().now = time_zone;
    }

    /// Notes a statement or portal that the connection keeps.
    ///
    /// # Errors
    /// When it keeps too much.
    pub(crate) fn keep(&self, kind: u8, name: &str, bytes: usize) -> Result<(), String> {
        let mut kept = self.kept.lock();
        let key = (kind, name.to_owned());
        let replaced = kept.get(&key).copied();
        let count = kept.len() + usize::from(replaced.is_none());
        let all_bytes = kept.values().sum::<usize>() - replaced.unwrap_or(0) + bytes;
        if count > KEPT_MAX || all_bytes > KEPT_BYTES_MAX {
            return Err(format!(
                "a connection keeps at most {KEPT_MAX} prepared statements and portals, of {KEPT_BYTES_MAX} bytes together; close some"
            ));
        }
        kept.insert(key, bytes);
        Ok(())
    }

    /// The connection keeps it no longer.
    pub(crate) fn forget(&self, kind: u8, name: &str) {
        self.kept.lock().remove(&(kind, name.to_owned()));
    }

    /// The names of what the connection keeps of a kind.
    pub(crate) fn names_kept(&self, kind: u8) -> Vec<String> {
        let kept = self.kept.lock();
        let names = kept.keys().filter(|(known, _)| *known == kind);
        names.map(|(_, name)| name.clone()).collect()
    }

    /// The connection keeps nothing of a kind any longer.
    pub(crate) fn forget_all(&self, kind: u8) {
        self.kept.lock().retain(|(known, _), _| *known != kind);
    }

    /// Ends the statements that run.
    pub(crate) fn cancel(&self) {
        self.cancelled.send_modify(|count| *count += 1);
    }

    /// How often [`Session::cancel`] was called.
    pub(crate) fn cancels(&self) -> u64 {
        *self.cancelled.borrow()
    }

    /// Done when [`Session::cancel`] is called from now on.
    pub(crate) fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut cancelled = self.cancelled.subscribe();
        async move {
            if cancelled.changed().await.is_err() {
                // The session is over, and nobody can cancel any more.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The name that whoever asks gave, which may be anybody's.
pub(crate) fn claimed_name() -> Option<String> {
    let name = SESSION.try_with(|session| session.claimed());
    name.ok().flatten()
}

/// The time zone in which whoever asks wants to read; `None` for that of the
/// warehouse.
pub(crate) fn time_zone() -> Option<String> {
    let zone = SESSION.try_with(|session| session.time_zone.lock().now.clone());
    zone.ok().flatten()
}

/// The session of this task, for work that goes on in another task.
pub(crate) fn current() -> Arc<Session> {
    SESSION
        .try_with(Arc::clone)
        .unwrap_or_else(|_| Session::new(None))
}

/// Who asks.
pub(crate) fn who() -> Who {
    SESSION
        .try_with(|session| session.who())
        .unwrap_or(Who::Unknown)
}

/// The role whose limits hold for whoever asks; `None` where nothing is kept from
/// them.
pub(crate) fn limiting_role(access: &Access) -> Option<Role> {
    access.limiting_role(&who())
}

/// Why whoever asks may not do it; `None` if they may.
pub(crate) fn refuses(access: &Access, action: Action) -> Option<String> {
    access.refuses(&who(), action)
}
