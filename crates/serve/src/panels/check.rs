//! Panels that were planned over the models that they ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;

use super::detail_rows::{COUNTS_FOR, KINDS_HELP};
use super::{ByName, Chart, Format, Panel, PanelDefinitions, PanelError, Part, Role, Words};
use crate::bound_query::{BoundQuery, QueryShape};
use crate::{QueryEngine, ServeError};

/// A column of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckedColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) title: Words,
    pub(crate) role: Role,
    pub(crate) format: Format,
    pub(crate) words: BTreeMap<String, Words>,
    pub(crate) metric: Option<String>,
}

/// A query with its columns.
#[derive(Debug, Clone)]
pub(crate) struct CheckedQuery {
    pub(crate) query: BoundQuery,
    pub(crate) columns: Vec<CheckedColumn>,
    pub(crate) uses_clock: bool,
}

/// A panel that can be answered.
#[derive(Debug, Clone)]
pub(crate) struct CheckedPanel {
    pub(crate) panel: Panel,
    pub(crate) main: CheckedQuery,
    pub(crate) detail: Option<CheckedQuery>,
}

/// All panels of a project, checked; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Panels {
    by_name: Arc<ByName<Arc<CheckedPanel>>>,
    /// Changes whenever a panel does.
    pub(crate) fingerprint: u64,
}

impl Panels {
    /// Plans every panel with `engine`.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn check(
        definitions: &PanelDefinitions,
        engine: &QueryEngine,
    ) -> Result<Self, Vec<PanelError>> {
        let mut errors = Vec::new();
        let mut by_name = ByName::new();
        let mut text = String::new();
        for (name, panel) in &definitions.panels {
            match check_panel(panel, engine) {
                Ok(checked) => {
                    text.push_str(&format!("{:?}", checked.panel));
                    by_name.insert(name.clone(), Arc::new(checked));
                }
                Err(found) => errors.extend(found),
            }
        }
        match errors.is_empty() {
            true => Ok(Self {
                by_name: Arc::new(by_name),
                fingerprint: sluice_core::stable_hash(text.as_bytes()),
            }),
            false => Err(errors),
        }
    }

    /// Whether others are the same ones, as far as answers can tell.
    pub fn is_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True without panels.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<CheckedPanel>> {
        self.by_name.get(name).cloned()
    }

    /// Those of which a column is a metric.
    pub(crate) fn with_metrics(&self) -> Vec<Arc<CheckedPanel>> {
        let panels = self.by_name.values();
        let has_metric = |panel: &&Arc<CheckedPanel>| {
            let mut columns = panel.main.columns.iter();
            columns.any(|column| column.metric.is_some())
        };
        panels.filter(has_metric).cloned().collect()
    }

    /// By subject, order and name.
    pub(crate) fn sorted(&self) -> Vec<Arc<CheckedPanel>> {
        let mut panels: Vec<Arc<CheckedPanel>> = self.by_name.values().cloned().collect();
        panels.sort_by(|left, right| {
            let key = |it: &CheckedPanel| (it.panel.subject.clone(), it.panel.order);
            key(left).cmp(&key(right))
        });
        panels
    }
}

fn check_panel(panel: &Panel, engine: &QueryEngine) -> Result<CheckedPanel, Vec<PanelError>> {
    let fail = |offset: usize, message: String, help: &str| {
        vec![PanelError::at(
            &panel.file,
            &panel.file_text,
            offset,
            message,
            help,
        )]
    };
    let own_type = |name: &str| {
        let found = panel.parameters.iter().find(|known| known.name == name);
        found.map(|parameter| parameter.kind.data_type())
    };
    let known: Vec<&str> = panel.parameters.iter().map(|it| &it.name[..]).collect();
    let known = match known.is_empty() {
        true => "the panel has no [parameters]".to_owned(),
        false => format!("its parameters are {}", known.join(", ")),
    };
    let (query, shape) = plan(engine, &panel.query, own_type)
        .map_err(|error| fail(panel.query_offset, format!("query: {error}"), &known))?;
    let main = CheckedQuery {
        query,
        columns: columns(panel, &shape),
        uses_clock: shape.uses_clock,
    };
    let mut errors = roles(panel, &main.columns).map_or_else(Vec::new, |message| {
        fail(panel.query_offset, message, ROLES_HELP)
    });
    for (name, offset) in &panel.column_offsets {
        if !main.columns.iter().any(|column| column.name == *name) {
            let names: Vec<&str> = main.columns.iter().map(|it| &it.name[..]).collect();
            let help = format!("its columns are {}", names.join(", "));
            let message = format!("the query has no column `{name}`");
            errors.extend(fail(*offset, message, &help));
        }
    }
    for column in &main.columns {
        let is_wrong = panel.chart != Chart::Number || column.role != Role::Value;
        if column.metric.is_some() && is_wrong {
            let offset = panel.column_offsets.get(&column.name);
            let offset = offset.copied().unwrap_or(panel.query_offset);
            let message = format!("`{}` cannot be a metric", column.name);
            let help = "a metric is a value of a panel with chart = \"number\"";
            errors.extend(fail(offset, message, help));
        }
    }
    let detail = match &panel.detail {
        None => None,
        Some(detail) => {
            let type_of = |name: &str| {
                own_type(name).or_else(|| {
                    let column = main.columns.iter().find(|column| column.name == name);
                    column.map(|column| column.data_type.clone())
                })
            };
            let help = "the detail query knows the panel's parameters and columns as $name";
            match plan(engine, &detail.query, type_of) {
                Ok((query, shape)) => {
                    let columns = columns(panel, &shape);
                    let mut kinds = columns.iter().filter(|it| it.name == COUNTS_FOR);
                    if let Some(kind) = kinds.find(|it| !it.data_type.is_string()) {
                        let message = format!(
                            "detail query: `{COUNTS_FOR}` is of the type {}",
                            kind.data_type
                        );
                        errors.extend(fail(detail.offset, message, KINDS_HELP));
                    }
                    Some(CheckedQuery {
                        query,
                        columns,
                        uses_clock: shape.uses_clock,
                    })
                }
                Err(error) => {
                    let message = format!("detail query: {error}");
                    errors.extend(fail(detail.offset, message, help));
                    None
                }
            }
        }
    };
    for parameter in &panel.parameters {
        let is_used = |query: &CheckedQuery| query.query.names().contains(&parameter.name);
        if !is_used(&main) && !detail.as_ref().is_some_and(is_used) {
            let message = format!("no query uses the parameter `{}`", parameter.name);
            errors.extend(fail(panel.query_offset, message, "write it as $name"));
        }
    }
    match errors.is_empty() {
        true => Ok(CheckedPanel {
            panel: panel.clone(),
            main,
            detail,
        }),
        false => Err(errors),
    }
}

