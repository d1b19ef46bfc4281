//! The views that must be empty, asked again and again while the shop sends: every
//! answer is of one epoch, and most of them see the shop in the middle of something.

use std::collections::BTreeSet;

use super::warehouse::Warehouse;
use crate::common::root;

/// Rates of some days come in the morning, and until then this one names the orders of
/// the night in other currencies.
const WAITS_FOR_RATES: &str = "audit_currency";

/// The names of the views.
pub fn names() -> Vec<String> {
    let files = std::fs::read_dir(root().join("warehouse/models/audit")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let names: Vec<String> = paths
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// The answers so far.
pub struct Audits {
    names: Vec<String>,
    may_wait_for_rates: bool,
    epochs: BTreeSet<u64>,
    answers: usize,
}

impl Audits {
    pub fn new(has_several_currencies: bool) -> Self {
        Self {
            names: names(),
            may_wait_for_rates: has_several_currencies,
            epochs: BTreeSet::new(),
            answers: 0,
        }
    }

    /// Asks all of them, in an epoch behind those of before: something must have been
    /// sent since.
    #[track_caller]
    pub fn ask(&mut self, warehouse: &Warehouse) {
        if let Some(last) = self.epochs.last() {
            warehouse.wait_for_epoch_after(*last);
        }
        for name in &self.names {
            let (epoch, rows) = warehouse.answer(&format!("SELECT * FROM {name}"));
            let may_have_rows = self.may_wait_for_rates && name == WAITS_FOR_RATES;
            assert!(
                rows.is_empty() || may_have_rows,
                "{name} in epoch {epoch}: {rows:?}"
            );
            self.epochs.insert(epoch);
            self.answers += 1;
        }
    }

    /// Each of so many times was in an epoch of its own.
    #[track_caller]
    pub fn check_times(&self, times: usize) {
        assert_eq!(self.answers, times * self.names.len());
        assert!(self.epochs.len() >= times, "{:?}", self.epochs);
        println!(
            "{} answers of audits, of {} epochs",
            self.answers,
            self.epochs.len()
        );
    }
}
