//! A statement with placeholders `$name`, whose values are bound as values of
//! their types: they never become a part of its text.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Statement as PlanStatement, Volatility};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Statement, Value, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use sluice_core::too_many_operators;
use sluice_syntax::{Part, QUERIES, refused_form};

use crate::mended_sql::mend;
use crate::null_in_row::null_in_row;
use crate::read_only::refused;
use crate::{QueryEngine, QueryResult, ServeError};

/// See the module.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    /// `PREPARE` of the statement with `$1`, `$2`, … in the order of `names`.
    prepare: Statement,
    names: Vec<String>,
}

impl BoundQuery {
    /// Reads a query. `type_of` gives the type of a name, `None` where there is
    /// no such one.
    ///
    /// # Errors
    /// When it is no single query, or has a placeholder without a type.
    pub fn parse(
        sql: &str,
        type_of: impl Fn(&str) -> Option<DataType>,
    ) -> Result<Self, ServeError> {
        if let Some(problem) = too_many_operators(sql) {
            return Err(ServeError::Query(problem));
        }
        let wrong = |error: String| ServeError::Query(error);
        let mut statements =
            Parser::parse_sql(&QUERIES, sql).map_err(|error| wrong(error.to_string()))?;
        let mut statement = match (statements.pop(), statements.is_empty()) {
            (Some(statement), true) => statement,
            _ => return Err(wrong("write one query".to_owned())),
        };
        if !matches!(statement, Statement::Query(_)) {
            return Err(wrong("it is no query".to_owned()));
        }
        if let Some(words) = refused(&statement) {
            return Err(ServeError::ReadOnly(words));
        }
        if let Some(problem) = refused_form(&statement) {
            return Err(wrong(problem.to_owned()));
        }
        mend(&mut statement).map_err(wrong)?;
        let mut placeholders = Placeholders {
            type_of: &type_of,
            names: Vec::new(),
            types: Vec::new(),
            unknown: None,
        };
        let _ = statement.rewrite(&mut placeholders);
        let Placeholders {
            names,
            types,
            unknown,
            ..
        } = placeholders;
        if let Some(placeholder) = unknown {
            return Err(wrong(format!("`{placeholder}` is no parameter")));
        }
        let types = match types.is_empty() {
            true => String::new(),
            false => format!(" ({})", types.join(", ")),
        };
        let frame = format!("PREPARE bound{types} AS SELECT 1");
        let mut frames = Parser::parse_sql(&GenericDialect {}, &frame)
            .map_err(|error| wrong(error.to_string()))?;
        let Some(mut prepare @ Statement::Prepare { .. }) = frames.pop() else {
            return Err(wrong("it cannot be prepared".to_owned()));
        };
        if let Statement::Prepare {
            statement: inner, ..
        } = &mut prepare
        {
            **inner = statement;
        }
        Ok(Self { prepare, names })
    }

    /// The names of its placeholders.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// What planning tells about a query.
#[derive(Debug, Clone)]
pub struct QueryShape {
    /// Its columns.
    pub schema: SchemaRef,
    /// True if the same warehouse may answer it otherwise a moment later.
    pub uses_clock: bool,
}

impl QueryEngine {
    async fn plan(&self, query: &BoundQuery) -> Result<LogicalPlan, ServeError> {
        let statement = DataFusionStatement::Statement(Box::new(query.prepare.clone()));
        let state = self.session().state();
        Ok(state.statement_to_plan(statement).await?)
    }

    /// Plans a query without running it.
    ///
    /// # Errors
    /// When it is wrong.
    pub async fn shape(&self, query: &BoundQuery) -> Result<QueryShape, ServeError> {
        let plan = self.plan(query).await?;
        let LogicalPlan::Statement(PlanStatement::Prepare(prepare)) = plan else {
            return Err(ServeError::Query("it cannot be prepared".to_owned()));
        };
        Ok(QueryShape {
            schema: Arc::new(prepare.input.schema().as_arrow().clone()),
            uses_clock: uses_clock(&prepare.input)?,
        })
    }

