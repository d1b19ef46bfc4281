//! Prints the records that files of a binary log give: `binlog_records PATH`,
//! where the last part of the path may have `*`. With `--count` as a second
//! argument only their number.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use sluice_core::SystemClock;
use sluice_mysql::files::BinlogFiles;
use sluice_mysql::filter::TableFilter;
use sluice_mysql::position::DatabasePosition;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("which files?")?);
    let counts_only = std::env::args()
        .nth(2)
        .is_some_and(|word| word == "--count");
    let (filter, position) = (TableFilter::default(), DatabasePosition::default());
    let mut files = BinlogFiles::open(&path, filter, position, Arc::new(SystemClock))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut count = 0;
    loop {
        let batch = files.poll()?;
        count += batch.records.len();
        for record in batch.records.iter().filter(|_| !counts_only) {
            out.write_all(&record.payload)?;
            writeln!(out)?;
        }
        if batch.at_end {
            writeln!(out, "{count} records")?;
            return Ok(());
        }
    }
}
