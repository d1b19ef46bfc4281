//! How the sources are: what capture threads last knew of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sluice_core::{Clock, Record, RecordKind, SystemClock};
use sluice_mysql::copy_report::CopiedRows;
use sluice_route::{CaptureDefinition, CaptureKind};

/// Tables of a source whose first copies are counted, each for itself, until the end of
/// the program.
const COPIES_MAX: usize = 100;

/// How far reading is behind a server of a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerLag {
    /// Age of the newest change that was read, in seconds; 0 if the server has
    /// no more.
    pub seconds: Option<u64>,
    /// Bytes of the server's log that were not read yet.
    pub bytes: Option<u64>,
    /// Bytes of its log that the server keeps for this reader.
    pub kept_bytes: Option<u64>,
}

/// What is known of one source. Times are microseconds since 1970 UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceState {
    /// Its kind, as `sources/*.toml` names it.
    pub kind: &'static str,
    /// Who is told when something is wrong with it.
    pub owner: Option<String>,
    /// Records that it gave since the start.
    pub records: u64,
    /// Bytes of their payload.
    pub bytes: u64,
    /// When it gave a record last; `None` before the first.
    pub last_record_us: Option<i64>,
    /// When it was last read to its end; `None` before.
    pub caught_up_us: Option<i64>,
    /// When capture began.
    pub start_us: i64,
    /// Records that it has and that were not read yet, where it can tell.
    pub unread: Option<u64>,
    /// Why it cannot be read, and since when.
    pub trouble: Option<(String, i64)>,
    /// How far it is behind a server of a database.
    pub lag: ServerLag,
    /// First copies of its tables since the start, by table.
    pub copies: BTreeMap<String, CopiedRows>,
    /// The table that is being copied.
    pub copying: Option<CopiedRows>,
}

impl SourceState {
    /// How far behind its end it is read, in microseconds: time since it was
    /// last read to its end.
    pub fn lag_us(&self, now_us: i64) -> i64 {
        let since_us = self.caught_up_us.unwrap_or(self.start_us);
        now_us.saturating_sub(since_us).max(0)
    }

    /// In one word.
    pub fn name(&self) -> &'static str {
        match (&self.trouble, self.caught_up_us) {
            (Some(_), _) => "failing",
            (None, Some(_)) => "running",
            (None, None) => "starting",
        }
    }
}

/// The states of all sources, by topic. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct SourceStates(Arc<Mutex<BTreeMap<String, SourceState>>>);

impl SourceStates {
    /// Sources that have not been read yet.
    pub fn new(captures: &[CaptureDefinition]) -> Self {
        let states = Self::default();
        states.change(captures);
        states
    }

    /// The sources are these now; those that were there keep what is said of
    /// them.
    pub fn change(&self, captures: &[CaptureDefinition]) {
        let start_us = SystemClock.now_us();
        let states = captures.iter().map(|capture| {
            let state = SourceState {
                kind: kind_name(&capture.kind),
                owner: capture.owner.clone(),
                start_us,
                // Clients come when they want to: nothing is read.
                caught_up_us: matches!(capture.kind, CaptureKind::Http { .. }).then_some(start_us),
                ..SourceState::default()
            };
            (capture.topic.clone(), state)
        });
        let mut new: BTreeMap<String, SourceState> = states.collect();
        let mut known = self.0.lock();
        for (topic, state) in std::mem::take(&mut *known) {
            if let Some(new) = new.get_mut(&topic) {
                *new = state;
            }
        }
        *known = new;
    }

    /// The source of `topic` gave so much, and has no more if it is `at_end`.
    pub fn note(
        &self,
        topic: &str,
        records: usize,
        bytes: usize,
        at_end: bool,
        trouble: Option<&str>,
    ) {
        let now_us = SystemClock.now_us();
        let mut states = self.0.lock();
        let Some(state) = states.get_mut(topic) else {
            return;
        };
        if records > 0 {
            state.records += records as u64;
            state.bytes += bytes as u64;
            state.last_record_us = Some(now_us);
        }
        match trouble {
            Some(trouble) => {
                let since_us = state.trouble.as_ref().map_or(now_us, |(_, since)| *since);
                state.trouble = Some((trouble.to_owned(), since_us));
            }
            // A server that has only let somebody in may still refuse him.
            None if records == 0 && !at_end => (),
            None => {
                state.trouble = None;
                if at_end {
                    state.caught_up_us = Some(now_us);
                }
            }
        }
    }

    /// Whether the source of `topic` gave something, or was read to its end, since
    /// the start.
    pub fn was_read(&self, topic: &str) -> bool {
        let states = self.0.lock();
        let state = states.get(topic);
        state.is_some_and(|state| state.records > 0 || state.caught_up_us.is_some())
    }

