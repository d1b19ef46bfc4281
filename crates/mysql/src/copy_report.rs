//! How far first copies have come: told to people at the begin of a table, now
//! and then, and at its end; and as numbers.

use crate::batch::Batch;

/// Time between two notes on one table.
const NOTE_INTERVAL_US: i64 = 10_000_000;

/// What the first copy of a table has read of it since the start of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopiedRows {
    /// The table.
    pub table: String,
    /// Rows that were read.
    pub rows: u64,
    /// Rows of the whole table, as the server estimates them.
    pub rows_expected: Option<u64>,
    /// Nothing more comes.
    pub is_over: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct CopyReport {
    open: Option<OpenTable>,
    notes: Vec<String>,
    changed: Vec<CopiedRows>,
}

/// The table that is being copied.
#[derive(Debug)]
struct OpenTable {
    copied: CopiedRows,
    /// Nothing of it was copied before.
    is_whole: bool,
    begin_us: i64,
    told_us: i64,
    has_changed: bool,
}

impl CopyReport {
    /// Whether a table has to begin that is about to be read, from its first row
    /// if it `is_whole`.
    pub fn is_new(&self, table: &str, is_whole: bool) -> bool {
        let same = self.open.as_ref().filter(|open| open.copied.table == table);
        same.is_none_or(|open| is_whole && open.copied.rows > 0)
    }

    /// Begins with a table, or goes on with one of which rows were copied before
    /// if it is not `is_whole`. An estimate of no rows is none.
    pub fn begin(&mut self, table: String, estimate: u64, is_whole: bool, now_us: i64) {
        self.leave();
        let rows = match (estimate, is_whole) {
            (0, _) => String::new(),
            (rows, true) => format!(", about {rows} rows"),
            (rows, false) => format!(", about {rows} rows in all"),
        };
        self.notes.push(match is_whole {
            true => format!("copying {table}{rows}"),
            false => format!("copying {table} from where it stopped{rows}"),
        });
        self.open = Some(OpenTable {
            copied: CopiedRows {
                table,
                rows_expected: (estimate > 0).then_some(estimate),
                ..CopiedRows::default()
            },
            is_whole,
            begin_us: now_us,
            told_us: now_us,
            has_changed: true,
        });
    }

    /// More rows of the table were read.
    pub fn add(&mut self, rows: u64) {
        if let Some(open) = &mut self.open {
            open.copied.rows += rows;
            open.has_changed = true;
        }
    }

    /// The table is copied.
    pub fn end(&mut self, now_us: i64) {
        if let Some(open) = &self.open {
            self.notes.push(open.ended(now_us));
        }
        self.leave();
    }

    /// The table is not copied any more.
    pub fn leave(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.copied.is_over = true;
            self.changed.push(open.copied);
        }
    }

    /// Puts what is to be told now into a batch of the source `name`.
    pub fn put_into(&mut self, batch: &mut Batch, name: &str, now_us: i64) {
        if let Some(open) = &mut self.open {
            if now_us.saturating_sub(open.told_us) >= NOTE_INTERVAL_US {
                open.told_us = now_us;
                self.notes.push(open.so_far(now_us));
            }
            if std::mem::take(&mut open.has_changed) {
                self.changed.push(open.copied.clone());
            }
        }
        let notes = self.notes.drain(..);
        batch
            .notes
            .extend(notes.map(|note| format!("{name}: {note}")));
        batch.copies.append(&mut self.changed);
    }
}

impl OpenTable {
    fn time_s(&self, now_us: i64) -> u64 {
        now_us.saturating_sub(self.begin_us).max(0).unsigned_abs() / 1_000_000
    }

    /// Rows a second; `None` before that can be said.
    fn rate(&self, now_us: i64) -> Option<u64> {
        self.copied.rows.checked_div(self.time_s(now_us))
    }

    fn so_far(&self, now_us: i64) -> String {
        let CopiedRows { table, rows, .. } = &self.copied;
        let rate = self.rate(now_us).unwrap_or(0);
        // What was copied before a stop is not counted, and an estimate may be low.
        let expected = self.copied.rows_expected.filter(|_| self.is_whole);
        let Some(left) = expected.and_then(|expected| expected.checked_sub(*rows)) else {
            return format!("{table}: {rows} rows were copied, {rate} a second");
        };
        let time_left = match left.checked_div(rate) {
            Some(seconds) => format!(", about {} left", span(seconds)),
            None => String::new(),
        };
        let all = rows + left;
        format!("{table}: {rows} of about {all} rows were copied, {rate} a second{time_left}")
    }

