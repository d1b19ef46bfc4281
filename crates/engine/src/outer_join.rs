//! Every join that has to know which rows have a partner: LEFT, RIGHT and FULL
//! joins, semi and anti joins (IN, EXISTS and their negations) and mark joins
//! (the same below OR).
//!
//! Such a join is the sum of up to three parts: the pairs, which change as in
//! the inner join (`join.rs`), and for each side the rows chosen by whether
//! they have a partner. Let m(a) be the weight of all partners of row a, and
//! w(a) its own. A side then gives w(a)·\[m(a) = 0\] (outer and anti), or
//! w(a)·\[m(a) > 0\] (semi), and its change is that after less that before the
//! epoch, for the rows whose w or m changed.
//!
//! Without a further condition m(a) is the total weight of a's key on the other
//! side, which the arrangement knows. A change of that total between 0 and more
//! costs what the key holds on this side, for all these rows change.
//!
//! With a further condition m is kept for each row that has a partner:
//! Δm(a) = Σ Δw(b) over the partners b, and a new row meets all rows of its
//! key. An epoch costs the pairs of changed rows with the rows of their keys.
//!
//! A pair on which the condition fails is reported, and neither holds nor does not.
//! The weight of such pairs is kept for each row as m is: a row without a partner
//! that has one is not known to have none, and is left out until it is.

mod candidates;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::physical_expr::PhysicalExpr;
use sluice_core::Delta;

use self::candidates::{Candidates, Meeting, RowChanges};
use crate::EngineError;
use crate::arrangement::{Arrangement, EntryRef};
use crate::expression::{evaluate, true_rows};
use crate::join::join_changes;
use crate::operator::{Operator, StepContext};
use crate::partner_weights::{LEFT, PartnerWeights, RIGHT};
use crate::saved_state::SavedState;

/// What a join gives out for the rows of one side, besides the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SideOutput {
    /// Nothing.
    Nothing,
    /// Rows without a partner, beside nulls for the other side's columns.
    UnmatchedBesideNulls,
    /// Rows without a partner alone.
    Unmatched,
    /// Rows with a partner alone.
    Matched,
    /// All rows, with a column that says whether there is a partner.
    Marked,
}

/// What a join gives out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JoinOutput {
    pub(crate) pairs: bool,
    pub(crate) left: SideOutput,
    pub(crate) right: SideOutput,
}

impl JoinOutput {
    /// What the join is, for people.
    pub(crate) fn label(self) -> &'static str {
        use SideOutput::{Matched, Nothing, Unmatched, UnmatchedBesideNulls};
        match (self.pairs, self.left, self.right) {
            (true, UnmatchedBesideNulls, UnmatchedBesideNulls) => "full join",
            (true, UnmatchedBesideNulls, _) => "left join",
            (true, _, UnmatchedBesideNulls) => "right join",
            (true, ..) => "join",
            (false, Matched, Nothing) | (false, Nothing, Matched) => "semi join",
            (false, Unmatched, Nothing) | (false, Nothing, Unmatched) => "anti join",
            (false, ..) => "mark join",
        }
    }
}

/// One of the two inputs.
struct Side {
    arrangement: usize,
    output: SideOutput,
    types: Vec<DataType>,
}

/// Fewer rows with partners than this are not looked through.
const FORGOTTEN_ROWS_MIN: usize = 512;

/// See the module.
pub(crate) struct OuterJoin {
    view: String,
    pairs: bool,
    left: Side,
    right: Side,
    residual: Option<Arc<dyn PhysicalExpr>>,
    /// Kept where there is a further condition, for the sides that give rows.
    partner_weights: PartnerWeights,
    /// The left side's columns, then the right's.
    pair_schema: SchemaRef,
    schema: SchemaRef,
}

/// Rows of one side to give out, in byte form.
#[derive(Default)]
struct ChosenRows<'a> {
    rows: Vec<&'a [u8]>,
    weights: Vec<i64>,
    marks: Vec<bool>,
}

impl<'a> ChosenRows<'a> {
    fn push(&mut self, row: &'a [u8], weight: i64, mark: bool) {
        if weight != 0 {
            self.rows.push(row);
            self.weights.push(weight);
            self.marks.push(mark);
        }
    }

    /// Adds what a row gives after the epoch less what it gave before, each as
    /// (weight, whether it has a partner). One of which that is not known gives
    /// what a row of weight 0 gives.
    fn change(
        &mut self,
        output: SideOutput,
        row: &'a [u8],
        before: (i64, bool),
        after: (i64, bool),
    ) {
        let wanted = match output {
            SideOutput::Nothing => return,
            SideOutput::Marked => {
                if before.1 == after.1 {
                    self.push(row, after.0 - before.0, after.1);
                } else {
                    self.push(row, -before.0, before.1);
                    self.push(row, after.0, after.1);
                }
                return;
            }
            SideOutput::Matched => true,
            SideOutput::Unmatched | SideOutput::UnmatchedBesideNulls => false,
        };
        let given = |(weight, matched): (i64, bool)| if matched == wanted { weight } else { 0 };
        self.push(row, given(after) - given(before), false);
    }
}

