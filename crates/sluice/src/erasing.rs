//! How `sluice erase` and a running warehouse speak to each other: by small
//! files in the state's folder. A request is taken by the running process, which
//! erases, starts again in its place, and then answers.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sluice_core::{Disk, OpenMode, RealDisk};

use crate::failure::{Doing, Failure};

const REQUEST: &str = "erase.request";
/// Erased, and not computed anew yet.
const PENDING: &str = "erase.pending";
const ANSWER: &str = "erase.answer";

/// Who is to be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The kind of person.
    pub kind: String,
    /// The id.
    pub id: String,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The person had a key.
    pub had_key: bool,
    /// The topic whose log has lost its beginning, so that the rows of the
    /// person stay.
    pub rows_stay: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Erased.
    Erased(Erased),
    /// Refused, and why.
    Refused(String),
}

impl Request {
    /// The request in `KIND:ID`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text.split_once(':') {
            Some((kind, id)) if !kind.trim().is_empty() && !id.trim().is_empty() => Ok(Self {
                kind: kind.trim().to_owned(),
                id: id.trim().to_owned(),
            }),
            _ => Err(Failure::Definitions(format!(
                "--person {text}: this names no person\n  help: write KIND:ID, such as user:42"
            ))),
        }
    }
}

fn write<T: Serialize>(state: &Path, name: &str, value: &T) -> Result<(), Failure> {
    let path = state.join(name);
    let what = format!("writing {}", path.display());
    let text = serde_json::to_vec(value).doing(&what)?;
    let beside = path.with_extension("new");
    let mut file = RealDisk.open(&beside, OpenMode::Create).doing(&what)?;
    file.append(&text).doing(&what)?;
    drop(file);
    RealDisk.rename(&beside, &path).doing(&what)
}

fn read<T: for<'a> Deserialize<'a>>(state: &Path, name: &str) -> Option<T> {
    let bytes = RealDisk.read(&state.join(name)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn remove(state: &Path, name: &str) {
    // What is left over is taken again: erasing twice is erasing once.
    let _ = RealDisk.remove(&state.join(name));
}

/// Asks the running process.
///
/// # Errors
/// When the disk refuses.
pub fn ask(state: &Path, request: &Request) -> Result<(), Failure> {
    remove(state, ANSWER);
    write(state, REQUEST, request)
}

/// What the running process was asked.
pub fn asked(state: &Path) -> Option<Request> {
    read(state, REQUEST)
}

/// The process has erased, and starts again.
///
/// # Errors
/// When the disk refuses.
pub fn begin_again(state: &Path, answer: &Answer) -> Result<(), Failure> {
    write(state, PENDING, answer)?;
    remove(state, REQUEST);
    Ok(())
}

/// The process answers, and goes on.
///
/// # Errors
/// When the disk refuses.
pub fn answer_now(state: &Path, answer: &Answer) -> Result<(), Failure> {
    write(state, ANSWER, answer)?;
    remove(state, REQUEST);
    Ok(())
}

/// Everything is computed without whom was erased.
///
/// # Errors
/// When the disk refuses.
pub fn done(state: &Path) -> Result<(), Failure> {
    if let Some(answer) = read::<Answer>(state, PENDING) {
        write(state, ANSWER, &answer)?;
        remove(state, PENDING);
    }
    Ok(())
}

/// The answer, if it is there. It is taken away.
pub fn answer(state: &Path) -> Option<Answer> {
    let answer = read(state, ANSWER)?;
    remove(state, ANSWER);
    Some(answer)
}

/// Takes back what was asked.
pub fn withdraw(state: &Path) {
    remove(state, REQUEST);
}
