//! `sluice close`: what was reported stays, what comes later shows beside it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod warehouse_data;

use std::process::Command;

use common::{fail, output, sluice};
use warehouse_data::two_days::{first_visits, morning, noon, second_day};
use warehouse_data::{Transaction, Warehouse};

const ADJUSTMENTS: &str = "SELECT day, metric, reported, current, adjustment
    FROM ads_period_adjustment ORDER BY day, metric";
const CLOSED: &str = "SELECT day, version, metric, value FROM ads_period_closed
    WHERE metric IN ('gmv_gross', 'gmv_paid', 'orders', 'uv') ORDER BY day, metric";

fn close(warehouse: &Warehouse, period: &str, more: &[&str]) -> Command {
    let mut command = sluice();
    command.arg("close").arg(warehouse.project()).arg(period);
    command.arg("--state").arg(warehouse.state()).args(more);
    command
}

#[test]
fn a_closed_day_keeps_its_figures_and_corrections_show_apart() {
    let mut warehouse = Warehouse::start();
    warehouse.send(&first_visits(), &morning());
    let meaning = "SELECT meaning FROM sluice_columns
        WHERE table_name = 'ads_period_adjustment' AND column_name = 'reported'";
    assert_eq!(warehouse.ask(meaning), ["the figure as it was reported"]);
    assert!(
        warehouse
            .page("/docs/ads")
            .contains("<h2 id=\"ads_period_closed\">")
    );
    let said = output(&mut close(&warehouse, "2024-11-10", &[]));
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let before = warehouse.ask(CLOSED);
    assert_eq!(before[0], "2024-11-10,1,gmv_gross,215.0000");
    assert_eq!(before[1], "2024-11-10,1,gmv_paid,0.0000");
    let none: [&str; 0] = [];
    assert_eq!(warehouse.ask(ADJUSTMENTS), none);

    // One order is paid and one cancelled late in the day, and one that was a
    // mistake is deleted: 50.00 of gross less.
    warehouse.send(&[], &noon());
    assert_eq!(warehouse.ask(CLOSED), before);
    let adjustments = warehouse.ask(ADJUSTMENTS);
    let gross = "2024-11-10,gmv_gross,215.0000,165.0000,-50.0000".to_owned();
    let paid = "2024-11-10,gmv_paid,0.0000,115.0000,115.0000".to_owned();
    assert!(adjustments.contains(&gross), "{adjustments:?}");
    assert!(adjustments.contains(&paid), "{adjustments:?}");

    // Once is enough, unless it is meant; the version before is not forgotten.
    let refused = fail(&mut close(&warehouse, "2024-11-10", &[]), 1);
    assert!(
        refused.contains("closed already, in version 1"),
        "{refused}"
    );
    warehouse.send(&[], &second_day());
    let said = output(&mut close(&warehouse, "2024-11", &["--again"]));
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let versions =
        warehouse.ask("SELECT DISTINCT day, version FROM ads_period_closed ORDER BY day");
    assert_eq!(versions, ["2024-11-10,2", "2024-11-11,2"]);
    let gross = "SELECT first_value, value FROM ads_period_closed
        WHERE day = DATE '2024-11-10' AND metric = 'gmv_gross'";
    assert_eq!(warehouse.ask(gross), ["215.0000,165.3000"]);
    assert_eq!(warehouse.ask(ADJUSTMENTS), none);

    // They are in the log: a kill changes nothing.
    let before = warehouse.ask(CLOSED);
    warehouse.kill();
    warehouse.resume();
    warehouse.send(&[], &Transaction::new(900).messages());
    assert_eq!(warehouse.ask(CLOSED), before);

    let refused = fail(&mut close(&warehouse, "last week", &[]), 2);
    assert!(refused.contains("is no period"), "{refused}");
    warehouse.stop();
    let refused = fail(&mut close(&warehouse, "2024-11-11", &["--again"]), 1);
    assert!(refused.contains("in a running warehouse"), "{refused}");
}
