//! `uniq_state(value, 'domain')`: the state of the values, by the ids that views
//! gave them.
//!
//! Views give ids themselves (`uniq_ids.rs` of the engine), and do not run this
//! accumulator. In a query it looks ids up, and refuses a value that has none:
//! a new id would be forgotten with the answer.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::plan_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;

use crate::uniq_groups::GroupedValues;
use crate::uniq_merge::external;
use crate::uniq_set::DOMAIN_BYTES_MAX;
use crate::{UniqError, UniqSet};

/// Name of the function.
pub const UNIQ_STATE: &str = "uniq_state";

/// Name of the collection of ids that views gave. Columns: `domain`, `value` (as
/// text), `id`. It is there if a view uses `uniq_state`.
pub const UNIQ_IDS: &str = "sluice_uniq_ids";

/// Where a query finds the ids of values.
pub trait UniqIds: Send + Sync + fmt::Debug {
    /// The ids that `values` have in the domain; those without one are left
    /// out.
    ///
    /// # Errors
    /// When they cannot be read.
    fn find(&self, domain: &str, values: &BTreeSet<String>) -> Result<Vec<(String, u32)>>;
}

/// See the module.
#[derive(Debug)]
pub(crate) struct UniqState {
    signature: Signature,
    ids: Option<Arc<dyn UniqIds>>,
}

impl UniqState {
    pub(crate) fn new(ids: Option<Arc<dyn UniqIds>>) -> Self {
        Self {
            signature: Signature::any(2, Volatility::Immutable),
            ids,
        }
    }

    /// The domain, and where its ids are.
    fn source(&self, arguments: &AccumulatorArgs<'_>) -> Result<(Arc<str>, Arc<dyn UniqIds>)> {
        let domain = arguments.exprs.get(1);
        let domain = domain.and_then(|domain| domain.downcast_ref::<Literal>());
        let Some(ids) = &self.ids else {
            return plan_err!("uniq_state gives ids in a GROUP BY of a materialized view only");
        };
        Ok((domain_name(domain.map(Literal::value))?, ids.clone()))
    }
}

impl PartialEq for UniqState {
    fn eq(&self, other: &Self) -> bool {
        self.ids.is_some() == other.ids.is_some()
    }
}

impl Eq for UniqState {}

impl Hash for UniqState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ids.is_some().hash(state);
    }
}

impl AggregateUDFImpl for UniqState {
    fn name(&self) -> &str {
        UNIQ_STATE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let values = Field::new_list_field(DataType::Utf8, true);
        let values = DataType::List(Arc::new(values));
        Ok(vec![Arc::new(Field::new(arguments.name, values, true))])
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (domain, ids) = self.source(&arguments)?;
        Ok(Box::new(Values {
            domain,
            ids,
            values: BTreeSet::new(),
            bytes: 0,
        }))
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        self.ids.is_some() && !arguments.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let (domain, ids) = self.source(&arguments)?;
        Ok(Box::new(GroupedValues::new(domain, ids)))
    }
}

/// The name that the second argument gives.
///
/// # Errors
/// When it is not a text of a usable length.
pub fn domain_name(literal: Option<&ScalarValue>) -> Result<Arc<str>> {
    let name = literal.and_then(|literal| literal.try_as_str()?);
    match name {
        Some(name) if (1..=DOMAIN_BYTES_MAX).contains(&name.len()) => Ok(name.into()),
        Some(_) => Err(external(UniqError::DomainName)),
        None => plan_err!(
            "uniq_state takes a value and the name of what it is, as in uniq_state(mid, 'device')"
        ),
    }
}

/// The error for a value that has no id.
pub(crate) fn without_id(
    domain: &str,
    values: &BTreeSet<String>,
    found: &[(String, u32)],
) -> DataFusionError {
    let known: BTreeSet<&String> = found.iter().map(|(value, _)| value).collect();
    let unknown = values.iter().find(|value| !known.contains(value));
    DataFusionError::Execution(format!(
        "`{}` has no id in the domain `{domain}`: ids are given by materialized views that use uniq_state(…, '{domain}')",
        unknown.map_or("", String::as_str),
    ))
}

#[derive(Debug)]
struct Values {
    domain: Arc<str>,
    ids: Arc<dyn UniqIds>,
    values: BTreeSet<String>,
    bytes: usize,
}

impl Values {
    fn add(&mut self, values: &StringArray) {
        for value in values.iter().flatten() {
            if !self.values.contains(value) {
                self.bytes += value.len() + size_of::<String>();
                self.values.insert(value.to_owned());
            }
        }
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let Some(values) = values.first() {
            self.add(cast(values, &DataType::Utf8)?.as_string::<i32>());
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values.is_empty() {
            return Ok(ScalarValue::Binary(None));
        }
        let found = self.ids.find(&self.domain, &self.values)?;
        if found.len() < self.values.len() {
            return Err(without_id(&self.domain, &self.values, &found));
        }
        let mut set = UniqSet::new(self.domain.clone());
        found.iter().for_each(|(_, id)| set.insert(*id));
        Ok(ScalarValue::Binary(Some(set.encode().map_err(external)?)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self
            .values
            .iter()
            .map(|value| ScalarValue::from(value.as_str()))
            .collect();
        let values = ScalarValue::new_list_nullable(&values, &DataType::Utf8);
        Ok(vec![ScalarValue::List(values)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for lists in states {
            for values in lists.as_list::<i32>().iter().flatten() {
                self.add(values.as_string::<i32>());
            }
        }
        Ok(())
    }
}
