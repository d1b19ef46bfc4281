//! Aggregate functions over groups, column by column: each accumulator holds
//! one column of state for all groups of a shard.
//!
//! DataFusion's own accumulators are used only where the group's rows are kept
//! (`group_rows.rs`): their `retract_batch` assumes that rows leave in the order
//! in which they came, and `sum` wraps.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, UInt64Array,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use hashbrown::HashSet;
use sluice_core::{CodecError, Reader, Writer};
use sluice_memory::StateVec;

use crate::EngineError;
use crate::decimal_sum::WideSum;
use crate::distinct_values::DistinctValues;
use crate::exact_float::ExactFloat;
use crate::group_rows::RowsFunction;
use crate::key::{EncodedRows, RowCodec};
use crate::saved_state::SaveScope;
use crate::uniq_sets::GroupUniqSets;
use crate::value_counts::ValueCounts;

/// What an aggregate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateKind {
    Count,
    Sum,
    Average,
    /// The smallest, or by ORDER BY the first.
    Min,
    /// The greatest, or by ORDER BY the last.
    Max,
    /// Any other function, over the kept rows.
    Rows,
    /// The ids of the values, as a state: the argument is the id.
    UniqState,
    /// The union of such states.
    UniqMerge,
}

/// One aggregate of a GROUP BY.
#[derive(Debug, Clone)]
pub(crate) struct AggregateSpec {
    pub(crate) kind: AggregateKind,
    pub(crate) distinct: bool,
    /// Types of the columns read, each with its order: those of ORDER BY, then
    /// the arguments. None for `count(*)`.
    pub(crate) input: Vec<(DataType, SortOptions)>,
    pub(crate) output_type: DataType,
    /// Whether the input can retract rows.
    pub(crate) input_retracts: bool,
    /// Whether rows whose last argument is null do not count.
    pub(crate) skips_nulls: bool,
    /// The function of [`AggregateKind::Rows`].
    pub(crate) function: Option<RowsFunction>,
    /// The domain of the ids of [`AggregateKind::UniqState`].
    pub(crate) domain: Option<Arc<str>>,
}

impl AggregateSpec {
    /// The function's name.
    pub(crate) fn name(&self) -> &str {
        match (self.kind, &self.function) {
            (_, Some(rows)) => rows.function.fun().name(),
            (AggregateKind::Count, _) => "count",
            (AggregateKind::Sum, _) => "sum",
            (AggregateKind::Average, _) => "avg",
            (AggregateKind::Min, _) => "min",
            (AggregateKind::Max, _) => "max",
            (AggregateKind::Rows, _) => "rows",
            (AggregateKind::UniqState, _) => "uniq_state",
            (AggregateKind::UniqMerge, _) => "uniq_merge",
        }
    }

    /// Type of the last argument.
    pub(crate) fn input_type(&self) -> Option<&DataType> {
        self.input.last().map(|(data_type, _)| data_type)
    }

    /// How values are kept, for the functions that compare or keep them.
    pub(crate) fn codec(&self) -> Result<Option<RowCodec>, EngineError> {
        let keeps_values = matches!(
            self.kind,
            AggregateKind::Min | AggregateKind::Max | AggregateKind::Rows
        );
        if self.input.is_empty() || !(keeps_values || self.distinct) {
            return Ok(None);
        }
        let columns: Vec<_> = self
            .input
            .iter()
            .map(|(found, order)| (found, *order))
            .collect();
        RowCodec::with_order(&columns).map(Some)
    }
}

/// The argument of an aggregate for a whole batch.
pub(crate) struct Argument {
    /// The last argument.
    pub(crate) values: Option<ArrayRef>,
    pub(crate) skips_nulls: bool,
    /// Byte form, for the functions that compare values.
    pub(crate) encoded: Option<EncodedRows>,
    /// Rows that the FILTER clause leaves out.
    pub(crate) excluded: Option<Vec<bool>>,
}

