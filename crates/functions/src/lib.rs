//! Functions of Sluice's SQL that DataFusion does not have, or not as fast, and rules
//! that rewrite what DataFusion answers otherwise than SQL. Views and ad-hoc queries
//! have the same ones.
//!
//! | function | file |
//! |---|---|
//! | `date_part(unit, value)`, `extract(unit FROM value)`: as PostgreSQL has them | `date_part.rs` over `spans.rs` |
//! | `date_trunc(unit, moment)`: DataFusion's, faster in time zones | `date_trunc.rs` |
//! | `to_char`, `to_timestamp`, `to_date` with patterns of PostgreSQL | `date_patterns` |
//! | `split_words(text)`: the words of a text, Chinese included | `split_words.rs` over `words.rs` |
//! | `round`, `array_length`, `array_remove`, `array_replace`, `encode`, `regexp_replace`: DataFusion's, with PostgreSQL's answers | `postgres_answers.rs`, `replacements.rs` |
//! | `ema(value, alpha) OVER (…)`: the exponential moving average | `ema.rs` |
//! | `ln`, `log`, `power`, `exp`, `asin` and others of numbers: DataFusion's, with errors for numbers that have no answer | `number_range.rs` |
//! | `uniq_state(value, 'domain')`, `uniq_merge(state)`, `uniq_count(state)`: counts of unique values that add up | `uniq_state.rs`, `uniq_groups.rs`, `uniq_merge.rs`, `uniq_count.rs` over `uniq_set.rs` |
//!
//! | rule | file |
//! |---|---|
//! | NULL in a list: `x IN (1, NULL)` | `null_in_lists.rs` |
//! | casts by which parts of a query differ: `count(DISTINCT t)`, `count(DISTINCT t::date)` | `as_cast.rs` |
//! | several lists over one value that may be NULL | `lists_apart.rs` |
//! | `x IN (SELECT …)` where it may be unknown; `x > ALL (SELECT …)` | `in_subquery.rs` |
//! | tests of subqueries inside aggregates, window functions and ORDER BY | `tests_below.rs` |
//! | EXISTS and IN over an aggregate without GROUP BY, or LIMIT 0 | `one_row_subqueries.rs` |
//! | scalar subqueries without a row are NULL | `missing_rows.rs` |
//! | correlated subqueries of which the planner makes other joins: refused | `correlated_subqueries.rs` |
//! | other forms that the planner answers otherwise than SQL: refused | `refused_forms.rs` |
//! | `-INTERVAL '1 hour 30 minutes'`, `INTERVAL '04:05'` | `negative_intervals.rs` over `interval_texts.rs` |
//! | `n * interval`, `interval / n` | `interval_products.rs` |
//! | `x = ANY (…)` where it may be unknown | `quantified.rs` |
//! | places in lists below 1, slices without a bound: `list[0]`, `list[-1:2]`, `list[2:]` | `list_places.rs` |
//! | NULL inside lists that are ordered: `ARRAY[1, NULL] > ARRAY[1, 2]` | `list_order.rs` |
//! | rows are compared value by value: `(a, b) < (c, d)` | `row_comparisons.rs` |
//! | what these two write is bounded, and what rules of plans repeat, and DataFusion | `statement_room.rs`, `repeats.rs`, `planned_parts.rs` |
//! | ORDER BY with names that tables and answer have: refused where it is open which | `order_by_names.rs` |
//! | an aggregate's filter comes before its arguments, a CASE before what it leaves out | `guarded_arguments.rs`, `guarded_cases.rs` |
//! | windows answer by the rows of their frame, whatever left it: `sum`, `avg`, `bool_and`, `bool_or`, and those from which nothing can be taken back | `exact_windows.rs` over `exact_window_sum.rs`, `exact_float.rs`, `window_truth.rs`, `frame_rows.rs` |
//! | floats are compared in one form | `one_float.rs` over `canonical.rs` |
//! | decimals that meet floats: `f = 0.3`, `array_has(floats, 0.3)` | `floats_beside_decimals.rs`, `floats_in_lists.rs` |
//! | casts of decimals to floats give the nearest | `nearest_float.rs` |
//! | intervals are compared by their length | `interval_order.rs` over `interval_length.rs`, `interval_extremes.rs` |
//! | casts of texts to intervals: `'5'` is of seconds | `interval_texts.rs` |
//! | `'2026-01-01 10:00:00+02'::timestamp`: the zone is left out | `texts_without_zone.rs` |
//! | texts beside truth values: `flag = 't'` | `texts_beside_booleans.rs` |
//! | `nullif(x, y)` answers `x` as it is, whatever it is compared as | `null_if_equal.rs` |
//! | no function takes all memory | `bounded.rs`, `percentiles.rs`, `coalesced.rs` |
//! | dates that meet moments: `t >= DATE '…'` | `dates_as_moments.rs` |
//! | `(t AT TIME ZONE '…')::timestamp`, times without a zone as moments | `local_times.rs` over `local_moments.rs` |
//! | casts of floats and decimals to integers give the nearest | `rounded_integers.rs` |
//! | `x AT TIME ZONE a AT TIME ZONE b`, `'…' AT TIME ZONE a` | `zone_after_zone.rs` |
//! | `row_number() OVER (…) - row_number() OVER (…)` | `signed_differences.rs` |
//! | ORDER BY and OFFSET without LIMIT in a subquery | `skipped_rows.rs` |

