//! `bool_and` and `bool_or` in windows: a frame that moves takes back what it counted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::sum;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::utils::take_function_args;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};

/// `bool_and` or `bool_or` over the rows of a window.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct WindowTruth {
    signature: Signature,
    is_and: bool,
}

impl WindowTruth {
    /// The function `bool_and`, or `bool_or`.
    pub(crate) fn new(is_and: bool) -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Boolean], Volatility::Immutable),
            is_and,
        }
    }
}

fn name(is_and: bool) -> &'static str {
    match is_and {
        true => "bool_and",
        false => "bool_or",
    }
}

impl AggregateUDFImpl for WindowTruth {
    fn name(&self) -> &str {
        name(self.is_and)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(TruthCounts::new(self.is_and)))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |part: &str| -> FieldRef {
            let name = format_state_name(arguments.name, part);
            Arc::new(Field::new(name, DataType::Int64, true))
        };
        Ok(vec![field("trues"), field("falses")])
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// How many values of a frame are true, and how many are false.
#[derive(Debug)]
struct TruthCounts {
    trues: i64,
    falses: i64,
    is_and: bool,
}

impl TruthCounts {
    fn new(is_and: bool) -> Self {
        Self {
            trues: 0,
            falses: 0,
            is_and,
        }
    }

    fn count(&mut self, values: &[ArrayRef], weight: i64) -> Result<()> {
        let [values] = take_function_args(name(self.is_and), values)?;
        let Some(values) = values.as_boolean_opt() else {
            return internal_err!("not a column of truth values");
        };
        let trues = values.true_count();
        let falses = values.len() - values.null_count() - trues;
        self.trues += weight * trues as i64;
        self.falses += weight * falses as i64;
        Ok(())
    }
}

impl Accumulator for TruthCounts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count(values, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count(values, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answer = match (self.trues, self.falses) {
            (0, 0) => None,
            (_, falses) if self.is_and => Some(falses == 0),
            (trues, _) => Some(trues > 0),
        };
        Ok(ScalarValue::Boolean(answer))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.trues.into(), self.falses.into()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [trues, falses] = take_function_args(name(self.is_and), states)?;
        self.trues += sum(trues.as_primitive::<Int64Type>()).unwrap_or_default();
        self.falses += sum(falses.as_primitive::<Int64Type>()).unwrap_or_default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::BooleanArray;

    use super::*;

    fn truths(values: &[Option<bool>]) -> [ArrayRef; 1] {
        [Arc::new(BooleanArray::from(values.to_vec()))]
    }

    fn answer(counts: &mut TruthCounts) -> Option<bool> {
        match counts.evaluate().unwrap() {
            ScalarValue::Boolean(answer) => answer,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_has_left_counts_no_more() {
        for (is_and, with_both, without_first) in [(true, false, true), (false, true, true)] {
            let mut counts = TruthCounts::new(is_and);
            assert_eq!(answer(&mut counts), None);
            counts.update_batch(&truths(&[Some(false), None])).unwrap();
            assert_eq!(answer(&mut counts), Some(false));
            counts.update_batch(&truths(&[Some(true)])).unwrap();
            assert_eq!(answer(&mut counts), Some(with_both));
            counts.retract_batch(&truths(&[Some(false)])).unwrap();
            assert_eq!(answer(&mut counts), Some(without_first));
            counts.retract_batch(&truths(&[None, Some(true)])).unwrap();
            assert_eq!(answer(&mut counts), None);
        }
    }

    #[test]
    fn it_goes_on_from_its_state() {
        let mut first = TruthCounts::new(true);
        first
            .update_batch(&truths(&[Some(true), Some(false)]))
            .unwrap();
        let state = first.state().unwrap();
        let state: Vec<ArrayRef> = state.iter().map(|part| part.to_array().unwrap()).collect();
        let mut second = TruthCounts::new(true);
        second.merge_batch(&state).unwrap();
        assert_eq!(answer(&mut second), Some(false));
        second.retract_batch(&truths(&[Some(false)])).unwrap();
        assert_eq!(answer(&mut second), Some(true));
    }
}
