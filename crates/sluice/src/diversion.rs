//! The rows of the shop's own table that diverts its tables, on their way to
//! become tables of the warehouse.
//!
//! A row is one more file of `sources/`, named after its rule. A row that cannot
//! be one is refused, and what held for its rule before stays in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use parking_lot::RwLock;
use sluice_core::{Clock, Disk, RealDisk, SystemClock};
use sluice_engine::Program;
use sluice_mask::TableMask;
use sluice_route::{DIVERSION_RULES, Diversion, DiversionRule};
use sluice_serve::SystemTable;
use sluice_store::Snapshot;

use crate::diversion_masks::{masks_of_texts, refusal_in};
use crate::failure::{Doing, Failure};
use crate::pipeline::source_files_in_force;
use crate::project::Project;

/// The table that tells of the rules.
pub const DIVERSION_TABLE: &str = "sluice_diversion";

/// Beginning of the paths of rules.
const RULE_PREFIX: &str = "diversion rule ";

/// A file of topics and tables: path and text.
type Text = (String, String);

/// What the rows say, and what is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The rows, by rule.
    pub rows: BTreeMap<String, DiversionRule>,
    /// The texts of rules that are in force, by path.
    pub in_force: BTreeMap<String, String>,
    /// The rows are those of all records before this one.
    pub end: u64,
}

/// A project with its rules, and why some of them are refused.
#[derive(Debug)]
pub struct Diverted {
    /// The project.
    pub project: Project,
    /// Its plan.
    pub program: Arc<Program>,
    /// Rules that are not in force as their rows say, with the reason.
    pub refused: BTreeMap<String, String>,
    /// All rules.
    pub rules: BTreeSet<String>,
    /// They are those of all records before this one.
    pub end: u64,
    /// Whether any of them masks.
    pub masks: bool,
}

fn path_of(rule: &str) -> String {
    format!("{RULE_PREFIX}`{rule}`")
}

fn name_of(path: &str) -> &str {
    path.trim_start_matches(RULE_PREFIX).trim_matches('`')
}

/// The rules among the files of some definitions.
pub fn rules_in(files: &[Text]) -> BTreeMap<String, String> {
    let rules = files
        .iter()
        .filter(|(path, _)| path.starts_with(RULE_PREFIX));
    rules.cloned().collect()
}

/// The project with the rules that were in force when the warehouse in `state`
/// stopped.
///
/// # Errors
/// When its state is damaged, or they do not fit the project any more.
pub fn with_rules_in_force(project: &Project, state: &Path) -> Result<Project, Failure> {
    if project.sources.diversion().is_none() {
        return Ok(project.clone());
    }
    let rules: Vec<Text> = stored_rules(state)?.into_iter().collect();
    project.with_more_sources(&rules)
}

fn stored_rules(state: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Ok(rules_in(&source_files_in_force(&disk, state)?))
}

/// What the rules mask that were in force when the warehouse in `state` stopped.
///
/// # Errors
/// When its state is damaged.
pub fn masks_in_force(project: &Project, state: &Path) -> Result<Vec<TableMask>, Failure> {
    let Some(diversion) = project.sources.diversion() else {
        return Ok(Vec::new());
    };
    Ok(masks_of_texts(stored_rules(state)?.values(), diversion))
}

/// The rows in a snapshot.
///
/// # Errors
/// When they cannot be read.
pub fn rows_of(snapshot: &Snapshot) -> Result<BTreeMap<String, DiversionRule>, Failure> {
    let mut rules = BTreeMap::new();
    let collections = snapshot.collections();
    if !collections.iter().any(|it| it.name == DIVERSION_RULES) {
        return Ok(rules);
    }
    let batches = snapshot.scan(DIVERSION_RULES, None);
    for batch in batches.doing("reading the rules of diversion")? {
        for row in 0..batch.num_rows() {
            let text = |column: usize| {
                let texts = batch.column(column).as_string_opt::<i32>()?;
                texts.is_valid(row).then(|| texts.value(row).to_owned())
            };
            let rule = DiversionRule {
                sink_table: text(0).unwrap_or_default(),
                source_database: text(1),
                source_table: text(2),
                operation_types: text(3),
                sink_columns: text(4),
                sink_key: text(5),
                filter: text(6),
                masking: text(7),
                snapshot: text(8),
            };
            rules.insert(rule.sink_table.clone(), rule);
        }
    }
    Ok(rules)
}

