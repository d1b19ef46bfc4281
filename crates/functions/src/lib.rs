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
//! | `uniq_state(value, 'domain')`, `uniq_merge(state)`, `uniq_count(state)`: counts of unique values that add up | `uniq_state.rs`, `uniq_merge.rs`, `uniq_count.rs` over `uniq_set.rs` |
//!
//! | rule | file |
//! |---|---|
//! | NULL in a list: `x IN (1, NULL)` | `null_in_lists.rs` |
//! | several lists over one value that may be NULL | `lists_apart.rs` |
//! | `x IN (SELECT …)` where it may be unknown | `in_subquery.rs` |
//! | EXISTS and IN over an aggregate without GROUP BY, or LIMIT 0 | `one_row_subqueries.rs` |
//! | correlated subqueries of which the planner makes other joins: refused | `correlated_subqueries.rs` |
//! | `-INTERVAL '1 hour 30 minutes'` | `negative_intervals.rs` |
//! | `x = ANY (…)` where it may be unknown | `quantified.rs` |
//! | `list[place]` is NULL below 1 | `list_places.rs` |
//! | rows are compared value by value: `(a, b) < (c, d)` | `row_comparisons.rs` |
//! | ORDER BY with names that tables and answer have: refused where it is open which | `order_by_names.rs` |
//! | an aggregate's filter comes before its arguments | `guarded_arguments.rs` |
//! | floats are compared in one form | `one_float.rs` over `canonical.rs` |
//! | decimals that meet floats: `f = 0.3` | `floats_beside_decimals.rs` |
//! | casts of decimals to floats give the nearest | `nearest_float.rs` |
//! | intervals are compared by their length | `interval_order.rs` over `interval_length.rs` |
//! | no function takes all memory | `bounded.rs`, `percentiles.rs` |
//! | dates that meet moments: `t >= DATE '…'` | `dates_as_moments.rs` |
//! | `(t AT TIME ZONE '…')::timestamp`, times without a zone as moments | `local_times.rs` over `local_moments.rs` |
//! | `row_number() OVER (…) - row_number() OVER (…)` | `signed_differences.rs` |

mod analyzer_rules;
mod bounded;
mod canonical;
mod correlated_subqueries;
mod date_part;
mod date_patterns;
mod date_trunc;
mod dates_as_moments;
mod floats_beside_decimals;
mod guarded_arguments;
mod in_subquery;
mod interval_length;
mod interval_order;
mod list_places;
mod lists_apart;
mod local_moments;
mod local_times;
mod nearest_float;
mod negative_intervals;
mod null_in_lists;
mod one_float;
mod one_row_subqueries;
mod order_by_names;
mod percentiles;
mod quantified;
mod refused_forms;
mod rewriting;
mod row_comparisons;
mod signed_differences;
mod spans;
mod split_words;
mod uniq_count;
mod uniq_merge;
mod uniq_set;
mod uniq_state;
mod values_that_meet;
mod words;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub use analyzer_rules::{analyzer_rules, rules_before_types};
pub use canonical::{canonical, holds_floats};
pub use dates_as_moments::DatesAsMoments;
pub use in_subquery::rewrite_in_subqueries;
pub use local_moments::offset_at;
pub use local_times::{by_local_time, is_begun, is_utc};
pub use negative_intervals::bracket_negative_intervals;
pub use one_float::is_comparison;
pub use quantified::compare_with_any;
pub use rewriting::rewritten;
pub use row_comparisons::compare_rows_by_value;
pub use uniq_merge::UNIQ_MERGE;
pub use uniq_set::{UniqError, UniqSet, UniqSets};
pub use uniq_state::{UNIQ_IDS, UNIQ_STATE, UniqIds, domain_name};
pub use words::WordSplitter;

use crate::bounded::{BoundedOperators, Purpose, bounded};
use crate::correlated_subqueries::CorrelatedSubqueries;
use crate::date_part::DatePart;
use crate::date_trunc::DateTrunc;
use crate::guarded_arguments::GuardedArguments;
use crate::in_subquery::InSubqueries;
use crate::interval_length::INTERVAL_LENGTH;
use crate::interval_order::IntervalOrder;
use crate::lists_apart::ListsApart;
use crate::nearest_float::{NEAREST_DOUBLE, NEAREST_REAL, NearestFloats};
use crate::null_in_lists::NullInLists;
use crate::one_float::OneFloat;
use crate::one_row_subqueries::OneRowSubqueries;
use crate::percentiles::Percentiles;
use crate::refused_forms::RefusedForms;
use crate::split_words::SplitWords;
use crate::uniq_count::UniqCount;
use crate::uniq_merge::UniqMerge;
use crate::uniq_state::UniqState;

/// A domain of unique values has this many ids, unless
/// [`Functions::with_uniq_ids_max`] says otherwise.
pub const UNIQ_IDS_MAX: u32 = 100_000_000;

/// Functions that only the planner writes, around their first argument: nothing that
/// a person should read.
pub const PLANNER_FUNCTIONS: [&str; 5] = [
    "apart",
    "canonical",
    INTERVAL_LENGTH,
    NEAREST_DOUBLE,
    NEAREST_REAL,
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
        let bounded = bounded(purpose, |name| session.udf(name).ok());
        for function in scalars.map(Arc::new).into_iter().chain(bounded.clone()) {
            session.register_udf(function)?;
        }
        let aggregates = [
            AggregateUDF::from(UniqMerge::new()),
            AggregateUDF::from(UniqState::new(ids)),
        ];
        for function in aggregates {
            session.register_udaf(Arc::new(function))?;
        }
        session.add_analyzer_rule(Arc::new(ListsApart::new()));
        session.add_analyzer_rule(Arc::new(OneFloat::new()));
        session.add_analyzer_rule(Arc::new(NearestFloats::new()));
        session.add_analyzer_rule(Arc::new(IntervalOrder::new()));
        session.add_analyzer_rule(Arc::new(Percentiles));
        session.add_analyzer_rule(Arc::new(RefusedForms));
        session.add_analyzer_rule(Arc::new(GuardedArguments));
        session.add_analyzer_rule(Arc::new(CorrelatedSubqueries));
        session.register_function_rewrite(Arc::new(BoundedOperators(bounded)))?;
        session.register_function_rewrite(Arc::new(NullInLists))
    }
}
