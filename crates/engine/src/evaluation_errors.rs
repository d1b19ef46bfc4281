//! The evaluation-error collection: rows on which an expression failed.
//!
//! A row that fails leaves its view and appears here, with the same weight. It
//! is retracted when the row that caused it is retracted, so that a view is
//! degraded exactly as long as the collection holds rows of it.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::Expr;
use sluice_core::Delta;
use sluice_functions::PLANNER_FUNCTIONS;

use crate::EngineError;

/// Name of the collection. Columns: `view` (the view that is degraded),
/// `message` (what failed), `row` (the input row as `column=value`, …).
pub const EVALUATION_ERRORS: &str = "sluice_evaluation_errors";

/// Columns that the planner computes beside those of the rows have this in the
/// metadata of their field: what they are, in words that a person knows.
const EXPRESSION: &str = "expression";

/// DataFusion names columns so that it computes for several expressions at once.
pub(crate) const COMMON_EXPRESSION: &str = "__common_expr";

/// Longer row texts are cut, so that one wide row cannot fill the collection.
const ROW_TEXT_CHARS_MAX: usize = 1_000;

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("view", DataType::Utf8, false),
        Field::new("message", DataType::Utf8, false),
        Field::new("row", DataType::Utf8, false),
    ]))
}

/// Errors of one epoch.
#[derive(Debug, Default)]
pub(crate) struct EvaluationErrors {
    views: Vec<String>,
    messages: Vec<String>,
    rows: Vec<String>,
    weights: Vec<i64>,
}

impl EvaluationErrors {
    pub(crate) fn push(&mut self, view: &str, message: String, row: String, weight: i64) {
        self.views.push(view.to_owned());
        self.messages.push(message);
        self.rows.push(row);
        self.weights.push(weight);
    }

    /// Adds the row `index` of `rows`.
    pub(crate) fn push_row(
        &mut self,
        view: &str,
        message: String,
        rows: &RecordBatch,
        index: usize,
        weight: i64,
    ) {
        self.push(view, message, row_text(rows, index), weight);
    }

    /// Adds the errors of `other` after these.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.views.append(&mut other.views);
        self.messages.append(&mut other.messages);
        self.rows.append(&mut other.rows);
        self.weights.append(&mut other.weights);
    }

    pub(crate) fn into_delta(self) -> Result<Delta, EngineError> {
        let rows = RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(StringArray::from(self.views)),
                Arc::new(StringArray::from(self.messages)),
                Arc::new(StringArray::from(self.rows)),
            ],
        )?;
        Ok(Delta::try_new(rows, self.weights)?.consolidate()?)
    }
}

/// A field of what `expression` gives over rows of `input`, which a person is
/// shown as the expression.
pub(crate) fn shown_as(
    field: Field,
    expression: &Expr,
    schema: &DFSchema,
    input: &Schema,
) -> Field {
    let known = |column: &Column| {
        let index = schema.maybe_index_of_column(column)?;
        input.fields().get(index)?.metadata().get(EXPRESSION)
    };
    let named = expression.clone().transform_up(|part| {
        Ok(match part {
            Expr::Alias(alias) => Transformed::yes(*alias.expr),
            Expr::ScalarFunction(mut call)
                if PLANNER_FUNCTIONS.contains(&call.name()) && !call.args.is_empty() =>
            {
                Transformed::yes(call.args.swap_remove(0))
            }
            // Such columns are computed from others.
            Expr::Column(column) => match known(&column) {
                Some(shown) => {
                    Transformed::yes(Expr::Column(Column::new_unqualified(shown.clone())))
                }
                None => Transformed::no(Expr::Column(column)),
            },
            other => Transformed::no(other),
        })
    });
    let Ok(named) = named else {
        return field;
    };
    let mut metadata = field.metadata().clone();
    let shown = named.data.human_display().to_string();
    metadata.insert(EXPRESSION.to_owned(), shown);
    field.with_metadata(metadata)
}

/// The name under which a person is shown a column; `None` for one that says
/// nothing new.
fn shown_name(field: &Field) -> Option<&str> {
    match field.metadata().get(EXPRESSION) {
        Some(shown) => Some(shown),
        None if field.name().starts_with(COMMON_EXPRESSION) => None,
        None => Some(field.name()),
    }
}

fn row_text(rows: &RecordBatch, index: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    let mut text = String::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let Some(name) = shown_name(field) else {
            continue;
        };
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name);
        text.push('=');
        match ArrayFormatter::try_new(column.as_ref(), &options) {
            Ok(formatter) => text.push_str(&formatter.value(index).to_string()),
            Err(_) => text.push('?'),
        }
    }
    if text.chars().count() > ROW_TEXT_CHARS_MAX {
        text = text.chars().take(ROW_TEXT_CHARS_MAX).collect();
        text.push('…');
    }
    text
}
