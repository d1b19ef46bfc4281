//! Dates that meet moments as the moments at which they begin in the zone of those,
//! as PostgreSQL has it: DataFusion would make times without a zone of both, which
//! nobody would take for moments any more. And decimals that meet floats as floats:
//! DataFusion would make decimals of both, with 15 digits behind the point, by which
//! `1e-20` is 0.0 and NaN is an error.
//!
//! That is what `t >= d`, `t - d`, `d BETWEEN t AND u`, `d IN (t, …)`, `t IN (SELECT d …)`,
//! `CASE t WHEN d`, `CASE … THEN t ELSE d`, `coalesce(t, d)` and the like, joins by
//! columns of both kinds, VALUES, and unions, INTERSECT and EXCEPT become.
//!
//! A date that is put into another zone, `d AT TIME ZONE '…'`, is first the moment at
//! which it begins in the zone of whoever reads.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, Result};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Operator, Subquery,
    Union, Values, cast,
};
use datafusion::optimizer::AnalyzerRule;
use sluice_functions::is_comparison;

use crate::local_times::{by_local_time, is_begun};
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
    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = Zone(options.execution.time_zone.as_deref().map(Arc::from));
        let of_inputs = zone.clone();
        rewritten_with_parts(
            plan,
            &move |expression: Expr, schema: &DFSchema| zone.alike(expression, schema),
            &move |part: LogicalPlan| of_inputs.inputs_alike(part),
        )
    }

    fn name(&self) -> &str {
        "dates_as_moments"
    }
}

/// What values of several types are where they meet.
#[derive(Debug, Default)]
struct Meeting {
    /// The type of the first moment.
    moment: Option<DataType>,
    has_float: bool,
}

impl Meeting {
    fn of(types: impl IntoIterator<Item = DataType>) -> Self {
        let mut meeting = Self::default();
        for data_type in types {
            match data_type {
                DataType::Timestamp(_, Some(_)) if meeting.moment.is_none() => {
                    meeting.moment = Some(data_type);
                }
                DataType::Float32 | DataType::Float64 => meeting.has_float = true,
                _ => {}
            }
        }
        meeting
    }

    /// The type that values of a type get; `None` where DataFusion finds it.
    fn wanted(&self, data_type: &DataType) -> Option<DataType> {
        match data_type {
            DataType::Date32 => self.moment.clone(),
            decimal if decimal.is_decimal() && self.has_float => Some(DataType::Float64),
            _ => None,
        }
    }
}

/// The zone of whoever reads.
#[derive(Clone)]
struct Zone(Option<Arc<str>>);

impl Zone {
    fn is_own(&self, moment: &DataType) -> bool {
        match moment {
            DataType::Timestamp(_, Some(zone)) => self.0.as_ref() == Some(zone),
            _ => false,
        }
    }

    /// A date or a decimal as a value of the type that it gets.
    fn as_type(&self, value: Expr, wanted: DataType) -> Expr {
        let is_elsewhere = matches!(wanted, DataType::Timestamp(_, Some(_)));
        match is_elsewhere && !self.is_own(&wanted) {
            // Not to be taken for AT TIME ZONE.
            true => by_local_time(value, wanted),
            false => cast(value, wanted),
        }
    }

    /// Makes values that meet of one type. Whether any was of another.
    fn meet(&self, values: &mut [&mut Expr], schema: &DFSchema) -> bool {
        let types = values.iter().map(|value| value.get_type(schema).ok());
        let types: Vec<Option<DataType>> = types.collect();
        let meeting = Meeting::of(types.iter().flatten().cloned());
        let mut is_changed = false;
        for (value, data_type) in values.iter_mut().zip(types) {
            let wanted = data_type.and_then(|data_type| meeting.wanted(&data_type));
            if let Some(wanted) = wanted {
                **value = self.as_type((**value).clone(), wanted);
                is_changed = true;
            }
        }
        is_changed
    }