    /// Why the source of `topic` cannot be read.
    pub fn trouble(&self, topic: &str) -> Option<String> {
        let states = self.0.lock();
        let trouble = states.get(topic)?.trouble.as_ref();
        trouble.map(|(text, _)| text.clone())
    }

    /// The source of `topic` has so many records that were not read yet.
    pub fn note_unread(&self, topic: &str, unread: u64) {
        if let Some(state) = self.0.lock().get_mut(topic) {
            state.unread = Some(unread);
        }
    }

    /// The source of `topic` is so far behind its server.
    pub fn note_lag(&self, topic: &str, lag: ServerLag) {
        if let Some(state) = self.0.lock().get_mut(topic) {
            state.lag = lag;
        }
    }

    /// The first copy of a table of the source of `topic` has come so far.
    pub fn note_copy(&self, topic: &str, copied: CopiedRows) {
        if let Some(state) = self.0.lock().get_mut(topic) {
            state.copying = (!copied.is_over).then(|| copied.clone());
            let copies = &mut state.copies;
            if copies.len() < COPIES_MAX || copies.contains_key(&copied.table) {
                copies.insert(copied.table.clone(), copied);
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, SourceState> {
        let mut states = self.0.lock().clone();
        let now_us = SystemClock.now_us();
        for state in states.values_mut() {
            if state.kind == "http" {
                state.caught_up_us = Some(now_us);
            }
        }
        states
    }
}

/// Number of the records that are no mere steps of a position, and bytes of their
/// payload.
pub(super) fn count_data(records: &[Record]) -> (usize, usize) {
    let data = records.iter();
    let data = data.filter(|record| record.kind == RecordKind::Data);
    data.fold((0, 0), |(count, bytes), record| {
        (count + 1, bytes + record.payload.len())
    })
}

fn kind_name(kind: &CaptureKind) -> &'static str {
    match kind {
        CaptureKind::File { .. } => "file",
        CaptureKind::Http { .. } => "http",
        CaptureKind::Poll { .. } => "poll",
        CaptureKind::Binlog { .. } => "binlog",
        CaptureKind::MySql(_) => "mysql",
        CaptureKind::Postgres(_) => "postgres",
        CaptureKind::Kafka(_) => "kafka",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> SourceStates {
        let capture = CaptureDefinition {
            topic: "orders".to_owned(),
            kind: CaptureKind::Binlog {
                path: String::new(),
                tables: Vec::new(),
            },
            transactions: None,
            owner: Some("li".to_owned()),
        };
        SourceStates::new(&[capture])
    }

    #[test]
    fn copies_are_counted_by_table_and_not_without_bound() {
        let states = states();
        let copied = |table: usize, rows: u64, is_over: bool| CopiedRows {
            table: format!("t{table}"),
            rows,
            rows_expected: Some(9),
            is_over,
        };
        states.note_copy("orders", copied(0, 4, false));
        assert_eq!(states.all()["orders"].copying, Some(copied(0, 4, false)));
        states.note_copy("orders", copied(0, 8, true));
        let state = states.all()["orders"].clone();
        assert_eq!(
            (state.copying, &state.copies["t0"]),
            (None, &copied(0, 8, true))
        );
        for table in 1..=COPIES_MAX {
            states.note_copy("orders", copied(table, 1, false));
        }
        let state = states.all()["orders"].clone();
        assert_eq!(state.copies.len(), COPIES_MAX);
        // What is being copied is said all the same.
        assert_eq!(state.copying, Some(copied(COPIES_MAX, 1, false)));
        states.note_copy("orders", copied(1, 5, true));
        assert_eq!(states.all()["orders"].copies["t1"].rows, 5);
    }

    #[test]
    fn a_source_is_starting_then_running_or_failing() {
        let states = states();
        let state = |states: &SourceStates| states.all()["orders"].clone();
        assert_eq!(state(&states).name(), "starting");
        states.note("orders", 2, 10, true, None);
        states.note("orders", 1, 5, true, None);
        let running = state(&states);
        assert_eq!(
            (running.name(), running.records, running.bytes),
            ("running", 3, 15)
        );
        states.note("orders", 0, 0, true, Some("no route"));
        let failing = state(&states);
        assert_eq!(failing.name(), "failing");
        assert_eq!(
            failing.caught_up_us, running.caught_up_us,
            "it falls behind"
        );
        assert_eq!(failing.lag_us(running.caught_up_us.unwrap() + 7), 7);
        states.note("orders", 0, 0, true, None);
        assert_eq!(state(&states).trouble, None);
    }
}