mod analyzer_rules;
mod as_cast;
mod bounded;
mod by_array;
mod canonical;
mod coalesced;
mod correlated_subqueries;
mod date_part;
mod date_patterns;
mod date_trunc;
mod dates_as_moments;
mod ema;
mod exact_float;
mod exact_window_sum;
mod exact_windows;
mod floats_beside_decimals;
mod floats_in_lists;
mod frame_rows;
mod guarded_arguments;
mod guarded_cases;
mod in_subquery;
mod interval_extremes;
mod interval_length;
mod interval_order;
mod interval_products;
mod interval_texts;
mod list_order;
mod list_places;
mod lists_apart;
mod local_moments;
mod local_times;
mod missing_rows;
mod nearest_float;
mod negative_intervals;
mod null_if_equal;
mod null_in_lists;
mod number_range;
mod one_float;
mod one_row_subqueries;
mod order_by_names;
mod percentiles;
mod planned_parts;
mod postgres_answers;
mod quantified;
mod refused_forms;
mod repeats;
mod replacements;
mod rewriting;
mod rounded_integers;
mod row_comparisons;
mod signed_differences;
mod skipped_rows;
mod spans;
mod split_words;
mod statement_room;
mod tests_below;
mod texts_beside_booleans;
mod texts_without_zone;
mod uniq_count;
mod uniq_groups;
mod uniq_merge;
mod uniq_set;
mod uniq_state;
mod values_that_meet;
mod window_truth;
mod words;
mod wrapped;
mod zone_after_zone;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub use analyzer_rules::{analyzer_rules, rules_before_types};
pub use as_cast::AS_CAST;
pub use canonical::{canonical, holds_floats};
pub use dates_as_moments::DatesAsMoments;
pub use ema::{EMA, ema_weight, next_average};
pub use exact_float::ExactFloat;
pub use exact_windows::function_of_window;
pub use floats_in_lists::FloatsInOperators;
pub use in_subquery::rewrite_in_subqueries;
pub use interval_products::IntervalProducts;
pub use interval_texts::interval_of_text;
pub use list_places::bound_slices;
pub use local_moments::offset_at;
pub use local_times::{by_local_time, is_begun, is_utc};
pub use negative_intervals::bracket_negative_intervals;
pub use one_float::is_comparison;
pub use planned_parts::check_planned_parts;
pub use quantified::compare_with_any;
pub use rewriting::rewritten;
pub use row_comparisons::compare_rows_by_value;
pub use statement_room::StatementTooLong;
pub use texts_beside_booleans::TextsInOperators;
pub use uniq_merge::UNIQ_MERGE;
pub use uniq_set::{UniqError, UniqSet, UniqSets};
pub use uniq_state::{UNIQ_IDS, UNIQ_STATE, UniqIds, domain_name};
pub use words::WordSplitter;
pub use zone_after_zone::put_into_zones_in_turn;

use crate::as_cast::AsCast;
use crate::bounded::{BoundedOperators, Purpose, bounded};
use crate::coalesced::coalesced;
use crate::correlated_subqueries::CorrelatedSubqueries;
use crate::date_part::DatePart;
use crate::date_trunc::DateTrunc;
use crate::ema::Ema;
use crate::exact_windows::ExactWindows;
use crate::floats_in_lists::floats_in_lists;
use crate::guarded_arguments::GuardedArguments;
use crate::guarded_cases::GuardedCases;
use crate::in_subquery::InSubqueries;
use crate::interval_length::INTERVAL_LENGTH;
use crate::interval_order::IntervalOrder;
use crate::interval_texts::IntervalTexts;
use crate::list_order::ListOrder;
use crate::lists_apart::ListsApart;
use crate::missing_rows::{MAY_BE_NULL, MissingRows};
use crate::nearest_float::{NEAREST_DOUBLE, NEAREST_REAL, NearestFloats};
use crate::null_in_lists::NullInLists;
use crate::one_float::OneFloat;
use crate::one_row_subqueries::OneRowSubqueries;
use crate::percentiles::Percentiles;
use crate::postgres_answers::postgres_answers;
use crate::refused_forms::RefusedForms;
use crate::skipped_rows::SkippedRows;
use crate::split_words::SplitWords;
use crate::texts_without_zone::WITHOUT_ZONE;
use crate::uniq_count::UniqCount;
use crate::uniq_merge::UniqMerge;
use crate::uniq_state::UniqState;
use crate::zone_after_zone::zone_turns;

/// A domain of unique values has this many ids, unless
/// [`Functions::with_uniq_ids_max`] says otherwise.
pub const UNIQ_IDS_MAX: u32 = 100_000_000;

