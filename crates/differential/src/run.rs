//! Runs a case through the engine and compares every view with the oracles.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_core::{Delta, TableChanges};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program, ViewDefinition};

use crate::interpret::{NoAnswer, ZSet, add, interpret};
use crate::query::View;
use crate::stream::{Content, EpochInput, Table};
use crate::value::{Row, Type, Value, from_array};
use crate::{batch, sqlite};

/// Everything that a run depends on. Nothing is drawn by chance while it runs,
/// so a case can be made smaller piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The tables.
    pub tables: Vec<Table>,
    /// The views, each after those that it reads.
    pub views: Vec<View>,
    /// Threads of the first engine.
    pub worker_threads: usize,
    /// What happens.
    pub epochs: Vec<EpochInput>,
    /// Whether DataFusion is asked at the end.
    pub ask_batch: bool,
    /// Whether SQLite is asked at the end, if it knows all types.
    pub ask_sqlite: bool,
}

/// What is tested: the engine, or something that stands in its place.
pub trait Subject {
    /// Takes an epoch's changes and the watermarks of tables at its end, and
    /// gives the changes of all collections.
    ///
    /// # Errors
    /// When the subject breaks down.
    fn step(
        &mut self,
        epoch: u64,
        changes: Vec<TableChanges>,
        watermarks: &BTreeMap<String, i64>,
    ) -> Result<BTreeMap<String, Delta>, String>;
    /// Saves what changed since the last time.
    ///
    /// # Errors
    /// When the subject breaks down.
    fn checkpoint(&mut self) -> Result<(), String>;
    /// Forgets everything but what was saved, and goes on from there.
    ///
    /// # Errors
    /// When the subject breaks down.
    fn restart(&mut self, worker_threads: usize) -> Result<(), String>;
}

/// Makes a subject for a program and a number of threads.
pub type Start<'a> = dyn Fn(Arc<Program>, usize) -> Result<Box<dyn Subject>, String> + 'a;

/// The engine itself.
pub struct RealEngine {
    program: Arc<Program>,
    engine: Engine,
    last_epoch: u64,
    parts: BTreeMap<String, Vec<u8>>,
    /// Whether pieces of the state are collected after each epoch.
    collects_ahead: bool,
}

/// Every second case collects its checkpoints in pieces, and very small ones.
fn collects_ahead(worker_threads: usize) -> bool {
    worker_threads.is_multiple_of(2)
}

fn options(worker_threads: usize) -> EngineOptions {
    EngineOptions {
        collected_rows_min: 2,
        ..EngineOptions::with_threads(worker_threads)
    }
}

impl RealEngine {
    /// An empty engine.
    ///
    /// # Errors
    /// When the engine refuses to start.
    pub fn start(program: Arc<Program>, worker_threads: usize) -> Result<Box<dyn Subject>, String> {
        let engine = Engine::new(program.clone(), options(worker_threads));
        Ok(Box::new(Self {
            program,
            engine: engine.map_err(|error| format!("start: {error}"))?,
            last_epoch: 0,
            parts: BTreeMap::new(),
            collects_ahead: collects_ahead(worker_threads),
        }))
    }
}

impl Subject for RealEngine {
    fn step(
        &mut self,
        epoch: u64,
        changes: Vec<TableChanges>,
        watermarks: &BTreeMap<String, i64>,
    ) -> Result<BTreeMap<String, Delta>, String> {
        self.last_epoch = epoch;
        self.engine.advance_watermarks(watermarks);
        let output = self.engine.step(epoch, changes);
        if self.collects_ahead && output.is_ok() {
            self.engine.collect_ahead();
            self.engine.collect_ahead();
        }
        Ok(output.map_err(|error| format!("step: {error}"))?.deltas)
    }

    fn checkpoint(&mut self) -> Result<(), String> {
        let checkpoint = self.engine.checkpoint();
        let checkpoint = checkpoint.map_err(|error| format!("checkpoint: {error}"))?;
        self.parts.extend(checkpoint.changed);
        self.parts.retain(|name, _| checkpoint.live.contains(name));
        Ok(())
    }

    fn restart(&mut self, worker_threads: usize) -> Result<(), String> {
        let options = options(worker_threads);
        self.collects_ahead = collects_ahead(worker_threads);
        let restored = Engine::restore(self.program.clone(), options, self.last_epoch, &self.parts);
        self.engine = restored.map_err(|error| format!("restore: {error}"))?;
        Ok(())
    }
}