/// Plans a project with its rules.
///
/// # Errors
/// When the project is wrong whatever its rules are.
pub fn plan(project: &Project, rules: &Rules) -> Result<Diverted, Failure> {
    let Some(diversion) = project.sources.diversion() else {
        let program = project.plan()?;
        return Ok(Diverted {
            project: project.clone().check_panels(&program)?,
            program,
            refused: BTreeMap::new(),
            rules: BTreeSet::new(),
            end: rules.end,
            masks: false,
        });
    };
    if let Some(problem) = project.sources.unmaskable()
        && !masks_of_texts(rules.in_force.values(), diversion).is_empty()
    {
        return Err(Failure::Definitions(format!(
            "rules of diversion mask, and {problem}\n  help: take the change of the topic back, or delete these rules before it"
        )));
    }
    let mut refused = BTreeMap::new();
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    for (name, rule) in &rules.rows {
        let path = path_of(name);
        let read = rule.table_text(&diversion.topic);
        let read = read.and_then(|text| {
            let texts = [(path.clone(), text.clone())];
            let alone = project.with_more_sources(&texts);
            alone.map_err(|failure| failure.to_string())?;
            let mask = rule.mask(&diversion.topic)?;
            let refusal = mask.and_then(|mask| refusal_in(&mask, diversion, &project.sources));
            refusal.map_or(Ok(text), Err)
        });
        match read {
            Ok(text) => {
                wanted.insert(path, text);
            }
            Err(reason) => {
                refused.insert(name.clone(), reason);
                if let Some(text) = rules.in_force.get(&path) {
                    wanted.insert(path, text.clone());
                }
            }
        }
    }
    refuse_other_masks(&mut wanted, &rules.in_force, diversion, &mut refused);
    let masked = masks_of_texts(wanted.values().chain(rules.in_force.values()), diversion);
    let planned = |texts: &BTreeMap<String, String>| -> Result<(Project, Arc<Program>), Failure> {
        let texts: Vec<Text> = texts.clone().into_iter().collect();
        let project = project.with_more_sources(&texts)?;
        let program = project.plan()?;
        let project = project.check_panels(&program)?;
        Ok((project, program))
    };
    let names = rules.rows.keys().cloned();
    let mut names: BTreeSet<String> = names.collect();
    let (project, program) = match planned(&wanted) {
        Ok(planned) => planned,
        // One after another, to find those that do not fit.
        Err(_) => {
            let mut texts = rules.in_force.clone();
            let mut last = planned(&texts)?;
            let paths: BTreeSet<String> = wanted.keys().chain(texts.keys()).cloned().collect();
            for path in paths {
                let mut more = texts.clone();
                match wanted.get(&path) {
                    Some(text) => more.insert(path.clone(), text.clone()),
                    None => more.remove(&path),
                };
                if more == texts {
                    continue;
                }
                match planned(&more) {
                    Ok(planned) => (texts, last) = (more, planned),
                    Err(failure) => {
                        let name = name_of(&path);
                        refused.insert(name.to_owned(), failure.to_string());
                        names.insert(name.to_owned());
                    }
                }
            }
            last
        }
    };
    Ok(Diverted {
        project,
        program,
        refused,
        rules: names,
        end: rules.end,
        masks: !masked.is_empty(),
    })
}

