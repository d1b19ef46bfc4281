//! Reads `panels/*.toml` and `panel_columns.toml`.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use serde::Deserialize;
use toml::Spanned;

use super::parameter::WrittenValue;
use super::{ByName, Chart, Column, Detail, Panel, PanelError, Parameter, ParameterType, Words};

/// Names that requests use for other things.
const RESERVED: [&str; 4] = ["format", "lang", "download", "null"];

/// Rows of a kind that a detail gives where its file says nothing else.
const DETAIL_ROWS: usize = 1_000;
/// The most that it may say.
const DETAIL_ROWS_MAX: usize = 100_000;

/// What columns of a name are in every panel that does not say otherwise.
pub type ColumnDefaults = BTreeMap<String, Column>;

/// A file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelFile {
    /// Its path, for messages; its last part is the panel's name.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Panels that were read and not yet checked against models.
#[derive(Debug, Clone, Default)]
pub struct PanelDefinitions {
    /// By name.
    pub panels: ByName<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PanelText {
    title: Words,
    #[serde(default)]
    description: Option<Words>,
    subject: Spanned<String>,
    #[serde(default)]
    order: i64,
    chart: Chart,
    #[serde(default)]
    fresh_ms: Option<u64>,
    query: Spanned<String>,
    #[serde(default)]
    parameters: BTreeMap<String, Spanned<ParameterText>>,
    #[serde(default)]
    columns: BTreeMap<String, Spanned<Column>>,
    #[serde(default)]
    detail: Option<DetailText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParameterText {
    #[serde(rename = "type")]
    kind: ParameterType,
    #[serde(default)]
    default: Option<Spanned<toml::Value>>,
    #[serde(default)]
    min: Option<Spanned<toml::Value>>,
    #[serde(default)]
    max: Option<Spanned<toml::Value>>,
    #[serde(default)]
    values: Vec<Spanned<toml::Value>>,
    #[serde(default)]
    title: Option<Words>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DetailText {
    query: Spanned<String>,
    #[serde(default)]
    limit: Option<Spanned<usize>>,
}

impl PanelDefinitions {
    /// Reads panels; `defaults` is the text of `panel_columns.toml`.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(
        files: &[PanelFile],
        defaults: Option<&PanelFile>,
    ) -> Result<Self, Vec<PanelError>> {
        let mut errors = Vec::new();
        let defaults = match defaults.map(read_defaults) {
            Some(Ok(defaults)) => defaults,
            Some(Err(error)) => {
                errors.push(error);
                ColumnDefaults::new()
            }
            None => ColumnDefaults::new(),
        };
        let mut panels: ByName<Panel> = ByName::new();
        let mut metrics = BTreeMap::new();
        for file in files {
            match read_panel(file, &defaults) {
                Ok(panel) => {
                    errors.extend(doubled_metrics(file, &panel, &mut metrics));
                    panels.insert(panel.name.clone(), panel);
                }
                Err(found) => errors.extend(found),
            }
        }
        match errors.is_empty() {
            true => Ok(Self { panels }),
            false => Err(errors),
        }
    }
}

fn read_defaults(file: &PanelFile) -> Result<ColumnDefaults, PanelError> {
    let read: ColumnDefaults =
        toml::from_str(&file.text).map_err(|error| not_toml(file, &error))?;
    match read.iter().find(|(_, column)| column.metric.is_some()) {
        None => Ok(read),
        Some((name, _)) => {
            let message = format!("`{name}` is a metric in every panel that has it");
            let help = "say metric = \"…\" in the one panel that it comes from";
            Err(PanelError::at(&file.path, &file.text, 0, message, help))
        }
    }
}

/// Metrics of a panel that another one gives, or that no panel may give.
fn doubled_metrics(
    file: &PanelFile,
    panel: &Panel,
    known: &mut BTreeMap<String, String>,
) -> Vec<PanelError> {
    let mut errors = Vec::new();
    for (name, column) in &panel.columns {
        let Some(metric) = &column.metric else {
            continue;
        };
        let offset = panel.column_offsets.get(name).copied().unwrap_or(0);
        let mut wrong = |message: String, help: &str| {
            errors.push(PanelError::at(
                &file.path, &file.text, offset, message, help,
            ));
        };
        if !is_metric_name(metric) {
            let help = "use small letters, digits and _; names that begin with sluice_ are the program's own, but for sluice_shop_…";
            wrong(format!("a metric cannot be named `{metric}`"), help);
        } else if let Some(other) = known.insert(metric.clone(), panel.name.clone()) {
            let message = format!("the metric `{metric}` comes from the panel `{other}` already");
            wrong(message, "give each metric a name of its own");
        }
    }
    errors
}

fn is_metric_name(name: &str) -> bool {
    let is_own = name.starts_with("sluice_") && !name.starts_with("sluice_shop_");
    let is_word = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let begins = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    is_word && begins && !is_own
}

fn not_toml(file: &PanelFile, error: &toml::de::Error) -> PanelError {
    let offset = error.span().map_or(0, |span| span.start);
    let message = error.message().to_owned();
    PanelError::at(&file.path, &file.text, offset, message, "")
}

fn read_panel(file: &PanelFile, defaults: &ColumnDefaults) -> Result<Panel, Vec<PanelError>> {
    let read: PanelText =
        toml::from_str(&file.text).map_err(|error| vec![not_toml(file, &error)])?;
    let mut errors = Vec::new();
    let mut wrong = |offset: usize, message: String, help: &str| {
        errors.push(PanelError::at(
            &file.path, &file.text, offset, message, help,
        ));
    };
    let name = file.path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.trim_end_matches(".toml").to_owned();
    if !is_name(&name) {
        let help = "use letters, digits and _ : the name is a part of addresses";
        wrong(0, format!("`{name}` is no name of a panel"), help);
    }
    if !is_name(read.subject.get_ref()) {
        let offset = read.subject.span().start;
        let help = "write one word, such as \"trade\"";
        wrong(offset, "the subject is no word".to_owned(), help);
    }
    let mut parameters = Vec::new();
    for (name, text) in read.parameters {
        let offset = text.span().start;
        if RESERVED.contains(&name.as_str()) || !is_name(&name) {
            let message = format!("a parameter cannot be named `{name}`");
            wrong(offset, message, "use letters, digits and _");
            continue;
        }
        match read_parameter(&name, text.into_inner()) {
            Ok(parameter) => parameters.push(parameter),
            Err((at, message)) => wrong(at.unwrap_or(offset), message, ""),
        }
    }
    let mut columns = defaults.clone();
    let mut column_offsets = BTreeMap::new();
    for (name, column) in read.columns {
        column_offsets.insert(name.clone(), column.span().start);
        let own = column.into_inner();
        let default = columns.entry(name).or_default();
        default.title = own.title.or(default.title.take());
        default.role = own.role.or(default.role);
        default.format = own.format.or(default.format);
        default.words.extend(own.words);
        default.metric = own.metric;
    }
    let detail = read.detail.map(|detail| {
        let said = detail.limit.as_ref();
        let limit = said.map_or(DETAIL_ROWS, |limit| *limit.get_ref());
        if !(1..=DETAIL_ROWS_MAX).contains(&limit) {
            let offset = said.map_or(0, |limit| limit.span().start);
            let message = format!("a detail cannot give {limit} rows");
            let help = format!("write a limit from 1 to {DETAIL_ROWS_MAX}");
            wrong(offset, message, &help);
        }
        Detail {
            offset: detail.query.span().start,
            query: detail.query.into_inner(),
            limit,
        }
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Panel {
        name,
        file: file.path.clone(),
        file_text: file.text.clone(),
        title: read.title,
        description: read.description,
        subject: read.subject.into_inner(),
        order: read.order,
        chart: read.chart,
        fresh_ms: read.fresh_ms,
        query_offset: read.query.span().start,
        query: read.query.into_inner(),
        parameters,
        columns,
        column_offsets,
        detail,
    })
}

/// Whether it is a word of letters, digits and `_`.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

type Misread = (Option<usize>, String);

fn read_parameter(name: &str, text: ParameterText) -> Result<Parameter, Misread> {
    let kind = text.kind;
    let written = |value: &Spanned<toml::Value>| {
        let text = match value.get_ref() {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        WrittenValue::parse(kind, &text)
            .map(|value| (value, text))
            .map_err(|problem| (Some(value.span().start), problem))
    };
    let exact = |value: &Spanned<toml::Value>| -> Result<ScalarValue, Misread> {
        match written(value)?.0 {
            WrittenValue::Exact(value) => Ok(value),
            WrittenValue::DaysAgo(_) => Err((
                Some(value.span().start),
                "a bound is a day, such as 2026-11-20".to_owned(),
            )),
        }
    };
    let default = text.default.as_ref().map(&written).transpose()?;
    let (default_value, default_text) = match default {
        Some((value, text)) => (Some(value), Some(text)),
        None => (None, None),
    };
    let parameter = Parameter {
        name: name.to_owned(),
        kind,
        default: default_value,
        default_text,
        min: text.min.as_ref().map(&exact).transpose()?,
        max: text.max.as_ref().map(&exact).transpose()?,
        values: text.values.iter().map(exact).collect::<Result<_, _>>()?,
        title: text.title.unwrap_or_else(|| Words::plain(name)),
    };
    if let (Some(WrittenValue::Exact(value)), Some(place)) = (&parameter.default, &text.default) {
        parameter
            .judge(value)
            .map_err(|problem| (Some(place.span().start), problem))?;
    }
    Ok(parameter)
}