/// How a run ended, if nothing was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All answers agree.
    Agreed {
        /// Views compared with the interpreter, over all epochs.
        comparisons: usize,
        /// Views compared with DataFusion.
        batch_comparisons: usize,
        /// Views compared with SQLite.
        sqlite_comparisons: usize,
        /// Evaluation failures that both sides counted.
        failures: i64,
    },
    /// The planner refused a view, which is its right; the text says why.
    Refused(String),
    /// The interpreter cannot or may not answer.
    Discarded(String),
}

/// What went wrong. Shrinking keeps to one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongKind {
    /// The engine broke down.
    Breakdown,
    /// The engine's rows differ from the interpreter's.
    Rows,
    /// The engine's number of evaluation errors differs.
    Failures,
    /// A row was taken back that should never change.
    Retraction,
    /// DataFusion's rows differ from the interpreter's.
    Batch,
    /// SQLite's rows differ from the interpreter's.
    Sqlite,
}

/// A run in which something was wrong.
#[derive(Debug, Clone)]
pub struct Wrong {
    /// What.
    pub kind: WrongKind,
    /// After which epoch, counted from 1.
    pub epoch: usize,
    /// The view, where one is known.
    pub collection: String,
    /// Both answers, or the error.
    pub detail: String,
}

/// The engine's collections, added up.
#[derive(Default)]
struct Found {
    rows: BTreeMap<String, ZSet>,
    /// Evaluation errors by view.
    failures: BTreeMap<String, i64>,
}

