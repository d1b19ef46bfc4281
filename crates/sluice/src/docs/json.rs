//! The docs of a project as JSON, for the catalogue of the page.

use serde_json::{Value, json};

use super::ProjectDocs;

/// Layers in their order, and all tables and models.
pub fn models_json(docs: &ProjectDocs) -> String {
    let models = docs.models.values().map(|model| {
        let columns = model.columns.iter().map(|column| {
            json!({
                "name": column.name,
                "type": column.data_type,
                "meaning": column.meaning,
            })
        });
        json!({
            "name": model.name,
            "layer": model.layer,
            "kind": model.kind,
            "grain": model.grain,
            "text": model.text,
            "columns": columns.collect::<Vec<Value>>(),
            "inputs": model.inputs,
            "readers": model.readers,
        })
    });
    let models: Vec<Value> = models.collect();
    format!(
        "{}\n",
        json!({ "project": docs.name, "layers": docs.layers(), "models": models })
    )
}
