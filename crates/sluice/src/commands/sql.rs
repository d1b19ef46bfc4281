//! `sluice sql`: one statement, a script, or a prompt.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use sluice_serve::{OutputFormat, write_result};

use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;
use crate::sql::{Connection, prompt, split_statements};

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people.
    Table,
    /// Comma-separated, with a header.
    Csv,
    /// An array of JSON objects.
    Json,
}

/// What the person asked for.
#[derive(Debug)]
pub struct SqlOptions<'a> {
    /// The project's folder, or the statement where only `--state` names the
    /// warehouse.
    pub words: &'a [String],
    /// The state's folder.
    pub state: Option<&'a Path>,
    /// A script.
    pub file: Option<&'a Path>,
    /// How answers are printed.
    pub format: Format,
    /// Settings of `--set`.
    pub overrides: &'a [(String, String)],
}

/// Answers.
///
/// # Errors
/// When the warehouse cannot be asked or a statement is wrong.
pub fn run(options: &SqlOptions<'_>, reporter: Reporter) -> Result<(), Failure> {
    let (folder, statement) = split_words(options)?;
    let state = match (options.state, folder) {
        (Some(state), _) => state.to_path_buf(),
        (None, folder) => {
            let project = Project::load(folder.unwrap_or(Path::new(".")), options.overrides)?;
            project.state_folder(None)
        }
    };
    let connection = Connection::open(&state)?;
    let format = match options.format {
        Format::Table => OutputFormat::Table,
        Format::Csv => OutputFormat::Csv,
        Format::Json => OutputFormat::Json,
    };
    if let Some(script) = script(statement, options.file)? {
        if !connection.is_running() {
            reporter.info(connection.description());
        }
        for statement in split_statements(&script).0 {
            answer(&connection, format, &statement)?;
        }
        return Ok(());
    }
    let description = connection.description().to_owned();
    prompt(&description, |statement| {
        if let Err(failure) = answer(&connection, format, statement) {
            reporter.error(&failure.to_string());
        }
    })
}

/// Which words are the folder and the statement.
fn split_words<'a>(
    options: &SqlOptions<'a>,
) -> Result<(Option<&'a Path>, Option<&'a str>), Failure> {
    let is_project = |word: &str| Path::new(word).join("warehouse.toml").exists();
    match options.words {
        [] if options.state.is_some() => Ok((None, None)),
        [] if is_project(".") => Ok((Some(Path::new(".")), None)),
        [only] if is_project(only) || options.state.is_none() => Ok((Some(Path::new(only)), None)),
        [only] => Ok((None, Some(only))),
        [folder, statement] => Ok((Some(Path::new(folder)), Some(statement))),
        _ => Err(Failure::Definitions(
            "name the warehouse: `sluice sql DIR \"SELECT …\"` or `sluice sql --state DIR2 \"SELECT …\"`\n  help: quote the statement, so that it is one word".into(),
        )),
    }
}

/// The text to run; `None` where a person sits at the terminal.
fn script(statement: Option<&str>, file: Option<&Path>) -> Result<Option<String>, Failure> {
    if let Some(statement) = statement {
        return Ok(Some(statement.to_owned()));
    }
    if let Some(file) = file {
        let what = format!("reading {}", file.display());
        return std::fs::read_to_string(file).doing(&what).map(Some);
    }
    if std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .doing("reading the script from standard input")?;
    Ok(Some(text))
}

fn answer(connection: &Connection, format: OutputFormat, sql: &str) -> Result<(), Failure> {
    let result = connection.query(sql)?;
    let mut output = std::io::stdout().lock();
    write_result(format, &result, &mut output).doing("writing the answer")?;
    output.flush().doing("writing the answer")
}
