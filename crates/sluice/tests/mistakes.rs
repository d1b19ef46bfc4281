//! The mistakes that warehouses of this kind are known for: `docs/mistakes.md`
//! holds the mistaken statement beside the right one with what both answer, and
//! these tests run them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod warehouse_data;

use std::sync::{Arc, Mutex, Weak};

use common::root;
use serde_json::{Value, json};
use warehouse_data::two_days::{check_audit, filled};
use warehouse_data::{Transaction, Warehouse, at, page};

/// A statement with what it answers.
#[derive(Debug)]
struct Statement {
    is_right: bool,
    answer: String,
    sql: String,
}

/// The statements of a section of the page.
fn statements(section: u32) -> Vec<Statement> {
    let page = std::fs::read_to_string(root().join("docs/mistakes.md")).unwrap();
    let mut found = Vec::new();
    let mut is_section = false;
    let mut open: Option<Statement> = None;
    for line in page.lines() {
        if line.starts_with("## ") {
            is_section = line.starts_with(&format!("## {section}. "));
        } else if line == "```" {
            found.extend(open.take());
        } else if let Some(statement) = &mut open {
            statement.sql.push_str(line);
            statement.sql.push('\n');
        } else if is_section && let Some(head) = line.strip_prefix("-- ") {
            let (kind, answer) = head.split_once(": ").unwrap();
            assert!(["mistaken", "right"].contains(&kind), "{line}");
            open = Some(Statement {
                is_right: kind == "right",
                answer: answer.to_owned(),
                sql: String::new(),
            });
        }
    }
    found
}

static SHARED: Mutex<Weak<Warehouse>> = Mutex::new(Weak::new());

/// The hand-made shop, shared by the tests that run at the same time.
fn shop() -> Arc<Warehouse> {
    let mut shared = SHARED.lock().unwrap();
    if let Some(warehouse) = shared.upgrade() {
        return warehouse;
    }
    let mut warehouse = filled();
    // A third day: somebody searches, and thinks twice of a favourite.
    let mut search = page("e11", "m1", "s6", "app", at(2, 9, 0, 0));
    search["page"] = json!({
        "page_id": "search", "during_time": 900, "item": "Green Tea", "item_type": "keyword",
    });
    let favor = |is_cancelled: &str| {
        json!({
            "id": 1, "user_id": 11, "sku_id": 2, "is_cancel": is_cancelled,
            "create_time": "2024-11-12 09:00:00",
        })
    };
    let old = |is_cancelled: &str| json!({ "is_cancel": is_cancelled });
    let changes = Transaction::new(200)
        .insert("favor_info", favor("0"))
        .update("favor_info", favor("1"), old("0"))
        .update("favor_info", favor("0"), old("1"));
    warehouse.send(&[search], &changes.messages());
    check_audit(&warehouse);
    let warehouse = Arc::new(warehouse);
    *shared = Arc::downgrade(&warehouse);
    warehouse
}

/// Runs the statements of a section, in pairs.
fn check(section: u32) -> Arc<Warehouse> {
    let warehouse = shop();
    let statements = statements(section);
    assert!(
        statements.len() >= 2 && statements.len().is_multiple_of(2),
        "{statements:?}"
    );
    for pair in statements.chunks(2) {
        let [mistaken, right] = pair else {
            panic!("{pair:?}");
        };
        assert!(!mistaken.is_right && right.is_right, "{pair:?}");
        assert_ne!(mistaken.answer, right.answer);
        for statement in pair {
            let sql = &statement.sql;
            assert_eq!(warehouse.ask(sql), [statement.answer.as_str()], "{sql}");
        }
    }
    warehouse
}

macro_rules! mistakes {
    ($($name:ident = $section:literal;)*) => {
        $(
            #[test]
            fn $name() {
                check($section);
            }
        )*
    };
}

mistakes! {
    mistake_01_order_totals_summed_over_lines = 1;
    mistake_02_cancelled_and_refunded_orders_stay = 2;
    mistake_03_joins_forget = 3;
    mistake_04_replayed_rows_count_twice = 4;
    mistake_05_a_replayed_part_replaces_the_window = 5;
    mistake_06_visitors_are_summed = 6;
    mistake_07_new_visitors_are_old_at_once = 7;
    mistake_08_a_horizon_in_the_wrong_unit = 8;
    mistake_09_orders_counted_by_line = 9;
    mistake_10_money_as_floating_point = 10;
    mistake_11_seconds_and_milliseconds = 11;
    mistake_12_sources_in_another_case = 12;
    mistake_13_favourites_made_again = 13;
    mistake_14_deleted_rows_stay = 14;
    mistake_16_days_cut_in_utc = 16;
}

#[test]
fn mistake_15_json_put_together_from_strings() {
    let warehouse = check(15);
    let statements = statements(15);
    let glued = warehouse.ask(&statements[0].sql);
    assert!(serde_json::from_str::<Value>(&glued[0]).is_err());
    let named = warehouse.ask(&statements[1].sql);
    let json = Value::from(named[0].as_str()).to_string();
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), named[0]);
}