/// Functions that only the planner writes, around their first argument: nothing that
/// a person should read.
pub const PLANNER_FUNCTIONS: [&str; 8] = [
    "apart",
    AS_CAST,
    "canonical",
    INTERVAL_LENGTH,
    MAY_BE_NULL,
    NEAREST_DOUBLE,
    NEAREST_REAL,
    WITHOUT_ZONE,
];

/// The functions with what a warehouse gives them.
#[derive(Debug, Clone)]
pub struct Functions {
    words: Arc<WordSplitter>,
    uniq_ids_max: u32,
}

impl Default for Functions {
    fn default() -> Self {
        Self::new("")
    }
}

impl Functions {
    /// Functions that know the words of `user_dictionary`; see
    /// [`WordSplitter::new`].
    pub fn new(user_dictionary: &str) -> Self {
        Self {
            words: Arc::new(WordSplitter::new(user_dictionary)),
            uniq_ids_max: UNIQ_IDS_MAX,
        }
    }

    /// Functions that give at most so many ids in each domain.
    pub fn with_uniq_ids_max(self, uniq_ids_max: u32) -> Self {
        Self {
            uniq_ids_max,
            ..self
        }
    }

    /// The text of the user dictionary: definitions that differ in it give
    /// other rows.
    pub fn user_dictionary(&self) -> &str {
        self.words.user_dictionary()
    }

    /// Ids that each domain of unique values may have.
    pub fn uniq_ids_max(&self) -> u32 {
        self.uniq_ids_max
    }

    /// Makes functions and rules known to a session that answers queries. `ids` are
    /// those that `uniq_state` finds.
    ///
    /// # Errors
    /// When the session takes no functions.
    pub fn register_for_queries(
        &self,
        session: &mut SessionState,
        ids: Arc<dyn UniqIds>,
    ) -> Result<()> {
        session.add_analyzer_rule(Arc::new(InSubqueries));
        session.add_analyzer_rule(Arc::new(ExactWindows));
        session.register_udf(Arc::new(ScalarUDF::from(AsCast::new())))?;
        self.register(session, Some(ids))
    }

    /// Makes functions and rules known to a session that plans views, in which
    /// `uniq_state` only has a type. [`rewrite_in_subqueries`] is the planner's to
    /// call, before the types of both sides are made the same.
    ///
    /// # Errors
    /// When the session takes no functions.
    pub fn register_for_views(&self, session: &mut SessionState) -> Result<()> {
        // For plain views, of which there is only a check here.
        session.add_analyzer_rule(Arc::new(OneRowSubqueries));
        self.register(session, None)
    }

    fn register(&self, session: &mut SessionState, ids: Option<Arc<dyn UniqIds>>) -> Result<()> {
        let scalars = [
            ScalarUDF::from(DatePart::new()),
            ScalarUDF::from(DateTrunc::new()),
            ScalarUDF::from(SplitWords::new(self.words.clone())),
            ScalarUDF::from(UniqCount::new()),
        ];
        let purpose = match &ids {
            Some(_) => Purpose::Queries,
            None => Purpose::Views,
        };
        date_patterns::register(session)?;
        for function in postgres_answers(|name| session.udf(name).ok()) {
            session.register_udf(Arc::new(function))?;
        }
        for function in floats_in_lists(|name| session.udf(name).ok()) {
            session.register_udf(Arc::new(function))?;
        }
        for function in coalesced(|name| session.udf(name).ok()) {
            session.register_udf(Arc::new(function))?;
        }
        let bounded = bounded(purpose, |name| session.udf(name).ok());
        let scalars = scalars.into_iter().chain(zone_turns()).map(Arc::new);
        for function in scalars.chain(bounded.clone()) {
            session.register_udf(function)?;
        }
        let aggregates = [
            AggregateUDF::from(UniqMerge::new()),
            AggregateUDF::from(UniqState::new(ids)),
        ];
        for function in aggregates {
            session.register_udaf(Arc::new(function))?;
        }
        session.register_udwf(Arc::new(WindowUDF::from(Ema::new())))?;
        session.add_analyzer_rule(Arc::new(MissingRows::new()));
        session.add_analyzer_rule(Arc::new(ListsApart::new()));
        session.add_analyzer_rule(Arc::new(OneFloat::new()));
        session.add_analyzer_rule(Arc::new(NearestFloats::new()));
        session.add_analyzer_rule(Arc::new(IntervalTexts::new()));
        session.add_analyzer_rule(Arc::new(IntervalOrder::new()));
        session.add_analyzer_rule(Arc::new(Percentiles));
        session.add_analyzer_rule(Arc::new(RefusedForms));
        session.add_analyzer_rule(Arc::new(GuardedArguments));
        session.add_analyzer_rule(Arc::new(GuardedCases));
        session.add_analyzer_rule(Arc::new(CorrelatedSubqueries));
        session.add_analyzer_rule(Arc::new(SkippedRows));
        session.add_analyzer_rule(Arc::new(ListOrder));
        session.register_function_rewrite(Arc::new(BoundedOperators(bounded)))?;
        session.register_function_rewrite(Arc::new(NullInLists))
    }
}
