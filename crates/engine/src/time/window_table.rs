//! `tumble`, `hop` and `session` as nodes of a logical plan: the input's
//! columns, then `window_start` and `window_end`.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, UserDefinedLogicalNodeCore};

/// First moment of a row's window.
pub(crate) const WINDOW_START: &str = "window_start";
/// First moment after it.
pub(crate) const WINDOW_END: &str = "window_end";

/// How rows are put into windows. Lengths are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WindowKind {
    /// Windows of `size_us` that begin at each multiple of `slide_us`.
    Hop { slide_us: i64, size_us: i64 },
    /// Rows less than `gap_us` apart.
    Session { gap_us: i64 },
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct WindowTable {
    pub(crate) kind: WindowKind,
    pub(crate) input: LogicalPlan,
    /// The time column.
    pub(crate) time: Expr,
    /// Columns whose values keep sessions apart.
    pub(crate) keys: Vec<Expr>,
    schema: DFSchemaRef,
}

impl WindowTable {
    pub(crate) fn try_new(
        kind: WindowKind,
        input: LogicalPlan,
        time: Expr,
        keys: Vec<Expr>,
    ) -> Result<Self> {
        let data_type = time.get_type(input.schema())?;
        let mut fields: Vec<_> = input
            .schema()
            .iter()
            .map(|(qualifier, field)| (qualifier.cloned(), field.clone()))
            .collect();
        for name in [WINDOW_START, WINDOW_END] {
            let field = Field::new(name, data_type.clone(), true);
            fields.push((None, Arc::new(field)));
        }
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?;
        Ok(Self {
            kind,
            input,
            time,
            keys,
            schema: Arc::new(schema),
        })
    }

    /// Positions of columns in the input.
    pub(crate) fn positions(&self, columns: &[Expr]) -> Result<Vec<usize>> {
        let schema = self.input.schema();
        columns
            .iter()
            .map(|column| match column {
                Expr::Column(column) => schema.index_of_column(column),
                other => Err(DataFusionError::Plan(format!("`{other}` is not a column"))),
            })
            .collect()
    }
}

impl PartialOrd for WindowTable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for WindowTable {
    fn name(&self) -> &str {
        match self.kind {
            WindowKind::Hop { .. } => "Hop",
            WindowKind::Session { .. } => "Session",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let mut expressions = vec![self.time.clone()];
        expressions.extend(self.keys.iter().cloned());
        expressions
    }

    /// A row that is filtered out would still hold a session together, so below
    /// a session only its keys may be filtered.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let names = self.schema.fields().iter().map(|field| field.name());
        let is_key = |name: &String| {
            let mut keys = self.keys.iter();
            keys.any(|key| matches!(key, Expr::Column(column) if column.name == *name))
        };
        let is_window = |name: &String| name == WINDOW_START || name == WINDOW_END;
        match self.kind {
            WindowKind::Hop { .. } => names.filter(|name| is_window(name)).cloned().collect(),
            WindowKind::Session { .. } => names.filter(|name| !is_key(name)).cloned().collect(),
        }
    }

    fn fmt_for_explain(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} of {}", self.kind, self.time)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let wrong = || DataFusionError::Internal("a window of other parts".into());
        let mut exprs = exprs.into_iter();
        let time = exprs.next().ok_or_else(wrong)?;
        let input = inputs.into_iter().next().ok_or_else(wrong)?;
        Self::try_new(self.kind, input, time, exprs.collect())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let of_input = output_columns.iter().copied();
        let mut needed: Vec<usize> = of_input.filter(|&column| column < width).collect();
        needed.extend(self.positions(&self.expressions()).ok()?);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