/// Refuses what masks a column otherwise than another rule does: each value has one
/// form in the log.
fn refuse_other_masks(
    wanted: &mut BTreeMap<String, String>,
    in_force: &BTreeMap<String, String>,
    diversion: &Diversion,
    refused: &mut BTreeMap<String, String>,
) {
    let mask_of = |text: &String| masks_of_texts(std::iter::once(text), diversion).pop();
    // Beginning with what is in force, of which no two differ.
    let known = wanted.keys().filter_map(|path| {
        let mask = mask_of(in_force.get(path)?)?;
        Some((path.clone(), mask))
    });
    let mut masks: BTreeMap<String, TableMask> = known.collect();
    for path in wanted.keys().cloned().collect::<Vec<_>>() {
        let Some(mask) = wanted.get(&path).and_then(mask_of) else {
            masks.remove(&path);
            continue;
        };
        let mut others = masks.iter().filter(|(other, _)| **other != path);
        let found = others.find_map(|(other, of_other)| {
            let column = mask.otherwise_in(of_other)?;
            Some((name_of(other).to_owned(), column.to_owned()))
        });
        let Some((other, column)) = found else {
            masks.insert(path, mask);
            continue;
        };
        let reason = format!(
            "masking: the rule `{other}` masks `{column}` of `{}` otherwise: let them say the same",
            mask.table
        );
        refused.insert(name_of(&path).to_owned(), reason);
        match in_force.get(&path) {
            Some(text) => wanted.insert(path, text.clone()),
            None => wanted.remove(&path),
        };
    }
}

/// What is said of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    state: &'static str,
    reason: String,
    since_us: i64,
}

/// The states of all rules, for [`DIVERSION_TABLE`]. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct DiversionStates(Arc<RwLock<BTreeMap<String, Said>>>);

impl DiversionStates {
    /// Tells of the rules that there are now: those in `refused` with the reason,
    /// others are in force, or with `is_changing` on their way.
    pub fn tell(
        &self,
        rules: &BTreeSet<String>,
        refused: &BTreeMap<String, String>,
        is_changing: bool,
    ) {
        let now_us = SystemClock.now_us();
        let mut states = self.0.write();
        states.retain(|name, _| rules.contains(name));
        for name in rules {
            let (state, reason) = match refused.get(name) {
                Some(reason) => ("refused", reason.clone()),
                None if is_changing => ("changing", String::new()),
                None => ("in force", String::new()),
            };
            let said = states.get(name);
            if said.is_some_and(|said| said.state == state && said.reason == reason) {
                continue;
            }
            // What is in force stays so while others change.
            if state == "changing" && said.is_some_and(|said| said.state == "in force") {
                continue;
            }
            let since_us = now_us;
            states.insert(
                name.clone(),
                Said {
                    state,
                    reason,
                    since_us,
                },
            );
        }
    }

    /// Those of `rules` that are not in force as their rows say, and not refused
    /// either.
    pub fn changing(&self, rules: &BTreeSet<String>) -> Vec<String> {
        let states = self.0.read();
        let is_settled = |name: &&String| {
            let said = states.get(*name);
            said.is_some_and(|said| said.state != "changing")
        };
        rules
            .iter()
            .filter(|name| !is_settled(name))
            .cloned()
            .collect()
    }

    /// Number of rules that are refused.
    pub fn refused(&self) -> u64 {
        let states = self.0.read();
        let refused = states.values().filter(|said| said.state == "refused");
        refused.count() as u64
    }
}

impl SystemTable for DiversionStates {
    fn rows(&self) -> datafusion::error::Result<RecordBatch> {
        let states = self.0.read();
        let text = |text: &dyn Fn(&String, &Said) -> String| -> ArrayRef {
            let texts = states.iter().map(|(name, said)| text(name, said));
            Arc::new(StringArray::from_iter_values(texts))
        };
        let since = states.values().map(|said| said.since_us);
        let since = TimestampMicrosecondArray::from_iter_values(since).with_timezone("UTC");
        Ok(RecordBatch::try_from_iter([
            ("rule", text(&|name, _| name.clone())),
            ("state", text(&|_, said| said.state.to_owned())),
            ("reason", text(&|_, said| said.reason.clone())),
            ("since", Arc::new(since) as ArrayRef),
        ])?)
    }
}