impl OuterJoin {
    #[expect(clippy::too_many_arguments, reason = "one for each part of a join")]
    pub(crate) fn new(
        view: String,
        output: JoinOutput,
        left: usize,
        right: usize,
        left_types: Vec<DataType>,
        right_types: Vec<DataType>,
        residual: Option<Arc<dyn PhysicalExpr>>,
        pair_schema: SchemaRef,
        schema: SchemaRef,
    ) -> Self {
        let side = |arrangement, output, types| Side {
            arrangement,
            output,
            types,
        };
        Self {
            view,
            pairs: output.pairs,
            left: side(left, output.left, left_types),
            right: side(right, output.right, right_types),
            residual,
            partner_weights: PartnerWeights::default(),
            pair_schema,
            schema,
        }
    }

    /// Forgets the partners of rows that the arrangements dropped, for no change
    /// will meet them; when they are the most, so that it costs little for each.
    fn forget_dropped(
        &mut self,
        left: &Arrangement,
        right: &Arrangement,
    ) -> Result<(), EngineError> {
        let known = self.partner_weights.count();
        let there = left.state_rows() + right.state_rows();
        if known < FORGOTTEN_ROWS_MIN || (known as u64) < 2 * there {
            return Ok(());
        }
        self.partner_weights.forget(|shard, side, rows| match side {
            LEFT => left.holds(shard, rows),
            _ => right.holds(shard, rows),
        })
    }

    /// Rows of `side` in byte form as rows of the output.
    fn side_delta(
        &self,
        is_left: bool,
        arrangement: &Arrangement,
        chosen: ChosenRows<'_>,
    ) -> Result<Delta, EngineError> {
        let ChosenRows {
            rows,
            weights,
            marks,
        } = chosen;
        if rows.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let (side, other) = if is_left {
            (&self.left, &self.right)
        } else {
            (&self.right, &self.left)
        };
        let count = rows.len();
        let own = arrangement.row_codec.decode(rows.into_iter())?;
        let nulls = other.types.iter().map(|found| new_null_array(found, count));
        let columns: Vec<ArrayRef> = match side.output {
            SideOutput::UnmatchedBesideNulls if is_left => own.into_iter().chain(nulls).collect(),
            SideOutput::UnmatchedBesideNulls => nulls.chain(own).collect(),
            SideOutput::Marked => {
                let mark: ArrayRef = Arc::new(BooleanArray::from(marks));
                own.into_iter().chain([mark]).collect()
            }
            _ => own,
        };
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Delta::try_new(rows, weights)?)
    }

    /// The pairs' change where a further condition decides, and the change of
    /// each row's partners.
    fn join_with_condition<'a>(
        &self,
        residual: &Arc<dyn PhysicalExpr>,
        left: &'a Arrangement,
        right: &'a Arrangement,
        context: &mut StepContext<'_>,
    ) -> Result<(Delta, RowChanges<'a>, RowChanges<'a>), EngineError> {
        let Candidates {
            pairs,
            meetings,
            mut left_rows,
            mut right_rows,
        } = Candidates::find(left, right);
        let joined = pairs.to_delta(left, right, &self.pair_schema, context.threads)?;
        if joined.is_empty() {
            return Ok((Delta::empty(self.schema.clone()), left_rows, right_rows));
        }
        let condition = std::slice::from_ref(residual);
        let (survivors, masks) = evaluate(condition, &joined, &self.view, context.errors)?;
        let numbers = if survivors.len() == joined.len() {
            None
        } else {
            Some(surviving_numbers(&joined, condition, &self.view)?)
        };
        if let Some(numbers) = &numbers {
            for meeting in others(&meetings, numbers) {
                left_rows.changes[meeting.left].failure_change += meeting.left_gains;
                right_rows.changes[meeting.right].failure_change += meeting.right_gains;
            }
        }
        let mut kept = Vec::new();
        for row in true_rows(&masks[0])?.values().set_indices() {
            let meeting = &meetings[numbers.as_ref().map_or(row, |numbers| numbers[row])];
            left_rows.changes[meeting.left].partner_change += meeting.left_gains;
            right_rows.changes[meeting.right].partner_change += meeting.right_gains;
            kept.push(row as u32);
        }
        let pairs = if self.pairs {
            let kept = survivors.take(&kept.into())?;
            let columns = kept.rows().columns().to_vec();
            kept.with_columns(self.schema.clone(), columns)?
        } else {
            Delta::empty(self.schema.clone())
        };
        Ok((pairs, left_rows, right_rows))
    }
}

