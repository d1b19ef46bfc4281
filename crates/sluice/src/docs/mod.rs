//! What a project's models say of themselves, put together: from the comment on
//! top of each model, from what the planner knows of inputs and columns, and
//! from `columns.toml`.

mod header;
mod html;
mod json;
mod markdown;

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use sluice_engine::Program;
use sluice_serve::ColumnMeaning;

use crate::project::Project;

pub use html::html_pages;
pub use json::models_json;
pub use markdown::markdown_files;

/// The layer of tables that sources fill.
const SOURCES: &str = "ods";

/// What is said of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDoc {
    /// Its name.
    pub name: String,
    /// Its type, in words of SQL.
    pub data_type: String,
    /// What it means; empty if nobody said.
    pub meaning: String,
}

/// What is said of one table or model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDoc {
    /// Its name.
    pub name: String,
    /// Its folder below `models`; `ods` for tables.
    pub layer: String,
    /// `table`, `materialized view`, `query view`.
    pub kind: &'static str,
    /// What one row is, what identifies it: the first paragraph of the comment
    /// without its inputs.
    pub grain: String,
    /// The other paragraphs.
    pub text: Vec<String>,
    /// Its columns, in their order.
    pub columns: Vec<ColumnDoc>,
    /// What it reads.
    pub inputs: Vec<String>,
    /// What reads it.
    pub readers: Vec<String>,
}

/// All of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectDocs {
    /// Name of the project.
    pub name: String,
    /// Tables and models by name.
    pub models: BTreeMap<String, ModelDoc>,
}

impl ProjectDocs {
    /// Puts the docs of a planned project together.
    pub fn new(project: &Project, program: &Program) -> Self {
        let mut models = BTreeMap::new();
        for table in project.tables() {
            let doc = ModelDoc {
                name: table.name.clone(),
                layer: SOURCES.to_owned(),
                kind: "table",
                grain: String::new(),
                text: Vec::new(),
                columns: columns_of(&table.schema()),
                inputs: Vec::new(),
                readers: Vec::new(),
            };
            models.insert(doc.name.clone(), doc);
        }
        for view in &project.views {
            let Some(shape) = program.shapes().get(&view.name) else {
                continue;
            };
            let comment = header::parse(&view.sql);
            let doc = ModelDoc {
                name: view.name.clone(),
                layer: layer_of(&view.file),
                kind: match shape.is_materialized {
                    true => "materialized view",
                    false => "query view",
                },
                grain: comment.grain,
                text: comment.text,
                columns: columns_of(&shape.schema),
                inputs: shape.inputs.clone(),
                readers: Vec::new(),
            };
            models.insert(doc.name.clone(), doc);
        }
        let mut docs = Self {
            name: project.config.name.clone(),
            models,
        };
        docs.note_readers();
        docs.explain_columns(&project.column_meanings);
        docs
    }

    fn note_readers(&mut self) {
        let mut readers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for model in self.models.values() {
            for input in &model.inputs {
                let of_input = readers.entry(input.clone()).or_default();
                of_input.insert(model.name.clone());
            }
        }
        for (name, readers) in readers {
            if let Some(model) = self.models.get_mut(&name) {
                model.readers = readers.into_iter().collect();
            }
        }
    }

    /// A column means what its model's comment says, else what `columns.toml`
    /// says of its name, else what it means in the first input that has it.
    fn explain_columns(&mut self, by_name: &BTreeMap<String, String>) {
        for model in self.models.values_mut() {
            let names: Vec<String> = model
                .columns
                .iter()
                .map(|found| found.name.clone())
                .collect();
            let meanings = header::meanings(&model.text, &names);
            for column in &mut model.columns {
                let meaning = meanings
                    .get(&column.name)
                    .or_else(|| by_name.get(&column.name));
                column.meaning = meaning.cloned().unwrap_or_default();
            }
        }
        // Each round carries meanings one model further.
        for _ in 0..self.models.len() {
            let mut found: Vec<(String, usize, String)> = Vec::new();
            for model in self.models.values() {
                for (place, column) in model.columns.iter().enumerate() {
                    if !column.meaning.is_empty() {
                        continue;
                    }
                    let inputs = model.inputs.iter().filter_map(|name| self.models.get(name));
                    let meaning = inputs
                        .flat_map(|input| &input.columns)
                        .find(|other| other.name == column.name && !other.meaning.is_empty());
                    if let Some(other) = meaning {
                        found.push((model.name.clone(), place, other.meaning.clone()));
                    }
                }
            }
            if found.is_empty() {
                return;
            }
            for (name, place, meaning) in found {
                if let Some(model) = self.models.get_mut(&name) {
                    model.columns[place].meaning = meaning;
                }
            }
        }
    }

    /// The rows of `sluice_columns`.
    pub fn column_meanings(&self) -> Vec<ColumnMeaning> {
        let mut rows = Vec::new();
        for model in self.models.values() {
            for (position, column) in (1..).zip(&model.columns) {
                rows.push(ColumnMeaning {
                    table_name: model.name.clone(),
                    position,
                    column_name: column.name.clone(),
                    data_type: column.data_type.clone(),
                    meaning: column.meaning.clone(),
                });
            }
        }
        rows
    }

    /// What tables and models mean, where somebody said so.
    pub fn table_meanings(&self) -> BTreeMap<String, String> {
        let said = self.models.values().map(|model| {
            let parts = [&model.grain].into_iter().chain(&model.text);
            let parts: Vec<&str> = parts.map(|part| part.trim()).collect();
            (model.name.clone(), parts.join(" ").trim().to_owned())
        });
        said.filter(|(_, meaning)| !meaning.is_empty()).collect()
    }

    /// The layers, from the sources on in the order in which they read each
    /// other, as well as that can be said.
    pub fn layers(&self) -> Vec<String> {
        let known = [SOURCES, "stg", "dim", "dwd", "dws", "ads", "audit"];
        let all: BTreeSet<&str> = self.models.values().map(|model| &model.layer[..]).collect();
        let mut layers: Vec<&str> = known
            .into_iter()
            .filter(|name| all.contains(name))
            .collect();
        layers.extend(all.iter().filter(|name| !known.contains(name)));
        layers.into_iter().map(str::to_owned).collect()
    }

    /// The tables or models of a layer.
    pub fn of_layer<'a>(&'a self, layer: &'a str) -> impl Iterator<Item = &'a ModelDoc> {
        self.models
            .values()
            .filter(move |model| model.layer == layer)
    }
}

/// The folder below `models` that a file is in.
fn layer_of(file: &str) -> String {
    let parts: Vec<&str> = file.split(['/', '\\']).collect();
    let models = parts.iter().rposition(|&part| part == "models");
    let layer = models.and_then(|models| parts.get(models + 1));
    match layer {
        Some(layer) if !layer.ends_with(".sql") => (*layer).to_owned(),
        _ => "models".to_owned(),
    }
}

fn columns_of(schema: &SchemaRef) -> Vec<ColumnDoc> {
    let fields = schema.fields().iter();
    fields
        .map(|field| ColumnDoc {
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            meaning: String::new(),
        })
        .collect()
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "VARCHAR".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::UInt32 => "INT UNSIGNED".into(),
        DataType::UInt64 => "BIGINT UNSIGNED".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Binary => "BINARY".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, Some(_)) => {
            "TIMESTAMPTZ".into()
        }
        DataType::Timestamp(_, None) => "TIMESTAMP".into(),
        other => other.to_string(),
    }
}
