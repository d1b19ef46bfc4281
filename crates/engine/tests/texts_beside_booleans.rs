//! Texts that are written beside truth values, in materialized views.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use sluice_engine::Program;

use crate::common::{Row, Warehouse, delete, tables, upsert, views};

const ORDERS: &[Row] = &[(1, "a", Some(0), 5), (2, "b", Some(0), -5)];

/// A view over the column `flag`, which is true of the first order alone.
fn over_flags(condition: &str) -> String {
    format!("SELECT id FROM (SELECT id, k, n > 0 AS flag FROM orders) AS o WHERE {condition}")
}

#[test]
fn texts_that_are_written_are_truth_values() {
    for (condition, found) in [
        ("flag = 't'", "1"),
        ("flag = 'No'", "2"),
        ("flag IN ('off', '0')", "2"),
        ("flag IS DISTINCT FROM 'f'", "1"),
        ("CASE flag WHEN 'yes' THEN false ELSE 'on' END", "2"),
        ("flag AND 'on'", "1"),
    ] {
        let select = over_flags(condition);
        let mut warehouse = Warehouse::new(&[select.as_str()]);
        warehouse.epoch(vec![upsert("orders", ORDERS, 1)]);
        assert_eq!(warehouse.of("v"), [found], "{condition}");
        warehouse.epoch(vec![delete("orders", ORDERS, 2)]);
        assert!(warehouse.of("v").is_empty(), "{condition}");
    }
}

#[test]
fn other_texts_are_refused_with_the_model() {
    for (condition, problem) in [
        ("flag = 'maybe'", "to value of Boolean type"),
        ("flag = k", "Boolean = Utf8"),
    ] {
        let select = over_flags(condition);
        let errors = Program::plan(&tables(), &views(&[select.as_str()])).unwrap_err();
        let message = &errors[0].message;
        assert!(message.contains(problem), "{condition}: {message}");
    }
}
