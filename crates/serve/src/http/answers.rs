//! Answers of panels that several people ask for: each is computed once for
//! all who want it at a time, and is kept for those who come soon after.
//!
//! Where an answer that is kept has grown old, a new one is computed, and who asks
//! waits for it shortly; if it takes longer, they are given the old one, and those
//! who ask when it is there the new one. So an answer is new while little is asked
//! for, and does not keep anybody waiting while much is. Nobody's asking computes
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use sluice_core::Epoch;
use tokio::time::Instant;

use super::HttpState;
use super::kept_answers::{KeptAnswers, Key};
use super::problem::Problem;
use crate::metrics::{Metric, Metrics};
use crate::panels::{CheckedPanel, PanelAnswer, PanelValues, Part};
use crate::session;

/// Who could be given an old answer waits for the new one until its computation
/// has taken so long, if it is the only one: then it is only slow by itself.
const ALONE_WAIT_US: i64 = 1_000_000;
/// And so long if others are being computed beside it.
const BUSY_WAIT_US: i64 = 100_000;

type Outcome = Result<Arc<PanelAnswer>, Problem>;

/// A computation that several wait for.
#[derive(Clone)]
struct Computation {
    start_us: i64,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

impl Computation {
    /// How long who could be given an old answer waits for it.
    fn wait(&self, is_alone: bool, now_us: i64) -> Duration {
        let wait_us = match is_alone {
            true => ALONE_WAIT_US,
            false => BUSY_WAIT_US,
        };
        let taken_us = now_us.saturating_sub(self.start_us);
        Duration::from_micros(u64::try_from(wait_us - taken_us).unwrap_or(0))
    }
}

#[derive(Default)]
struct State {
    running: BTreeMap<Key, Computation>,
    kept: KeptAnswers,
    /// Changes of models so far.
    models: u64,
}

/// See the module.
pub(super) struct Answers {
    state: Mutex<State>,
    reused: Metric,
    old: Metric,
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
            old: metrics.counter(
                "sluice_panel_answers_old_total",
                "Answers of panels that were given while newer ones were being computed.",
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

    fn key_of_answer(&self, panel: &Arc<CheckedPanel>, part: Part, values: &PanelValues) -> Key {
        Key {
            panel: Arc::as_ptr(panel) as usize,
            part,
            values: values.print(),
            role: session::limiting_role(&self.engine.options.access),
            models: self.changes_of_models(),
        }
    }

    /// The epoch that last changed what the answer of a panel was computed from, if
    /// whoever keeps that answer needs no other one.
    pub(super) fn panel_changed(
        &self,
        panel: &Arc<CheckedPanel>,
        part: Part,
        values: &PanelValues,
        must_be_new: bool,
    ) -> Option<Epoch> {
        let key = self.key_of_answer(panel, part, values);
        let newest = (self.source)();
        let now_us = self.clock.now_us();
        let mut state = self.answers.state.lock();
        state.kept.changed(&key, &newest, now_us, must_be_new)
    }

    /// Notes that an answer that somebody keeps was not computed anew.
    pub(super) fn note_reused(&self) {
        self.answers.reused.add(1);
    }

    /// The answer of a panel: one that is good still, the one that is being
    /// computed for somebody else, a new one, or an old one if that takes long.
    /// With `must_be_new`, one that is as good as if it were computed now.
    ///
    /// # Errors
    /// When the query fails, or too many are running.
    pub(super) async fn panel_answer(
        self: &Arc<Self>,
        panel: Arc<CheckedPanel>,
        part: Part,
        values: PanelValues,
        must_be_new: bool,
    ) -> Outcome {
        let key = self.key_of_answer(&panel, part, &values);
        if must_be_new {
            self.wait_for_running(&key).await;
        }
        let newest = (self.source)();
        let (computation, wait, old) = {
            let mut state = self.answers.state.lock();
            let now_us = self.clock.now_us();
            let old = match state.kept.get(&key, &newest, now_us) {
                Some((answer, standing)) if standing.is_good(must_be_new) => {
                    self.answers.reused.add(1);
                    return Ok(answer);
                }
                found => found.map(|(answer, _)| answer),
            };
            let computation = match state.running.get(&key) {
                Some(running) => {
                    self.answers.reused.add(1);
                    running.clone()
                }
                None => {
                    let work = self.clone().compute(key.clone(), panel, part, values);
                    // A task of its own: whoever asked first may hang up.
                    let task = self.engine.spawn(work);
                    let outcome = async move {
                        match task.await {
                            Ok(outcome) => outcome,
                            Err(_) => Err(Problem::interrupted()),
                        }
                    };
                    let computation = Computation {
                        start_us: now_us,
                        outcome: outcome.boxed().shared(),
                    };
                    state.running.insert(key, computation.clone());
                    computation
                }
            };
            let wait = computation.wait(state.running.len() == 1, now_us);
            (computation.outcome, wait, old.filter(|_| !must_be_new))
        };
        let Some(old) = old else {
            return computation.await;
        };
        match tokio::time::timeout(wait, computation).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.answers.old.add(1);
                Ok(old)
            }
        }
    }

