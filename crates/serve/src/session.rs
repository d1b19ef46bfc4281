//! Who asks, and what they said about how long an answer may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::access::{Access, Role, User};

tokio::task_local! {
    /// The session of the task that answers. The program's own questions have
    /// none.
    pub(crate) static SESSION: Arc<Session>;
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    user: Mutex<Option<(String, Role)>>,
    /// 0 where there is none.
    timeout_ms: AtomicU64,
    cancelled: watch::Sender<u64>,
}

impl Session {
    /// A session of somebody who has not said who they are.
    pub(crate) fn unknown() -> Arc<Self> {
        Arc::new(Self {
            user: Mutex::new(None),
            timeout_ms: AtomicU64::new(0),
            cancelled: watch::Sender::new(0),
        })
    }

    /// A session of `user`, who has said so.
    pub(crate) fn of(user: &User) -> Arc<Self> {
        let session = Self::unknown();
        session.sign_in(user);
        session
    }

    pub(crate) fn sign_in(&self, user: &User) {
        *self.user.lock() = Some((user.name.clone(), user.role));
    }

    pub(crate) fn role(&self) -> Option<Role> {
        self.user.lock().as_ref().map(|(_, role)| *role)
    }

    /// The statement that runs may take so long; 0 for the warehouse's limit.
    pub(crate) fn set_timeout_ms(&self, timeout_ms: u64) {
        self.timeout_ms.store(timeout_ms, Ordering::Relaxed);
    }

    pub(crate) fn timeout_ms(&self) -> Option<u64> {
        let timeout_ms = self.timeout_ms.load(Ordering::Relaxed);
        (timeout_ms > 0).then_some(timeout_ms)
    }

    /// Ends the statements that run.
    pub(crate) fn cancel(&self) {
        self.cancelled.send_modify(|count| *count += 1);
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

/// The role of whoever asks; `None` where nothing is to be restricted: there are
/// no users, or the program itself asks. Who has not said who they are has the
/// least role.
pub(crate) fn role(access: &Access) -> Option<Role> {
    if access.is_open() {
        return None;
    }
    let role = SESSION.try_with(|session| session.role());
    role.ok().map(|role| role.unwrap_or(Role::Reader))
}
