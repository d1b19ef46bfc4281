//! Sessions of DataFusion: one for each time zone of readers, and one for plans of
//! views.

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
};
use datafusion::error::Result;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::AnalyzerRule;
use datafusion::prelude::SessionContext;
use sluice_functions::{DatesAsMoments, analyzer_rules, rules_before_types};

use crate::checked_integers::CheckedIntegers;
use crate::query_engine::CATALOG;
use crate::tables::SluiceSchema;

/// The rules that views have too, and behind them what the engine does by itself.
pub(crate) fn rules_of_queries() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = analyzer_rules(DatesAsMoments::OfReader);
    rules.push(Arc::new(CheckedIntegers));
    rules
}

/// A plan whose columns have the types that its answer will have, for clients that
/// are told of them before.
///
/// # Errors
/// When a rule does not fit the plan.
pub(crate) fn with_types_of_answer(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let options = state.config_options();
    let rules = rules_before_types(DatesAsMoments::OfReader);
    let mut rules = rules.iter();
    rules.try_fold(plan, |plan, rule| rule.analyze(plan, options))
}

/// A session like another one, whose tables are those of `schema` and whose time
/// zone is `time_zone`. Where the tables are as stored, SQL means what it means in
/// models.
///
/// # Errors
/// When the tables cannot be registered.
pub(crate) fn with_tables(
    other: &SessionContext,
    schema: SluiceSchema,
    time_zone: &str,
) -> Result<SessionContext> {
    let is_of_models = schema.zone.is_none();
    let catalog = MemoryCatalogProvider::new();
    if let Some(known) = other.catalog(CATALOG) {
        for name in known.schema_names() {
            if let Some(schema) = known.schema(&name) {
                catalog.register_schema(&name, schema)?;
            }
        }
    }
    catalog.register_schema("public", Arc::new(schema))?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let state = other.state();
    let mut config = state.config().clone();
    config.options_mut().execution.time_zone = Some(time_zone.to_owned());
    let mut builder = SessionStateBuilder::new_from_existing(state)
        .with_config(config.with_create_default_catalog_and_schema(false))
        .with_catalog_list(Arc::new(catalogs));
    if is_of_models && let Some(analyzer) = builder.analyzer() {
        let dates = DatesAsMoments::OfModels;
        let mut of_readers = analyzer.rules.iter_mut();
        if let Some(rule) = of_readers.find(|rule| rule.name() == dates.name()) {
            *rule = Arc::new(dates);
        }
    }
    Ok(SessionContext::new_with_state(builder.build()))
}
