//! `AT TIME ZONE` where it is no moment of a table that is put into a zone.
//!
//! A moment in a zone stays a moment, which PostgreSQL takes for the time that the
//! clocks show there. Both are read alike until it is put into a zone again: to
//! PostgreSQL `t AT TIME ZONE 'Asia/Shanghai' AT TIME ZONE 'UTC'` is the moment at
//! which the clocks of UTC show what those of Shanghai show at `t`, and whoever reads
//! sees it in their own zone. So they do a time without a zone that is put into one.
//! And a text that is written down is a moment of their zone, which DataFusion would
//! read by the clocks of the other one.
//!
//! | written | becomes |
//! |---|---|
//! | `x AT TIME ZONE a AT TIME ZONE b` | `in_own_zone(in_turn(x AT TIME ZONE a) AT TIME ZONE b)` |
//! | `in_turn(x AT TIME ZONE a)` | the time that the clocks show; the moment where `x` is a time without a zone |
//! | `in_own_zone(x AT TIME ZONE b)` | the same; a moment of the reader's zone where `x` is a time without a zone |
//! | `x::timestamp AT TIME ZONE a` | `CAST(x::timestamp AT TIME ZONE a AS TIMESTAMPTZ)` |
//! | `'…' AT TIME ZONE a` | `TIMESTAMPTZ '…' AT TIME ZONE a` |

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::functions::expr_fn::to_local_time;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, TimezoneInfo, TypedString, Value,
    ValueWithSpan,
};
use sluice_syntax::{Order, Part, replace_expressions};

use crate::rewriting::rewritten;

/// The type of moments.
const MOMENT: SqlType = SqlType::Timestamp(None, TimezoneInfo::Tz);

/// Writes such forms so that they are answered as by PostgreSQL, those in subqueries
/// included. Whether there were any.
pub fn put_into_zones_in_turn(sql: &mut impl Part) -> bool {
    // What one becomes may stand inside another.
    replace_expressions(sql, Order::InnerFirst, in_turn)
}

fn in_turn(expression: &SqlExpr) -> Option<SqlExpr> {
    let SqlExpr::AtTimeZone {
        timestamp,
        time_zone,
    } = expression
    else {
        return None;
    };
    let put = |timestamp: SqlExpr| SqlExpr::AtTimeZone {
        timestamp: Box::new(timestamp),
        time_zone: time_zone.clone(),
    };
    match without_brackets(timestamp) {
        inner @ SqlExpr::AtTimeZone { .. } => {
            let inner = Turn::Inner.call(inner.clone());
            Some(Turn::Outer.call(put(inner)))
        }
        // It was the outer one of two until now.
        SqlExpr::Function(outer) if is_call_of(outer, Turn::Outer) => {
            let inner = Turn::Inner.call(SqlExpr::Function(outer.clone()));
            Some(Turn::Outer.call(put(inner)))
        }
        SqlExpr::Value(text) => moment(text).map(put),
        time if is_local(time) => Some(SqlExpr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(expression.clone()),
            data_type: MOMENT,
            array: false,
            format: None,
        }),
        _ => None,
    }
}

/// Whether it is a time without a zone by its form.
fn is_local(expression: &SqlExpr) -> bool {
    let (SqlExpr::TypedString(TypedString { data_type, .. }) | SqlExpr::Cast { data_type, .. }) =
        expression
    else {
        return false;
    };
    matches!(
        data_type,
        SqlType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)
    )
}

fn is_call_of(call: &Function, turn: Turn) -> bool {
    call.name.to_string() == turn.name()
}

fn without_brackets(expression: &SqlExpr) -> &SqlExpr {
    match expression {
        SqlExpr::Nested(inner) => without_brackets(inner),
        other => other,
    }
}

fn moment(value: &ValueWithSpan) -> Option<SqlExpr> {
    let is_text = matches!(value.value, Value::SingleQuotedString(_));
    is_text.then(|| {
        SqlExpr::TypedString(TypedString {
            data_type: MOMENT,
            value: value.clone(),
            uses_odbc_syntax: false,
        })
    })
}

/// Which of two zones something is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Turn {
    Inner,
    Outer,
}

impl Turn {
    fn name(self) -> &'static str {
        match self {
            Self::Inner => "in_turn",
            Self::Outer => "in_own_zone",
        }
    }

    fn call(self, argument: SqlExpr) -> SqlExpr {
        SqlExpr::Function(Function {
            name: ObjectName::from(vec![Ident::new(self.name())]),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
                clauses: Vec::new(),
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        })
    }
}

/// The rewriting as a rule of a session, in which the types of what is put into zones
/// are known; it comes before types are matched.
#[derive(Debug)]
pub(crate) struct ZoneAfterZone;

impl AnalyzerRule for ZoneAfterZone {
    fn name(&self) -> &str {
        "zone_after_zone"
    }

    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        let own = options.execution.time_zone.as_deref();
        rewritten(plan, &|expression: Expr, schema: &DFSchema| {
            with_known_type(expression, schema, own)
        })
    }
}

