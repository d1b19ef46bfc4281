//! Dates that meet moments as the moments at which they begin in the zone of those,
//! as PostgreSQL has it: DataFusion would make times without a zone of both, which
//! nobody would take for moments any more.
//!
//! That is what `t >= d`, `t - d`, `d BETWEEN t AND u`, `d IN (t, …)`, `t IN (SELECT d …)`,
//! `CASE t WHEN d`, `CASE … THEN t ELSE d`, `coalesce(t, d)` and the like, joins by
//! columns of both kinds and unions become.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, Union, cast,
};
use datafusion::optimizer::AnalyzerRule;
use sluice_functions::is_comparison;

use crate::moments::moment_type;
use crate::rewriting::rewritten_with_parts;

/// Functions whose arguments get one type.
const UNIFYING: [&str; 6] = [
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "nvl",
    "make_array",
];

/// The rewriting as a rule of a session; it comes before types are matched.
#[derive(Debug)]
pub(crate) struct DatesAsMoments;

impl AnalyzerRule for DatesAsMoments {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten_with_parts(plan, &alike, &inputs_alike)
    }

    fn name(&self) -> &str {
        "dates_as_moments"
    }
}

fn is_date(value: &Expr, schema: &DFSchema) -> bool {
    matches!(value.get_type(schema), Ok(DataType::Date32))
}

/// Makes moments of the dates where one of the values is a moment. Whether there
/// were any.
fn cast_dates(values: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let moment = values.iter().find_map(|value| moment_type(value, schema));
    let Some(moment) = moment else {
        return false;
    };
    let mut is_changed = false;
    for value in values.iter_mut() {
        if is_date(value, schema) {
            let date = (**value).clone();
            **value = cast(date, moment.clone());
            is_changed = true;
        }
    }
    is_changed
}

/// The same of a value and the column of a subquery.
fn cast_dates_of(value: &mut Expr, subquery: &mut Subquery, schema: &DFSchema) -> Result<bool> {
    let columns = subquery.subquery.schema().fields();
    let Some(column) = columns.first().map(|column| column.data_type().clone()) else {
        return Ok(false);
    };
    match (moment_type(value, schema), column) {
        (Some(moment), DataType::Date32) => {
            *subquery = cast_subquery(subquery.clone(), &moment)?;
            Ok(true)
        }
        (None, moment @ DataType::Timestamp(_, Some(_))) if is_date(value, schema) => {
            *value = cast(value.clone(), moment);
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn alike(mut expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_changed = match &mut expression {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) || binary.op == Operator::Minus => {
            let mut sides = [&mut *binary.left, &mut *binary.right];
            cast_dates(&mut sides, schema)
        }
        Expr::Between(between) => {
            let mut values = [&mut *between.expr, &mut *between.low, &mut *between.high];
            cast_dates(&mut values, schema)
        }
        Expr::InList(inside) => {
            let mut values = vec![&mut *inside.expr];
            values.extend(inside.list.iter_mut());
            cast_dates(&mut values, schema)
        }
        Expr::InSubquery(inside) => cast_dates_of(&mut inside.expr, &mut inside.subquery, schema)?,
        Expr::SetComparison(compared) => {
            cast_dates_of(&mut compared.expr, &mut compared.subquery, schema)?
        }
        Expr::Case(case) => {
            let mut compared: Vec<&mut Expr> = Vec::new();
            let mut answers: Vec<&mut Expr> = Vec::new();
            compared.extend(case.expr.as_deref_mut());
            for (when, then) in &mut case.when_then_expr {
                compared.push(when);
                answers.push(then);
            }
            answers.extend(case.else_expr.as_deref_mut());
            let is_compared = cast_dates(&mut compared, schema);
            cast_dates(&mut answers, schema) || is_compared
        }
        Expr::ScalarFunction(call) if UNIFYING.contains(&call.func.name()) => {
            let mut arguments: Vec<&mut Expr> = call.args.iter_mut().collect();
            cast_dates(&mut arguments, schema)
        }
        _ => false,
    };
    Ok(match is_changed {
        true => Transformed::yes(expression),
        false => Transformed::no(expression),
    })
}

/// The same of columns by which inputs are joined, and of those of unions.
fn inputs_alike(part: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match part {
        LogicalPlan::Join(mut join) => {
            let left_schema: &DFSchema = join.left.schema();
            let right_schema: &DFSchema = join.right.schema();
            let mut is_changed = false;
            for (left, right) in &mut join.on {
                let moment = moment_type(left, left_schema);
                if let Some(moment) = moment
                    && is_date(right, right_schema)
                {
                    *right = cast(right.clone(), moment);
                    is_changed = true;
                    continue;
                }
                let moment = moment_type(right, right_schema);
                if let Some(moment) = moment
                    && is_date(left, left_schema)
                {
                    *left = cast(left.clone(), moment);
                    is_changed = true;
                }
            }
            let join = LogicalPlan::Join(join);
            Ok(match is_changed {
                true => Transformed::yes(join),
                false => Transformed::no(join),
            })
        }
        LogicalPlan::Union(union) => unioned_alike(union),
        other => Ok(Transformed::no(other)),
    }
}

fn unioned_alike(union: Union) -> Result<Transformed<LogicalPlan>> {
    let types_at = |place: usize| {
        let inputs = union.inputs.iter();
        let fields = inputs.filter_map(move |input| input.schema().fields().get(place));
        fields.map(|field| field.data_type())
    };
    let moment_at = |place: usize| {
        let is_moment = |found: &&DataType| matches!(found, DataType::Timestamp(_, Some(_)));
        let moment = types_at(place).find(is_moment)?;
        let has_dates = types_at(place).any(|found| *found == DataType::Date32);
        has_dates.then(|| moment.clone())
    };
    let moments: Vec<Option<DataType>> = (0..union.schema.fields().len()).map(moment_at).collect();
    if moments.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union.inputs.into_iter();
    let inputs = inputs.map(|input| with_moments(input, &moments));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let union = Union::try_new_with_loose_types(inputs)?;
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}

/// An input of a union whose dates are moments of these types.
fn with_moments(input: Arc<LogicalPlan>, moments: &[Option<DataType>]) -> Result<Arc<LogicalPlan>> {
    let columns = input.schema().iter().zip(moments);
    let mut is_changed = false;
    let columns = columns.map(|((qualifier, field), moment)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        match moment {
            Some(moment) if field.data_type() == &DataType::Date32 => {
                is_changed = true;
                cast(column, moment.clone()).alias_qualified(qualifier.cloned(), field.name())
            }
            _ => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    if !is_changed {
        return Ok(input);
    }
    let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(input));
    Ok(Arc::new(plan.project(columns)?.build()?))
}
