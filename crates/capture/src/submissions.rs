//! Records of clients on their way to the log: many requests are appended and
//! synced together, and each is answered when its records are durable.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use sluice_core::Record;
use tokio::sync::oneshot;

/// Why records were not taken. The client must send them again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too many bytes wait.
    #[error("the collector has {waiting_bytes} bytes waiting to become durable, as many as it may")]
    Busy {
        /// Bytes that wait.
        waiting_bytes: usize,
    },
    /// The warehouse's state has no room to grow.
    #[error("the warehouse takes no records: its state has reached its limits of memory and disk")]
    NoRoom,
    /// The log did not take them.
    #[error("the records could not be made durable: {0}")]
    NotDurable(String),
    /// The program is being stopped.
    #[error("the warehouse is being stopped")]
    Stopping,
}

/// What one request brings to a topic.
#[derive(Debug)]
pub struct Submission {
    /// The topic.
    pub topic: String,
    /// The records.
    pub records: Vec<Record>,
    /// Told when the records are durable.
    pub done: oneshot::Sender<Result<(), SubmitError>>,
}

#[derive(Debug, Default)]
struct Waiting {
    submissions: VecDeque<Submission>,
    bytes: usize,
    is_closed: bool,
    is_paused: bool,
}

/// A bounded queue of submissions.
#[derive(Debug)]
pub struct Submissions {
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl Submissions {
    /// A queue that holds about `bytes_max` bytes of payload.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// Adds records, and gives what tells when they are durable.
    ///
    /// # Errors
    /// When the queue is full or closed.
    pub fn submit(
        &self,
        topic: String,
        records: Vec<Record>,
    ) -> Result<oneshot::Receiver<Result<(), SubmitError>>, SubmitError> {
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err(SubmitError::Stopping);
        }
        if waiting.is_paused {
            return Err(SubmitError::NoRoom);
        }
        // An empty queue takes any request, so that none can be too large for
        // ever.
        if waiting.bytes > 0 && waiting.bytes + bytes > self.bytes_max {
            return Err(SubmitError::Busy {
                waiting_bytes: waiting.bytes,
            });
        }
        let (done, durable) = oneshot::channel();
        waiting.bytes += bytes;
        waiting.submissions.push_back(Submission {
            topic,
            records,
            done,
        });
        self.arrived.notify_one();
        Ok(durable)
    }

    /// All that waits; empty when nothing came in the given time, or when the
    /// queue was closed and all is taken.
    pub fn take_all(&self, wait_max: Duration) -> Vec<Submission> {
        let mut waiting = self.waiting.lock();
        if waiting.submissions.is_empty() && !waiting.is_closed {
            self.arrived.wait_for(&mut waiting, wait_max);
        }
        waiting.bytes = 0;
        waiting.submissions.drain(..).collect()
    }

    /// Takes nothing until it is called with `false`.
    pub fn pause(&self, is_paused: bool) {
        self.waiting.lock().is_paused = is_paused;
    }

    /// Takes nothing more.
    pub fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.arrived.notify_all();
    }
}
