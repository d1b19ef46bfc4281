//! What is said of a table that a rule of diversion made: which rows of the shop
//! it holds, and where its columns come from.

use sluice_route::{Diversion, DiversionRule};

use super::ModelDoc;

/// Says it.
pub(super) fn explain(model: &mut ModelDoc, rule: &DiversionRule, diversion: &Diversion) {
    let filled = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim).unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let table = filled(&rule.source_table).unwrap_or_default();
    let source = match filled(&rule.source_database) {
        Some(database) => format!("{database}.{table}"),
        None => table,
    };
    let mut grain = format!("Rows of the shop's table `{source}`");
    if let Some(filter) = filled(&rule.filter) {
        grain.push_str(&format!(" where {filter}"));
    }
    grain.push_str(match filled(&rule.sink_key) {
        Some(_) => ", as they are now",
        None => ", one for each change",
    });
    if let Some(kinds) = filled(&rule.operation_types) {
        grain.push_str(&format!(" ({kinds} only)"));
    }
    if matches!(rule.snapshot.as_deref(), Some("0" | "false")) {
        grain.push_str(", from when the rule came");
    }
    model.grain = format!("{grain}.");
    model.text.push(format!(
        "Made by the rule `{}` in the shop's table `{}`, from the topic `{}`.",
        rule.sink_table, diversion.table, diversion.topic
    ));
    let masks = rule.masked_columns();
    for (name, field) in rule.fields() {
        let Some(column) = model.columns.iter_mut().find(|it| it.name == name) else {
            continue;
        };
        let mut masks_of = masks.iter();
        let named = masks_of.find(|mask| mask.column.eq_ignore_ascii_case(&field));
        let others = masks.iter().find(|mask| mask.column == "*");
        let mut meaning = format!("`{field}` of `{source}`");
        if let Some(mask) = named.or(others).filter(|mask| mask.words != "keep") {
            meaning.push_str(&format!(", masked: {}", mask.words));
        }
        column.meaning = meaning;
    }
}
