//! Texts that are cast to times without a zone, or to dates, as PostgreSQL reads them:
//! it leaves out the zone that a text names. DataFusion takes the clocks of UTC.
//!
//! | cast | becomes |
//! |---|---|
//! | `'2026-01-01 10:00:00+02'::timestamp` | `'2026-01-01 10:00:00'::timestamp` |
//! | `text::timestamp`, `text::date` | `without_zone(text)::timestamp`, `without_zone(text)::date` |
//!
//! Before types are matched all casts are written ones. Behind that it is those that
//! were made where a text meets a time; arguments of other functions stay as they are,
//! for to PostgreSQL a text is a moment in most of them.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::by_array::by_array;
use crate::interval_texts::is_text;
use crate::rewriting::rewritten;
use crate::values_that_meet::is_unifying;

/// The name of the function that a text of a column goes through.
pub(crate) const WITHOUT_ZONE: &str = "without_zone";

/// So many bytes are before the time in `2026-01-01 10:00:00`.
const TIME_BEGINS: usize = 11;

/// The rewriting as a rule of a session.
#[derive(Debug)]
pub(crate) struct TextsWithoutZone {
    casts: Casts,
    function: Arc<ScalarUDF>,
}

/// Which casts are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Casts {
    /// Wherever they are.
    Written,
    /// Those that matching types has made of texts beside times.
    Made,
}

impl TextsWithoutZone {
    /// The rule that comes before types are matched.
    pub(crate) fn of_written_casts() -> Self {
        Self::new(Casts::Written)
    }

    /// The rule that comes when types are matched.
    pub(crate) fn of_made_casts() -> Self {
        Self::new(Casts::Made)
    }

    fn new(casts: Casts) -> Self {
        let signature = Signature::any(1, Volatility::Immutable);
        Self {
            casts,
            function: Arc::new(ScalarUDF::from(WithoutZone { signature })),
        }
    }

    fn rewrite(&self, expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match self.casts {
            Casts::Written => Ok(self.of_cast(expression, schema)),
            Casts::Made if compares_or_unites(&expression) => {
                expression.map_children(|inside| Ok(self.of_cast(inside, schema)))
            }
            Casts::Made => Ok(Transformed::no(expression)),
        }
    }

    fn of_cast(&self, expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
        match expression {
            Expr::Cast(Cast { expr, field }) if has_no_zone(field.data_type()) => {
                let text = self.of_text(*expr, schema);
                text.update_data(|text| Expr::Cast(Cast::new_from_field(Box::new(text), field)))
            }
            Expr::TryCast(TryCast { expr, field }) if has_no_zone(field.data_type()) => {
                let text = self.of_text(*expr, schema);
                text.update_data(|text| {
                    Expr::TryCast(TryCast::new_from_field(Box::new(text), field))
                })
            }
            other => Transformed::no(other),
        }
    }

    /// What is cast without a zone, if it is a text.
    fn of_text(&self, value: Expr, schema: &DFSchema) -> Transformed<Expr> {
        if let Expr::Literal(written, _) = &value {
            let written = written.try_as_str().flatten();
            return match written.and_then(before_zone).map(lit) {
                Some(text) => Transformed::yes(text),
                None => Transformed::no(value),
            };
        }
        let is_text = value.get_type(schema).is_ok_and(|found| is_text(&found));
        let is_rewritten =
            matches!(&value, Expr::ScalarFunction(call) if call.name() == WITHOUT_ZONE);
        match is_text && !is_rewritten {
            true => Transformed::yes(self.function.call(vec![value])),
            false => Transformed::no(value),
        }
    }
}

impl AnalyzerRule for TextsWithoutZone {
    fn name(&self) -> &str {
        match self.casts {
            Casts::Written => "written_texts_without_zone",
            Casts::Made => "texts_without_zone",
        }
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &|expression: Expr, schema: &DFSchema| {
            self.rewrite(expression, schema)
        })
    }
}

fn has_no_zone(wanted: &DataType) -> bool {
    matches!(wanted, DataType::Timestamp(_, None) | DataType::Date32)
}

/// Whether its parts get one type.
fn compares_or_unites(expression: &Expr) -> bool {
    match expression {
        Expr::BinaryExpr(_) | Expr::Between(_) | Expr::InList(_) | Expr::Case(_) => true,
        Expr::ScalarFunction(call) => call.name() == "nullif" || is_unifying(call.name()),
        _ => false,
    }
}

/// What stands before the zone of a time; `None` where there is none.
fn before_zone(text: &str) -> Option<&str> {
    let time = text.get(TIME_BEGINS..)?;
    let is_of_clock = |letter: char| letter.is_ascii_digit() || matches!(letter, ':' | '.');
    let clock_bytes = time.find(|letter: char| !is_of_clock(letter))?;
    let zone = time.get(clock_bytes..)?.trim();
    let is_zone = zone.eq_ignore_ascii_case("z") || zone.parse::<Tz>().is_ok();
    match is_zone && clock_bytes > 0 {
        true => text.get(..TIME_BEGINS + clock_bytes),
        false => None,
    }
}

