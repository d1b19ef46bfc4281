//! Aggregate functions over groups, column by column: each accumulator holds
//! one column of state for all groups of a shard.
//!
//! DataFusion's own accumulators are used only where the group's rows are kept
//! (`group_rows.rs`): their `retract_batch` assumes that rows leave in the order
//! in which they came, and `sum` wraps.

mod integers;
mod saved;
mod spec;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type};
use hashbrown::HashSet;
use sluice_functions::ExactFloat;
use sluice_memory::StateVec;

use self::integers::{integer_array, integer_reader};
pub(crate) use self::spec::{AggregateKind, AggregateSpec, Argument};
use crate::EngineError;
use crate::decimal_sum::WideSum;
use crate::distinct_values::DistinctValues;
use crate::group_rows::RowsFunction;
use crate::key::RowCodec;
use crate::uniq_sets::GroupUniqSets;
use crate::value_counts::ValueCounts;

/// Why a group has no value.
pub(crate) type OutputErrors = Vec<(usize, Cow<'static, str>)>;

const OVERFLOW: &str = "the sum does not fit into the result type";

/// State of one aggregate for all groups of a shard. A group is known by its
/// slot number.
#[derive(Debug)]
pub(crate) enum Accumulator {
    Count {
        counts: StateVec<i64>,
        output_type: DataType,
    },
    WideSum {
        sums: StateVec<WideSum>,
        counts: StateVec<i64>,
        average_scale: Option<i128>,
        output_type: DataType,
    },
    FloatSum {
        sums: StateVec<ExactFloat>,
        counts: StateVec<i64>,
        is_average: bool,
    },
    Values {
        values: ValueCounts,
        result: ValuesResult,
        /// Whether all values are kept. Otherwise the input only adds, and one
        /// value a group is all there is.
        keeps_all: bool,
        /// If all are kept: (slot, value) whose count changed since the last
        /// save.
        changed: HashSet<(u32, Box<[u8]>)>,
    },
    Distinct {
        seen: DistinctValues,
        inner: Box<Accumulator>,
    },
    Uniq(GroupUniqSets),
}

/// What is made of a group's values.
#[derive(Debug)]
pub(crate) enum ValuesResult {
    Smallest,
    Greatest,
    Computed(RowsFunction),
}

impl Accumulator {
    pub(crate) fn new(spec: &AggregateSpec) -> Self {
        if let Some(function) = &spec.function {
            return Self::Values {
                values: ValueCounts::default(),
                result: ValuesResult::Computed(function.clone()),
                keeps_all: true,
                changed: HashSet::default(),
            };
        }
        let is_extreme = matches!(spec.kind, AggregateKind::Min | AggregateKind::Max);
        if spec.distinct && !is_extreme {
            let plain = AggregateSpec {
                distinct: false,
                ..spec.clone()
            };
            return Self::Distinct {
                seen: DistinctValues::default(),
                inner: Box::new(Self::new(&plain)),
            };
        }
        match spec.kind {
            AggregateKind::UniqState | AggregateKind::UniqMerge => {
                Self::Uniq(GroupUniqSets::new(spec.domain.clone(), spec.input_retracts))
            }
            // A call over kept rows has its function, see above.
            AggregateKind::Count | AggregateKind::Rows => Self::Count {
                counts: StateVec::new(),
                output_type: spec.output_type.clone(),
            },
            AggregateKind::Min | AggregateKind::Max => Self::Values {
                values: ValueCounts::default(),
                result: if spec.kind == AggregateKind::Min {
                    ValuesResult::Smallest
                } else {
                    ValuesResult::Greatest
                },
                keeps_all: spec.input_retracts,
                changed: HashSet::default(),
            },
            AggregateKind::Sum | AggregateKind::Average => {
                let is_average = spec.kind == AggregateKind::Average;
                if spec.input_type() == Some(&DataType::Float64) {
                    return Self::FloatSum {
                        sums: StateVec::new(),
                        counts: StateVec::new(),
                        is_average,
                    };
                }
                Self::WideSum {
                    sums: StateVec::new(),
                    counts: StateVec::new(),
                    average_scale: is_average.then(|| average_scale(spec)),
                    output_type: spec.output_type.clone(),
                }
            }
        }
    }

    /// Makes room for `slots` groups.
    pub(crate) fn resize(&mut self, slots: usize) {
        match self {
            Self::Count { counts, .. } => counts.resize(slots, 0),
            Self::WideSum { sums, counts, .. } => {
                sums.resize(slots, WideSum::default());
                counts.resize(slots, 0);
            }
            Self::FloatSum { sums, counts, .. } => {
                sums.resize(slots, ExactFloat::default());
                counts.resize(slots, 0);
            }
            Self::Values { values, .. } => values.resize(slots),
            Self::Distinct { inner, .. } => inner.resize(slots),
            Self::Uniq(sets) => sets.resize(slots),
        }
    }

    /// Adds rows: `slots[i]` is the group of row `rows[i]` of the batch, which
    /// counts `weights[i]` times.
    pub(crate) fn update(
        &mut self,
        slots: &[u32],
        rows: &[u32],
        weights: &[i64],
        argument: &Argument,
    ) {
        if let Self::Distinct { seen, inner } = self {
            let Some(encoded) = &argument.encoded else {
                return;
            };
            let counted: Vec<(u32, u32, i64)> = slots
                .iter()
                .zip(rows)
                .zip(weights)
                .map(|((&slot, &row), &weight)| (slot, row, weight))
                .filter(|&(_, row, _)| argument.counts(row as usize))
                .collect();
            let values = counted
                .iter()
                .map(|&(slot, row, weight)| (slot, encoded.get(row as usize), weight));
            let mut changed_rows = Vec::new();
            let (mut changed_slots, mut signs) = (Vec::new(), Vec::new());
            seen.add_all(values, |place, sign| {
                let (slot, row, _) = counted[place];
                changed_slots.push(slot);
                changed_rows.push(row);
                signs.push(sign);
            });
            seen.compact();
            inner.update(&changed_slots, &changed_rows, &signs, argument);
            return;
        }
        if let Self::Uniq(sets) = self {
            sets.update(slots, rows, weights, argument);
            return;
        }
        let counted = slots
            .iter()
            .zip(rows)
            .zip(weights)
            .map(|((&slot, &row), &weight)| (slot as usize, row as usize, weight))
            .filter(|&(_, row, _)| argument.counts(row));
        match self {
            Self::Count { counts, .. } => {
                for (slot, _, weight) in counted {
                    counts[slot] += weight;
                }
            }
            Self::WideSum { sums, counts, .. } => {
                let Some(values) = &argument.values else {
                    return;
                };
                let value_at = integer_reader(values.as_ref());
                for (slot, row, weight) in counted {
                    sums[slot].add(value_at(row), weight);
                    counts[slot] += weight;
                }
            }
            Self::FloatSum { sums, counts, .. } => {
                let Some(values) = &argument.values else {
                    return;
                };
                let Some(values) = values.as_primitive_opt::<Float64Type>() else {
                    return;
                };
                for (slot, row, weight) in counted {
                    sums[slot].add(values.value(row), weight);
                    counts[slot] += weight;
                }
            }
            Self::Values {
                values,
                result,
                keeps_all,
                changed,
            } => {
                let Some(encoded) = &argument.encoded else {
                    return;
                };
                let smallest = matches!(result, ValuesResult::Smallest);
                for (slot, row, weight) in counted {
                    let value = encoded.get(row);
                    if *keeps_all {
                        values.add(slot, value, weight);
                        changed.insert((slot as u32, value.into()));
                    } else {
                        values.add_extreme(slot, value, weight, smallest);
                    }
                }
                values.compact();
            }
            Self::Distinct { .. } | Self::Uniq(_) => {}
        }
    }

    /// Adds the groups of another accumulator of the same aggregate:
    /// `slots[i]` is the group here of group `i` there. Only for those that
    /// [`Accumulator::adds_up`].
    pub(crate) fn merge(&mut self, slots: &[u32], other: &Self) {
        let slots = slots.iter().map(|&slot| slot as usize).enumerate();
        match (self, other) {
            (Self::Count { counts, .. }, Self::Count { counts: added, .. }) => {
                for (there, slot) in slots {
                    counts[slot] += added[there];
                }
            }
            (
                Self::WideSum { sums, counts, .. },
                Self::WideSum {
                    sums: added_sums,
                    counts: added_counts,
                    ..
                },
            ) => {
                for (there, slot) in slots {
                    sums[slot].merge(&added_sums[there]);
                    counts[slot] += added_counts[there];
                }
            }
            (
                Self::FloatSum { sums, counts, .. },
                Self::FloatSum {
                    sums: added_sums,
                    counts: added_counts,
                    ..
                },
            ) => {
                for (there, slot) in slots {
                    sums[slot].merge(&added_sums[there]);
                    counts[slot] += added_counts[there];
                }
            }
            (Self::Values { values, result, .. }, Self::Values { values: added, .. }) => {
                let smallest = matches!(result, ValuesResult::Smallest);
                for (there, slot) in slots {
                    for (value, weight) in added.of_group(there) {
                        values.add_extreme(slot, value, weight, smallest);
                    }
                }
                values.compact();
            }
            _ => debug_assert!(false, "an aggregate is not added up in parts"),
        }
    }

    /// Whether the state of some rows and that of others make the state of all.
    pub(crate) fn adds_up(&self) -> bool {
        match self {
            Self::Count { .. } | Self::WideSum { .. } | Self::FloatSum { .. } => true,
            Self::Values { keeps_all, .. } => !keeps_all,
            Self::Distinct { .. } | Self::Uniq(_) => false,
        }
    }

    /// Whether equal values of a group can be added as one, with the sum of
    /// their weights.
    pub(crate) fn adds_by_value(&self) -> bool {
        matches!(self, Self::Values { .. } | Self::Distinct { .. })
    }

    /// The groups' results. `codec` decodes values of the argument's type.
    pub(crate) fn output(
        &self,
        slots: &[u32],
        codec: Option<&RowCodec>,
        errors: &mut OutputErrors,
    ) -> Result<ArrayRef, EngineError> {
        match self {
            Self::Count {
                counts,
                output_type,
            } => {
                let counts = slots.iter().map(|&slot| counts[slot as usize]);
                let counts = Int64Array::from_iter_values(counts);
                if *output_type == DataType::Int64 {
                    return Ok(Arc::new(counts));
                }
                Ok(arrow::compute::cast(&counts, output_type)?)
            }
            Self::WideSum {
                sums,
                counts,
                average_scale,
                output_type,
            } => {
                let mut results = Vec::with_capacity(slots.len());
                for (index, &slot) in slots.iter().enumerate() {
                    let count = counts[slot as usize];
                    if count == 0 {
                        results.push(None);
                        continue;
                    }
                    let sum = sums[slot as usize].value();
                    let result = match average_scale {
                        Some(scale) => sum
                            .and_then(|sum| sum.checked_mul(*scale))
                            .map(|sum| sum / i128::from(count)),
                        None => sum,
                    };
                    if result.is_none() {
                        errors.push((index, OVERFLOW.into()));
                    }
                    results.push(result.map(|value| (index, value)));
                }
                integer_array(&results, output_type, errors)
            }
            Self::FloatSum {
                sums,
                counts,
                is_average,
            } => Ok(Arc::new(Float64Array::from_iter(slots.iter().map(
                |&slot| {
                    let count = counts[slot as usize];
                    let sum = || sums[slot as usize].value();
                    match (count, is_average) {
                        (0, _) => None,
                        (_, true) => Some(sum() / count as f64),
                        (_, false) => Some(sum()),
                    }
                },
            )))),
            Self::Values { values, result, .. } => {
                let codec = codec.ok_or_else(|| {
                    EngineError::Invariant("kept values without a type to decode".into())
                })?;
                let groups = slots.iter().map(|&slot| slot as usize);
                let null = codec.encode_null()?;
                let found: Vec<&[u8]> = match result {
                    ValuesResult::Computed(function) => {
                        return function.output(values, groups, codec, errors);
                    }
                    ValuesResult::Smallest => groups
                        .map(|slot| values.smallest(slot).unwrap_or(&null))
                        .collect(),
                    ValuesResult::Greatest => groups
                        .map(|slot| values.greatest(slot).unwrap_or(&null))
                        .collect(),
                };
                // The value stands behind what it is ordered by.
                let mut columns = codec.decode(found.into_iter())?;
                columns
                    .pop()
                    .ok_or_else(|| EngineError::Invariant("min or max of no column".into()))
            }
            Self::Distinct { inner, .. } => inner.output(slots, codec, errors),
            Self::Uniq(sets) => Ok(sets.output(slots, errors)),
        }
    }

    /// Forgets a group whose rows are all gone.
    pub(crate) fn clear(&mut self, slot: usize) {
        match self {
            Self::Count { counts, .. } => counts[slot] = 0,
            Self::WideSum { sums, counts, .. } => {
                sums[slot] = WideSum::default();
                counts[slot] = 0;
            }
            Self::FloatSum { sums, counts, .. } => {
                sums[slot] = ExactFloat::default();
                counts[slot] = 0;
            }
            Self::Values { values, .. } => values.clear(slot),
            // A group without rows has no values left in the map.
            Self::Distinct { inner, .. } => inner.clear(slot),
            Self::Uniq(sets) => sets.clear(slot),
        }
    }

    /// From now on [`Accumulator::forget_values`] may be called.
    pub(crate) fn prepare_to_forget(&mut self) {
        match self {
            Self::Distinct { seen, .. } => seen.prepare_to_forget(),
            Self::Uniq(sets) => sets.prepare_to_forget(),
            _ => {}
        }
    }

    /// Forgets the values of groups that are dropped with their rows.
    pub(crate) fn forget_values(&mut self, slots: &[u32]) {
        match self {
            Self::Distinct { seen, .. } => seen.forget_groups(slots),
            Self::Uniq(sets) => sets.forget_values(slots),
            _ => {}
        }
    }
}

/// Factor between a decimal's sum and its average's scale.
fn average_scale(spec: &AggregateSpec) -> i128 {
    match (spec.input_type(), &spec.output_type) {
        (Some(DataType::Decimal128(_, from)), DataType::Decimal128(_, to)) => {
            10_i128.pow(u32::from((to - from).unsigned_abs()))
        }
        _ => 1,
    }
}