/// Which rows of `joined` survive the evaluation of `condition`.
fn surviving_numbers(
    joined: &Delta,
    condition: &[Arc<dyn PhysicalExpr>],
    view: &str,
) -> Result<Vec<usize>, EngineError> {
    // The numbers travel as weights; the failures were reported before.
    let numbers = (0..joined.len() as i64).collect();
    let numbered = Delta::try_new(joined.rows().clone(), numbers)?;
    let (survivors, _) = evaluate(condition, &numbered, view, &mut Default::default())?;
    let numbers = survivors.weights().iter();
    Ok(numbers.map(|&number| number as usize).collect())
}

/// The meetings whose numbers are not among these, which are in order.
fn others<'a>(meetings: &'a [Meeting], numbers: &'a [usize]) -> impl Iterator<Item = &'a Meeting> {
    let mut numbers = numbers.iter().peekable();
    let others = meetings.iter().enumerate();
    others
        .filter(move |(number, _)| numbers.next_if(|next| *next == number).is_none())
        .map(|(_, meeting)| meeting)
}

impl Operator for OuterJoin {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        _inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let left = &context.arrangements[self.left.arrangement];
        let right = &context.arrangements[self.right.arrangement];
        self.forget_dropped(left, right)?;
        if left.current.is_none() && right.current.is_none() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let mut of_left = rows_with_null_key(left, self.left.output);
        let mut of_right = rows_with_null_key(right, self.right.output);
        let pairs = match self.residual.clone() {
            None => {
                choose_by_total(self.left.output, left, right, &mut of_left);
                choose_by_total(self.right.output, right, left, &mut of_right);
                if self.pairs {
                    let pairs = join_changes(left, right, context.threads);
                    pairs.to_delta(left, right, &self.schema, context.threads)?
                } else {
                    Delta::empty(self.schema.clone())
                }
            }
            Some(residual) => {
                let (pairs, left_rows, right_rows) =
                    self.join_with_condition(&residual, left, right, context)?;
                let weights = &mut self.partner_weights;
                left_rows.choose(LEFT, self.left.output, weights, &mut of_left);
                right_rows.choose(RIGHT, self.right.output, weights, &mut of_right);
                pairs
            }
        };
        let of_left = self.side_delta(true, left, of_left)?;
        let of_right = self.side_delta(false, right, of_right)?;
        Ok(Delta::concat(&self.schema, &[pairs, of_left, of_right])?)
    }

    fn saved_state(&mut self) -> Option<&mut dyn SavedState> {
        Some(&mut self.partner_weights)
    }

    fn state_bytes(&self) -> u64 {
        self.partner_weights.memory_bytes()
    }

    fn state_rows(&self) -> u64 {
        self.partner_weights.count() as u64
    }
}

/// A null key has no partner, so these rows pass straight through.
fn rows_with_null_key(side: &Arrangement, output: SideOutput) -> ChosenRows<'_> {
    let mut chosen = ChosenRows::default();
    let Some(changes) = &side.current else {
        return chosen;
    };
    let Some(null_key) = &changes.null_key else {
        return chosen;
    };
    for (row, is_null) in null_key.iter().enumerate() {
        if *is_null {
            let after = (changes.weights[row], false);
            chosen.change(output, changes.rows.get(row), (0, false), after);
        }
    }
    chosen
}

/// Without a further condition: a row has a partner if its key has any row on
/// the other side.
fn choose_by_total<'a>(
    output: SideOutput,
    side: &'a Arrangement,
    other: &Arrangement,
    chosen: &mut ChosenRows<'a>,
) {
    if output == SideOutput::Nothing {
        return;
    }
    for (shard, other_shard) in side.shards.iter().zip(&other.shards) {
        // Whether the key of an entry has partners, before and after.
        let partners_of = |entry: EntryRef<'_>| {
            let found = other_shard.find(entry.hash(), entry.key());
            found.map_or((false, false), |found| {
                (found.old_total() != 0, found.total() != 0)
            })
        };
        if side.current.is_some() {
            for (entry, row) in shard.changed_rows() {
                let (before, after) = partners_of(entry);
                if before == after {
                    let before = (row.old_weight, before);
                    chosen.change(output, row.bytes, before, (row.weight, after));
                }
            }
        }
        if other.current.is_none() {
            continue;
        }
        for touched in other_shard.touched() {
            let (before, after) = (touched.old_total() != 0, touched.total() != 0);
            if before == after {
                continue;
            }
            let Some(entry) = shard.find(touched.hash(), touched.key()) else {
                continue;
            };
            for row in entry.rows() {
                let before = (row.old_weight, before);
                chosen.change(output, row.bytes, before, (row.weight, after));
            }
        }
    }
}
