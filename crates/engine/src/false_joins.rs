//! Joins whose condition can never hold, such as `ON a = NULL`: the side that
//! only gives partners becomes empty.
//!
//! DataFusion would push the constant down to that side and there below an
//! aggregate without GROUP BY, which has a row also without input. The join
//! would then find a partner.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::EmptyRelation;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct EmptyFalseJoins;

impl OptimizerRule for EmptyFalseJoins {
    fn name(&self) -> &str {
        "empty_false_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else {
            return Ok(Transformed::no(plan));
        };
        let is_false = matches!(
            &join.filter,
            Some(Expr::Literal(
                ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null,
                _
            ))
        );
        let side = match join.join_type {
            JoinType::Inner
            | JoinType::Left
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark => &mut join.right,
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                &mut join.left
            }
            // Nothing is pushed below a full join.
            JoinType::Full => return Ok(Transformed::no(LogicalPlan::Join(join))),
        };
        if !is_false || matches!(**side, LogicalPlan::EmptyRelation(_)) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        *side = Arc::new(LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: side.schema().clone(),
        }));
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    }
}
