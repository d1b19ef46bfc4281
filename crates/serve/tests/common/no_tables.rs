//! Queries of a warehouse without tables.

use std::path::Path;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use sluice_core::SimulatedDisk;
use sluice_serve::{QueryEngine, QueryOptions};
use sluice_store::{Store, StoreOptions};

/// An engine with plain views of these names and queries.
pub fn engine(views: &[(&str, &str)]) -> QueryEngine {
    let disk = Arc::new(SimulatedDisk::new(1));
    let (store, _) = Store::open(disk, Path::new("/store"), StoreOptions::default()).unwrap();
    let snapshot = store.snapshot();
    let own = |(name, query): &(&str, &str)| ((*name).to_owned(), (*query).to_owned());
    let options = QueryOptions {
        query_views: views.iter().map(own).collect(),
        ..QueryOptions::default()
    };
    QueryEngine::new(Arc::new(move || snapshot.clone()), options).unwrap()
}

/// The rows of an answer with the texts of their values.
pub async fn answered(engine: &QueryEngine, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let answer = engine.query(sql).await.map_err(|error| error.to_string())?;
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| {
                let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                formatter.value(row).to_string()
            });
            rows.push(values.collect());
        }
    }
    Ok(rows)
}
