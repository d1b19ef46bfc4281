//! Plans `JOIN table FOR SYSTEM_TIME AS OF left.time` and `JOIN LOOKUP(table)`
//! as one node of two inputs, which no rule of the optimizer takes apart: a
//! filter on the right side must not choose among versions before the join does.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Extension, LogicalPlan, Operator, UserDefinedLogicalNodeCore,
};
use datafusion::sql::sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, Spanned, TableFactor, TableVersion, TableWithJoins,
};
use datafusion::sql::sqlparser::tokenizer::Span as SqlSpan;

use sluice_core::TableDefinition;

use super::plan_window::{error_at, named_relation};
use super::rewrite::{LOOKUP, is_temporal};

const AS_OF_HELP: &str =
    "write JOIN table FOR SYSTEM_TIME AS OF log.time_column AS t ON log.key = t.key";
const LOOKUP_HELP: &str = "write JOIN LOOKUP(table) AS t ON log.key = t.key";

/// Which row of the right side a row of the left side meets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TemporalKind {
    /// The one that held at a time of the left row.
    AsOf {
        /// The table whose history is read.
        table: String,
    },
    /// The one that is there when the left row arrives.
    Lookup,
}

/// Positions of a join's columns, each in its own side.
pub(crate) struct JoinPositions {
    pub(crate) left_keys: Vec<usize>,
    pub(crate) right_keys: Vec<usize>,
    /// The left row's time and the version's.
    pub(crate) times: Option<(usize, usize)>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TemporalJoin {
    pub(crate) kind: TemporalKind,
    pub(crate) is_left: bool,
    pub(crate) left: LogicalPlan,
    pub(crate) right: LogicalPlan,
    /// Pairs of columns that must be equal: all of the left, then all of the
    /// right. For AS OF then the left row's time and the version's.
    pub(crate) columns: Vec<Expr>,
    schema: DFSchemaRef,
}

impl TemporalJoin {
    fn try_new(
        kind: TemporalKind,
        is_left: bool,
        left: LogicalPlan,
        right: LogicalPlan,
        columns: Vec<Expr>,
    ) -> Result<Self> {
        let schema = Arc::new(left.schema().join(right.schema())?);
        Ok(Self {
            kind,
            is_left,
            left,
            right,
            columns,
            schema,
        })
    }

    pub(crate) fn positions(&self) -> Result<JoinPositions> {
        let position = |schema: &DFSchema, column: &Expr| match column {
            Expr::Column(column) => schema.index_of_column(column),
            other => Err(DataFusionError::Plan(format!("`{other}` is not a column"))),
        };
        let count = self.key_count();
        let (left, right) = (self.left.schema(), self.right.schema());
        let side = |schema: &DFSchema, columns: &[Expr]| -> Result<Vec<usize>> {
            columns
                .iter()
                .map(|column| position(schema, column))
                .collect()
        };
        let times = match self.columns[2 * count..] {
            [ref at, ref version] => Some((position(left, at)?, position(right, version)?)),
            _ => None,
        };
        Ok(JoinPositions {
            left_keys: side(left, &self.columns[..count])?,
            right_keys: side(right, &self.columns[count..2 * count])?,
            times,
        })
    }

