//! What a view holds, as text.

use std::collections::BTreeMap;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use sluice_core::Delta;

/// Rows with how often they are there.
pub type Content = BTreeMap<String, i64>;

/// Brings what is there up to date.
pub fn add(content: &mut Content, delta: Option<&Delta>) {
    let Some(delta) = delta else { return };
    let options = FormatOptions::default().with_null("null");
    for (row, weight) in delta.weights().iter().enumerate() {
        let columns = delta.rows().columns().iter();
        let texts = columns.map(|column| {
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
            formatter.value(row).to_string()
        });
        let text = texts.collect::<Vec<_>>().join(" ");
        let total = content.entry(text.clone()).or_insert(0);
        *total += weight;
        if *total == 0 {
            content.remove(&text);
        }
    }
}
