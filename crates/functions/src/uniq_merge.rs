//! `uniq_merge(state)`: the state of all values that any of the states has.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;

use crate::{UniqError, UniqSet, UniqSets};

/// Name of the function.
pub const UNIQ_MERGE: &str = "uniq_merge";

pub(crate) fn external(error: UniqError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// See the module.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct UniqMerge {
    signature: Signature,
}

impl UniqMerge {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Binary], Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for UniqMerge {
    fn name(&self) -> &str {
        UNIQ_MERGE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::<Union>::default())
    }
}

#[derive(Debug, Default)]
struct Union {
    sets: UniqSets,
}

impl Accumulator for Union {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for states in values {
            for state in states.as_binary::<i32>().iter().flatten() {
                self.sets.union(UniqSet::decode(state).map_err(external)?);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Binary(self.sets.encode().map_err(external)?))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.sets.memory_bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
