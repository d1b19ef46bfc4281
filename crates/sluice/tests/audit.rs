//! `sluice check --audit`, and sessions of clients that name none.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod warehouse_data;

use std::process::Command;
use std::time::Duration;

use common::{fail, output, sluice};
use serde_json::{Value, json};
use warehouse_data::two_days::{first_visits, line, morning, noon, order};
use warehouse_data::{Transaction, Warehouse, at, page, replace};

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

/// Three models are mistaken: each has its audit, on the command line and as a
/// number.
#[test]
fn mistaken_models_are_found_and_counted() {
    let mut warehouse = Warehouse::start_changed(|project| {
        let interval = "[alarms]\naudits_every = \"1 second\"\n\n[settings]\n";
        replace(project, "warehouse.toml", "[settings]\n", interval);
        // A payment need not follow what is ordered.
        let funnel = "models/ads/ads_funnel_day.sql";
        replace(project, funnel, "FROM step4 AS s", "FROM step1 AS s");
        // Payments count twice.
        let payments = "models/dws/dws_trade_payment_suc_window.sql";
        let twice = "goods_amount + goods_amount AS amount";
        replace(project, payments, "goods_amount AS amount", twice);
        // Goods count instead of how often they were put in carts.
        let carts = "models/dws/dws_trade_cart_add_uu_window.sql";
        let goods = "count(DISTINCT sku_id) AS cart_add_ct";
        replace(project, carts, "count(*) AS cart_add_ct", goods);
    });
    let mut paying = page("e2", "m1", "s1", "app", at(0, 9, 1, 0));
    paying["page"] = json!({"page_id": "payment", "last_page_id": "home"});
    let cart = |id: i64| {
        json!({"id": id, "user_id": 11, "sku_id": 1, "cart_price": "1.00", "sku_num": 1,
               "create_time": "2024-11-10 09:00:00"})
    };
    let carts = Transaction::new(150)
        .at(at(0, 9, 0, 0))
        .insert("cart_info", cart(1))
        .insert("cart_info", cart(2));
    let changes = [morning(), noon(), carts.messages()].concat();
    let views = [page("e1", "m1", "s1", "app", at(0, 9, 0, 0)), paying];
    warehouse.send(&views, &changes);
    let said = fail(&mut audit(&warehouse), 1);
    let violated = "audits are violated: audit_funnel, audit_net_grain, audit_window_sum\n";
    assert!(said.contains(violated), "{said}");
    let rows = warehouse.ask("SELECT day, step, closed_uv, closed_uv_before FROM audit_funnel");
    assert_eq!(rows, ["2024-11-10,5,1,0"]);
    let rows = warehouse.ask("SELECT * FROM audit_net_grain");
    assert_eq!(rows, ["2024-11-10,paid, window,115.00,230.00"]);
    let rows = warehouse.ask("SELECT * FROM audit_window_sum");
    assert_eq!(rows, ["2024-11-10,carts,2,1"]);

    let expected = [
        "sluice_audit_rows{audit=\"audit_funnel\"} 1",
        "sluice_audit_rows{audit=\"audit_net_grain\"} 1",
        "sluice_audit_rows{audit=\"audit_window_sum\"} 1",
        "sluice_audit_rows{audit=\"audit_gmv\"} 0",
    ];
    let mut metrics = String::new();
    for _ in 0..400 {
        metrics = warehouse.page("/metrics");
        if expected.iter().all(|line| metrics.contains(line)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{metrics}");
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
