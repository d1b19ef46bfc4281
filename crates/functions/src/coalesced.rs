//! `coalesce` and `nvl`, of which DataFusion makes a CASE that has all values but the
//! last twice. Calls inside each other would double with each one, so that few of them
//! are more than there is memory for: there is an end to what is written twice.
//!
//! Of a CASE that gives truth values DataFusion makes AND and OR, of which it computes
//! both sides, and which have the first value of `nvl2` several times. So where a value
//! that is left out may fail, these three become a CASE that compares, as in
//! `guarded_cases.rs`: `CASE true WHEN a IS NOT NULL THEN a ELSE b END`.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, lit,
};

use crate::guarded_arguments::cannot_fail;
use crate::guarded_cases::is_joined;
use crate::wrapped::asks_wrapped;

/// The function of three values: `nvl2(a, b, c)` is b where a is not NULL, and else c.
const NVL2: &str = "nvl2";

/// Columns, operators and calls that one call may have in all values but the last.
/// Literals do not count.
const PARTS_MAX: usize = 2_000;

/// The functions, out of those that `known` finds by name.
pub(crate) fn coalesced(known: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<ScalarUDF> {
    let functions = ["coalesce", "nvl", NVL2].into_iter().filter_map(known);
    let functions = functions.map(|inner| ScalarUDF::from(Coalesced { inner }));
    functions.collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Coalesced {
    /// DataFusion's function.
    inner: Arc<ScalarUDF>,
}

impl Coalesced {
    /// Refuses to write too much twice.
    fn check(&self, arguments: &[Expr]) -> Result<()> {
        if self.name() == NVL2 {
            return Ok(());
        }
        let mut parts = 0;
        for value in arguments.iter().rev().skip(1) {
            parts += parts_of(value)?;
        }
        if parts > PARTS_MAX {
            return plan_err!(
                "`{}` has {parts} columns, operators and calls in its values but the last, and {PARTS_MAX} are the most: put fewer such calls into each other, as in coalesce(a, b, c) for coalesce(coalesce(a, b), c)",
                self.name()
            );
        }
        Ok(())
    }

    /// Whether AND and OR would compute what is left out, and that may fail, or would
    /// have the first value of `nvl2` again and again.
    fn is_guarded(&self, arguments: &[Expr], context: &SimplifyContext) -> bool {
        let gives_truth = |value: &Expr| {
            let found = context.get_data_type(value);
            matches!(found, Ok(DataType::Boolean))
        };
        if !arguments.iter().any(gives_truth) {
            return false;
        }
        let is_column = |value: &Expr| matches!(value, Expr::Column(_));
        let is_repeated = self.name() == NVL2 && !arguments.first().is_some_and(is_column);
        let may_fail = |value: &Expr| !cannot_fail(value, context.schema(), &is_joined);
        is_repeated || arguments.iter().skip(1).any(may_fail)
    }

    /// The CASE that compares; `None` where arguments are missing.
    fn guarded(&self, arguments: &[Expr]) -> Option<Expr> {
        let is_there = |value: &Expr| Box::new(value.clone().is_not_null());
        let (last, others) = arguments.split_last()?;
        let answers = match (self.name(), others) {
            (NVL2, [tested, answer]) => vec![(is_there(tested), Box::new(answer.clone()))],
            (NVL2, _) => return None,
            (_, values) => {
                let answers = values.iter();
                let answers = answers.map(|value| (is_there(value), Box::new(value.clone())));
                answers.collect()
            }
        };
        let last = Some(Box::new(last.clone()));
        Some(Expr::Case(Case::new(
            Some(Box::new(lit(true))),
            answers,
            last,
        )))
    }
}

impl ScalarUDFImpl for Coalesced {
    asks_wrapped!(inner);

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn conditional_arguments<'a>(
        &self,
        arguments: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(arguments)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn simplify(
        &self,
        arguments: Vec<Expr>,
        context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        self.check(&arguments)?;
        if self.is_guarded(&arguments, context)
            && let Some(case) = self.guarded(&arguments)
        {
            return Ok(ExprSimplifyResult::Simplified(case));
        }
        self.inner.simplify(arguments, context)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(arguments)
    }
}

/// Those of a value that are no literals.
fn parts_of(value: &Expr) -> Result<usize> {
    let mut parts = 0;
    value.apply(|part| {
        parts += usize::from(!matches!(part, Expr::Literal(..)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::common::DFSchema;
    use datafusion::functions::core::{coalesce, nvl, nvl2};
    use datafusion::logical_expr::col;

    use super::*;

    /// What becomes of a call with these values.
    fn shown(name: &str, arguments: Vec<Expr>) -> String {
        let functions = coalesced(|name| match name {
            "coalesce" => Some(coalesce()),
            "nvl" => Some(nvl()),
            "nvl2" => Some(nvl2()),
            _ => None,
        });
        let mut functions = functions.iter();
        let function = functions.find(|function| function.name() == name).unwrap();
        let fields = vec![
            Field::new("d", DataType::Int64, true),
            Field::new("a", DataType::Boolean, true),
            Field::new("b", DataType::Boolean, true),
        ];
        let schema = DFSchema::try_from(Schema::new(fields)).unwrap();
        let context = SimplifyContext::builder().with_schema(Arc::new(schema));
        match function.simplify(arguments, &context.build()).unwrap() {
            ExprSimplifyResult::Simplified(case) => case.to_string(),
            ExprSimplifyResult::Original(_) => panic!("no CASE"),
        }
    }

    #[test]
    fn what_may_fail_is_behind_a_case_that_compares() {
        let quotient = || lit(1_i64) / col("d");
        let is_large = || quotient().gt(lit(2_i64));
        let large = "Int64(1) / d > Int64(2)";
        for name in ["coalesce", "nvl"] {
            assert_eq!(
                shown(name, vec![col("a"), is_large()]),
                format!("CASE Boolean(true) WHEN a IS NOT NULL THEN a ELSE {large} END")
            );
            // Of numbers no AND and OR are made, and the first is computed anyway.
            for arguments in [
                vec![col("d"), quotient()],
                vec![col("a"), col("b")],
                vec![is_large(), col("b")],
            ] {
                let text = shown(name, arguments);
                assert!(text.starts_with("CASE WHEN "), "{text}");
            }
        }
        assert_eq!(
            shown("coalesce", vec![col("a"), is_large(), col("b")]),
            format!(
                "CASE Boolean(true) WHEN a IS NOT NULL THEN a WHEN {large} IS NOT NULL THEN {large} ELSE b END"
            )
        );
        assert_eq!(
            shown("nvl2", vec![col("a"), col("b"), is_large()]),
            format!("CASE Boolean(true) WHEN a IS NOT NULL THEN b ELSE {large} END")
        );
        assert_eq!(
            shown("nvl2", vec![!col("a"), col("b"), col("a")]),
            "CASE Boolean(true) WHEN NOT a IS NOT NULL THEN b ELSE a END"
        );
        let text = shown("nvl2", vec![col("a"), col("b"), col("a")]);
        assert_eq!(text, "CASE WHEN a IS NOT NULL THEN b ELSE a END");
    }

    #[test]
    fn calls_inside_each_other_have_an_end() {
        let functions = coalesced(|name| (name == "coalesce").then(coalesce));
        let [function] = &functions[..] else {
            panic!("one function");
        };
        let context = SimplifyContext::default();
        let simplified = |value: Expr| function.simplify(vec![value, col("y")], &context);
        let mut value = col("x");
        // x, then CASE WHEN x IS NOT NULL THEN x ELSE y END, which are 2 n + 3 parts
        // for n: 1, 5, 13, …, 2045.
        for _ in 0..9 {
            value = match simplified(value).unwrap() {
                ExprSimplifyResult::Simplified(case) => case,
                ExprSimplifyResult::Original(_) => panic!("no CASE"),
            };
        }
        assert_eq!(parts_of(&value).unwrap(), 2045);
        let problem = simplified(value).unwrap_err().to_string();
        assert!(problem.contains("2045 columns, operators"), "{problem}");
        let literals = col("x").in_list((0..10_000_i64).map(lit).collect(), false);
        assert!(simplified(literals).is_ok());
    }
}
