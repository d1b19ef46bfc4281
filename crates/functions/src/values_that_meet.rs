//! Where values of several types meet, for rules that know better than DataFusion
//! which type they get. They come before DataFusion matches types, and leave it what
//! they do not know.
//!
//! Values meet in `x = y` and all other comparisons, in arithmetic, `x BETWEEN y AND z`,
//! `x IN (y, …)`, `x IN (SELECT y …)`, `CASE x WHEN y`, `CASE … THEN x ELSE y END`,
//! `coalesce(x, y)` and the like, in lists, joins by columns, VALUES, and unions,
//! INTERSECT and EXCEPT.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, Result};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Subquery, Union, Values,
    cast,
};

use crate::null_if_equal::{is_null_if_equal, null_if_equal};
use crate::one_float::is_comparison;

/// Functions whose arguments get one type, beside those over lists.
const UNIFYING: [&str; 5] = ["coalesce", "greatest", "least", "nvl", "make_array"];

/// What values are that meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Together {
    /// Compared, or computed with.
    Compared,
    /// One answer, the first or another.
    Unified,
}

/// What values become where they meet.
pub(crate) trait Meeting {
    /// The type that each value gets where values of these types meet; `None` where
    /// DataFusion finds it.
    fn wanted(&self, types: &[DataType], together: Together) -> Vec<Option<DataType>>;

    /// A value as one of the type that it gets.
    fn as_type(&self, value: Expr, wanted: &DataType) -> Expr {
        cast(value, wanted.clone())
    }

    /// A subquery whose only column has the type that it gets.
    ///
    /// # Errors
    /// When there is no such cast.
    fn subquery_as_type(&self, rows: Subquery, wanted: &DataType) -> Result<Subquery> {
        cast_subquery(rows, wanted)
    }

    /// Whether DataFusion may have made this type of those in a column of VALUES,
    /// whose types it matches at once.
    fn is_made(&self, found: &DataType) -> bool;
}

/// One expression with values of the wanted types.
///
/// # Errors
/// When there is no such cast.
pub(crate) fn with_wanted_types(
    meeting: &dyn Meeting,
    mut expression: Expr,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    use Together::{Compared, Unified};
    let is_changed = match &mut expression {
        Expr::BinaryExpr(binary)
            if is_comparison(binary.op) || binary.op.is_numerical_operators() =>
        {
            let mut sides = [&mut *binary.left, &mut *binary.right];
            meet(meeting, &mut sides, Compared, schema)
        }
        Expr::Between(between) => {
            let mut values = [&mut *between.expr, &mut *between.low, &mut *between.high];
            meet(meeting, &mut values, Compared, schema)
        }
        Expr::InList(inside) => {
            let mut values = vec![&mut *inside.expr];
            values.extend(inside.list.iter_mut());
            meet(meeting, &mut values, Compared, schema)
        }
        Expr::InSubquery(inside) => {
            meet_column(meeting, &mut inside.expr, &mut inside.subquery, schema)?
        }
        Expr::SetComparison(compared) => {
            meet_column(meeting, &mut compared.expr, &mut compared.subquery, schema)?
        }
        Expr::Case(case) => {
            let mut compared: Vec<&mut Expr> = Vec::new();
            let mut answers: Vec<&mut Expr> = Vec::new();
            let has_base = case.expr.is_some();
            compared.extend(case.expr.as_deref_mut());
            for (condition, answer) in &mut case.when_then_expr {
                if has_base {
                    compared.push(condition);
                }
                answers.push(answer);
            }
            answers.extend(case.else_expr.as_deref_mut());
            let is_compared = meet(meeting, &mut compared, Compared, schema);
            meet(meeting, &mut answers, Unified, schema) || is_compared
        }
        Expr::ScalarFunction(call) if call.name() == "nullif" => {
            let ours = nullif_as_wanted(meeting, call, schema);
            let is_changed = ours.is_some();
            if let Some(ours) = ours {
                expression = ours;
            }
            is_changed
        }
        Expr::ScalarFunction(call) if is_unifying(call.name()) => {
            let mut arguments: Vec<&mut Expr> = call.args.iter_mut().collect();
            meet(meeting, &mut arguments, Unified, schema)
        }
        _ => false,
    };
    Ok(Transformed::new_transformed(expression, is_changed))
}

/// One part of a plan with values of the wanted types: the columns by which inputs
/// are joined, those of unions and the like, and those of VALUES.
///
/// # Errors
/// When there is no such cast.
pub(crate) fn part_with_wanted_types(
    meeting: &dyn Meeting,
    part: LogicalPlan,
) -> Result<Transformed<LogicalPlan>> {
    match part {
        LogicalPlan::Join(join) => joined(meeting, join),
        LogicalPlan::Union(union) => unioned(meeting, union),
        LogicalPlan::Values(values) => rows_of_values(meeting, values),
        other => Ok(Transformed::no(other)),
    }
}

