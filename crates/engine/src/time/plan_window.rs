//! Plans `tumble`, `hop` and `session` in FROM.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Diagnostic, Span};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, Ident, Query, SetExpr, Spanned, TableAlias,
    TableFactor,
};
use datafusion::sql::sqlparser::tokenizer::Span as SqlSpan;

use super::interval::interval_us;
use super::rewrite::window_function;
use super::values::ticks_per_us;
use super::window_table::{WINDOW_END, WINDOW_START, WindowKind, WindowTable};

/// A row may stand in at most so many windows of `hop`.
const WINDOWS_PER_ROW_MAX: i64 = 1_440;

/// An error with its place in the text.
pub(crate) fn error_at(span: SqlSpan, message: impl Into<String>, help: &str) -> DataFusionError {
    let message = message.into();
    let span = Span::try_from_sqlparser_span(span);
    let diagnostic = Diagnostic::new_error(message.clone(), span).with_help(help, None);
    DataFusionError::Plan(message).with_diagnostic(diagnostic)
}

/// See the module.
#[derive(Debug)]
pub(crate) struct WindowPlanner;

impl RelationPlanner for WindowPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let function = match &relation {
            TableFactor::Table {
                name,
                args: Some(_),
                ..
            } => window_function(name),
            _ => None,
        };
        let (
            Some(function),
            TableFactor::Table {
                name,
                alias,
                args: Some(arguments),
                ..
            },
        ) = (function, relation.clone())
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let mut values = Vec::with_capacity(arguments.args.len());
        for argument in arguments.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => values.push(value),
                other => {
                    let message = format!("`{other}` as an argument of `{function}`");
                    return Err(error_at(other.span(), message, usage(function)));
                }
            }
        }
        let call = Call {
            function,
            span: name.span(),
            arguments: values,
        };
        let node = call.plan(context)?;
        let plan = LogicalPlan::Extension(Extension {
            node: Arc::new(node),
        });
        let planned = PlannedRelation::new(plan, alias);
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }
}

/// The name of a window node somewhere in `plan`.
pub(crate) fn find_window(plan: &LogicalPlan) -> Option<String> {
    let mut found = None;
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Extension(extension) = node {
            found = Some(extension.node.name().to_lowercase());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

fn usage(function: &str) -> &'static str {
    match function {
        "tumble" => "write tumble(table, time_column, INTERVAL '1 hour')",
        "hop" => {
            "write hop(table, time_column, INTERVAL '5 minutes', INTERVAL '1 hour'): slide, then size"
        }
        _ => "write session(table, key_column, time_column, INTERVAL '30 minutes')",
    }
}

/// A call of a window function.
struct Call {
    function: &'static str,
    span: SqlSpan,
    arguments: Vec<SqlExpr>,
}

impl Call {
    fn refuse<T>(&self, span: SqlSpan, message: impl Into<String>) -> Result<T> {
        Err(error_at(span, message, usage(self.function)))
    }

    fn plan(&self, context: &mut dyn RelationPlannerContext) -> Result<WindowTable> {
        let function = self.function;
        let interval_count = if function == "hop" { 2 } else { 1 };
        let is_session = function == "session";
        let count = self.arguments.len();
        let expected = 2 + interval_count;
        if count < expected || (count > expected && !is_session) {
            let message = format!("`{function}` of {count} arguments");
            return self.refuse(self.span, message);
        }
        let (names, intervals) = self.arguments[1..].split_at(count - 1 - interval_count);
        let input = self.input(context)?;
        for name in [WINDOW_START, WINDOW_END] {
            if input.schema().has_column_with_unqualified_name(name) {
                let message = format!("the input of `{function}` has a column `{name}` already");
                let help = "read it through a subquery that gives that column another name";
                return Err(error_at(self.span, message, help));
            }
        }
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let column = context.sql_to_expr(name.clone(), input.schema())?;
            if !matches!(column, Expr::Column(_)) {
                let message = format!("`{name}` is not a column");
                return self.refuse(name.span(), message);
            }
            columns.push(column);
        }
        let (Some(time), Some(time_name)) = (columns.pop(), names.last()) else {
            return self.refuse(self.span, format!("`{function}` without a time column"));
        };
        let data_type = time.get_type(input.schema())?;
        if ticks_per_us(&data_type).is_none() {
            return self.not_a_time(time_name, &data_type);
        }
        let mut lengths = Vec::with_capacity(interval_count);
        for interval in intervals {
            let value = context.sql_to_expr(interval.clone(), input.schema())?;
            match interval_us(&value) {
                Some(length) if length > 0 => lengths.push(length),
                _ => {
                    let message = format!("`{interval}` is not a length of time above 0");
                    let help = "write INTERVAL '…' in weeks, days, hours, minutes or seconds; for months and for days of a time zone use date_trunc in GROUP BY";
                    return Err(error_at(interval.span(), message, help));
                }
            }
        }
        let kind = match lengths[..] {
            [gap_us] if is_session => WindowKind::Session { gap_us },
            [size_us] => WindowKind::Hop {
                slide_us: size_us,
                size_us,
            },
            [slide_us, size_us] => {
                if slide_us > size_us {
                    let message = "the slide of `hop` is longer than its windows";
                    let help = "the slide comes first, then the size; rows between two windows would be lost";
                    return Err(error_at(self.span, message, help));
                }
                if size_us / slide_us > WINDOWS_PER_ROW_MAX {
                    let message = format!(
                        "`hop` puts a row into {} windows; {WINDOWS_PER_ROW_MAX} is the most",
                        size_us / slide_us
                    );
                    let help = "choose a longer slide or a shorter size";
                    return Err(error_at(self.span, message, help));
                }
                WindowKind::Hop { slide_us, size_us }
            }
            _ => return self.refuse(self.span, format!("`{function}` of these arguments")),
        };
        WindowTable::try_new(kind, input, time, columns)
    }

    fn not_a_time<T>(&self, name: &SqlExpr, data_type: &DataType) -> Result<T> {
        let message = format!("`{name}` is of type {data_type}, not a timestamp");
        let help = "name a TIMESTAMP column, or cast it in a subquery";
        Err(error_at(name.span(), message, help))
    }

    /// The rows that get windows. Every name was made a subquery before.
    fn input(&self, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let first = &self.arguments[0];
        match subquery_relation(first) {
            Some(relation) => context.plan(relation),
            None => {
                let message = format!("`{first}` is not the name of a table or view");
                self.refuse(first.span(), message)
            }
        }
    }
}

/// The relation that an argument names. Every name was made a subquery before.
pub(crate) fn named_relation(argument: &FunctionArg) -> Option<TableFactor> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => subquery_relation(value),
        _ => None,
    }
}

fn subquery_relation(argument: &SqlExpr) -> Option<TableFactor> {
    let SqlExpr::Subquery(query) = argument else {
        return None;
    };
    let alias = only_relation(query).map(|name| TableAlias {
        explicit: false,
        name,
        columns: vec![],
        at: None,
    });
    Some(TableFactor::Derived {
        lateral: false,
        subquery: query.clone(),
        alias,
        sample: None,
    })
}

/// The one table that a subquery reads, by whose name its columns go.
fn only_relation(query: &Query) -> Option<Ident> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [only] = &select.from[..] else {
        return None;
    };
    match &only.relation {
        TableFactor::Table { name, alias, .. } if only.joins.is_empty() => match alias {
            Some(alias) => Some(alias.name.clone()),
            None => name.0.last()?.as_ident().cloned(),
        },
        _ => None,
    }
}
