//! Sessions of DataFusion: one for each time zone of readers, and one for plans of
//! views.

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::prelude::SessionContext;

use crate::checked_integers::CheckedIntegers;
use crate::dates_as_moments::DatesAsMoments;
use crate::local_times::LocalTimes;
use crate::query_engine::CATALOG;
use crate::signed_differences::SignedDifferences;
use crate::tables::SluiceSchema;

/// The rules of DataFusion, before them what it would take for something else,
/// and behind them what it would go on with.
pub(crate) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let own: Arc<dyn AnalyzerRule + Send + Sync> = Arc::new(DatesAsMoments);
    let mut rules = vec![own, Arc::new(SignedDifferences)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(LocalTimes));
    rules.push(Arc::new(CheckedIntegers));
    rules
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
        analyzer.rules.retain(|rule| {
            rule.name() != DatesAsMoments.name() && rule.name() != LocalTimes.name()
        });
    }
    Ok(SessionContext::new_with_state(builder.build()))
}