    fn ended(&self, now_us: i64) -> String {
        let CopiedRows { table, rows, .. } = &self.copied;
        let since = if self.is_whole {
            ""
        } else {
            " since it went on"
        };
        let rate = match self.rate(now_us) {
            Some(rate) => format!(" in {}, {rate} a second", span(self.time_s(now_us))),
            None => String::new(),
        };
        format!("{table} is copied: {rows} rows{since}{rate}")
    }
}

/// A time as people say it.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    fn told(report: &mut CopyReport, now_us: i64) -> Batch {
        let mut batch = Batch::default();
        report.put_into(&mut batch, "shop", now_us);
        batch
    }

    fn copied(rows: u64, rows_expected: Option<u64>, is_over: bool) -> CopiedRows {
        CopiedRows {
            table: "shop.t".into(),
            rows,
            rows_expected,
            is_over,
        }
    }

    #[test]
    fn a_copy_tells_rows_rate_and_time_left_every_ten_seconds() {
        let mut report = CopyReport::default();
        assert!(report.is_new("shop.t", true));
        report.begin("shop.t".into(), 10_000, true, SECOND_US);
        assert!(!report.is_new("shop.t", true));
        let batch = told(&mut report, SECOND_US);
        assert_eq!(batch.notes, ["shop: copying shop.t, about 10000 rows"]);
        assert_eq!(batch.copies, [copied(0, Some(10_000), false)]);
        report.add(1_000);
        let batch = told(&mut report, 10 * SECOND_US);
        assert_eq!(batch.notes, [""; 0]);
        assert_eq!(batch.copies, [copied(1_000, Some(10_000), false)]);
        // Ten seconds for a thousand rows: ninety for the other nine.
        let batch = told(&mut report, 11 * SECOND_US);
        let said =
            "shop: shop.t: 1000 of about 10000 rows were copied, 100 a second, about 90 s left";
        assert_eq!(batch.notes, [said]);
        assert!(batch.copies.is_empty());
        assert_eq!(told(&mut report, 20 * SECOND_US).notes, [""; 0]);
        // The estimate was low.
        report.add(9_200);
        let batch = told(&mut report, 21 * SECOND_US);
        let said = "shop: shop.t: 10200 rows were copied, 510 a second";
        assert_eq!(batch.notes, [said]);
        report.end(21 * SECOND_US);
        let batch = told(&mut report, 60 * SECOND_US);
        let said = "shop: shop.t is copied: 10200 rows in 20 s, 510 a second";
        assert_eq!(batch.notes, [said]);
        assert_eq!(batch.copies, [copied(10_200, Some(10_000), true)]);
        assert!(told(&mut report, 90 * SECOND_US).copies.is_empty());
    }

    #[test]
    fn a_copy_that_goes_on_says_no_time_left() {
        let mut report = CopyReport::default();
        report.begin("shop.t".into(), 500, false, 0);
        report.add(100);
        let batch = told(&mut report, 10 * SECOND_US);
        assert_eq!(
            batch.notes,
            [
                "shop: copying shop.t from where it stopped, about 500 rows in all",
                "shop: shop.t: 100 rows were copied, 10 a second",
            ]
        );
        report.end(10 * SECOND_US);
        let said = "shop: shop.t is copied: 100 rows since it went on in 10 s, 10 a second";
        assert_eq!(told(&mut report, 10 * SECOND_US).notes, [said]);
    }

    #[test]
    fn a_copy_that_begins_anew_counts_anew() {
        let mut report = CopyReport::default();
        report.begin("shop.t".into(), 0, true, 0);
        report.add(100);
        assert!(!report.is_new("shop.t", false));
        assert!(report.is_new("shop.t", true));
        assert!(report.is_new("shop.other", false));
        report.begin("shop.t".into(), 0, true, 0);
        let batch = told(&mut report, 0);
        assert_eq!(batch.notes, ["shop: copying shop.t"; 2]);
        assert_eq!(
            batch.copies,
            [copied(100, None, true), copied(0, None, false)]
        );
        // It is gone.
        report.leave();
        let batch = told(&mut report, 0);
        assert_eq!(batch.notes, [""; 0]);
        assert_eq!(batch.copies, [copied(0, None, true)]);
    }

    #[test]
    fn times_are_said_in_seconds_minutes_and_hours() {
        let said = [0, 119, 120, 7_199, 7_200, 93_784].map(span);
        assert_eq!(
            said,
            [
                "0 s",
                "119 s",
                "2 min",
                "119 min",
                "2 h 0 min",
                "26 h 3 min"
            ]
        );
    }
}