    /// Waits for a computation that was begun before: it may not have seen what
    /// has changed since.
    async fn wait_for_running(&self, key: &Key) {
        let running = self.answers.state.lock().running.get(key).cloned();
        if let Some(running) = running {
            let _ = running.outcome.await;
        }
    }

    async fn compute(
        self: Arc<Self>,
        key: Key,
        panel: Arc<CheckedPanel>,
        part: Part,
        values: PanelValues,
    ) -> Outcome {
        // Removed whatever happens, a panic of the query too.
        let _running = Running {
            state: &self,
            key: &key,
        };
        let begin = Instant::now();
        let outcome = async {
            let _turn = self.query_turn().await?;
            self.queries.add(1);
            let start_us = self.clock.now_us();
            let found = PanelAnswer::ask(&self.engine, panel, part, values).await;
            let answer = Arc::new(found.inspect_err(|_| self.query_failures.add(1))?);
            Ok::<_, Problem>((answer, start_us))
        };
        let outcome = outcome.await;
        self.statements.count(begin.elapsed(), outcome.is_ok());
        let (answer, start_us) = outcome?;
        let mut state = self.answers.state.lock();
        let end_us = self.clock.now_us();
        state
            .kept
            .keep(key.clone(), answer.clone(), start_us, end_us);
        self.answers.bytes.set(state.kept.bytes() as u64);
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
    use std::collections::BTreeSet;

    use sluice_core::ManualClock;
    use sluice_store::Snapshot;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::panels::one_panel::one_panel;
    use crate::{HttpLimits, LiveFeed, WarehouseInfo};

    /// What looks at the clock is never the same again.
    const NOW: &str = "title = { en = \"Now\", zh = \"现在\" }
subject = \"own\"
chart = \"table\"
query = \"SELECT CAST(now() AS TEXT) || $text AS n\"
[parameters.text]
type = \"text\"
default = \"\"
";
    const SECOND_US: i64 = 1_000_000;
    const TURNS: usize = 4;
    /// What is not there by then waits for something.
    const PATIENCE: Duration = Duration::from_millis(300);

    struct Asked {
        runtime: Runtime,
        clock: Arc<ManualClock>,
        state: Arc<HttpState>,
    }

    impl Asked {
        fn start() -> Self {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let clock = Arc::new(ManualClock::new(SECOND_US));
            let one = one_panel(NOW).unwrap();
            let info = WarehouseInfo {
                name: "shop".to_owned(),
                time_zone: "UTC".to_owned(),
                currency: None,
                views: BTreeSet::new(),
                docs: BTreeMap::new(),
                models: String::new(),
                sugar_token: None,
                has_sample_shop: false,
            };
            let limits = HttpLimits {
                queries_max: TURNS,
                ..HttpLimits::default()
            };
            let state = HttpState::new(
                Arc::new(one.engine),
                Arc::new(Snapshot::default),
                Arc::new(LiveFeed::new(Snapshot::default())),
                Arc::new(Metrics::default()),
                info,
                limits,
                clock.clone(),
            );
            state.set_panels(one.panels);
            Self {
                runtime,
                clock,
                state: Arc::new(state),
            }
        }

        fn ask(
            &self,
            text: &str,
            must_be_new: bool,
        ) -> impl Future<Output = Outcome> + Send + use<> {
            let state = self.state.clone();
            let text = text.to_owned();
            async move {
                let panel = state.panels.read().get("one").unwrap();
                let text_of = |_: &str| Some(text.clone());
                let values = panel.values(Part::Figures, text_of, 0).unwrap();
                let part = Part::Figures;
                state.panel_answer(panel, part, values, must_be_new).await
            }
        }

        fn answer(&self, text: &str) -> Arc<PanelAnswer> {
            let outcome = self.runtime.block_on(self.ask(text, false));
            outcome.unwrap()
        }

        fn is_waiting(&self, text: &str, must_be_new: bool) -> bool {
            let asked = self.ask(text, must_be_new);
            let outcome = async { tokio::time::timeout(PATIENCE, asked).await };
            self.runtime.block_on(outcome).is_err()
        }

        fn computed(&self) -> u64 {
            self.state.queries.get()
        }

        /// Waits until nothing is computed.
        fn settle(&self) {
            while !self.state.answers.state.lock().running.is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn who_asks_waits_shortly_and_is_given_the_old_answer_then() {
        let asked = Asked::start();
        let first = asked.answer("a");
        let other = asked.answer("b");
        // Nothing else is asked for: the new one is waited for.
        asked.clock.set_us(3 * SECOND_US);
        let second = asked.answer("a");
        assert!(!Arc::ptr_eq(&first, &second));
        assert_eq!(asked.computed(), 3);
        // From here on none can be computed.
        let turns = asked.state.query_turns.try_acquire_many(TURNS as u32);
        let turns = turns.unwrap();
        asked.clock.set_us(5 * SECOND_US);
        assert!(asked.is_waiting("a", false));
        // One more makes it busy, and who comes now waits less.
        assert!(Arc::ptr_eq(&asked.answer("b"), &other));
        assert!(Arc::ptr_eq(&asked.answer("a"), &second));
        assert_eq!(asked.state.answers.old.get(), 2);
        assert_eq!(asked.state.answers.state.lock().running.len(), 2);
        // Who must have a new one waits, and so does who finds too old a one.
        assert!(asked.is_waiting("a", true));
        let must_be_new = asked.runtime.spawn(asked.ask("a", true));
        asked.clock.set_us(60 * SECOND_US);
        assert!(asked.is_waiting("a", false));
        assert_eq!(asked.computed(), 3);
        drop(turns);
        let new = asked.runtime.block_on(must_be_new).unwrap();
        assert!(!Arc::ptr_eq(&new.unwrap(), &second));
        asked.settle();
        // What was begun before it was asked for was not new enough for it.
        assert_eq!(asked.computed(), 6);
    }

    #[test]
    fn the_wait_counts_from_the_begin_of_the_computation() {
        let computation = Computation {
            start_us: SECOND_US,
            outcome: futures::future::pending().boxed().shared(),
        };
        let wait_us = |is_alone, now_us| computation.wait(is_alone, now_us).as_micros();
        assert_eq!(wait_us(true, SECOND_US), 1_000_000);
        assert_eq!(wait_us(false, SECOND_US), 100_000);
        assert_eq!(wait_us(false, SECOND_US + 99_999), 1);
        assert_eq!(wait_us(false, SECOND_US + 100_001), 0);
    }

    #[test]
    fn a_failure_is_told_and_takes_no_answer_away() {
        let asked = Asked::start();
        asked.answer("a");
        // A query that finds no turn fails.
        asked.state.query_turns.close();
        asked.clock.set_us(3 * SECOND_US);
        let outcome = asked.runtime.block_on(asked.ask("a", false));
        assert_eq!(outcome.unwrap_err().status().as_u16(), 503);
        asked.settle();
        assert!(asked.state.answers.state.lock().kept.bytes() > 0);
    }
}
