//! The rules of a session in their order: before those of DataFusion what it would
//! take for something else, and behind them what it would go on with.

use std::sync::Arc;

use datafusion::optimizer::{Analyzer, AnalyzerRule};

use crate::date_part::Extracts;
use crate::dates_as_moments::DatesAsMoments;
use crate::floats_beside_decimals::FloatsBesideDecimals;
use crate::list_places::ListPlaces;
use crate::local_times::LocalTimes;
use crate::order_by_names::OrderByNames;
use crate::planned_parts::PlannedParts;
use crate::rounded_integers::RoundedIntegers;
use crate::signed_differences::SignedDifferences;
use crate::texts_beside_booleans::TextsBesideBooleans;
use crate::texts_without_zone::TextsWithoutZone;
use crate::zone_after_zone::ZoneAfterZone;

/// Rules of a session.
pub type AnalyzerRules = Vec<Arc<dyn AnalyzerRule + Send + Sync>>;

/// The rules that come before DataFusion matches types. The columns of what they
/// make have the types of the answer.
pub fn rules_before_types(dates: DatesAsMoments) -> AnalyzerRules {
    vec![
        Arc::new(PlannedParts),
        Arc::new(OrderByNames),
        Arc::new(TextsBesideBooleans),
        Arc::new(Extracts::new()),
        Arc::new(ListPlaces::new()),
        Arc::new(ZoneAfterZone),
        Arc::new(dates),
        Arc::new(FloatsBesideDecimals),
        Arc::new(SignedDifferences),
        Arc::new(RoundedIntegers::new()),
        Arc::new(TextsWithoutZone::of_written_casts()),
    ]
}

/// The rules that a session begins with; [`crate::Functions`] adds those that need
/// no order.
pub fn analyzer_rules(dates: DatesAsMoments) -> AnalyzerRules {
    let mut rules = rules_before_types(dates);
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(LocalTimes));
    rules.push(Arc::new(TextsWithoutZone::of_made_casts()));
    // Casts are written by now.
    rules.push(Arc::new(PlannedParts));
    rules
}
