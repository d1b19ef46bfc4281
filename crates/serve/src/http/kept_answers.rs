//! Answers that are kept, and when one of them may be given again.
//!
//! An answer is as good as a new one as long as nothing that it was computed from
//! has changed, unless its query looks at the clock. After that it is given as
//! long as it is no older than its panel allows: `fresh_ms` of its file, or
//! without it the time in which half a processor computes every answer that is
//! asked for. So a few panels are always new, and many, or slow ones, become
//! older instead of taking the processors from the flow, however many look at
//! them; but not older than two seconds, unless one takes longer by itself. An
//! answer without `fresh_ms` that is older may still be given to those who would
//! wait long for a new one, for a few times as long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_core::Epoch;
use sluice_store::Snapshot;

use crate::Pinned;
use crate::access::Role;
use crate::panels::{CheckedPanel, PanelAnswer, Part};

/// Bytes of answers that are kept.
const BYTES_MAX: usize = 64 << 20;
/// Of larger answers no rows are kept.
const ANSWER_BYTES_MAX: usize = BYTES_MAX / 8;
/// Bytes of what is known of answers without rows.
const BARE_BYTES_MAX: usize = 4 << 20;
/// What an entry takes besides its rows.
const ENTRY_BYTES: usize = 1 << 10;
/// An answer that was given so recently is asked for.
const ASKED_US: i64 = 2_000_000;
/// Answers without a freshness of their own take one processor in so many.
const PROCESSOR_PARTS: i64 = 2;
/// However many they are, those that take no longer are as new as this.
const ROUND_US_MAX: i64 = 2_000_000;
/// An answer is given while a new one is computed for so many times as long as it
/// counts as young at most.
const OLD_ROUNDS_MAX: i64 = 3;

/// What tells two answers apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Where the panel lies in memory: its entry holds it, so that no other
    /// one, and no other definition of it, can come to lie there.
    pub(super) panel: usize,
    pub(super) part: Part,
    pub(super) values: String,
    /// What is kept from one role must not come from an answer for another.
    pub(super) role: Option<Role>,
    /// Changes of models, which may leave a panel as it is and what it reads not.
    pub(super) models: u64,
}

/// How good an answer is that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// A new one would be the same.
    Current,
    /// It is no older than its panel allows.
    Young,
    /// It may be given to those who would wait long for a new one.
    Old,
}

impl Standing {
    /// Whether it may be given without more ado.
    pub(super) fn is_good(self, must_be_new: bool) -> bool {
        match self {
            Self::Current => true,
            Self::Young => !must_be_new,
            Self::Old => false,
        }
    }
}

/// An answer, and when its computation began and ended.
#[derive(Debug)]
struct Kept {
    panel: Arc<CheckedPanel>,
    part: Part,
    pinned: Pinned,
    /// With its rows; `None` where there is no room for them. Then it is known
    /// whether what somebody else keeps of it is still good.
    answer: Option<Arc<PanelAnswer>>,
    start_us: i64,
    end_us: i64,
    /// When a new one would last have been the same, as far as anybody asked.
    current_us: i64,
    /// Without rows, and those of its rows.
    bytes: usize,
    rows_bytes: usize,
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

    /// How good it is now, if it may be given at all; `round_us` is the time in
    /// which all that are asked for can be computed.
    fn standing(&self, newest: &Snapshot, now_us: i64, round_us: i64) -> Option<Standing> {
        let query = self.panel.query(self.part);
        let uses_clock = query.is_none_or(|query| query.uses_clock);
        if !uses_clock && self.pinned.is_same_in(newest) {
            return Some(Standing::Current);
        }
        if let Some(fresh_ms) = self.panel.panel.fresh_ms {
            let fresh_us = i64::try_from(fresh_ms).map_or(i64::MAX, |ms| ms.saturating_mul(1_000));
            // Its rows are those of the moment at which it began, or later.
            let is_young = now_us.saturating_sub(self.start_us) < fresh_us;
            return is_young.then_some(Standing::Young);
        }
        if now_us.saturating_sub(self.end_us) < round_us.max(self.cost_us()) {
            return Some(Standing::Young);
        }
        let round_us_max = ROUND_US_MAX.max(self.cost_us());
        let is_old =
            now_us.saturating_sub(self.current_us) < round_us_max.saturating_mul(OLD_ROUNDS_MAX);
        is_old.then_some(Standing::Old)
    }
}

