//! EXPLAIN of a running view, and the table of its operators.
//!
//! What operators hold and have done is not part of a snapshot: it is asked for
//! when a statement is planned.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{DescribeAlias, Statement};
use datafusion::sql::sqlparser::parser::Parser;
use sluice_syntax::QUERIES;

use crate::system_table::SystemTable;

/// Name of the table.
pub(crate) const OPERATORS_TABLE: &str = "sluice_operators";
/// Name of the table function behind EXPLAIN.
pub(crate) const EXPLAIN_FUNCTION: &str = "sluice_explain";

const EXPLAIN: &str = "EXPLAIN";

/// Tells about the operators that keep views current.
pub trait RunningViews: Debug + Send + Sync {
    /// A row for each operator; always of the same schema.
    fn operators(&self) -> Result<RecordBatch>;

    /// A view's operators as lines of an indented tree; `None` if there is no
    /// such materialized view or table.
    fn explain(&self, view: &str) -> Option<Vec<String>>;
}

/// The query that answers `EXPLAIN name`; `None` for all other statements.
pub(crate) fn explain_query(statement: &Statement) -> Option<String> {
    let Statement::ExplainTable {
        describe_alias: DescribeAlias::Explain,
        table_name,
        ..
    } = statement
    else {
        return None;
    };
    let name = table_name.0.last()?.as_ident()?;
    let name = match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    };
    let name = name.replace('\'', "''");
    Some(format!("SELECT * FROM {EXPLAIN_FUNCTION}('{name}')"))
}

/// The same for the text of a statement: DataFusion's own parser takes EXPLAIN
/// of a statement only.
pub(crate) fn explain_query_of_text(sql: &str) -> Option<String> {
    let word = sql.trim_start().get(..EXPLAIN.len())?;
    if !word.eq_ignore_ascii_case(EXPLAIN) {
        return None;
    }
    let statements = Parser::parse_sql(&QUERIES, sql).ok()?;
    match &statements[..] {
        [statement] => explain_query(statement),
        _ => None,
    }
}

/// The table [`OPERATORS_TABLE`].
#[derive(Debug)]
pub(crate) struct Operators(pub(crate) Arc<dyn RunningViews>);

impl SystemTable for Operators {
    fn rows(&self) -> Result<RecordBatch> {
        self.0.operators()
    }
}

/// The table function [`EXPLAIN_FUNCTION`]; of a warehouse that does not run,
/// without views.
#[derive(Debug)]
pub(crate) struct ExplainFunction(pub(crate) Option<Arc<dyn RunningViews>>);

impl TableFunctionImpl for ExplainFunction {
    fn call(&self, arguments: &[Expr]) -> Result<Arc<dyn TableProvider>> {
        let [Expr::Literal(ScalarValue::Utf8(Some(view)), _)] = arguments else {
            return plan_err!("{EXPLAIN_FUNCTION} takes the name of a view, in single quotes");
        };
        let Some(views) = &self.0 else {
            return plan_err!(
                "the warehouse does not run, so that `{view}` has no operators to explain: start it with `sluice run`"
            );
        };
        let Some(lines) = views.explain(view) else {
            return plan_err!(
                "there is no table or materialized view `{view}` to explain; a query view is computed when asked: EXPLAIN SELECT * FROM {view}"
            );
        };
        let fields = vec![Field::new("plan", DataType::Utf8, false)];
        let schema = Arc::new(Schema::new(fields));
        let lines = Arc::new(StringArray::from_iter_values(lines));
        let rows = RecordBatch::try_new(schema.clone(), vec![lines])?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![rows]])?))
    }
}
