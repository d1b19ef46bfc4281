//! Answers of panels that several people ask for: each is computed once for
//! all who want it at a time, and is kept for those who come soon after.
//!
//! An answer is as good as a new one as long as nothing that it was computed from
//! has changed, unless its query looks at the clock. After that it is given as
//! long as it is no older than its panel allows: `fresh_ms` of its file, or
//! without it the time in which half a processor computes every answer that is
//! asked for. So a few panels are always new, and many, or slow ones, become
//! older instead of taking the processors from the flow, however many look at
//! them; but not older than two seconds, unless one takes longer by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use sluice_store::Snapshot;

use super::HttpState;
use super::problem::Problem;
use crate::access::Role;
use crate::metrics::{Metric, Metrics};
use crate::panels::{CheckedPanel, PanelAnswer, print_values};
use crate::session;

/// Bytes of answers that are kept.
const BYTES_MAX: usize = 64 << 20;
/// Larger answers are not kept.
const ANSWER_BYTES_MAX: usize = BYTES_MAX / 8;
/// What an entry takes besides its rows.
const ENTRY_BYTES: usize = 1 << 10;
/// An answer that was given so recently is asked for.
const ASKED_US: i64 = 2_000_000;
/// Answers without a freshness of their own take one processor in so many.
const PROCESSOR_PARTS: i64 = 2;
/// However many they are, those that take no longer are as new as this.
const ROUND_US_MAX: i64 = 2_000_000;

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
    /// Changes of models, which may leave a panel as it is and what it reads not.
    models: u64,
}

/// An answer, and when its computation began and ended.
#[derive(Debug)]
struct Kept {
    answer: Arc<PanelAnswer>,
    start_us: i64,
    end_us: i64,
    bytes: usize,
    last_use: u64,
    last_use_us: i64,
    /// Whether its cost is a part of what is asked for.
    is_asked_for: bool,
}

impl Kept {
    /// How long its computation took.
    fn cost_us(&self) -> i64 {
        self.end_us.saturating_sub(self.start_us).max(0)
    }

