//! Aggregate functions over groups, column by column: each accumulator holds
//! one column of state for all groups of a shard.
//!
//! DataFusion's own accumulators are not used: their `retract_batch` assumes
//! that rows leave in the order in which they came, and `sum` wraps.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, UInt64Array,
};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use hashbrown::HashMap;
use sluice_core::{CodecError, Reader, Writer};

use crate::EngineError;
use crate::decimal_sum::WideSum;
use crate::exact_float::ExactFloat;
use crate::key::{EncodedRows, RowCodec};
use crate::value_counts::ValueCounts;

/// What an aggregate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateKind {
    Count,
    Sum,
    Average,
    Min,
    Max,
}

/// One aggregate of a GROUP BY.
#[derive(Debug, Clone)]
pub(crate) struct AggregateSpec {
    pub(crate) kind: AggregateKind,
    pub(crate) distinct: bool,
    /// Type of the argument; `None` for `count(*)`.
    pub(crate) input_type: Option<DataType>,
    pub(crate) output_type: DataType,
    /// Whether the input can retract rows.
    pub(crate) input_retracts: bool,
}

/// The argument of an aggregate for a whole batch.
pub(crate) struct Argument {
    pub(crate) values: Option<ArrayRef>,
    /// Byte form, for the functions that compare values.
    pub(crate) encoded: Option<EncodedRows>,
    /// Rows that the FILTER clause leaves out.
    pub(crate) excluded: Option<Vec<bool>>,
}

impl Argument {
    /// Whether a row counts: not null, not filtered out.
    pub(crate) fn counts(&self, row: usize) -> bool {
        let excluded = self.excluded.as_ref().is_some_and(|rows| rows[row]);
        let is_null = self
            .values
            .as_ref()
            .is_some_and(|values| values.is_null(row));
        !excluded && !is_null
    }
}

