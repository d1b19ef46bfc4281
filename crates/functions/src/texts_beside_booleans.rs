//! Texts that are written beside truth values are truth values, as PostgreSQL reads
//! them: `WHERE flag = 't'`, `flag IN ('yes', 'no')`, `flag AND 'on'`. DataFusion finds
//! no type for both.
//!
//! Only what is written as it is: a column of texts beside a truth value stays an error,
//! as it is there.

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::one_float::is_comparison;
use crate::rewriting::rewritten;

const TRUE: [&str; 9] = ["t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"];
const FALSE: [&str; 10] = [
    "f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0",
];

/// What a text says, in letters of either case; `None` where it is no truth value.
fn truth_of(text: &str) -> Option<bool> {
    let text = text.trim();
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match (is_one_of(&TRUE), is_one_of(&FALSE)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Makes a truth value of a text that is written as it is. Whether it was one.
///
/// # Errors
/// When it says neither.
fn make_truth(value: &mut Expr) -> Result<bool> {
    let Expr::Literal(written, _) = &*value else {
        return Ok(false);
    };
    let Some(text) = written.try_as_str().flatten() else {
        return Ok(false);
    };
    let Some(truth) = truth_of(text) else {
        let problem = format!("Cannot cast string '{text}' to value of Boolean type");
        return Err(DataFusionError::from(ArrowError::CastError(problem)));
    };
    *value = lit(truth);
    Ok(true)
}

/// The same of several.
fn make_truths(values: &mut [&mut Expr]) -> Result<bool> {
    let mut is_changed = false;
    for value in values {
        is_changed |= make_truth(value)?;
    }
    Ok(is_changed)
}

/// The same of several of which one is a truth value.
fn make_alike(values: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let is_truth = |value: &&mut Expr| matches!(value.get_type(schema), Ok(DataType::Boolean));
    match values.iter().any(is_truth) {
        true => make_truths(values),
        false => Ok(false),
    }
}

fn rewrite(mut expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_changed = match &mut expression {
        Expr::BinaryExpr(binary) => {
            let mut sides = [&mut *binary.left, &mut *binary.right];
            match binary.op {
                Operator::And | Operator::Or => make_truths(&mut sides)?,
                other if is_comparison(other) => make_alike(&mut sides, schema)?,
                _ => false,
            }
        }
        Expr::Between(between) => {
            let mut values = [&mut *between.expr, &mut *between.low, &mut *between.high];
            make_alike(&mut values, schema)?
        }
        Expr::InList(inside) => {
            let mut values = vec![&mut *inside.expr];
            values.extend(inside.list.iter_mut());
            make_alike(&mut values, schema)?
        }
        Expr::InSubquery(inside) => {
            let columns = inside.subquery.subquery.schema().fields();
            match columns.first().map(|column| column.data_type()) {
                Some(DataType::Boolean) => make_truth(&mut inside.expr)?,
                _ => false,
            }
        }
        Expr::Case(case) => {
            let (mut conditions, mut answers) = (Vec::new(), Vec::new());
            let has_base = case.expr.is_some();
            conditions.extend(case.expr.as_deref_mut());
            for (condition, answer) in &mut case.when_then_expr {
                conditions.push(&mut **condition);
                answers.push(&mut **answer);
            }
            answers.extend(case.else_expr.as_deref_mut());
            let has_truths = match has_base {
                true => make_alike(&mut conditions, schema)?,
                false => make_truths(&mut conditions)?,
            };
            make_alike(&mut answers, schema)? || has_truths
        }
        Expr::Not(inside)
        | Expr::IsTrue(inside)
        | Expr::IsNotTrue(inside)
        | Expr::IsFalse(inside)
        | Expr::IsNotFalse(inside)
        | Expr::IsUnknown(inside)
        | Expr::IsNotUnknown(inside) => make_truth(inside)?,
        _ => false,
    };
    Ok(Transformed::new_transformed(expression, is_changed))
}

/// See the module. It comes before types are matched.
#[derive(Debug)]
pub(crate) struct TextsBesideBooleans;

impl AnalyzerRule for TextsBesideBooleans {
    fn name(&self) -> &str {
        "texts_beside_booleans"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &rewrite)
    }
}

/// The same of operators as they are planned: DataFusion asks for the type of a column
/// of the answer at once. It comes before DataFusion's planners.
#[derive(Debug)]
pub struct TextsInOperators;

impl ExprPlanner for TextsInOperators {
    fn plan_binary_op(
        &self,
        mut operation: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let mut sides = [&mut operation.left, &mut operation.right];
        match operation.op {
            BinaryOperator::And | BinaryOperator::Or => {
                make_truths(&mut sides)?;
            }
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => {
                make_alike(&mut sides, schema)?;
            }
            _ => {}
        }
        Ok(PlannerResult::Original(operation))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::common::ToDFSchema;
    use datafusion::common::tree_node::TreeNode;
    use datafusion::logical_expr::{case, col, not, when};

    use super::*;

    fn schema() -> DFSchema {
        let fields = vec![
            Field::new("b", DataType::Boolean, true),
            Field::new("s", DataType::Utf8, true),
        ];
        Schema::new(fields).to_dfschema().unwrap()
    }

    fn rewritten_one(expression: Expr) -> Result<Expr> {
        let schema = schema();
        let rewritten = expression.transform_up(|part| rewrite(part, &schema));
        rewritten.map(|rewritten| rewritten.data)
    }

    #[test]
    fn texts_say_what_they_say_to_postgresql() {
        for text in ["t", "TRUE", " yes ", "Y", "on", "1", "tru"] {
            assert_eq!(truth_of(text), Some(true), "{text}");
        }
        for text in ["f", "False", "no", "N", "of", "OFF", "0"] {
            assert_eq!(truth_of(text), Some(false), "{text}");
        }
        for text in ["", "o", "maybe", "truer", "2", "01"] {
            assert_eq!(truth_of(text), None, "{text}");
        }
    }

    #[test]
    fn texts_beside_truth_values_are_such() {
        for (expression, wanted) in [
            (col("b").eq(lit("t")), col("b").eq(lit(true))),
            (lit("No").lt(col("b")), lit(false).lt(col("b"))),
            (col("b").and(lit("on")), col("b").and(lit(true))),
            (not(lit("0")), not(lit(false))),
            (
                col("b").in_list(vec![lit("y"), lit("off")], true),
                col("b").in_list(vec![lit(true), lit(false)], true),
            ),
            (
                col("b").between(lit("f"), lit("t")),
                col("b").between(lit(false), lit(true)),
            ),
            (
                case(col("b")).when(lit("t"), lit("t")).end().unwrap(),
                case(col("b")).when(lit(true), lit("t")).end().unwrap(),
            ),
            (
                when(lit("1"), col("b")).otherwise(lit("f")).unwrap(),
                when(lit(true), col("b")).otherwise(lit(false)).unwrap(),
            ),
        ] {
            assert_eq!(
                rewritten_one(expression.clone()).unwrap(),
                wanted,
                "{expression}"
            );
        }
    }

    #[test]
    fn other_texts_stay() {
        for expression in [
            col("s").eq(lit("t")),
            col("b").eq(col("s")),
            col("s").in_list(vec![lit("t")], false),
            lit("t").eq(lit("f")),
        ] {
            assert_eq!(rewritten_one(expression.clone()).unwrap(), expression);
        }
    }

    #[test]
    fn texts_that_say_neither_are_errors() {
        for expression in [col("b").eq(lit("maybe")), col("b").or(lit(""))] {
            let problem = rewritten_one(expression).unwrap_err().to_string();
            assert!(problem.contains("to value of Boolean type"), "{problem}");
        }
    }

    #[test]
    fn operators_have_them_as_they_are_planned() {
        let operation = RawBinaryExpr {
            op: BinaryOperator::NotEq,
            left: col("b"),
            right: lit("yes"),
        };
        let planned = TextsInOperators
            .plan_binary_op(operation, &schema())
            .unwrap();
        let PlannerResult::Original(operation) = planned else {
            panic!("planned");
        };
        assert_eq!(operation.right, lit(true));
    }
}