    fn key_count(&self) -> usize {
        self.columns.len() / 2 - usize::from(self.kind != TemporalKind::Lookup)
    }
}

impl PartialOrd for TemporalJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for TemporalJoin {
    fn name(&self) -> &str {
        match self.kind {
            TemporalKind::AsOf { .. } => "FOR SYSTEM_TIME AS OF",
            TemporalKind::Lookup => "LOOKUP",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.columns.clone()
    }

    fn fmt_for_explain(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.name(), self.columns)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let [left, right] = <[LogicalPlan; 2]>::try_from(inputs)
            .map_err(|_| DataFusionError::Internal("a join of other than two inputs".into()))?;
        Self::try_new(self.kind.clone(), self.is_left, left, right, exprs)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.left.schema().fields().len();
        let JoinPositions {
            left_keys: mut left,
            right_keys: mut right,
            times,
        } = self.positions().ok()?;
        if let Some((at, version)) = times {
            left.push(at);
            right.push(version);
        }
        for &column in output_columns {
            match column.checked_sub(width) {
                None => left.push(column),
                Some(column) => right.push(column),
            }
        }
        let sorted = |mut columns: Vec<usize>| {
            columns.sort_unstable();
            columns.dedup();
            columns
        };
        Some(vec![sorted(left), sorted(right)])
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TemporalPlanner {
    /// Event-time column of the tables that have one, by table.
    event_times: BTreeMap<String, String>,
}

impl TemporalPlanner {
    pub(crate) fn new(tables: &[TableDefinition]) -> Self {
        let event_time = |table: &TableDefinition| {
            let column = &table.columns[table.event_time?];
            Some((table.name.clone(), column.name.clone()))
        };
        Self {
            event_times: tables.iter().filter_map(event_time).collect(),
        }
    }
}

impl RelationPlanner for TemporalPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } = &relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some((join, before)) = table_with_joins.joins.split_last() else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if !is_temporal(&join.relation) {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        let left = match before {
            [] => table_with_joins.relation.clone(),
            _ => TableFactor::NestedJoin {
                table_with_joins: Box::new(TableWithJoins {
                    relation: table_with_joins.relation.clone(),
                    joins: before.to_vec(),
                }),
                alias: None,
            },
        };
        let left = context.plan(left)?;
        let node = self.join(left, join, context)?;
        let plan = LogicalPlan::Extension(Extension {
            node: Arc::new(node),
        });
        let planned = PlannedRelation::new(plan, alias.clone());
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }
}

impl TemporalPlanner {
    fn join(
        &self,
        left: LogicalPlan,
        join: &Join,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<TemporalJoin> {
        let span = join.relation.span();
        let (is_left, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (false, constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (true, constraint)
            }
            _ => {
                let message = "this kind of join with versions";
                return Err(error_at(span, message, "write JOIN or LEFT JOIN"));
            }
        };
        let JoinConstraint::On(condition) = constraint else {
            let message = "a join with versions without ON";
            return Err(error_at(span, message, AS_OF_HELP));
        };
        let (kind, right, times) = match &join.relation {
            TableFactor::Table {
                version: Some(version),
                ..
            } => self.versions(&left, &join.relation, version, context)?,
            _ => (
                TemporalKind::Lookup,
                lookup(&join.relation, context)?,
                vec![],
            ),
        };
        let both = left.schema().join(right.schema())?;
        let planned = context.sql_to_expr(condition.clone(), &both)?;
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        for term in split_conjunction(&planned) {
            let Some((left_key, right_key)) = key_pair(term, left.schema(), right.schema()) else {
                let message = format!("`{term}` in the ON of a join with versions");
                let help = "join by columns that are equal, and put other conditions into WHERE";
                return Err(error_at(condition.span(), message, help));
            };
            let types = (left_key.get_type(&both)?, right_key.get_type(&both)?);
            if types.0 != types.1 {
                let message = format!("a join of {} with {}", types.0, types.1);
                let help = "cast one side in a subquery or view";
                return Err(error_at(condition.span(), message, help));
            }
            left_keys.push(left_key);
            right_keys.push(right_key);
        }
        let columns = [left_keys, right_keys, times].concat();
        TemporalJoin::try_new(kind, is_left, left, right, columns)
    }

    /// The right side of AS OF, with the left row's time and the version's.
    fn versions(
        &self,
        left: &LogicalPlan,
        relation: &TableFactor,
        version: &TableVersion,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<(TemporalKind, LogicalPlan, Vec<Expr>)> {
        let span = relation.span();
        let TableVersion::ForSystemTimeAsOf(at) = version else {
            let message = "this way to name a version of a table";
            return Err(error_at(span, message, AS_OF_HELP));
        };
        let mut current = relation.clone();
        let TableFactor::Table { name, version, .. } = &mut current else {
            return Err(error_at(
                span,
                "FOR SYSTEM_TIME AS OF of no table",
                AS_OF_HELP,
            ));
        };
        *version = None;
        let table = context.object_name_to_table_reference(name.clone())?;
        let table = table.table().to_owned();
        let Some(event_time) = self.event_times.get(&table) else {
            let message = format!("`{table}` has no versions: it is no table with event_time");
            let help = "name the column that says since when a row holds as event_time in sources/*.toml; or join by LOOKUP, or by valid_from <= t AND t < valid_to";
            return Err(error_at(span, message, help));
        };
        let right = context.plan(current)?;
        let event_time = column_named(right.schema(), event_time)
            .ok_or_else(|| error_at(span, "the columns cannot be renamed here", AS_OF_HELP))?;
        let at_span = at.span();
        let at = context.sql_to_expr(at.clone(), left.schema())?;
        if !matches!(at, Expr::Column(_)) {
            let message = format!("`{at}` is not a column of the left side");
            return Err(error_at(at_span, message, AS_OF_HELP));
        }
        let types = (
            at.get_type(left.schema())?,
            event_time.get_type(right.schema())?,
        );
        if types.0 != types.1 {
            let message = format!("versions of type {} at a time of type {}", types.1, types.0);
            return Err(error_at(at_span, message, "cast the time in a subquery"));
        }
        Ok((TemporalKind::AsOf { table }, right, vec![at, event_time]))
    }
}

fn column_named(schema: &DFSchema, name: &str) -> Option<Expr> {
    let found = schema.iter().find(|(_, field)| field.name() == name)?;
    Some(Expr::Column(Column::from(found)))
}

fn lookup(relation: &TableFactor, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let span: SqlSpan = relation.span();
    let wrong = || {
        error_at(
            span,
            format!("`{LOOKUP}` takes the name of a table or view"),
            LOOKUP_HELP,
        )
    };
    let TableFactor::Table {
        args: Some(arguments),
        alias,
        ..
    } = relation
    else {
        return Err(wrong());
    };
    let [argument] = &arguments.args[..] else {
        return Err(wrong());
    };
    let mut derived = named_relation(argument).ok_or_else(wrong)?;
    if let (Some(given), TableFactor::Derived { alias, .. }) = (alias, &mut derived) {
        *alias = Some(given.clone());
    }
    context.plan(derived)
}

/// `left column = right column`, whichever way round it is written.
fn key_pair(term: &Expr, left: &DFSchema, right: &DFSchema) -> Option<(Expr, Expr)> {
    let Expr::BinaryExpr(BinaryExpr {
        left: first,
        op: Operator::Eq,
        right: second,
    }) = term
    else {
        return None;
    };
    let is_of = |schema: &DFSchema, expression: &Expr| matches!(expression, Expr::Column(column) if schema.has_column(column));
    if is_of(left, first) && is_of(right, second) {
        return Some(((**first).clone(), (**second).clone()));
    }
    if is_of(right, first) && is_of(left, second) {
        return Some(((**second).clone(), (**first).clone()));
    }
    None
}
