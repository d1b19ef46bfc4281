//! The docs as Markdown, one file a layer, with lineage in Mermaid.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{ModelDoc, ProjectDocs};

/// The first words of every file.
const GENERATED: &str =
    "<!-- Written by `sluice docs`: change the models' comments and columns.toml, not this. -->";

/// The files by name, `README.md` and one for each layer.
pub fn markdown_files(docs: &ProjectDocs) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut index = format!("{GENERATED}\n# The models of `{}`\n\n", docs.name);
    index.push_str("| layer | tables and models |\n|---|---|\n");
    for layer in docs.layers() {
        let links: Vec<String> = docs
            .of_layer(&layer)
            .map(|model| format!("[{}]({layer}.md#{})", model.name, model.name))
            .collect();
        let _ = writeln!(index, "| [{layer}]({layer}.md) | {} |", links.join(", "));
        files.insert(format!("{layer}.md"), layer_file(docs, &layer));
    }
    files.insert("README.md".to_owned(), index);
    files
}

fn layer_file(docs: &ProjectDocs, layer: &str) -> String {
    let mut text = format!("{GENERATED}\n# `{}`: {layer}\n", docs.name);
    for model in docs.of_layer(layer) {
        let _ = write!(text, "\n## {}\n\n", model.name);
        let kind = capitalized(model.kind);
        let _ = writeln!(text, "{kind}. {}", model.grain);
        for paragraph in &model.text {
            let _ = write!(text, "\n{}\n", escaped(paragraph));
        }
        text.push_str("\n| column | type | meaning |\n|---|---|---|\n");
        for column in &model.columns {
            let meaning = escaped(&column.meaning);
            let _ = writeln!(
                text,
                "| {} | {} | {meaning} |",
                column.name, column.data_type
            );
        }
        lineage(&mut text, model);
    }
    text
}

fn lineage(text: &mut String, model: &ModelDoc) {
    if model.inputs.is_empty() && model.readers.is_empty() {
        return;
    }
    text.push_str("\n```mermaid\ngraph LR\n");
    for input in &model.inputs {
        let _ = writeln!(text, "  {input} --> {}", model.name);
    }
    for reader in &model.readers {
        let _ = writeln!(text, "  {} --> {reader}", model.name);
    }
    text.push_str("```\n");
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