    /// Whether it may be given now; `round_us` is the time in which all that are
    /// asked for can be computed.
    fn is_good(&self, panel: &CheckedPanel, newest: &Snapshot, now_us: i64, round_us: i64) -> bool {
        let query = panel.query(self.answer.is_detail);
        let uses_clock = query.is_none_or(|query| query.uses_clock);
        if !uses_clock && self.answer.result.pinned.is_same_in(newest) {
            return true;
        }
        let age_us_max = match panel.panel.fresh_ms {
            Some(fresh_ms) => {
                i64::try_from(fresh_ms).map_or(i64::MAX, |ms| ms.saturating_mul(1_000))
            }
            None => round_us.max(self.cost_us()),
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
    /// The first use after which all answers count as asked for.
    asked_from: u64,
    /// What computing those that are asked for takes.
    asked_cost_us: i64,
    /// Changes of models so far.
    models: u64,
}

impl State {
    fn good(
        &mut self,
        key: &Key,
        panel: &CheckedPanel,
        newest: &Snapshot,
        now_us: i64,
    ) -> Option<Arc<PanelAnswer>> {
        self.note_unasked(now_us);
        let round_us = self.asked_cost_us.saturating_mul(PROCESSOR_PARTS);
        let round_us = round_us.min(ROUND_US_MAX);
        let kept = self.kept.get_mut(key)?;
        if !kept.is_good(panel, newest, now_us, round_us) {
            return None;
        }
        self.by_use.remove(&kept.last_use);
        self.uses += 1;
        kept.last_use = self.uses;
        kept.last_use_us = now_us;
        self.by_use.insert(self.uses, key.clone());
        if !kept.is_asked_for {
            kept.is_asked_for = true;
            self.asked_cost_us = self.asked_cost_us.saturating_add(kept.cost_us());
        }
        Some(kept.answer.clone())
    }

    /// Takes those out of what is asked for that nobody asked for lately.
    fn note_unasked(&mut self, now_us: i64) {
        while let Some((&first, key)) = self.by_use.range(self.asked_from..).next() {
            if let Some(kept) = self.kept.get_mut(key) {
                if now_us.saturating_sub(kept.last_use_us) < ASKED_US {
                    return;
                }
                kept.is_asked_for = false;
                self.asked_cost_us = self.asked_cost_us.saturating_sub(kept.cost_us());
            }
            self.asked_from = first + 1;
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.by_use.remove(&kept.last_use);
            self.bytes -= kept.bytes;
            if kept.is_asked_for {
                self.asked_cost_us = self.asked_cost_us.saturating_sub(kept.cost_us());
            }
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
            last_use_us: end_us,
            is_asked_for: true,
        };
        self.asked_cost_us = self.asked_cost_us.saturating_add(kept.cost_us());
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
    /// Models are others from now on: no answer from before is given again.
    pub fn note_changed_models(&self) {
        self.answers.state.lock().models += 1;
    }

    /// Changes of models so far.
    pub(super) fn changes_of_models(&self) -> u64 {
        self.answers.state.lock().models
    }

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
        let newest = (self.source)();
        let computation = {
            let mut state = self.answers.state.lock();
            let key = Key {
                panel: Arc::as_ptr(&panel) as usize,
                is_detail,
                values: print_values(&values),
                role: session::limiting_role(&self.engine.options.access),
                models: state.models,
            };
            if let Some(answer) = state.good(&key, &panel, &newest, self.clock.now_us()) {
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
                    // A task of its own: whoever asked first may hang up.
                    let task = self.engine.spawn(work);
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

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;

    use super::*;
    use crate::panels::{PanelDefinitions, PanelFile, Panels};
    use crate::{Pinned, QueryEngine, QueryOptions, QueryResult};

    const PANEL: &str = "title = { en = \"One\", zh = \"一\" }
subject = \"own\"
chart = \"number\"
query = \"SELECT 1 AS n\"
";
    const COST_US: i64 = 100_000;

    fn answer() -> Arc<PanelAnswer> {
        let source = Arc::new(Snapshot::default);
        let engine = QueryEngine::new(source, QueryOptions::default()).unwrap();
        let file = PanelFile {
            path: "panels/one.toml".to_owned(),
            text: PANEL.to_owned(),
        };
        let definitions = PanelDefinitions::parse(&[file], None).unwrap();
        let panels = Panels::check(&definitions, &engine).unwrap();
        Arc::new(PanelAnswer {
            panel: panels.get("one").unwrap(),
            is_detail: false,
            values: BTreeMap::new(),
            result: QueryResult {
                // Another epoch than that of an empty snapshot.
                pinned: Pinned {
                    epoch: 1,
                    tables: None,
                    changed: 1,
                },
                schema: Arc::new(Schema::empty()),
                batches: Vec::new(),
            },
        })
    }

    fn key(number: usize) -> Key {
        Key {
            panel: 0,
            is_detail: false,
            values: number.to_string(),
            role: None,
            models: 0,
        }
    }

    /// Whether the answer of that number is given at `now_us`.
    fn is_given(state: &mut State, number: usize, now_us: i64) -> bool {
        let panel = answer().panel.clone();
        let found = state.good(&key(number), &panel, &Snapshot::default(), now_us);
        found.is_some()
    }

    #[test]
    fn answers_grow_older_the_more_are_asked_for() {
        let mut state = State::default();
        for number in 0..10 {
            state.keep(key(number), answer(), 0, COST_US);
        }
        // Half a processor computes all ten in two seconds.
        assert_eq!(state.asked_cost_us, 10 * COST_US);
        assert!(is_given(&mut state, 0, COST_US + 1_900_000));
        // By now nobody has asked for the others for long.
        assert!(!is_given(&mut state, 0, COST_US + 2_100_000));
        assert_eq!(state.asked_cost_us, COST_US);
        // What is asked for again is a part of it again.
        state.keep(key(0), answer(), 3_000_000, 3_000_000 + COST_US);
        assert_eq!(state.asked_cost_us, COST_US);
        assert!(is_given(&mut state, 0, 3_000_000 + 2 * COST_US));
        assert!(!is_given(&mut state, 0, 3_000_000 + 4 * COST_US));
        state.forget(&key(0));
        assert_eq!(state.asked_cost_us, 0);
        assert_eq!(state.kept.len(), 9);
    }
}
