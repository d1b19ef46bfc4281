//! Which plans ask for the first rows in some order only: `top_k.rs` keeps them
//! at less cost than `window.rs`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::logical_plan::{
    FetchType, Filter, Limit, Projection, SkipType, Window,
};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, WindowFunctionDefinition};

use crate::expression::compile;
use crate::graph::{Node, NodeKind};
use crate::lower::{Lowering, Refusal, compile_all, refuse};
use crate::lower_window::{Keys, WindowColumns, window_function};
use crate::top_k::{Ranking, TopKSpec};

/// Numbers that a filter lets through.
struct Numbers {
    first: u64,
    last: u64,
    /// Whether the filter says anything else.
    says_more: bool,
}

impl Lowering<'_> {
    /// A filter such as `row_number() OVER (…) <= k`, if it is one.
    pub(crate) fn ranked_filter(&mut self, filter: &Filter) -> Result<Option<usize>, Refusal> {
        let Some((window, ranking, numbers)) = ranked(filter)? else {
            return Ok(None);
        };
        let node = self.ranked_window(window, ranking, &numbers, true)?;
        if !numbers.says_more {
            return Ok(Some(node));
        }
        let predicate = compile(&filter.predicate, filter.input.schema())?;
        Ok(Some(self.add_filter(node, predicate)))
    }

    /// The same under a projection that leaves the number out. Then rows that
    /// only change their number change nothing.
    pub(crate) fn ranked_projection(
        &mut self,
        projection: &Projection,
    ) -> Result<Option<usize>, Refusal> {
        let LogicalPlan::Filter(filter) = projection.input.as_ref() else {
            return Ok(None);
        };
        let Some((window, ranking, numbers)) = ranked(filter)? else {
            return Ok(None);
        };
        let number = window.schema.fields().len() - 1;
        let mut reads_number = numbers.says_more;
        for expression in &projection.expr {
            for column in expression.column_refs() {
                reads_number |= window.schema.index_of_column(column)? == number;
            }
        }
        if reads_number {
            return Ok(None);
        }
        let node = self.ranked_window(window, ranking, &numbers, false)?;
        let expressions = compile_all(&projection.expr, filter.input.schema())?;
        let schema = projection.schema.inner().clone();
        Ok(Some(self.add_project(node, expressions, schema)))
    }

    fn ranked_window(
        &mut self,
        window: &Window,
        ranking: Ranking,
        numbers: &Numbers,
        with_number: bool,
    ) -> Result<usize, Refusal> {
        let function = window_function(&window.window_expr[0])?;
        let parameters = &function.params;
        let rows = Rows {
            ranking,
            first: numbers.first,
            last: numbers.last,
            with_number,
        };
        self.top_k(&window.input, rows, |columns| {
            columns.keys(&parameters.partition_by, &parameters.order_by)
        })
    }

    /// LIMIT, which must stand on an ORDER BY.
    pub(crate) fn limit(&mut self, limit: &Limit) -> Result<usize, Refusal> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return refuse("LIMIT or OFFSET that is not a number", "write the number");
        };
        let Some(fetch) = fetch else {
            return refuse(
                "OFFSET without LIMIT in a materialized view",
                "add a LIMIT, or put OFFSET in the query that reads the view",
            );
        };
        let first = skip as u64 + 1;
        self.limited(
            &limit.input,
            first,
            (skip as u64).saturating_add(fetch as u64),
        )
    }

    fn limited(&mut self, plan: &LogicalPlan, first: u64, last: u64) -> Result<usize, Refusal> {
        match plan {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                let rows = Rows {
                    ranking: Ranking::RowNumber,
                    first,
                    last,
                    with_number: false,
                };
                self.top_k(&sort.input, rows, |columns| columns.keys(&[], &sort.expr))
            }
            LogicalPlan::SubqueryAlias(alias) => self.limited(&alias.input, first, last),
            LogicalPlan::Projection(projection) => {
                let input = self.limited(&projection.input, first, last)?;
                let expressions = compile_all(&projection.expr, projection.input.schema())?;
                let schema = projection.schema.inner().clone();
                Ok(self.add_project(input, expressions, schema))
            }
            _ => refuse(
                "LIMIT without ORDER BY in a materialized view",
                "which rows it keeps would be left to chance: add ORDER BY, or put LIMIT in the query that reads the view",
            ),
        }
    }

    fn top_k(
        &mut self,
        input: &LogicalPlan,
        rows: Rows,
        keys: impl Fn(&mut WindowColumns<'_>) -> Result<Keys, Refusal>,
    ) -> Result<usize, Refusal> {
        let node = self.lower(input)?;
        let input_schema = self.graph.nodes[node].schema.clone();
        let width = input_schema.fields().len();
        let mut columns = WindowColumns::new(input_schema, input.schema());
        let keys = keys(&mut columns)?;
        let mut positions = columns.positions.clone();
        let node = columns.lower(self, node);
        let input_schema = self.graph.nodes[node].schema.clone();
        let mut fields: Vec<FieldRef> = input_schema.fields().iter().cloned().collect();
        if rows.with_number {
            positions.push(fields.len());
            fields.push(Arc::new(Field::new("number", DataType::UInt64, true)));
        }
        let schema = Arc::new(Schema::new(fields));
        let (kind, inputs) = if rows.last < rows.first {
            // No number is wanted.
            (NodeKind::Union, vec![])
        } else {
            let spec = TopKSpec {
                partition: keys.partition.clone(),
                order: keys.order(),
                ranking: rows.ranking,
                first: rows.first,
                last: rows.last,
                with_number: rows.with_number,
                append_only: self.graph.nodes[node].append_only,
                input_schema,
            };
            (NodeKind::TopK(spec), vec![node])
        };
        let is_one_row = rows.ranking == Ranking::RowNumber && rows.first == rows.last;
        let has_key = is_one_row && keys.partition.iter().all(|&column| column < width);
        let unique_key = if has_key && !keys.partition.is_empty() {
            Some(keys.partition)
        } else {
            self.graph.nodes[node].unique_key.clone()
        };
        let node = self.graph.add(Node {
            kind,
            inputs,
            schema,
            view: self.view.clone(),
            append_only: false,
            unique_key,
        });
        Ok(self.select_columns(node, &positions))
    }
}