impl Argument {
    /// Whether a row counts: not filtered out, and not null where that matters.
    pub(crate) fn counts(&self, row: usize) -> bool {
        let excluded = self.excluded.as_ref().is_some_and(|rows| rows[row]);
        let is_null = self.skips_nulls
            && self
                .values
                .as_ref()
                .is_some_and(|values| values.is_null(row));
        !excluded && !is_null
    }
}

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
            let mut changed_rows = Vec::new();
            let (mut changed_slots, mut signs) = (Vec::new(), Vec::new());
            for ((&slot, &row), &weight) in slots.iter().zip(rows).zip(weights) {
                let index = row as usize;
                if argument.counts(index)
                    && let Some(encoded) = &argument.encoded
                {
                    let sign = seen.add(slot, encoded.get(index), weight);
                    if sign != 0 {
                        changed_slots.push(slot);
                        changed_rows.push(row);
                        signs.push(sign);
                    }
                }
            }
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

    /// Saves what the group has a fixed amount of.
    pub(crate) fn save(&self, slot: usize, writer: &mut Writer) {
        match self {
            Self::Count { counts, .. } => writer.i64(counts[slot]),
            Self::WideSum { sums, counts, .. } => {
                sums[slot].save(writer);
                writer.i64(counts[slot]);
            }
            Self::FloatSum { sums, counts, .. } => {
                sums[slot].save(writer);
                writer.i64(counts[slot]);
            }
            Self::Values {
                keeps_all: true, ..
            } => {}
            Self::Values { values, .. } => values.save(slot, writer),
            Self::Distinct { inner, .. } => inner.save(slot, writer),
            Self::Uniq(sets) => sets.save(slot, writer),
        }
    }

    pub(crate) fn load(&mut self, slot: usize, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        match self {
            Self::Count { counts, .. } => counts[slot] = reader.i64()?,
            Self::WideSum { sums, counts, .. } => {
                sums[slot] = WideSum::load(reader)?;
                counts[slot] = reader.i64()?;
            }
            Self::FloatSum { sums, counts, .. } => {
                sums[slot] = ExactFloat::load(reader)?;
                counts[slot] = reader.i64()?;
            }
            Self::Values {
                keeps_all: true, ..
            } => {}
            Self::Values { values, .. } => values.load(slot, reader)?,
            Self::Distinct { inner, .. } => inner.load(slot, reader)?,
            Self::Uniq(sets) => sets.load(slot, reader)?,
        }
        Ok(())
    }

    /// Saves the values of the groups that `number_of` gives a number, for
    /// functions that keep many: (number, value, weight), 0 for a value that is
    /// gone.
    pub(crate) fn save_values(
        &self,
        scope: SaveScope,
        number_of: &dyn Fn(u32) -> Option<u32>,
        writer: &mut Writer,
    ) {
        let mut count = 0_u32;
        let mut saved = Writer::new();
        let mut save = |slot: u32, value: &[u8], weight: i64| {
            if let Some(number) = number_of(slot) {
                count += 1;
                saved.u32(number);
                saved.bytes(value);
                saved.i64(weight);
            }
        };
        match self {
            Self::Values {
                values,
                keeps_all: true,
                changed,
                ..
            } => match scope {
                SaveScope::All => {
                    for slot in 0..values.slot_count() {
                        for (value, weight) in values.of_group(slot) {
                            save(slot as u32, value, weight);
                        }
                    }
                }
                SaveScope::Changes => {
                    for (slot, value) in changed {
                        save(*slot, value, values.weight(*slot as usize, value));
                    }
                }
            },
            Self::Distinct { seen, .. } => seen.for_each(scope, &mut save),
            Self::Uniq(sets) if sets.counts_values() => sets.for_each(scope, &mut save),
            _ => return,
        }
        writer.u32(count);
        writer.raw(&saved.finish());
    }

    /// `slots` are the groups by the numbers that they were saved under.
    pub(crate) fn load_values(
        &mut self,
        slots: &[u32],
        reader: &mut Reader<'_>,
    ) -> Result<(), CodecError> {
        if !self.keeps_values() {
            return Ok(());
        }
        for _ in 0..reader.u32()? {
            let number = reader.u32()? as usize;
            let value = reader.bytes()?;
            let weight = reader.i64()?;
            let slot = *slots.get(number).ok_or_else(|| {
                CodecError::Invalid(format!("a value of group {number}, which is not there"))
            })?;
            match self {
                Self::Values { values, .. } => values.set(slot as usize, value, weight),
                Self::Distinct { seen, .. } => seen.set(slot, value, weight),
                Self::Uniq(sets) => sets.set(slot, value, weight)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Called when the changes of the values were saved.
    pub(crate) fn forget_changes(&mut self) {
        match self {
            Self::Values { changed, .. } => *changed = HashSet::default(),
            Self::Distinct { seen, .. } => seen.forget_changes(),
            Self::Uniq(sets) => sets.forget_changes(),
            _ => {}
        }
    }

    /// Whether [`Accumulator::save_values`] saves any.
    pub(crate) fn keeps_values(&self) -> bool {
        match self {
            Self::Values { keeps_all, .. } => *keeps_all,
            Self::Distinct { .. } => true,
            Self::Uniq(sets) => sets.counts_values(),
            _ => false,
        }
    }

    /// Memory taken, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        /// What a changed value takes, about.
        const CHANGED_VALUE_BYTES: usize = 64;
        let count = size_of::<i64>();
        match self {
            Self::Count { counts, .. } => counts.capacity() * count,
            Self::WideSum { sums, .. } => sums.capacity() * (size_of::<WideSum>() + count),
            Self::FloatSum { sums, .. } => sums.capacity() * (size_of::<ExactFloat>() + count),
            Self::Values {
                values, changed, ..
            } => values.memory_bytes() + changed.capacity() * CHANGED_VALUE_BYTES,
            Self::Distinct { seen, inner } => seen.memory_bytes() + inner.memory_bytes(),
            Self::Uniq(sets) => sets.memory_bytes(),
        }
    }

    /// Values whose weight changed since the last save.
    pub(crate) fn changed_values(&self) -> usize {
        match self {
            Self::Values { changed, .. } => changed.len(),
            Self::Distinct { seen, .. } => seen.changed_count(),
            Self::Uniq(sets) => sets.changed_count(),
            _ => 0,
        }
    }

    /// Values that are kept.
    pub(crate) fn value_count(&self) -> usize {
        match self {
            Self::Values { values, .. } => values.value_count(),
            Self::Distinct { seen, .. } => seen.len(),
            Self::Uniq(sets) => sets.value_count(),
            _ => 0,
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

/// Reads any integer or decimal array as i128.
fn integer_reader(values: &dyn Array) -> Box<dyn Fn(usize) -> i128 + '_> {
    if let Some(values) = values.as_primitive_opt::<Int64Type>() {
        return Box::new(move |row| i128::from(values.value(row)));
    }
    if let Some(values) = values.as_primitive_opt::<UInt64Type>() {
        return Box::new(move |row| i128::from(values.value(row)));
    }
    if let Some(values) = values.as_primitive_opt::<Decimal128Type>() {
        return Box::new(move |row| values.value(row));
    }
    // Planning admits no other type.
    Box::new(|_| 0)
}

/// Builds the array of an integer or decimal result and notes what does not
/// fit.
fn integer_array(
    results: &[Option<(usize, i128)>],
    output_type: &DataType,
    errors: &mut OutputErrors,
) -> Result<ArrayRef, EngineError> {
    let mut fitting = |limit_low: i128, limit_high: i128| -> Vec<Option<i128>> {
        results
            .iter()
            .map(|result| {
                let (index, value) = (*result)?;
                if value < limit_low || value > limit_high {
                    errors.push((index, OVERFLOW.into()));
                    return None;
                }
                Some(value)
            })
            .collect()
    };
    match output_type {
        DataType::Int64 => Ok(Arc::new(Int64Array::from_iter(
            fitting(i64::MIN.into(), i64::MAX.into())
                .into_iter()
                .map(|value| value.map(|value| value as i64)),
        ))),
        DataType::UInt64 => Ok(Arc::new(UInt64Array::from_iter(
            fitting(0, u64::MAX.into())
                .into_iter()
                .map(|value| value.map(|value| value as u64)),
        ))),
        DataType::Decimal128(precision, scale) => {
            let limit = 10_i128.pow(u32::from(*precision)) - 1;
            let array = Decimal128Array::from_iter(fitting(-limit, limit))
                .with_precision_and_scale(*precision, *scale)?;
            Ok(Arc::new(array))
        }
        other => Err(EngineError::Invariant(format!("a sum of type {other}"))),
    }
}