    /// Answers a query with these values for its names.
    ///
    /// # Errors
    /// When a value is missing, or as for [`QueryEngine::query`].
    pub async fn query_bound(
        &self,
        query: &BoundQuery,
        value_of: impl Fn(&str) -> Option<ScalarValue>,
    ) -> Result<QueryResult, ServeError> {
        let plan = self.plan_bound(query, value_of, |_| false).await?;
        self.run(async { Ok(plan) }).await
    }

    /// The plan of a query with these values for its names. Those that are NULL in a
    /// row stand for the rows in which they are NULL, too.
    ///
    /// # Errors
    /// When a value is missing, or the query is wrong.
    pub(crate) async fn plan_bound(
        &self,
        query: &BoundQuery,
        value_of: impl Fn(&str) -> Option<ScalarValue>,
        is_null_in_row: impl Fn(&str) -> bool,
    ) -> Result<LogicalPlan, ServeError> {
        let LogicalPlan::Statement(PlanStatement::Prepare(prepare)) = self.plan(query).await?
        else {
            return Err(ServeError::Query("it cannot be prepared".to_owned()));
        };
        let mut values = Vec::with_capacity(query.names.len());
        let mut nulls = Vec::new();
        for (place, (name, field)) in query.names.iter().zip(&prepare.fields).enumerate() {
            if is_null_in_row(name) {
                nulls.push(prepared_name(place));
            }
            let value = value_of(name)
                .ok_or_else(|| ServeError::Query(format!("`${name}` has no value")))?;
            values.push(value.cast_to(field.data_type())?);
        }
        let mut plan = Arc::unwrap_or_clone(prepare.input);
        if !nulls.is_empty() {
            plan = null_in_row(plan, &nulls)?;
        }
        Ok(plan.with_param_values(values)?)
    }
}

/// Whether a plan, or a view that it reads, calls a function such as `now()`.
fn uses_clock(plan: &LogicalPlan) -> Result<bool, ServeError> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(inner) = scan.source.get_logical_plan()
        {
            let inner = uses_clock(&inner);
            found |= inner.unwrap_or(true);
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarFunction(call) = part {
                    found |= call.func.signature().volatility != Volatility::Immutable;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// How a prepared statement names the placeholder at a place, from 0.
fn prepared_name(place: usize) -> String {
    format!("${}", place + 1)
}

/// A type in the words of SQL; `None` for those that no parameter has.
fn sql_type(data_type: DataType) -> Option<String> {
    Some(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "INT".to_owned(),
        DataType::Int64 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            "BIGINT".to_owned()
        }
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::Float32 | DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, Some(_)) => {
            "TIMESTAMP WITH TIME ZONE".to_owned()
        }
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        _ => return None,
    })
}

/// Numbers the placeholders, each name once, and finds the types of their values.
struct Placeholders<'a> {
    type_of: &'a dyn Fn(&str) -> Option<DataType>,
    names: Vec<String>,
    types: Vec<String>,
    /// A placeholder for which there is no value.
    unknown: Option<String>,
}

impl VisitorMut for Placeholders<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut SqlExpr) -> ControlFlow<()> {
        let SqlExpr::Value(value) = expression else {
            return ControlFlow::Continue(());
        };
        let Value::Placeholder(placeholder) = &value.value else {
            return ControlFlow::Continue(());
        };
        let name = placeholder.trim_start_matches('$').to_owned();
        let known = self.names.iter().position(|known| *known == name);
        let position = match known {
            Some(position) => position,
            None => {
                let Some(name_of_type) = (self.type_of)(&name).and_then(sql_type) else {
                    self.unknown = Some(placeholder.clone());
                    return ControlFlow::Break(());
                };
                self.types.push(name_of_type);
                self.names.push(name);
                self.names.len() - 1
            }
        };
        value.value = Value::Placeholder(prepared_name(position));
        ControlFlow::Continue(())
    }
}