/// Which rows of each partition.
struct Rows {
    ranking: Ranking,
    first: u64,
    last: u64,
    with_number: bool,
}

/// The window under `filter` and the numbers wanted of it, if the window only
/// ranks and the filter sets an upper bound.
fn ranked(filter: &Filter) -> Result<Option<(&Window, Ranking, Numbers)>, Refusal> {
    let LogicalPlan::Window(window) = filter.input.as_ref() else {
        return Ok(None);
    };
    let [expression] = &window.window_expr[..] else {
        return Ok(None);
    };
    let WindowFunctionDefinition::WindowUDF(function) = &window_function(expression)?.fun else {
        return Ok(None);
    };
    let ranking = match function.name() {
        "row_number" => Ranking::RowNumber,
        "rank" => Ranking::Rank,
        "dense_rank" => Ranking::DenseRank,
        _ => return Ok(None),
    };
    let number = window.schema.fields().len() - 1;
    let is_number = |expression: &Expr| match without_casts(expression) {
        Expr::Column(column) => window.schema.index_of_column(column).ok() == Some(number),
        _ => false,
    };
    let (mut first, mut last, mut says_more) = (1_i128, None, false);
    for condition in split_conjunction(&filter.predicate) {
        let Some((operator, bound)) = bound(condition, &is_number) else {
            says_more = true;
            continue;
        };
        let (least, greatest) = match operator {
            Operator::Lt => (1, Some(bound - 1)),
            Operator::LtEq => (1, Some(bound)),
            Operator::Gt => (bound + 1, None),
            Operator::GtEq => (bound, None),
            _ => (bound, Some(bound)),
        };
        first = first.max(least);
        last = match (last, greatest) {
            (Some(known), Some(found)) => Some(found.min(known)),
            (known, found) => known.or(found),
        };
    }
    let Some(last) = last else {
        return Ok(None);
    };
    let as_number = |value: i128| u64::try_from(value.max(0)).unwrap_or(u64::MAX);
    let numbers = Numbers {
        first: as_number(first),
        last: as_number(last),
        says_more,
    };
    Ok(Some((window, ranking, numbers)))
}

/// The comparison of the number with a constant, number on the left.
fn bound(condition: &Expr, is_number: &dyn Fn(&Expr) -> bool) -> Option<(Operator, i128)> {
    let Expr::BinaryExpr(binary) = condition else {
        return None;
    };
    let (operator, constant) = if is_number(&binary.left) {
        (binary.op, &binary.right)
    } else if is_number(&binary.right) {
        (binary.op.swap()?, &binary.left)
    } else {
        return None;
    };
    let compares = matches!(
        operator,
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::Eq
    );
    let Expr::Literal(constant, _) = without_casts(constant) else {
        return None;
    };
    let constant = match constant {
        ScalarValue::Int64(Some(value)) => i128::from(*value),
        ScalarValue::Int32(Some(value)) => i128::from(*value),
        ScalarValue::UInt64(Some(value)) => i128::from(*value),
        ScalarValue::UInt32(Some(value)) => i128::from(*value),
        _ => return None,
    };
    compares.then_some((operator, constant))
}

fn without_casts(expression: &Expr) -> &Expr {
    match expression {
        Expr::Cast(cast) => without_casts(&cast.expr),
        other => other,
    }
}
