//! `coalesce` and `nvl`, of which DataFusion makes a CASE that has all values but the
//! last twice. Calls inside each other would double with each one, so that few of them
//! are more than there is memory for: there is an end to what is written twice.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl,
};

use crate::wrapped::asks_wrapped;

/// Columns, operators and calls that one call may have in all values but the last.
/// Literals do not count.
const PARTS_MAX: usize = 2_000;

/// The functions, out of those that `known` finds by name.
pub(crate) fn coalesced(known: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<ScalarUDF> {
    let functions = ["coalesce", "nvl"].into_iter().filter_map(known);
    let functions = functions.map(|inner| ScalarUDF::from(Coalesced { inner }));
    functions.collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Coalesced {
    /// DataFusion's function.
    inner: Arc<ScalarUDF>,
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
    use datafusion::functions::core::coalesce;
    use datafusion::logical_expr::{col, lit};

    use super::*;

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
