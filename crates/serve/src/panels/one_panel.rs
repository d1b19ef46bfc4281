//! A panel over a warehouse without tables, for tests.

use std::sync::Arc;

use sluice_store::Snapshot;

use super::{CheckedPanel, PanelDefinitions, PanelFile, Panels};
use crate::{QueryEngine, QueryOptions};

/// The name of the panel.
const NAME: &str = "one";

/// An engine, the panel that a file of this text defines, and all panels there are.
pub(crate) struct OnePanel {
    pub(crate) engine: QueryEngine,
    pub(crate) panel: Arc<CheckedPanel>,
    pub(crate) panels: Panels,
}

/// Plans the panel.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn one_panel(text: &str) -> Result<OnePanel, String> {
    let source = Arc::new(Snapshot::default);
    let engine = QueryEngine::new(source, QueryOptions::default()).unwrap();
    let file = PanelFile {
        path: format!("panels/{NAME}.toml"),
        text: text.to_owned(),
    };
    let read = PanelDefinitions::parse(&[file], None);
    let panels = read.and_then(|read| Panels::check(&read, &engine));
    let panels = panels.map_err(|errors| errors[0].message.clone())?;
    let panel = panels.get(NAME).unwrap();
    Ok(OnePanel {
        engine,
        panel,
        panels,
    })
}