/// Plans the views of `case`, which other histories of the same plan share.
///
/// # Errors
/// When the engine refuses the views: why.
pub fn plan(case: &Case) -> Result<Arc<Program>, String> {
    let definitions: Vec<_> = case.tables.iter().map(Table::definition).collect();
    match Program::plan(&definitions, &view_definitions(&case.views)) {
        Ok(program) => Ok(Arc::new(program)),
        Err(errors) => {
            let texts = errors.iter().map(ToString::to_string);
            let views = case.views.iter().map(View::sql);
            Err(texts.chain(views).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// Runs `case` with the subject that `start` makes.
///
/// # Errors
/// When an answer is wrong.
pub fn run_case(case: &Case, start: &Start<'_>) -> Result<Outcome, Box<Wrong>> {
    match plan(case) {
        Ok(program) => run_planned(case, program, start),
        Err(reason) => Ok(Outcome::Refused(reason)),
    }
}

/// Runs `case`, whose views `program` holds, with the subject that `start`
/// makes.
///
/// # Errors
/// When an answer is wrong.
pub fn run_planned(
    case: &Case,
    program: Arc<Program>,
    start: &Start<'_>,
) -> Result<Outcome, Box<Wrong>> {
    let breakdown = |epoch: usize, detail: String| {
        Box::new(Wrong {
            kind: WrongKind::Breakdown,
            epoch,
            collection: String::new(),
            detail,
        })
    };
    let types = collection_types(case);
    let mut subject = start(program, case.worker_threads).map_err(|detail| breakdown(0, detail))?;
    let mut contents: Vec<Content> = vec![Content::default(); case.tables.len()];
    let mut watermarks = BTreeMap::new();
    let mut found = Found::default();
    let mut comparisons = 0;
    let mut expected = Expected::default();
    for (index, epoch) in case.epochs.iter().enumerate() {
        let number = index + 1;
        let broken = |detail| breakdown(number, detail);
        let mut input = Vec::with_capacity(epoch.batches.len());
        for batch in &epoch.batches {
            input.push(batch.to_engine(&case.tables).map_err(broken)?);
            for change in &batch.changes {
                contents[batch.table].apply(&case.tables[batch.table], change);
            }
        }
        let mut moved = BTreeMap::new();
        for &(table, watermark) in &epoch.watermarks {
            let name = case.tables[table].name.clone();
            let known = watermarks.entry(name.clone()).or_insert(watermark);
            *known = watermark.max(*known);
            moved.insert(name, watermark);
        }
        // The interpreter first: what it may not answer is not run at all.
        let is_last = number == case.epochs.len();
        let compares = epoch.compare || is_last;
        if compares {
            expected = match expected_answers(case, &contents, &watermarks) {
                Ok(expected) => expected,
                Err(reason) => return Ok(Outcome::Discarded(reason)),
            };
        }
        let deltas = subject.step(number as u64, input, &moved).map_err(broken)?;
        check_closed_windows(case, number, &deltas)?;
        found.add(&deltas, &types).map_err(broken)?;
        if compares {
            comparisons += compare(number, &expected, &found)?;
        }
        if epoch.checkpoint {
            subject.checkpoint().map_err(broken)?;
        }
        if let Some(threads) = epoch.restart_threads {
            subject.restart(threads).map_err(broken)?;
        }
    }
    let failures = expected.failures.values().sum();
    let can_ask = failures == 0 && !case.epochs.is_empty();
    let tables: Vec<ZSet> = contents.iter().map(Content::rows).collect();
    let mut batch_comparisons = 0;
    if case.ask_batch
        && can_ask
        && batch::knows(case)
        && let Some(answers) = batch::answer(case, &tables).transpose()
    {
        batch_comparisons = compare_other(case, WrongKind::Batch, answers, &expected)?;
    }
    let mut sqlite_comparisons = 0;
    if case.ask_sqlite && can_ask && sqlite::knows(case) {
        let answers = sqlite::answer(case, &tables);
        sqlite_comparisons = compare_other(case, WrongKind::Sqlite, answers, &expected)?;
    }
    Ok(Outcome::Agreed {
        comparisons,
        batch_comparisons,
        sqlite_comparisons,
        failures,
    })
}

fn view_definitions(views: &[View]) -> Vec<ViewDefinition> {
    let define = |view: &View| ViewDefinition {
        name: view.name.clone(),
        file: format!("{}.sql", view.name),
        sql: view.sql(),
    };
    views.iter().map(define).collect()
}

fn collection_types(case: &Case) -> BTreeMap<String, Vec<Type>> {
    let tables = case.tables.iter();
    let tables = tables.map(|table| (table.name.clone(), table.types()));
    let views = case.views.iter();
    let views = views.map(|view| (view.name.clone(), view.query.types()));
    tables.chain(views).collect()
}

impl Found {
    fn add(
        &mut self,
        deltas: &BTreeMap<String, Delta>,
        types: &BTreeMap<String, Vec<Type>>,
    ) -> Result<(), String> {
        let error_types = vec![Type::Text; 3];
        for (name, delta) in deltas {
            let is_errors = name == EVALUATION_ERRORS;
            let types = if is_errors {
                Some(&error_types)
            } else {
                types.get(name)
            };
            let Some(types) = types else {
                return Err(format!("the engine gives a collection `{name}`"));
            };
            let rows = rows_of(delta.rows(), types).map_err(|error| format!("{name}: {error}"))?;
            for (row, &weight) in rows.into_iter().zip(delta.weights()) {
                if is_errors {
                    let view = format!("{:?}", row[0]);
                    *self.failures.entry(view).or_insert(0) += weight;
                } else {
                    add(self.rows.entry(name.clone()).or_default(), row, weight);
                }
            }
        }
        Ok(())
    }
}

/// The rows of an Arrow batch.
///
/// # Errors
/// When the columns are not of these types.
pub fn rows_of(batch: &arrow::array::RecordBatch, types: &[Type]) -> Result<Vec<Row>, String> {
    if batch.num_columns() != types.len() {
        return Err(format!(
            "{} columns instead of {}",
            batch.num_columns(),
            types.len()
        ));
    }
    let row = |row: usize| {
        let columns = types.iter().zip(batch.columns());
        columns
            .map(|(data_type, column)| from_array(*data_type, column.as_ref(), row))
            .collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// What the interpreter says.
#[derive(Default)]
struct Expected {
    rows: BTreeMap<String, ZSet>,
    failures: BTreeMap<String, i64>,
}

/// Interprets all views. A view that may not fail and does ends the case: there
/// an optimizer may rightly look at other rows than the text.
fn expected_answers(
    case: &Case,
    contents: &[Content],
    watermarks: &BTreeMap<String, i64>,
) -> Result<Expected, String> {
    // Of views: the least of what they read.
    let mut least: BTreeMap<&str, Option<i64>> = BTreeMap::new();
    for table in &case.tables {
        least.insert(&table.name, watermarks.get(&table.name).copied());
    }
    let mut expected = Expected::default();
    for (table, content) in case.tables.iter().zip(contents) {
        expected.rows.insert(table.name.clone(), content.rows());
    }
    for view in &case.views {
        let read = least.iter().filter(|(name, _)| view.query.reads(name));
        let watermark = read.map(|(_, watermark)| *watermark).min().flatten();
        least.insert(&view.name, watermark);
        let mut answer = interpret(&view.query, &expected.rows)
            .map_err(|reason: NoAnswer| reason.to_string())?;
        if answer.failures != 0 && !view.may_fail {
            return Err(format!("{} has rows that fail", view.name));
        }
        if let Some(column) = view.emit {
            let limit = watermark.map(Value::Timestamp);
            let is_closed = |row: &Row| limit.as_ref().is_some_and(|limit| row[column] <= *limit);
            answer.rows.retain(|row, _| is_closed(row));
        }
        expected.rows.insert(view.name.clone(), answer.rows);
        if answer.failures != 0 {
            let key = format!("{:?}", crate::value::Value::Text(view.name.clone()));
            expected.failures.insert(key, answer.failures);
        }
    }
    Ok(expected)
}

/// What came out on window close never changes.
fn check_closed_windows(
    case: &Case,
    epoch: usize,
    deltas: &BTreeMap<String, Delta>,
) -> Result<(), Box<Wrong>> {
    for view in case.views.iter().filter(|view| view.emit.is_some()) {
        let weights = deltas
            .get(&view.name)
            .map_or(&[][..], |delta| delta.weights());
        if weights.iter().any(|&weight| weight < 0) {
            return Err(Box::new(Wrong {
                kind: WrongKind::Retraction,
                epoch,
                collection: view.name.clone(),
                detail: "a row of a closed window was taken back".into(),
            }));
        }
    }
    Ok(())
}

fn compare(epoch: usize, expected: &Expected, found: &Found) -> Result<usize, Box<Wrong>> {
    let nothing = ZSet::new();
    for (name, wanted) in &expected.rows {
        let given = found.rows.get(name).unwrap_or(&nothing);
        if given != wanted {
            return Err(Box::new(Wrong {
                kind: WrongKind::Rows,
                epoch,
                collection: name.clone(),
                detail: differences("interpreter", wanted, "engine", given),
            }));
        }
    }
    let mut failures = found.failures.clone();
    failures.retain(|_, count| *count != 0);
    if failures != expected.failures {
        return Err(Box::new(Wrong {
            kind: WrongKind::Failures,
            epoch,
            collection: EVALUATION_ERRORS.to_owned(),
            detail: format!(
                "failures by view: interpreter {:?}, engine {failures:?}",
                expected.failures
            ),
        }));
    }
    Ok(expected.rows.len())
}

fn compare_other(
    case: &Case,
    kind: WrongKind,
    answers: Result<BTreeMap<String, ZSet>, String>,
    expected: &Expected,
) -> Result<usize, Box<Wrong>> {
    let wrong = |collection: &str, detail: String| {
        Box::new(Wrong {
            kind,
            epoch: case.epochs.len(),
            collection: collection.to_owned(),
            detail,
        })
    };
    let answers = answers.map_err(|error| wrong("", error))?;
    for (name, given) in &answers {
        let wanted = &expected.rows[name];
        if given != wanted {
            let other = format!("{kind:?}");
            return Err(wrong(
                name,
                differences("interpreter", wanted, &other, given),
            ));
        }
    }
    Ok(answers.len())
}

/// Rows on which two answers differ, with how often each has them.
fn differences(first_name: &str, first: &ZSet, second_name: &str, second: &ZSet) -> String {
    let mut text = format!("{first_name} has {} rows, ", first.len());
    text.push_str(&format!("{second_name} has {} rows\n", second.len()));
    let all: std::collections::BTreeSet<&Row> = first.keys().chain(second.keys()).collect();
    for row in all {
        let (in_first, in_second) = (first.get(row), second.get(row));
        if in_first != in_second {
            let (in_first, in_second) = (in_first.unwrap_or(&0), in_second.unwrap_or(&0));
            text.push_str(&format!(
                "  {row:?}: {in_first} × in {first_name}, {in_second} × in {second_name}\n"
            ));
        }
    }
    text
}