fn with_known_type(
    expression: Expr,
    schema: &DFSchema,
    own_zone: Option<&str>,
) -> Result<Transformed<Expr>> {
    let turn = match &expression {
        Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<ZoneTurn>(),
        _ => None,
    };
    let Some(turn) = turn.map(|found| found.turn) else {
        return Ok(Transformed::no(expression));
    };
    let Expr::ScalarFunction(call) = expression else {
        return Ok(Transformed::no(expression));
    };
    let [put] = take_function_args(turn.name(), call.args)?;
    let was_local = match &put {
        Expr::Cast(Cast { expr, .. }) => {
            matches!(expr.get_type(schema), Ok(DataType::Timestamp(_, None)))
        }
        _ => false,
    };
    Ok(Transformed::yes(match (turn, was_local, own_zone) {
        (Turn::Inner, false, _) => to_local_time(vec![put]),
        (Turn::Outer, true, Some(own_zone)) => {
            let moment = DataType::Timestamp(TimeUnit::Nanosecond, Some(own_zone.into()));
            cast(put, moment)
        }
        _ => put,
    }))
}

/// `in_turn(x AT TIME ZONE a)`, `in_own_zone(x AT TIME ZONE a)`, until the type of `x`
/// is known.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ZoneTurn {
    turn: Turn,
    signature: Signature,
}

/// The functions that the rule finds.
pub(crate) fn zone_turns() -> [ScalarUDF; 2] {
    [Turn::Inner, Turn::Outer].map(|turn| {
        let signature = Signature::any(1, Volatility::Immutable);
        ScalarUDF::from(ZoneTurn { turn, signature })
    })
}

impl ScalarUDFImpl for ZoneTurn {
    fn name(&self) -> &str {
        self.turn.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [put] = take_function_args(self.name(), types)?;
        Ok(put.clone())
    }

    /// A column is called as it would be without it.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let [put] = take_function_args(self.name(), arguments)?;
        Ok(put.schema_name().to_string())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("`{}` was left in a plan", self.name())
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::col;
    use datafusion::sql::sqlparser::parser::Parser;
    use sluice_syntax::QUERIES;

    use super::*;

    #[test]
    fn what_is_in_a_zone_is_put_into_another_one_in_turn() {
        for (sql, expected) in [
            (
                "t AT TIME ZONE 'a' AT TIME ZONE 'b'",
                Some("in_own_zone(in_turn(t AT TIME ZONE 'a') AT TIME ZONE 'b')"),
            ),
            (
                "((t AT TIME ZONE 'a')) AT TIME ZONE '+08:00'",
                Some("in_own_zone(in_turn(t AT TIME ZONE 'a') AT TIME ZONE '+08:00')"),
            ),
            (
                "t AT TIME ZONE 'a' AT TIME ZONE 'b' AT TIME ZONE 'c'",
                Some(
                    "in_own_zone(in_turn(in_own_zone(in_turn(t AT TIME ZONE 'a') AT TIME ZONE 'b')) AT TIME ZONE 'c')",
                ),
            ),
            (
                "'2026-11-21' AT TIME ZONE 'a'",
                Some("TIMESTAMPTZ '2026-11-21' AT TIME ZONE 'a'"),
            ),
            (
                "TIMESTAMP '2026-11-21' AT TIME ZONE 'a'",
                Some("CAST(TIMESTAMP '2026-11-21' AT TIME ZONE 'a' AS TIMESTAMPTZ)"),
            ),
            (
                "t::TIMESTAMP AT TIME ZONE 'a' AT TIME ZONE 'b'",
                Some("CAST(t::TIMESTAMP AT TIME ZONE 'a' AS TIMESTAMPTZ) AT TIME ZONE 'b'"),
            ),
            ("t AT TIME ZONE 'a'", None),
            ("t::TIMESTAMPTZ AT TIME ZONE 'a'", None),
            ("(t AT TIME ZONE 'a')::DATE", None),
        ] {
            let parser = Parser::new(&QUERIES).try_with_sql(sql);
            let mut parsed = parser.unwrap().parse_expr().unwrap();
            let is_changed = put_into_zones_in_turn(&mut parsed);
            assert_eq!(is_changed, expected.is_some(), "{sql}: {parsed}");
            assert_eq!(parsed.to_string(), expected.unwrap_or(sql));
        }
    }

    #[test]
    fn what_moments_and_times_become_follows_from_their_types() {
        let time =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Nanosecond, zone.map(Into::into));
        let fields = vec![
            Field::new("moment", time(Some("UTC")), true),
            Field::new("time", time(None), true),
            Field::new("day", DataType::Date32, true),
        ];
        let schema = DFSchema::try_from(Schema::new(fields)).unwrap();
        let [inner, outer] = zone_turns();
        let own = Some("Asia/Shanghai");
        for (name, is_local) in [("moment", false), ("time", true), ("day", false)] {
            let put = cast(col(name), time(Some("Asia/Tokyo")));
            let (of_inner, of_outer) = match is_local {
                true => (put.clone(), cast(put.clone(), time(own))),
                false => (to_local_time(vec![put.clone()]), put.clone()),
            };
            for (turn, expected) in [(&inner, of_inner), (&outer, of_outer)] {
                let marked = turn.call(vec![put.clone()]);
                let found = with_known_type(marked, &schema, own).unwrap();
                assert!(found.transformed);
                assert_eq!(found.data, expected, "{name}");
                let again = with_known_type(found.data, &schema, own).unwrap();
                assert!(!again.transformed);
            }
        }
    }
}
