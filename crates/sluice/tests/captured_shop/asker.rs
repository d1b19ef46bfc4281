//! Asks a warehouse again and again, through its ends too, for what every transaction
//! of the shop keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

/// The table that is copied last, as tables are copied in the order of their names; its
/// one row says that all others are whole.
pub const COPIED_LAST: &str = "zz_copied";

/// What makes it.
pub const MAKE_COPIED_LAST: [&str; 2] = [
    "CREATE TABLE zz_copied (id INT PRIMARY KEY)",
    "INSERT INTO zz_copied VALUES (1)",
];

/// See the module.
pub struct Asker {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Where the warehouse answers.
    http: Mutex<String>,
    stop: AtomicBool,
    asked: AtomicU64,
}

impl Asker {
    /// Asks a question whose one row begins with the number of rows of
    /// [`COPIED_LAST`]; once that is there, the others must be `expected`.
    pub fn start(question: &'static str, expected: &'static [&'static str]) -> Self {
        let shared = Arc::<Shared>::default();
        let of_thread = shared.clone();
        let thread = std::thread::spawn(move || {
            while !of_thread.stop.load(Ordering::SeqCst) {
                let http = of_thread.http.lock().clone();
                // A warehouse that was killed does not answer.
                match numbers(&http, question) {
                    Some((1, found)) => {
                        assert_eq!(found, expected, "a reader saw half a transaction");
                        of_thread.asked.fetch_add(1, Ordering::SeqCst);
                    }
                    _ => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        Self { shared, thread }
    }

    /// From here on the warehouse answers at this address.
    pub fn turn_to(&self, http: &str) {
        http.clone_into(&mut self.shared.http.lock());
    }

    /// Waits until it was asked so often more, of whole tables.
    pub fn wait_for(&self, times: u64) {
        let (before, start) = (self.shared.asked.load(Ordering::SeqCst), Instant::now());
        while self.shared.asked.load(Ordering::SeqCst) < before + times {
            assert!(!self.thread.is_finished(), "it saw what must not be");
            assert!(start.elapsed().as_secs() < 120, "nothing answers");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How often it was asked.
    pub fn end(self) -> u64 {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.shared.asked.load(Ordering::SeqCst)
    }
}

/// The first number of the answer's row, and the others as texts.
fn numbers(http: &str, question: &str) -> Option<(u64, Vec<String>)> {
    let mut answer = ureq::post(format!("{http}/api/v1/sql"))
        .send(question)
        .ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    let answer: Value = serde_json::from_str(&text).ok()?;
    let text = |value: &Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let row: Vec<String> = answer["rows"][0].as_array()?.iter().map(text).collect();
    let (first, others) = row.split_first()?;
    Some((first.parse().ok()?, others.to_vec()))
}