/// Entries by their last use, and what they take.
#[derive(Default)]
struct ByUse {
    uses: BTreeSet<u64>,
    bytes: usize,
}

impl ByUse {
    fn add(&mut self, kept: &Kept) {
        self.uses.insert(kept.last_use);
        self.bytes += kept.bytes + kept.rows_bytes;
    }

    fn remove(&mut self, kept: &Kept) {
        self.uses.remove(&kept.last_use);
        self.bytes -= kept.bytes + kept.rows_bytes;
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct KeptAnswers {
    kept: BTreeMap<Key, Kept>,
    by_use: BTreeMap<u64, Key>,
    with_rows: ByUse,
    bare: ByUse,
    uses: u64,
    /// The first use after which all answers count as asked for.
    asked_from: u64,
    /// What computing those that are asked for takes.
    asked_cost_us: i64,
}

impl KeptAnswers {
    /// Memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.with_rows.bytes + self.bare.bytes
    }

    /// The answer of `key`, if it may be given.
    pub(super) fn get(
        &mut self,
        key: &Key,
        newest: &Snapshot,
        now_us: i64,
    ) -> Option<(Arc<PanelAnswer>, Standing)> {
        let (kept, standing) = self.ask_for(key, newest, now_us)?;
        Some((kept.answer.clone()?, standing))
    }

    /// The epoch that last changed what the answer of `key` was computed from, if
    /// whoever keeps that answer needs no other one.
    pub(super) fn changed(
        &mut self,
        key: &Key,
        newest: &Snapshot,
        now_us: i64,
        must_be_new: bool,
    ) -> Option<Epoch> {
        let (kept, standing) = self.ask_for(key, newest, now_us)?;
        let is_told = kept.pinned.tables.is_some();
        (is_told && standing.is_good(must_be_new)).then_some(kept.pinned.changed)
    }

    /// What is known of an answer, if it may be given, or might be if its rows
    /// were kept.
    fn ask_for(&mut self, key: &Key, newest: &Snapshot, now_us: i64) -> Option<(&Kept, Standing)> {
        self.note_unasked(now_us);
        let round_us = self.asked_cost_us.saturating_mul(PROCESSOR_PARTS);
        let round_us = round_us.min(ROUND_US_MAX);
        let kept = self.kept.get_mut(key)?;
        let standing = kept.standing(newest, now_us, round_us)?;
        if standing == Standing::Current {
            kept.current_us = now_us;
        }
        let part = match kept.answer {
            Some(_) => &mut self.with_rows,
            None => &mut self.bare,
        };
        part.remove(kept);
        self.by_use.remove(&kept.last_use);
        self.uses += 1;
        kept.last_use = self.uses;
        kept.last_use_us = now_us;
        self.by_use.insert(self.uses, key.clone());
        part.add(kept);
        if !kept.is_asked_for {
            kept.is_asked_for = true;
            self.asked_cost_us = self.asked_cost_us.saturating_add(kept.cost_us());
        }
        Some((&*kept, standing))
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
        let Some(kept) = self.kept.remove(key) else {
            return;
        };
        self.by_use.remove(&kept.last_use);
        match kept.answer {
            Some(_) => self.with_rows.remove(&kept),
            None => self.bare.remove(&kept),
        }
        if kept.is_asked_for {
            self.asked_cost_us = self.asked_cost_us.saturating_sub(kept.cost_us());
        }
    }

    /// Keeps an answer, and gives up the rows of those that were not asked for for
    /// longest where there is no room.
    pub(super) fn keep(&mut self, key: Key, answer: Arc<PanelAnswer>, start_us: i64, end_us: i64) {
        self.forget(&key);
        let batches = answer.result.batches.iter();
        let rows_bytes: usize = batches.map(|batch| batch.get_array_memory_size()).sum();
        let bytes = ENTRY_BYTES + key.values.len();
        let has_room = rows_bytes + bytes <= ANSWER_BYTES_MAX;
        self.uses += 1;
        let kept = Kept {
            panel: answer.panel.clone(),
            part: answer.part,
            pinned: answer.result.pinned.clone(),
            answer: has_room.then_some(answer),
            start_us,
            end_us,
            current_us: end_us,
            bytes,
            rows_bytes: if has_room { rows_bytes } else { 0 },
            last_use: self.uses,
            last_use_us: end_us,
            is_asked_for: true,
        };
        self.asked_cost_us = self.asked_cost_us.saturating_add(kept.cost_us());
        self.by_use.insert(self.uses, key.clone());
        match has_room {
            true => self.with_rows.add(&kept),
            false => self.bare.add(&kept),
        }
        self.kept.insert(key, kept);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.with_rows.bytes > BYTES_MAX {
            let oldest = self.with_rows.uses.first();
            let Some(key) = oldest.and_then(|oldest| self.by_use.get(oldest)) else {
                break;
            };
            let Some(kept) = self.kept.get_mut(key) else {
                break;
            };
            self.with_rows.remove(kept);
            kept.answer = None;
            kept.rows_bytes = 0;
            self.bare.add(kept);
        }
        while self.bare.bytes > BARE_BYTES_MAX {
            let oldest = self.bare.uses.first();
            let Some(key) = oldest.and_then(|oldest| self.by_use.get(oldest).cloned()) else {
                break;
            };
            self.forget(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::Schema;

    use super::*;
    use crate::panels::PanelValues;
    use crate::panels::one_panel::one_panel;
    use crate::{Pinned, QueryResult};

    const PANEL: &str = "title = { en = \"One\", zh = \"一\" }
subject = \"own\"
chart = \"number\"
query = \"SELECT 1 AS n\"
";
    const COST_US: i64 = 100_000;

    fn answer(text: &str) -> Arc<PanelAnswer> {
        Arc::new(PanelAnswer {
            panel: one_panel(text).unwrap().panel,
            part: Part::Figures,
            values: PanelValues::default(),
            result: QueryResult {
                // Of what changes at any time.
                pinned: Pinned {
                    epoch: 1,
                    tables: None,
                    changed: 1,
                },
                schema: Arc::new(Schema::empty()),
                batches: Vec::new(),
            },
            totals: None,
        })
    }

    fn key(number: usize) -> Key {
        Key {
            panel: 0,
            part: Part::Figures,
            values: number.to_string(),
            role: None,
            models: 0,
        }
    }

    /// How good the answer of that number is at `now_us`.
    fn standing(answers: &mut KeptAnswers, number: usize, now_us: i64) -> Option<Standing> {
        let found = answers.get(&key(number), &Snapshot::default(), now_us);
        found.map(|(_, standing)| standing)
    }

    #[test]
    fn answers_grow_older_the_more_are_asked_for() {
        let mut answers = KeptAnswers::default();
        for number in 0..10 {
            answers.keep(key(number), answer(PANEL), 0, COST_US);
        }
        // Half a processor computes all ten in two seconds.
        assert_eq!(answers.asked_cost_us, 10 * COST_US);
        let first = |answers: &mut KeptAnswers, now_us| standing(answers, 0, now_us);
        let young = Some(Standing::Young);
        assert_eq!(first(&mut answers, COST_US + 1_900_000), young);
        // By now nobody has asked for the others for long.
        let old = Some(Standing::Old);
        assert_eq!(first(&mut answers, COST_US + 2_100_000), old);
        assert_eq!(answers.asked_cost_us, COST_US);
        // What is asked for again is a part of it again.
        answers.keep(key(0), answer(PANEL), 3_000_000, 3_000_000 + COST_US);
        assert_eq!(answers.asked_cost_us, COST_US);
        assert_eq!(first(&mut answers, 3_000_000 + 2 * COST_US), young);
        assert_eq!(first(&mut answers, 3_000_000 + 4 * COST_US), old);
        answers.forget(&key(0));
        assert_eq!(answers.asked_cost_us, 0);
        assert_eq!(answers.kept.len(), 9);
    }

    #[test]
    fn an_old_answer_is_given_for_a_few_rounds_from_when_it_was_current() {
        let mut answers = KeptAnswers::default();
        answers.keep(key(0), answer(PANEL), 0, COST_US);
        let bound_us = OLD_ROUNDS_MAX * ROUND_US_MAX;
        let last_us = COST_US + bound_us - 1;
        assert_eq!(standing(&mut answers, 0, last_us), Some(Standing::Old));
        assert_eq!(standing(&mut answers, 0, last_us + 1), None);
        // One that takes longer than a round by itself is given for longer.
        let cost_us = 4 * ROUND_US_MAX;
        answers.keep(key(1), answer(PANEL), 0, cost_us);
        let last_us = cost_us + OLD_ROUNDS_MAX * cost_us - 1;
        assert_eq!(standing(&mut answers, 1, last_us), Some(Standing::Old));
        assert_eq!(standing(&mut answers, 1, last_us + 1), None);
        // A panel that says how old its answers may be means it.
        let says = format!("fresh_ms = 1000\n{PANEL}");
        answers.keep(key(2), answer(&says), 0, COST_US);
        let mut at = |now_us| standing(&mut answers, 2, now_us);
        assert_eq!(at(999_999), Some(Standing::Young));
        assert_eq!(at(1_000_000), None);
        // It was current until somebody asked, however long ago it was computed.
        let mut current = answer(PANEL).as_ref().clone();
        current.result.pinned.epoch = 0;
        current.result.pinned.tables = Some(BTreeSet::new());
        answers.keep(key(3), Arc::new(current), 0, COST_US);
        let asked_us = 3_600_000_000;
        let found = standing(&mut answers, 3, asked_us);
        assert_eq!(found, Some(Standing::Current));
        let kept = answers.kept.get(&key(3)).unwrap();
        assert_eq!(kept.current_us, asked_us);
    }

    /// An answer with rows that take a little less than `bytes`, whatever changes.
    fn with_rows(bytes: usize) -> Arc<PanelAnswer> {
        let numbers = Int64Array::from(vec![0; (bytes - 2 * ENTRY_BYTES) / 8]);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).unwrap();
        let mut answer = answer(PANEL).as_ref().clone();
        answer.result.pinned.tables = Some(BTreeSet::new());
        answer.result.batches = vec![batch];
        Arc::new(answer)
    }

    #[test]
    fn of_what_has_no_room_it_is_known_whether_it_changed() {
        let mut answers = KeptAnswers::default();
        let now = Snapshot::default();
        // Too large by itself.
        answers.keep(key(0), with_rows(2 * ANSWER_BYTES_MAX), 0, COST_US);
        assert!(answers.get(&key(0), &now, COST_US).is_none());
        assert_eq!(answers.changed(&key(0), &now, COST_US, true), Some(1));
        assert_eq!(answers.asked_cost_us, COST_US);
        // Given up for others.
        let large = with_rows(ANSWER_BYTES_MAX);
        for number in 1..=9 {
            answers.keep(key(number), large.clone(), 0, COST_US);
        }
        assert!(answers.with_rows.bytes <= BYTES_MAX);
        assert!(answers.get(&key(1), &now, COST_US).is_none());
        assert_eq!(answers.changed(&key(1), &now, COST_US, true), Some(1));
        assert!(answers.get(&key(2), &now, COST_US).is_some());
        assert_eq!(answers.asked_cost_us, 10 * COST_US);
        // What is known is bounded too.
        let too_large = with_rows(2 * ANSWER_BYTES_MAX);
        for number in 10..2 * BARE_BYTES_MAX / ENTRY_BYTES {
            answers.keep(key(number), too_large.clone(), 0, COST_US);
        }
        assert!(answers.bare.bytes <= BARE_BYTES_MAX);
        assert_eq!(answers.changed(&key(1), &now, COST_US, true), None);
        assert!(answers.get(&key(2), &now, COST_US).is_some());
        // Of what else changes nobody tells when.
        answers.keep(key(0), answer(PANEL), 0, COST_US);
        assert_eq!(answers.changed(&key(0), &now, COST_US, true), None);
    }
}
