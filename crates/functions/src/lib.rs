//! Functions of Sluice's SQL that DataFusion does not have, or not as fast, and rules
//! that rewrite what DataFusion answers otherwise than SQL. Views and ad-hoc queries
//! have the same ones.
//!
//! | function | file |
//! |---|---|
//! | `date_trunc(unit, moment)`: DataFusion's, faster in time zones | `date_trunc.rs` |
//! | `split_words(text)`: the words of a text, Chinese included | `split_words.rs` over `words.rs` |
//! | `uniq_state(value, 'domain')`, `uniq_merge(state)`, `uniq_count(state)`: counts of unique values that add up | `uniq_state.rs`, `uniq_merge.rs`, `uniq_count.rs` over `uniq_set.rs` |
//!
//! | rule | file |
//! |---|---|
//! | NULL in a list: `x IN (1, NULL)` | `null_in_lists.rs` |
//! | several lists over one value that may be NULL | `lists_apart.rs` |
//! | `x IN (SELECT …)` where it may be unknown | `in_subquery.rs` |
//! | `-INTERVAL '1 hour 30 minutes'` | `negative_intervals.rs` |
//! | `x = ANY (…)` where it may be unknown | `quantified.rs` |
//! | rows are compared value by value: `(a, b) < (c, d)` | `row_comparisons.rs` |
//! | floats are compared in one form | `one_float.rs` over `canonical.rs` |
//! | no function takes all memory | `bounded.rs`, `percentiles.rs` |

mod bounded;
mod canonical;
mod date_trunc;
mod in_subquery;
mod lists_apart;
mod negative_intervals;
mod null_in_lists;
mod one_float;
mod percentiles;
mod quantified;
mod refused_forms;
mod row_comparisons;
mod split_words;
mod uniq_count;
mod uniq_merge;
mod uniq_set;
mod uniq_state;
mod words;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub use canonical::{canonical, holds_floats};
pub use in_subquery::rewrite_in_subqueries;
pub use negative_intervals::bracket_negative_intervals;
pub use one_float::is_comparison;
pub use quantified::compare_with_any;
pub use row_comparisons::compare_rows_by_value;
pub use uniq_merge::UNIQ_MERGE;
pub use uniq_set::{UniqError, UniqSet, UniqSets};
pub use uniq_state::{UNIQ_IDS, UNIQ_STATE, UniqIds, domain_name};
pub use words::WordSplitter;

use crate::bounded::{BoundedOperators, Purpose, bounded};
use crate::date_trunc::DateTrunc;
use crate::in_subquery::InSubqueries;
use crate::lists_apart::ListsApart;
use crate::null_in_lists::NullInLists;
use crate::one_float::OneFloat;
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
pub const PLANNER_FUNCTIONS: [&str; 2] = ["apart", "canonical"];

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
        self.register(session, None)
    }

    fn register(&self, session: &mut SessionState, ids: Option<Arc<dyn UniqIds>>) -> Result<()> {
        let scalars = [
            ScalarUDF::from(DateTrunc::new()),
            ScalarUDF::from(SplitWords::new(self.words.clone())),
            ScalarUDF::from(UniqCount::new()),
        ];
        let purpose = match &ids {
            Some(_) => Purpose::Queries,
            None => Purpose::Views,
        };
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
        session.add_analyzer_rule(Arc::new(Percentiles));
        session.add_analyzer_rule(Arc::new(RefusedForms));
        session.register_function_rewrite(Arc::new(BoundedOperators(bounded)))?;
        session.register_function_rewrite(Arc::new(NullInLists))
    }
}