/// Whether the arguments of a function get one type.
pub(crate) fn is_unifying(function: &str) -> bool {
    UNIFYING.contains(&function) || function.starts_with("array_")
}

/// Makes values of the wanted types. Whether any was of another.
fn meet(
    meeting: &dyn Meeting,
    values: &mut [&mut Expr],
    together: Together,
    schema: &DFSchema,
) -> bool {
    let types = values.iter().map(|value| value.get_type(schema).ok());
    let types: Vec<Option<DataType>> = types.collect();
    let known: Vec<DataType> = types.iter().flatten().cloned().collect();
    let wanted = meeting.wanted(&known, together);
    let of_known = values.iter_mut().zip(types);
    let of_known = of_known.filter_map(|(value, data_type)| data_type.map(|_| value));
    let mut is_changed = false;
    for (value, wanted) in of_known.zip(wanted) {
        if let Some(wanted) = wanted {
            **value = meeting.as_type((**value).clone(), &wanted);
            is_changed = true;
        }
    }
    is_changed
}

/// The same of a value and the column of a subquery.
fn meet_column(
    meeting: &dyn Meeting,
    value: &mut Expr,
    subquery: &mut Subquery,
    schema: &DFSchema,
) -> Result<bool> {
    let columns = subquery.subquery.schema().fields();
    let column = columns.first().map(|column| column.data_type().clone());
    let (Some(column), Ok(data_type)) = (column, value.get_type(schema)) else {
        return Ok(false);
    };
    let wanted = meeting.wanted(&[data_type, column], Together::Compared);
    let is_changed = wanted.iter().any(Option::is_some);
    let mut wanted = wanted.into_iter();
    if let Some(wanted) = wanted.next().flatten() {
        *value = meeting.as_type(value.clone(), &wanted);
    }
    if let Some(wanted) = wanted.next().flatten() {
        *subquery = meeting.subquery_as_type(subquery.clone(), &wanted)?;
    }
    Ok(is_changed)
}

/// `nullif(x, y)` compares both as one type and answers `x` as it is; `None` where
/// DataFusion finds that type.
fn nullif_as_wanted(
    meeting: &dyn Meeting,
    call: &ScalarFunction,
    schema: &DFSchema,
) -> Option<Expr> {
    let [value, other] = &call.args[..] else {
        return None;
    };
    if is_null_if_equal(&call.func) {
        return None;
    }
    let types = [value.get_type(schema).ok()?, other.get_type(schema).ok()?];
    let wanted = meeting.wanted(&types, Together::Compared);
    let [value_type, other_type] = types;
    let (value_wanted, other_wanted) = match &wanted[..] {
        [None, None] => return None,
        [of_value, of_other] => (of_value, of_other),
        _ => return None,
    };
    let other = match other_wanted {
        Some(wanted) => meeting.as_type(other.clone(), wanted),
        None => other.clone(),
    };
    let other_type = other_wanted.as_ref().unwrap_or(&other_type);
    let value_type = value_wanted.as_ref().unwrap_or(&value_type);
    let compared = comparison_coercion(value_type, other_type)?;
    let other = match compared == *other_type {
        true => other,
        false => cast(other, compared.clone()),
    };
    Some(null_if_equal(value.clone(), other, compared))
}

fn joined(meeting: &dyn Meeting, mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut is_changed = is_set_operation(&join) && set_operation(meeting, &mut join)?;
    let left_schema: &DFSchema = join.left.schema();
    let right_schema: &DFSchema = join.right.schema();
    for (left, right) in &mut join.on {
        let types = (left.get_type(left_schema), right.get_type(right_schema));
        let (Ok(left_type), Ok(right_type)) = types else {
            continue;
        };
        let wanted = meeting.wanted(&[left_type, right_type], Together::Compared);
        for (side, wanted) in [left, right].into_iter().zip(wanted) {
            if let Some(wanted) = wanted {
                *side = meeting.as_type(side.clone(), &wanted);
                is_changed = true;
            }
        }
    }
    let join = LogicalPlan::Join(join);
    Ok(Transformed::new_transformed(join, is_changed))
}

