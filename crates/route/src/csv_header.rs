//! The header of CSV files among their lines.

use sluice_core::{LogRecord, RecordKind};

use crate::fields::CsvFields;
use crate::slots::SlotPlan;

/// The header of the CSV file that is being read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Header {
    /// `None` before the first one.
    pub(crate) names: Option<Vec<String>>,
    /// Fields that a line must have.
    pub(crate) width: usize,
    /// The column of each place of the topic's plan.
    pub(crate) columns: Vec<Option<usize>>,
}

impl Header {
    pub(crate) fn new(names: Option<Vec<String>>, width: usize, plan: &SlotPlan) -> Self {
        let known = names.as_deref().unwrap_or_default();
        // Of equal names the last one counts.
        let column = |wanted: &String| known.iter().rposition(|name| name == wanted);
        let columns = plan.names().iter().map(column).collect();
        Self {
            names,
            width,
            columns,
        }
    }

    /// The header in a line, and whether it is UTF-8.
    pub(crate) fn read(
        csv: &mut CsvFields,
        line: &[u8],
        delimiter: u8,
        plan: &SlotPlan,
    ) -> (Self, bool) {
        let is_text = csv.split(line, delimiter);
        let names = (0..csv.len())
            .filter_map(|index| csv.get(index).map(|name| name.trim().to_owned()))
            .collect();
        (Self::new(Some(names), csv.len(), plan), is_text)
    }

    /// The header that holds behind `records`, `before` being the one before
    /// them.
    pub(crate) fn behind(
        before: &Self,
        records: &[LogRecord],
        delimiter: Option<u8>,
        plan: &SlotPlan,
    ) -> Self {
        let is_header = |record: &&LogRecord| record.record.kind == RecordKind::CsvHeader;
        let newest = records.iter().rev().find(is_header);
        match (newest, delimiter) {
            (Some(newest), Some(delimiter)) => {
                let line = &newest.record.payload;
                Self::read(&mut CsvFields::default(), line, delimiter, plan).0
            }
            _ => before.clone(),
        }
    }
}