fn plan(
    engine: &QueryEngine,
    sql: &str,
    type_of: impl Fn(&str) -> Option<DataType>,
) -> Result<(BoundQuery, QueryShape), ServeError> {
    let query = BoundQuery::parse(sql, type_of)?;
    let shape = futures::executor::block_on(engine.shape(&query))?;
    Ok((query, shape))
}

/// What the columns of an answer are: as the panel says, else by their type.
fn columns(panel: &Panel, shape: &QueryShape) -> Vec<CheckedColumn> {
    let fields = shape.schema.fields().iter();
    fields
        .map(|field| {
            let said = panel.columns.get(field.name()).cloned().unwrap_or_default();
            let data_type = field.data_type().clone();
            CheckedColumn {
                name: field.name().clone(),
                title: said.title.unwrap_or_else(|| Words::plain(field.name())),
                role: said.role.unwrap_or(match data_type.is_numeric() {
                    true => Role::Value,
                    false => Role::Category,
                }),
                format: said.format.unwrap_or(match &data_type {
                    DataType::Date32 => Format::Date,
                    DataType::Timestamp(_, _) => Format::Time,
                    DataType::Decimal128(_, scale) if *scale > 0 => Format::Decimal,
                    DataType::Float32 | DataType::Float64 => Format::Decimal,
                    other if other.is_numeric() => Format::Integer,
                    _ => Format::Text,
                }),
                words: said.words,
                metric: said.metric,
                data_type,
            }
        })
        .collect()
}

const ROLES_HELP: &str =
    "say `role = \"category\"`, \"value\", \"series\", \"text\" or \"hidden\" under [columns.NAME]";

/// What is wrong with the roles for this kind of chart.
fn roles(panel: &Panel, columns: &[CheckedColumn]) -> Option<String> {
    let count = |role: Role| columns.iter().filter(|it| it.role == role).count();
    let no_number = columns
        .iter()
        .find(|it| it.role == Role::Value && !it.data_type.is_numeric());
    if let Some(column) = no_number {
        return Some(format!(
            "`{}` is a value, but of the type {}",
            column.name, column.data_type
        ));
    }
    let (values, categories, series) = (
        count(Role::Value),
        count(Role::Category),
        count(Role::Series),
    );
    let wanted = match panel.chart {
        Chart::Table => return None,
        Chart::Number if values >= 1 => return None,
        Chart::Number => "one value at least",
        Chart::Line | Chart::Bar | Chart::Area => {
            let is_split = series == 1 && values == 1;
            if categories == 1 && values >= 1 && (series == 0 || is_split) {
                return None;
            }
            "one category, and values, or one value split by one series"
        }
        Chart::Pie | Chart::Funnel | Chart::WordCloud | Chart::Map => {
            if categories == 1 && values >= 1 && series == 0 {
                return None;
            }
            "one category and a value"
        }
    };
    Some(format!(
        "the chart wants {wanted}; the query has {categories} of the role category, {values} value, {series} series"
    ))
}

impl CheckedPanel {
    /// Names that a request may use.
    pub(crate) fn known_names(&self, part: Part) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .panel
            .parameters
            .iter()
            .map(|it| &it.name[..])
            .collect();
        if part != Part::Figures {
            names.extend(self.main.columns.iter().map(|it| &it.name[..]));
        }
        names
    }
}