/// Why a group has no value.
pub(crate) type OutputErrors = Vec<(usize, &'static str)>;

const OVERFLOW: &str = "the sum does not fit into the result type";

/// State of one aggregate for all groups of a shard. A group is known by its
/// slot number.
#[derive(Debug)]
pub(crate) enum Accumulator {
    Count {
        counts: Vec<i64>,
    },
    WideSum {
        sums: Vec<WideSum>,
        counts: Vec<i64>,
        average_scale: Option<i128>,
        output_type: DataType,
    },
    FloatSum {
        sums: Vec<ExactFloat>,
        counts: Vec<i64>,
        is_average: bool,
    },
    Extreme {
        values: Vec<ValueCounts>,
        is_min: bool,
        retracts: bool,
    },
    Distinct {
        /// (slot, value) → weight.
        weights: HashMap<(u32, Box<[u8]>), i64>,
        inner: Box<Accumulator>,
    },
}

impl Accumulator {
    pub(crate) fn new(spec: &AggregateSpec) -> Self {
        let is_extreme = matches!(spec.kind, AggregateKind::Min | AggregateKind::Max);
        if spec.distinct && !is_extreme {
            let plain = AggregateSpec {
                distinct: false,
                ..spec.clone()
            };
            return Self::Distinct {
                weights: HashMap::default(),
                inner: Box::new(Self::new(&plain)),
            };
        }
        match spec.kind {
            AggregateKind::Count => Self::Count { counts: Vec::new() },
            AggregateKind::Min | AggregateKind::Max => Self::Extreme {
                values: Vec::new(),
                is_min: spec.kind == AggregateKind::Min,
                retracts: spec.input_retracts,
            },
            AggregateKind::Sum | AggregateKind::Average => {
                let is_average = spec.kind == AggregateKind::Average;
                if spec.input_type == Some(DataType::Float64) {
                    return Self::FloatSum {
                        sums: Vec::new(),
                        counts: Vec::new(),
                        is_average,
                    };
                }
                Self::WideSum {
                    sums: Vec::new(),
                    counts: Vec::new(),
                    average_scale: is_average.then(|| average_scale(spec)),
                    output_type: spec.output_type.clone(),
                }
            }
        }
    }

    /// Makes room for `slots` groups.
    pub(crate) fn resize(&mut self, slots: usize) {
        match self {
            Self::Count { counts } => counts.resize(slots, 0),
            Self::WideSum { sums, counts, .. } => {
                sums.resize(slots, WideSum::default());
                counts.resize(slots, 0);
            }
            Self::FloatSum { sums, counts, .. } => {
                sums.resize(slots, ExactFloat::default());
                counts.resize(slots, 0);
            }
            Self::Extreme { values, .. } => values.resize(slots, ValueCounts::default()),
            Self::Distinct { inner, .. } => inner.resize(slots),
        }
    }

    /// Adds rows: `slots[i]` is the group of row `rows[i]` of the batch.
    pub(crate) fn update(
        &mut self,
        slots: &[u32],
        rows: &[u32],
        weights: &[i64],
        argument: &Argument,
    ) {
        if let Self::Distinct {
            weights: seen,
            inner,
        } = self
        {
            let mut changes = DistinctChanges::default();
            for (&slot, &row) in slots.iter().zip(rows) {
                let index = row as usize;
                if argument.counts(index)
                    && let Some(encoded) = &argument.encoded
                {
                    changes.note(seen, slot, row, encoded.get(index), weights[index]);
                }
            }
            inner.update_rows(&changes.slots, &changes.rows, &changes.signs, argument);
            return;
        }
        let row_weights: Vec<i64> = rows.iter().map(|&row| weights[row as usize]).collect();
        self.update_rows(slots, rows, &row_weights, argument);
    }

    /// Like [`Accumulator::update`], with one weight for each entry of `rows`.
    fn update_rows(&mut self, slots: &[u32], rows: &[u32], weights: &[i64], argument: &Argument) {
        let counted = slots
            .iter()
            .zip(rows)
            .zip(weights)
            .map(|((&slot, &row), &weight)| (slot as usize, row as usize, weight))
            .filter(|&(_, row, _)| argument.counts(row));
        match self {
            Self::Count { counts } => {
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
            Self::Extreme {
                values,
                is_min,
                retracts,
            } => {
                let Some(encoded) = &argument.encoded else {
                    return;
                };
                for (slot, row, weight) in counted {
                    values[slot].add(encoded.get(row), weight);
                    if !*retracts {
                        values[slot].keep_only(*is_min);
                    }
                }
            }
            Self::Distinct { .. } => {}
        }
    }

    /// The groups' results. `codec` decodes values of the argument's type.
    pub(crate) fn output(
        &self,
        slots: &[u32],
        codec: Option<&RowCodec>,
        errors: &mut OutputErrors,
    ) -> Result<ArrayRef, EngineError> {
        match self {
            Self::Count { counts } => Ok(Arc::new(Int64Array::from_iter_values(
                slots.iter().map(|&slot| counts[slot as usize]),
            ))),
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
                        errors.push((index, OVERFLOW));
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
            Self::Extreme { values, is_min, .. } => {
                let codec = codec.ok_or_else(|| {
                    EngineError::Invariant("min or max without a type to decode".into())
                })?;
                let null = codec.encode_null()?;
                let found = slots.iter().map(|&slot| {
                    let values = &values[slot as usize];
                    let value = if *is_min {
                        values.smallest()
                    } else {
                        values.greatest()
                    };
                    value.unwrap_or(&null)
                });
                let mut columns = codec.decode(found)?;
                columns
                    .pop()
                    .ok_or_else(|| EngineError::Invariant("min or max of no column".into()))
            }
            Self::Distinct { inner, .. } => inner.output(slots, codec, errors),
        }
    }

    /// Forgets a group whose rows are all gone.
    pub(crate) fn clear(&mut self, slot: usize) {
        match self {
            Self::Count { counts } => counts[slot] = 0,
            Self::WideSum { sums, counts, .. } => {
                sums[slot] = WideSum::default();
                counts[slot] = 0;
            }
            Self::FloatSum { sums, counts, .. } => {
                sums[slot] = ExactFloat::default();
                counts[slot] = 0;
            }
            Self::Extreme { values, .. } => values[slot] = ValueCounts::default(),
            // A group without rows has no values left in the map.
            Self::Distinct { inner, .. } => inner.clear(slot),
        }
    }

    /// Forgets the values of groups that are dropped with their rows.
    pub(crate) fn forget_values(&mut self, slots: &[u32]) {
        if let Self::Distinct { weights, .. } = self {
            let slots: std::collections::BTreeSet<u32> = slots.iter().copied().collect();
            weights.retain(|(slot, _), _| !slots.contains(slot));
        }
    }

    /// About how many bytes the state takes.
    pub(crate) fn state_bytes(&self) -> usize {
        match self {
            Self::Count { counts } => counts.len() * size_of::<i64>(),
            Self::WideSum { sums, .. } => sums.len() * (size_of::<WideSum>() + size_of::<i64>()),
            Self::FloatSum { sums, .. } => {
                sums.len() * (size_of::<ExactFloat>() + size_of::<i64>())
            }
            Self::Extreme { values, .. } => values.iter().map(ValueCounts::state_bytes).sum(),
            Self::Distinct { weights, inner } => {
                let values: usize = weights.keys().map(|(_, value)| value.len() + 32).sum();
                values + inner.state_bytes()
            }
        }
    }

    pub(crate) fn save(&self, slot: usize, writer: &mut Writer) {
        match self {
            Self::Count { counts } => writer.i64(counts[slot]),
            Self::WideSum { sums, counts, .. } => {
                sums[slot].save(writer);
                writer.i64(counts[slot]);
            }
            Self::FloatSum { sums, counts, .. } => {
                sums[slot].save(writer);
                writer.i64(counts[slot]);
            }
            Self::Extreme { values, .. } => values[slot].save(writer),
            Self::Distinct { inner, .. } => inner.save(slot, writer),
        }
    }

    pub(crate) fn load(&mut self, slot: usize, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        match self {
            Self::Count { counts } => counts[slot] = reader.i64()?,
            Self::WideSum { sums, counts, .. } => {
                sums[slot] = WideSum::load(reader)?;
                counts[slot] = reader.i64()?;
            }
            Self::FloatSum { sums, counts, .. } => {
                sums[slot] = ExactFloat::load(reader)?;
                counts[slot] = reader.i64()?;
            }
            Self::Extreme { values, .. } => values[slot] = ValueCounts::load(reader)?,
            Self::Distinct { inner, .. } => inner.load(slot, reader)?,
        }
        Ok(())
    }

    /// Saves what is not kept by slot; `renumber` maps slots to the order in
    /// which groups are saved.
    pub(crate) fn save_shared(&self, renumber: &[u32], writer: &mut Writer) {
        let Self::Distinct { weights, .. } = self else {
            return;
        };
        writer.u32(weights.len() as u32);
        for ((slot, value), weight) in weights {
            writer.u32(renumber[*slot as usize]);
            writer.bytes(value);
            writer.i64(*weight);
        }
    }

    pub(crate) fn load_shared(&mut self, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        let Self::Distinct { weights, .. } = self else {
            return Ok(());
        };
        for _ in 0..reader.u32()? {
            let slot = reader.u32()?;
            let value = reader.bytes()?.into();
            weights.insert((slot, value), reader.i64()?);
        }
        Ok(())
    }
}

/// Values that appear in, or vanish from, their group.
#[derive(Default)]
struct DistinctChanges {
    slots: Vec<u32>,
    rows: Vec<u32>,
    signs: Vec<i64>,
}

impl DistinctChanges {
    fn note(
        &mut self,
        seen: &mut HashMap<(u32, Box<[u8]>), i64>,
        slot: u32,
        row: u32,
        value: &[u8],
        weight: i64,
    ) {
        let key = (slot, Box::from(value));
        let before = seen.get(&key).copied().unwrap_or(0);
        let after = before + weight;
        if after == 0 {
            seen.remove(&key);
        } else {
            seen.insert(key, after);
        }
        let sign = i64::from(after > 0) - i64::from(before > 0);
        if sign != 0 {
            self.slots.push(slot);
            self.rows.push(row);
            self.signs.push(sign);
        }
    }
}

/// Factor between a decimal's sum and its average's scale.
fn average_scale(spec: &AggregateSpec) -> i128 {
    match (&spec.input_type, &spec.output_type) {
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
                    errors.push((index, OVERFLOW));
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
