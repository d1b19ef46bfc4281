//! The prompt: statements over several lines, history, and the few commands
//! that people type by habit.

use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::split_statements;
use crate::failure::{Doing, Failure};

const HELP: &str = "\
A statement ends with a semicolon and may take several lines.
  \\d         tables and views
  \\d NAME    columns of one
  \\q         leave (or Ctrl-D)";

/// Reads statements until the person leaves, and gives each to `run`.
///
/// # Errors
/// When the terminal fails. A wrong statement is `run`'s to report.
pub fn prompt(description: &str, mut run: impl FnMut(&str)) -> Result<(), Failure> {
    let mut editor = DefaultEditor::new().doing("preparing the prompt")?;
    let history = history_file();
    if let Some(history) = &history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    println!("{description}\nType \\? for help, \\q to leave.");
    let mut buffer = String::new();
    loop {
        let sign = if buffer.is_empty() {
            "sluice> "
        } else {
            "     -> "
        };
        let line = match editor.readline(sign) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                buffer.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(Failure::doing("reading from the terminal", &error)),
        };
        if buffer.is_empty() && line.trim_start().starts_with('\\') {
            let _ = editor.add_history_entry(line.trim());
            match command(line.trim()) {
                Command::Leave => break,
                Command::Help => println!("{HELP}"),
                Command::Ask(sql) => run(&sql),
            }
            continue;
        }
        buffer.push_str(&line);
        buffer.push('\n');
        let (statements, is_ended) = split_statements(&buffer);
        if !is_ended {
            continue;
        }
        if !statements.is_empty() {
            let _ = editor.add_history_entry(buffer.trim());
        }
        for statement in statements {
            run(&statement);
        }
        buffer.clear();
    }
    if let Some(history) = &history {
        // A home that cannot be written costs the history, nothing else.
        let _ = editor.save_history(history);
    }
    Ok(())
}

enum Command {
    Leave,
    Help,
    Ask(String),
}

fn command(line: &str) -> Command {
    let mut words = line.trim_end_matches(';').split_whitespace();
    match (words.next(), words.next()) {
        (Some("\\q"), _) => Command::Leave,
        (Some("\\d" | "\\dt" | "\\dv"), None) => Command::Ask(
            "SELECT table_name AS name, table_type AS type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name".to_owned(),
        ),
        (Some("\\d"), Some(name)) => Command::Ask(format!(
            "SELECT column_name AS column, data_type AS type, is_nullable AS nullable FROM information_schema.columns WHERE table_name = '{}' ORDER BY ordinal_position",
            name.replace('\'', "''")
        )),
        _ => Command::Help,
    }
}

fn history_file() -> Option<PathBuf> {
    let home = std::env::var_os("HOME")?;
    Some(PathBuf::from(home).join(".sluice_history"))
}
