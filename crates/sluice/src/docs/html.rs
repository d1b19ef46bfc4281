//! The docs as pages that the program serves at `/docs`, with lineage as SVG.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{ModelDoc, ProjectDocs};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left;vertical-align:top}\
svg{display:block;margin:1rem 0;max-width:100%}svg text{font:12px ui-monospace,monospace}svg rect{fill:#f3f5f8;stroke:#9aa7b8}\
svg rect.it{fill:#dce9ff;stroke:#3567b8}svg path{fill:none;stroke:#9aa7b8}a{color:#3567b8}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#16181c}td,th{border-color:#444}a{color:#8ab4ff}\
svg text{fill:#ddd}svg rect{fill:#22262d}svg rect.it{fill:#23365c}}";

/// The pages by name: the empty one for the index, else a layer.
pub fn html_pages(docs: &ProjectDocs) -> BTreeMap<String, String> {
    let layers = docs.layers();
    let mut pages = BTreeMap::new();
    let mut index = String::from("<table><tr><th>layer</th><th>tables and models</th></tr>");
    for layer in &layers {
        let mut page = String::new();
        for model in docs.of_layer(layer) {
            section(&mut page, docs, model);
        }
        let _ = write!(
            index,
            "<tr><td><a href=\"/docs/{layer}\">{layer}</a></td><td>"
        );
        for model in docs.of_layer(layer) {
            let _ = write!(index, "{} ", link(docs, &model.name));
        }
        index.push_str("</td></tr>");
        pages.insert(layer.clone(), framed(&docs.name, layer, &layers, &page));
    }
    index.push_str("</table>");
    pages.insert(String::new(), framed(&docs.name, "models", &layers, &index));
    pages
}

fn framed(name: &str, title: &str, layers: &[String], content: &str) -> String {
    let name = escaped(name);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{name}: {title}</title><style>{STYLE}</style><h1>{name}: {title}</h1><p><a href=\"/docs\">all</a>"
    );
    for layer in layers {
        let _ = write!(page, " · <a href=\"/docs/{layer}\">{layer}</a>");
    }
    let _ = writeln!(page, "</p>{content}</html>");
    page
}

fn section(page: &mut String, docs: &ProjectDocs, model: &ModelDoc) {
    let (name, kind, grain) = (&model.name, model.kind, escaped(&model.grain));
    let _ = write!(
        page,
        "<h2 id=\"{name}\">{name}</h2><p><em>{kind}</em>. {grain}</p>"
    );
    for paragraph in &model.text {
        let _ = write!(page, "<p>{}</p>", escaped(paragraph));
    }
    page.push_str("<table><tr><th>column</th><th>type</th><th>meaning</th></tr>");
    for column in &model.columns {
        let (column_name, data_type) = (&column.name, &column.data_type);
        let meaning = escaped(&column.meaning);
        let _ = write!(
            page,
            "<tr><td>{column_name}</td><td>{data_type}</td><td>{meaning}</td></tr>"
        );
    }
    page.push_str("</table>");
    lineage(page, docs, model);
}

const BOX_WIDTH: usize = 330;
const BOX_HEIGHT: usize = 24;
const ROW_HEIGHT: usize = 32;
const COLUMN_WIDTH: usize = 400;

/// Inputs to the left, readers to the right.
fn lineage(page: &mut String, docs: &ProjectDocs, model: &ModelDoc) {
    let rows = model.inputs.len().max(model.readers.len());
    if rows == 0 {
        return;
    }
    let (width, height) = (2 * COLUMN_WIDTH + BOX_WIDTH + 2, rows * ROW_HEIGHT);
    let _ = write!(
        page,
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\" aria-label=\"lineage of {}\">",
        model.name
    );
    let middle = rows.saturating_sub(1) * ROW_HEIGHT / 2 + 2;
    for (column, names) in [(0, &model.inputs), (2, &model.readers)] {
        let start = (rows - names.len()) * ROW_HEIGHT / 2;
        for (place, name) in names.iter().enumerate() {
            let top = start + place * ROW_HEIGHT + 2;
            let (left, right, from, to) = match column {
                0 => (BOX_WIDTH, COLUMN_WIDTH, top, middle),
                _ => (COLUMN_WIDTH + BOX_WIDTH, 2 * COLUMN_WIDTH, middle, top),
            };
            let (from, to, half) = (
                from + BOX_HEIGHT / 2,
                to + BOX_HEIGHT / 2,
                (left + right) / 2,
            );
            let _ = write!(
                page,
                "<path d=\"M{left} {from}C{half} {from} {half} {to} {right} {to}\"/>"
            );
            boxed(page, docs, name, column * COLUMN_WIDTH, top, "");
        }
    }
    boxed(
        page,
        docs,
        &model.name,
        COLUMN_WIDTH,
        middle,
        " class=\"it\"",
    );
    page.push_str("</svg>");
}

fn boxed(page: &mut String, docs: &ProjectDocs, name: &str, x: usize, y: usize, class: &str) {
    let (text_x, text_y) = (x + 8, y + 16);
    let _ = write!(
        page,
        "<a href=\"{}\"><rect{class} x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"4\"/><text x=\"{text_x}\" y=\"{text_y}\">{name}</text></a>",
        address(docs, name)
    );
}

fn address(docs: &ProjectDocs, name: &str) -> String {
    let layer = docs.models.get(name).map_or("", |model| &model.layer[..]);
    format!("/docs/{layer}#{name}")
}

fn link(docs: &ProjectDocs, name: &str) -> String {
    format!("<a href=\"{}\">{name}</a>", address(docs, name))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
