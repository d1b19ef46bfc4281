//! `sluice check --audit`, and sessions of clients that name none.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod warehouse_data;

use std::process::Command;

use common::{fail, output, sluice};
use serde_json::{Value, json};
use warehouse_data::two_days::{first_visits, line, morning, order};
use warehouse_data::{Transaction, Warehouse, at, page};

fn audit(warehouse: &Warehouse) -> Command {
    let mut command = sluice();
    command.arg("check").arg(warehouse.project()).arg("--audit");
    command.arg("--state").arg(warehouse.state());
    command
}

#[test]
fn violated_audits_are_named_while_it_runs_and_when_it_is_stopped() {
    let mut warehouse = Warehouse::start();
    warehouse.send(&first_visits(), &morning());
    let audited = output(&mut audit(&warehouse));
    let said = String::from_utf8_lossy(&audited.stderr).into_owned();
    assert!(audited.status.success(), "{said}");
    assert!(said.contains("audits are empty"), "{said}");

    // A total that is not its lines, and a line that is not pieces times price.
    let wrong = Transaction::new(150)
        .insert(
            "order_info",
            order(20, 11, 1, "app", "2024-11-10 13:00:00", "70.00"),
        )
        .insert("order_detail", line(120, 20, 1, "Cup", 2, "30.00", "50.00"));
    warehouse.send(&[], &wrong.messages());
    let check = |warehouse: &Warehouse| {
        let said = fail(&mut audit(warehouse), 1);
        assert!(said.contains("audit_order_total is not empty"), "{said}");
        assert!(said.contains("| 20 "), "{said}");
        let violated = "audits are violated: audit_gmv_window, audit_order_line, audit_order_total";
        assert!(said.contains(violated), "{said}");
    };
    check(&warehouse);
    warehouse.stop();
    check(&warehouse);
}

/// A page view without a session, minutes after nine.
fn view(id: &str, minute: i64, last_page: Option<&str>) -> Value {
    let mut view = page(id, "m1", "", "app", at(0, 9, minute, 0));
    view["common"].as_object_mut().unwrap().remove("sid");
    if let Some(last_page) = last_page {
        view["page"]["last_page_id"] = json!(last_page);
    }
    view
}

#[test]
fn clients_without_sessions_get_some() {
    let mut warehouse = Warehouse::start();
    let views = [
        view("e1", 0, None),
        view("e2", 5, Some("home")),
        view("e3", 36, Some("home")),
        view("e4", 40, None),
    ];
    warehouse.send(&views, &[]);
    let sessions = "SELECT first_time, pages FROM dwd_traffic_session ORDER BY first_time";
    assert_eq!(
        warehouse.ask(sessions),
        [
            "2024-11-10T09:00:00+08:00,2",
            "2024-11-10T09:36:00+08:00,1",
            "2024-11-10T09:40:00+08:00,1",
        ]
    );
    // One that comes late closes the pause.
    warehouse.send(&[view("e5", 20, Some("home"))], &[]);
    assert_eq!(
        warehouse.ask(sessions),
        ["2024-11-10T09:00:00+08:00,4", "2024-11-10T09:40:00+08:00,1"]
    );
    let day = "SELECT pv, uv, sessions FROM ads_live_day";
    assert_eq!(warehouse.ask(day), ["5,1,2"]);
    warehouse_data::two_days::check_audit(&warehouse);
}