    /// The same of a value and the column of a subquery.
    fn meet_column(
        &self,
        value: &mut Expr,
        subquery: &mut Subquery,
        schema: &DFSchema,
    ) -> Result<bool> {
        let columns = subquery.subquery.schema().fields();
        let column = columns.first().map(|column| column.data_type().clone());
        let (Some(column), Ok(data_type)) = (column, value.get_type(schema)) else {
            return Ok(false);
        };
        let meeting = Meeting::of([data_type.clone(), column.clone()]);
        if let Some(wanted) = meeting.wanted(&column) {
            if let DataType::Timestamp(unit, Some(_)) = &wanted
                && !self.is_own(&wanted)
            {
                let local = DataType::Timestamp(*unit, None);
                *subquery = cast_subquery(subquery.clone(), &local)?;
            }
            *subquery = cast_subquery(subquery.clone(), &wanted)?;
            return Ok(true);
        }
        let wanted = meeting.wanted(&data_type);
        let is_changed = wanted.is_some();
        if let Some(wanted) = wanted {
            *value = self.as_type(value.clone(), wanted);
        }
        Ok(is_changed)
    }

    fn alike(&self, mut expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let is_changed = match &mut expression {
            Expr::BinaryExpr(binary)
                if is_comparison(binary.op) || binary.op == Operator::Minus =>
            {
                let mut sides = [&mut *binary.left, &mut *binary.right];
                self.meet(&mut sides, schema)
            }
            Expr::Between(between) => {
                let mut values = [&mut *between.expr, &mut *between.low, &mut *between.high];
                self.meet(&mut values, schema)
            }
            Expr::InList(inside) => {
                let mut values = vec![&mut *inside.expr];
                values.extend(inside.list.iter_mut());
                self.meet(&mut values, schema)
            }
            Expr::InSubquery(inside) => {
                self.meet_column(&mut inside.expr, &mut inside.subquery, schema)?
            }
            Expr::SetComparison(compared) => {
                self.meet_column(&mut compared.expr, &mut compared.subquery, schema)?
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
                let is_compared = self.meet(&mut compared, schema);
                self.meet(&mut answers, schema) || is_compared
            }
            Expr::ScalarFunction(call) if UNIFYING.contains(&call.func.name()) => {
                let mut arguments: Vec<&mut Expr> = call.args.iter_mut().collect();
                self.meet(&mut arguments, schema)
            }
            Expr::Cast(cast) => self.begin_here(cast, schema),
            _ => false,
        };
        Ok(match is_changed {
            true => Transformed::yes(expression),
            false => Transformed::no(expression),
        })
    }

    /// Makes the moment of a date at which it begins here, where it is put into
    /// another zone.
    fn begin_here(&self, put: &mut Cast, schema: &DFSchema) -> bool {
        let moment = put.field.data_type();
        let (DataType::Timestamp(unit, Some(_)), Some(zone)) = (moment, &self.0) else {
            return false;
        };
        if self.is_own(moment) || !is_begun(&put.expr, moment, schema) {
            return false;
        }
        let here = DataType::Timestamp(*unit, Some(zone.clone()));
        *put.expr = cast((*put.expr).clone(), here);
        true
    }

    /// The same of columns by which inputs are joined, those of unions and the like,
    /// and those of VALUES.
    fn inputs_alike(&self, part: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        match part {
            LogicalPlan::Join(join) => self.joined_alike(join),
            LogicalPlan::Union(union) => self.unioned_alike(union),
            LogicalPlan::Values(values) => self.values_alike(values),
            other => Ok(Transformed::no(other)),
        }
    }

    fn joined_alike(&self, mut join: Join) -> Result<Transformed<LogicalPlan>> {
        let mut is_changed = is_set_operation(&join) && self.meet_right(&mut join)?;
        let left_schema: &DFSchema = join.left.schema();
        let right_schema: &DFSchema = join.right.schema();
        for (left, right) in &mut join.on {
            let types = (left.get_type(left_schema), right.get_type(right_schema));
            let (Ok(left_type), Ok(right_type)) = types else {
                continue;
            };
            let meeting = Meeting::of([left_type.clone(), right_type.clone()]);
            for (side, data_type) in [(left, left_type), (right, right_type)] {
                if let Some(wanted) = meeting.wanted(&data_type) {
                    *side = self.as_type(side.clone(), wanted);
                    is_changed = true;
                }
            }
        }
        let join = LogicalPlan::Join(join);
        Ok(match is_changed {
            true => Transformed::yes(join),
            false => Transformed::no(join),
        })
    }

