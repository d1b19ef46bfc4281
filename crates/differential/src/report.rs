//! A wrong case as text that a person can read and run.

use std::fmt::Write;

use crate::run::{Case, Wrong};

/// Seed, tables, SQL, changes and both answers.
pub fn report(seed: u64, case: &Case, wrong: &Wrong) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write_report(&mut text, seed, case, wrong);
    text
}

fn write_report(text: &mut String, seed: u64, case: &Case, wrong: &Wrong) -> std::fmt::Result {
    writeln!(
        text,
        "seed {seed}: {:?} wrong after epoch {} in `{}`",
        wrong.kind, wrong.epoch, wrong.collection
    )?;
    for table in &case.tables {
        let is_read = case.views.iter().any(|view| view.query.reads(&table.name));
        if is_read || wrong.collection == table.name {
            let key = table.key_width;
            writeln!(
                text,
                "table {} (type, nullable) {:?}, key columns {key:?}",
                table.name, table.columns
            )?;
        }
    }
    for view in &case.views {
        writeln!(text, "{};", view.sql())?;
    }
    writeln!(text, "{} threads", case.worker_threads)?;
    for (index, epoch) in case.epochs.iter().enumerate() {
        writeln!(text, "epoch {}", index + 1)?;
        for batch in &epoch.batches {
            let table = &case.tables[batch.table].name;
            for change in &batch.changes {
                let word = if change.is_delete { "delete" } else { "put" };
                write!(
                    text,
                    "  {table} {word} {:?} version {}",
                    change.row, change.version
                )?;
                match &change.before {
                    Some(before) => writeln!(text, ", before {before:?}")?,
                    None => writeln!(text)?,
                }
            }
        }
        for (table, watermark) in &epoch.watermarks {
            let table = &case.tables[*table].name;
            writeln!(text, "  watermark of {table} {watermark}")?;
        }
        if epoch.checkpoint {
            writeln!(text, "  checkpoint")?;
        }
        if let Some(threads) = epoch.restart_threads {
            writeln!(text, "  restart with {threads} threads")?;
        }
    }
    writeln!(text, "{}", wrong.detail)
}