/// The answer of INTERSECT and EXCEPT has the columns of the left side, of the
/// types that both have.
fn set_operation(meeting: &dyn Meeting, join: &mut Join) -> Result<bool> {
    let left = join.left.schema().fields().iter();
    let pairs = left.zip(join.right.schema().fields().iter());
    let wanted = pairs.map(|(left, right)| {
        let types = [left, right].map(|field| field.data_type().clone());
        let wanted = meeting.wanted(&types, Together::Unified);
        wanted.into_iter().next().flatten()
    });
    let wanted: Vec<Option<DataType>> = wanted.collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(false);
    }
    // Values that are alike then are one.
    join.left = match &*join.left {
        LogicalPlan::Distinct(Distinct::All(rows)) => {
            let rows = with_types(meeting, rows.clone(), &wanted)?;
            Arc::new(LogicalPlan::Distinct(Distinct::All(rows)))
        }
        _ => with_types(meeting, join.left.clone(), &wanted)?,
    };
    Ok(true)
}

fn unioned(meeting: &dyn Meeting, union: Union) -> Result<Transformed<LogicalPlan>> {
    let wanted_at = |place: usize| {
        let inputs = union.inputs.iter();
        let fields = inputs.filter_map(|input| input.schema().fields().get(place));
        let types: Vec<DataType> = fields.map(|field| field.data_type().clone()).collect();
        meeting.wanted(&types, Together::Unified)
    };
    let places = 0..union.schema.fields().len();
    let wanted: Vec<Vec<Option<DataType>>> = places.map(wanted_at).collect();
    if wanted.iter().flatten().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union.inputs.iter().enumerate().map(|(number, input)| {
        let of_input = wanted.iter().map(|wanted| wanted.get(number).cloned());
        let of_input: Vec<Option<DataType>> = of_input.map(Option::flatten).collect();
        match of_input.iter().all(Option::is_none) {
            true => Ok(input.clone()),
            false => with_types(meeting, input.clone(), &of_input),
        }
    });
    let union = Union::try_new_with_loose_types(inputs.collect::<Result<Vec<_>>>()?)?;
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}

/// Rows whose columns have other types, where some are wanted.
fn with_types(
    meeting: &dyn Meeting,
    rows: Arc<LogicalPlan>,
    wanted: &[Option<DataType>],
) -> Result<Arc<LogicalPlan>> {
    let columns = rows.schema().iter().zip(wanted);
    let columns = columns.map(|((qualifier, field), wanted)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        match wanted {
            Some(wanted) => meeting
                .as_type(column, wanted)
                .alias_qualified(qualifier.cloned(), field.name()),
            None => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(rows));
    Ok(Arc::new(plan.project(columns)?.build()?))
}

/// DataFusion has cast the values of a column to one type already.
fn rows_of_values(meeting: &dyn Meeting, values: Values) -> Result<Transformed<LogicalPlan>> {
    let schema = DFSchema::empty();
    let columns = values.schema.fields().iter().enumerate();
    let wanted = columns.map(|(place, field)| {
        let found = field.data_type();
        if !meeting.is_made(found) {
            return None;
        }
        let given = values.values.iter().filter_map(|row| row.get(place));
        let given = given.filter_map(|value| as_given(value, found).get_type(&schema).ok());
        let given: Vec<DataType> = given.collect();
        let wanted = meeting.wanted(&given, Together::Unified);
        Some((found.clone(), wanted.into_iter().flatten().next()?))
    });
    let wanted: Vec<Option<(DataType, DataType)>> = wanted.collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Values(values)));
    }
    let typed = |value: Expr, found: &DataType, wanted: &DataType| -> Result<Expr> {
        let given = as_given(&value, found).clone();
        let given_type = given.get_type(&schema)?;
        if given_type == *wanted {
            return Ok(given);
        }
        let both = meeting.wanted(&[given_type, wanted.clone()], Together::Unified);
        Ok(match both.into_iter().next().flatten() {
            Some(_) => meeting.as_type(given, wanted),
            None => cast(given, wanted.clone()),
        })
    };
    let rows = values.values.into_iter().map(|row| {
        let values = row.into_iter().zip(&wanted);
        let values = values.map(|(value, wanted)| match wanted {
            Some((found, wanted)) => typed(value, found, wanted),
            None => Ok(value),
        });
        values.collect::<Result<Vec<Expr>>>()
    });
    let plan = LogicalPlanBuilder::values(rows.collect::<Result<Vec<_>>>()?)?.build()?;
    Ok(Transformed::yes(plan))
}

/// A value of VALUES before it was cast to the type that its column has.
fn as_given<'a>(value: &'a Expr, found: &DataType) -> &'a Expr {
    match value {
        Expr::Cast(Cast { expr, field }) if field.data_type() == found => expr,
        other => other,
    }
}

/// Whether it is the join that INTERSECT or EXCEPT is planned as.
fn is_set_operation(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
}