    /// The answer of INTERSECT and EXCEPT has the columns of the left side, of the
    /// types that both have.
    fn meet_right(&self, join: &mut Join) -> Result<bool> {
        let left = join.left.schema().fields().iter();
        let pairs = left.zip(join.right.schema().fields().iter());
        let wanted = pairs.map(|(left, right)| {
            let types = [left, right].map(|field| field.data_type().clone());
            Meeting::of(types).wanted(left.data_type())
        });
        let wanted: Vec<Option<DataType>> = wanted.collect();
        if wanted.iter().all(Option::is_none) {
            return Ok(false);
        }
        // Values that are alike then are one.
        join.left = match &*join.left {
            LogicalPlan::Distinct(Distinct::All(rows)) => {
                let rows = self.with_types(rows.clone(), &wanted)?;
                Arc::new(LogicalPlan::Distinct(Distinct::All(rows)))
            }
            _ => self.with_types(join.left.clone(), &wanted)?,
        };
        Ok(true)
    }

    fn unioned_alike(&self, union: Union) -> Result<Transformed<LogicalPlan>> {
        let meeting_at = |place: usize| {
            let inputs = union.inputs.iter();
            let fields = inputs.filter_map(move |input| input.schema().fields().get(place));
            Meeting::of(fields.map(|field| field.data_type().clone()))
        };
        let places = 0..union.schema.fields().len();
        let meetings: Vec<Meeting> = places.map(meeting_at).collect();
        let mut is_changed = false;
        let inputs = union.inputs.iter().map(|input| {
            let fields = input.schema().fields().iter().zip(&meetings);
            let wanted = fields.map(|(field, meeting)| meeting.wanted(field.data_type()));
            let wanted: Vec<Option<DataType>> = wanted.collect();
            if wanted.iter().all(Option::is_none) {
                return Ok(input.clone());
            }
            is_changed = true;
            self.with_types(input.clone(), &wanted)
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        if !is_changed {
            return Ok(Transformed::no(LogicalPlan::Union(union)));
        }
        let union = Union::try_new_with_loose_types(inputs)?;
        Ok(Transformed::yes(LogicalPlan::Union(union)))
    }

    /// Rows whose columns have other types, where some are wanted.
    fn with_types(
        &self,
        rows: Arc<LogicalPlan>,
        wanted: &[Option<DataType>],
    ) -> Result<Arc<LogicalPlan>> {
        let columns = rows.schema().iter().zip(wanted);
        let columns = columns.map(|((qualifier, field), wanted)| {
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            match wanted {
                Some(wanted) => self
                    .as_type(column, wanted.clone())
                    .alias_qualified(qualifier.cloned(), field.name()),
                None => column,
            }
        });
        let columns: Vec<Expr> = columns.collect();
        let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(rows));
        Ok(Arc::new(plan.project(columns)?.build()?))
    }

    /// DataFusion has cast the values of a column to one type already.
    fn values_alike(&self, values: Values) -> Result<Transformed<LogicalPlan>> {
        let schema = DFSchema::empty();
        let columns = values.schema.fields().iter().enumerate();
        let wanted = columns.map(|(place, field)| {
            let found = field.data_type();
            let is_lost = matches!(found, DataType::Timestamp(_, None)) || found.is_decimal();
            if !is_lost {
                return None;
            }
            let given = values.values.iter().filter_map(|row| row.get(place));
            let given = given.filter_map(|value| as_given(value, found).get_type(&schema).ok());
            let given: Vec<DataType> = given.collect();
            let meeting = Meeting::of(given.iter().cloned());
            let wanted = given.iter().find_map(|given| meeting.wanted(given))?;
            Some((found.clone(), wanted))
        });
        let wanted: Vec<Option<(DataType, DataType)>> = wanted.collect();
        if wanted.iter().all(Option::is_none) {
            return Ok(Transformed::no(LogicalPlan::Values(values)));
        }
        let typed = |value: Expr, found: &DataType, wanted: &DataType| {
            let given = as_given(&value, found).clone();
            match given.get_type(&schema) {
                Ok(given_type) if given_type == *wanted => given,
                Ok(DataType::Date32) => self.as_type(given, wanted.clone()),
                _ => cast(given, wanted.clone()),
            }
        };
        let rows = values.values.into_iter().map(|row| {
            let values = row.into_iter().zip(&wanted);
            let values = values.map(|(value, wanted)| match wanted {
                Some((found, wanted)) => typed(value, found, wanted),
                None => value,
            });
            values.collect::<Vec<Expr>>()
        });
        let plan = LogicalPlanBuilder::values(rows.collect())?.build()?;
        Ok(Transformed::yes(plan))
    }
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
