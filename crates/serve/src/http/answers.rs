//! Answers of panels that several people ask for: each is computed once for
//! all who want it at a time, and is kept for those who come soon after.
//!
//! An answer of the newest epoch is as good as a new one, unless its query looks
//! at the clock. An older one is given as long as it is no older than its panel
//! allows: `fresh_ms` of its file, or without it the time that it took to
//! compute. So a panel that is quick is always new, and one that is slow takes
//! half a processor at most, however many look at it.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use sluice_core::Epoch;

use super::HttpState;
use super::problem::Problem;
use crate::access::Role;
use crate::metrics::{Metric, Metrics};
use crate::panels::{CheckedPanel, PanelAnswer, print_values};
use crate::session::{self, SESSION};

/// Bytes of answers that are kept.
const BYTES_MAX: usize = 64 << 20;
/// Larger answers are not kept.
const ANSWER_BYTES_MAX: usize = BYTES_MAX / 8;
/// What an entry takes besides its rows.
const ENTRY_BYTES: usize = 1 << 10;

type Outcome = Result<Arc<PanelAnswer>, Problem>;
type Computation = Shared<BoxFuture<'static, Outcome>>;

/// What tells two answers apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Where the panel lies in memory: its answer holds it, so that no other
    /// one, and no other definition of it, can come to lie there.
    panel: usize,
    is_detail: bool,
    values: String,
    /// What is kept from one role must not come from an answer for another.
    role: Option<Role>,
}

/// An answer, and when its computation began and ended.
#[derive(Debug)]
struct Kept {
    answer: Arc<PanelAnswer>,
    start_us: i64,
    end_us: i64,
    bytes: usize,
    last_use: u64,
}

impl Kept {
    /// Whether it may be given now.
    fn is_good(&self, panel: &CheckedPanel, epoch: Epoch, now_us: i64) -> bool {
        let query = panel.query(self.answer.is_detail);
        let uses_clock = query.is_none_or(|query| query.uses_clock);
        if !uses_clock && self.answer.result.epoch == epoch {
            return true;
        }
        let age_us_max = match panel.panel.fresh_ms {
            Some(fresh_ms) => {
                i64::try_from(fresh_ms).map_or(i64::MAX, |ms| ms.saturating_mul(1_000))
            }
            None => self.end_us.saturating_sub(self.start_us),
        };
        // Its rows are those of the moment at which it began, or later.
        let since_us = match panel.panel.fresh_ms {
            Some(_) => self.start_us,
            None => self.end_us,
        };
        now_us.saturating_sub(since_us) < age_us_max
    }
}

#[derive(Default)]
struct State {
    running: BTreeMap<Key, Computation>,
    kept: BTreeMap<Key, Kept>,
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

impl State {
    fn good(
        &mut self,
        key: &Key,
        panel: &CheckedPanel,
        epoch: Epoch,
        now_us: i64,
    ) -> Option<Arc<PanelAnswer>> {
        let kept = self.kept.get_mut(key)?;
        if !kept.is_good(panel, epoch, now_us) {
            return None;
        }
        self.by_use.remove(&kept.last_use);
        self.uses += 1;
        kept.last_use = self.uses;
        self.by_use.insert(self.uses, key.clone());
        Some(kept.answer.clone())
    }

    fn forget(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.by_use.remove(&kept.last_use);
            self.bytes -= kept.bytes;
        }
    }

    fn keep(&mut self, key: Key, answer: Arc<PanelAnswer>, start_us: i64, end_us: i64) {
        self.forget(&key);
        let batches = answer.result.batches.iter();
        let rows: usize = batches.map(|batch| batch.get_array_memory_size()).sum();
        let bytes = rows + ENTRY_BYTES + key.values.len();
        if bytes > ANSWER_BYTES_MAX {
            return;
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key.clone());
        let kept = Kept {
            answer,
            start_us,
            end_us,
            bytes,
            last_use: self.uses,
        };
        self.kept.insert(key, kept);
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.by_use.first_key_value().map(|(_, key)| key.clone()) else {
                return;
            };
            self.forget(&oldest);
        }
    }
}

/// See the module.
pub(super) struct Answers {
    state: Mutex<State>,
    reused: Metric,
    bytes: Metric,
}

impl Answers {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            state: Mutex::default(),
            reused: metrics.counter(
                "sluice_panel_answers_reused_total",
                "Answers of panels that were not computed anew.",
            ),
            bytes: metrics.gauge(
                "sluice_panel_answers_bytes",
                "Memory of answers of panels that are kept.",
            ),
        }
    }
}

impl HttpState {
    /// The answer of a panel: one that is good still, the one that is being
    /// computed for somebody else, or a new one.
    ///
    /// # Errors
    /// When the query fails, or too many are running.
    pub(super) async fn panel_answer(
        self: &Arc<Self>,
        panel: Arc<CheckedPanel>,
        is_detail: bool,
        values: BTreeMap<String, ScalarValue>,
    ) -> Outcome {
        let key = Key {
            panel: Arc::as_ptr(&panel) as usize,
            is_detail,
            values: print_values(&values),
            role: session::limiting_role(&self.engine.options.access),
        };
        let epoch = (self.source)().epoch();
        let computation = {
            let mut state = self.answers.state.lock();
            if let Some(answer) = state.good(&key, &panel, epoch, self.clock.now_us()) {
                self.answers.reused.add(1);
                return Ok(answer);
            }
            match state.running.get(&key) {
                Some(running) => {
                    self.answers.reused.add(1);
                    running.clone()
                }
                None => {
                    let work = self.clone().compute(key.clone(), panel, is_detail, values);
                    let work = SESSION.scope(session::current(), work);
                    // A task of its own: whoever asked first may hang up.
                    let task = tokio::spawn(work);
                    let outcome = async move {
                        match task.await {
                            Ok(outcome) => outcome,
                            Err(_) => Err(Problem::interrupted()),
                        }
                    };
                    let computation = outcome.boxed().shared();
                    state.running.insert(key, computation.clone());
                    computation
                }
            }
        };
        computation.await
    }

    async fn compute(
        self: Arc<Self>,
        key: Key,
        panel: Arc<CheckedPanel>,
        is_detail: bool,
        values: BTreeMap<String, ScalarValue>,
    ) -> Outcome {
        // Removed whatever happens, a panic of the query too.
        let _running = Running {
            state: &self,
            key: &key,
        };
        let outcome = async {
            let _turn = self.query_turn().await?;
            self.queries.add(1);
            let start_us = self.clock.now_us();
            let found = PanelAnswer::ask(&self.engine, panel, is_detail, values).await;
            let answer = Arc::new(found.inspect_err(|_| self.query_failures.add(1))?);
            Ok::<_, Problem>((answer, start_us))
        };
        let (answer, start_us) = outcome.await?;
        let mut state = self.answers.state.lock();
        state.keep(key.clone(), answer.clone(), start_us, self.clock.now_us());
        self.answers.bytes.set(state.bytes as u64);
        drop(state);
        Ok(answer)
    }
}

/// A computation that others may wait for, until it is dropped.
struct Running<'a> {
    state: &'a HttpState,
    key: &'a Key,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.state.answers.state.lock().running.remove(self.key);
    }
}