/// `without_zone(text)`: the text of a date and a time without the zone behind them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WithoutZone {
    signature: Signature,
}

impl ScalarUDFImpl for WithoutZone {
    fn name(&self) -> &str {
        WITHOUT_ZONE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts] = take_function_args(self.name(), &arguments.args)?;
        by_array(texts, &without_zones)
    }
}

fn without_zones(texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let mut have_zones = false;
    let without = texts.as_string::<i32>().iter().map(|text| {
        let text = text?;
        let before = before_zone(text);
        have_zones |= before.is_some();
        Some(before.unwrap_or(text))
    });
    let without: Vec<Option<&str>> = without.collect();
    if !have_zones {
        return Ok(texts.clone());
    }
    Ok(Arc::new(StringArray::from(without)))
}

#[cfg(test)]
mod tests {
    use arrow::array::LargeStringArray;
    use arrow::datatypes::{Field, Schema, TimeUnit};
    use datafusion::common::ToDFSchema;
    use datafusion::functions::expr_fn::{date_trunc, nullif};
    use datafusion::logical_expr::{cast, col, try_cast};

    use super::*;

    const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

    #[test]
    fn zones_are_found_behind_times() {
        for (text, expected) in [
            ("2026-01-01 10:00:00+02", Some("2026-01-01 10:00:00")),
            (
                "2026-01-01T10:00:00.25-05:30",
                Some("2026-01-01T10:00:00.25"),
            ),
            ("2026-01-01 100000 +0530", Some("2026-01-01 100000")),
            ("2026-01-01T10:00:00Z", Some("2026-01-01T10:00:00")),
            ("2026-01-01 10:00:00 z", Some("2026-01-01 10:00:00")),
            (
                "2026-01-01 10:00:00 Europe/Berlin",
                Some("2026-01-01 10:00:00"),
            ),
            ("2026-01-01 10:00:00", None),
            ("2026-01-01", None),
            ("2026-01-01 Europe/Berlin", None),
            ("2026-01-01 10:00:00 Mars/Phobos", None),
            ("2026-01-01 10:00:00+", None),
            ("2026-01-01日 10:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(before_zone(text), expected, "{text}");
        }
    }

    #[test]
    fn written_casts_leave_zones_out() {
        let rule = TextsWithoutZone::of_written_casts();
        let of_column = || rule.function.call(vec![col("s")]);
        let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let written = lit("2026-01-01 10:00:00+02");
        let without = lit("2026-01-01 10:00:00");
        for (expression, expected) in [
            (
                cast(written.clone(), TIME),
                Some(cast(without.clone(), TIME)),
            ),
            (
                try_cast(written.clone(), DataType::Date32),
                Some(try_cast(without.clone(), DataType::Date32)),
            ),
            (cast(col("s"), TIME), Some(cast(of_column(), TIME))),
            (cast(of_column(), TIME), None),
            (cast(without, TIME), None),
            (cast(written, moment.clone()), None),
            (cast(col("s"), moment), None),
            (cast(col("n"), TIME), None),
            (cast(col("s"), DataType::Int64), None),
        ] {
            let found = rule.rewrite(expression.clone(), &schema()).unwrap();
            assert_eq!(found.transformed, expected.is_some(), "{expression}");
            assert_eq!(found.data, expected.unwrap_or(expression));
        }
    }

    #[test]
    fn casts_beside_times_leave_zones_out() {
        let rule = TextsWithoutZone::of_made_casts();
        let text = || cast(lit("2026-01-01 10:00:00+02"), TIME);
        let without = || cast(lit("2026-01-01 10:00:00"), TIME);
        for (expression, expected) in [
            (col("t").gt(text()), Some(col("t").gt(without()))),
            (
                col("t").in_list(vec![text()], false),
                Some(col("t").in_list(vec![without()], false)),
            ),
            (nullif(col("t"), text()), Some(nullif(col("t"), without()))),
            (date_trunc(lit("day"), text()), None),
            (text(), None),
        ] {
            let found = rule.rewrite(expression.clone(), &schema()).unwrap();
            assert_eq!(found.transformed, expected.is_some(), "{expression}");
            assert_eq!(found.data, expected.unwrap_or(expression));
        }
    }

    #[test]
    fn columns_lose_their_zones() {
        let with = [Some("2026-01-01 10:00:00+02"), None, Some("2026-01-01")];
        let without = [Some("2026-01-01 10:00:00"), None, Some("2026-01-01")];
        let expected = StringArray::from(without.to_vec());
        for texts in [with, without] {
            let texts: ArrayRef = Arc::new(LargeStringArray::from(texts.to_vec()));
            let found = without_zones(&texts).unwrap();
            assert_eq!(found.as_string::<i32>(), &expected);
        }
    }

    fn schema() -> DFSchema {
        let fields = vec![
            Field::new("s", DataType::Utf8, true),
            Field::new("t", TIME, true),
            Field::new("n", DataType::Int64, true),
        ];
        Schema::new(fields).to_dfschema().unwrap()
    }
}
