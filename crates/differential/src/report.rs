//! A wrong case as text that a person can read and run.

use std::fmt::Write;

use crate::run::{Case, Wrong};

/// Seed and history, how to run only them, tables, SQL, changes and both answers.
pub fn report(seed: u64, history: u64, case: &Case, wrong: &Wrong) -> String {
    let mut text = format!(
        "seed {seed}, history {history}: {:?} wrong after epoch {} in `{}`\n\
         alone: SLUICE_DIFFERENTIAL_FIRST={seed} SLUICE_DIFFERENTIAL_SEEDS=1 \
         SLUICE_DIFFERENTIAL_FIRST_HISTORY={history} SLUICE_DIFFERENTIAL_HISTORIES=1 \
         cargo test --release -p sluice-differential --test differential -- --nocapture\n",
        wrong.kind, wrong.epoch, wrong.collection
    );
    // Writing to a text cannot fail.
    let _ = write_case(&mut text, case, wrong);
    text
}

fn write_case(text: &mut String, case: &Case, wrong: &Wrong) -> std::fmt::Result {
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
