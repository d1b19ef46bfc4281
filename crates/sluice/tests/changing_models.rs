//! Models change while the warehouse works, and while it is killed: in the end
//! every view equals a run under the last models from the start, what does not
//! depend on a change stays, and readers never see a view that is half filled.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;
#[path = "common/world.rs"]
mod world;

use std::time::Duration;

use common::{ask, run_command, sluice, succeed};
use world::{World, wait, write};

const SOURCES: &str = r#"
[topic.sales]
[topic.sales.capture]
kind = "file"
path = "*.ndjson"
format = "ndjson"

[table.sale]
topic = "sales"
columns = [
  { name = "number", from = "/n", type = "int64" },
  { name = "shop", from = "/shop", type = "int64" },
  { name = "pieces", from = "/pieces", type = "int64" },
]
"#;

const BY_SHOP: &str = "CREATE MATERIALIZED VIEW by_shop AS
SELECT shop, count(*) AS sales, sum(pieces) AS pieces FROM sale GROUP BY shop";
const TOTAL: &str = "CREATE MATERIALIZED VIEW total AS
SELECT sum(sales) AS sales, sum(pieces) AS pieces FROM by_shop";
const BUSY: &str = "CREATE VIEW busy AS SELECT shop FROM by_shop WHERE sales > 10";

fn sales(from: usize, count: usize) -> String {
    let line = |number: usize| {
        let (shop, pieces) = (number % 97, number % 7);
        format!("{{\"n\":{number},\"shop\":{shop},\"pieces\":{pieces}}}\n")
    };
    (from..from + count).map(line).collect()
}

fn new_world() -> World {
    let world = World::with(
        "name = \"changing\"\n[limits]\ncheckpoint_interval_ms = 50\nepoch_records_max = 500\n",
    );
    world.sources("sales", SOURCES);
    world.model("by_shop", BY_SHOP);
    world.model("total", TOTAL);
    world.model("busy", BUSY);
    world
}

impl World {
    fn feed(&self, file: usize, count: usize) {
        let path = self.project().join(format!("{file:04}.ndjson"));
        write(&path, &sales(file * count, count));
    }

    /// All rows, sorted, of a run that began with today's models.
    fn computed_anew(&self, sql: &str) -> Vec<String> {
        let state = self.folder().join("scratch");
        let _ = std::fs::remove_dir_all(&state);
        succeed(run_command(&self.project(), &state).arg("--until-idle"));
        ask(&state, sql)
    }
}

#[test]
fn models_change_while_the_warehouse_works() {
    let world = new_world();
    world.feed(0, 3_000);
    let running = world.start();
    let sales = || world.is_answered("SELECT sales FROM total");
    wait("all sales", || sales() == Some(vec!["3000".into()]));

    // A new view, and one that reads another view.
    world.model(
        "by_pieces",
        "CREATE MATERIALIZED VIEW by_pieces AS SELECT pieces, count(*) AS sales FROM sale GROUP BY pieces",
    );
    world.model(
        "best_shop",
        "CREATE MATERIALIZED VIEW best_shop AS SELECT shop, pieces FROM by_shop ORDER BY pieces DESC, shop LIMIT 1",
    );
    let by_pieces = "SELECT sum(sales) FROM by_pieces";
    let mut seen: Vec<Vec<String>> = Vec::new();
    wait("the new view", || {
        seen.extend(world.is_answered(by_pieces));
        !seen.is_empty()
    });
    assert_eq!(seen[0], ["3000"], "it was seen half filled");

    // An invalid model is refused; the warehouse goes on.
    world.model(
        "by_pieces",
        "CREATE MATERIALIZED VIEW by_pieces AS SELECT nothing FROM sale",
    );
    let status = || {
        let state = world.state();
        succeed(sluice().arg("status").arg("--state").arg(&state))
    };
    wait("the refusal", || status().contains("is refused"));
    let said = status();
    assert!(said.contains("by_pieces.sql:1:"), "{said}");
    world.feed(1, 3_000);
    wait("more sales", || sales() == Some(vec!["6000".into()]));
    assert_eq!(world.is_answered(by_pieces), Some(vec!["6000".into()]));

    // Columns change, a view goes, a query view changes.
    std::fs::remove_file(world.project().join("models/best_shop.sql")).unwrap();
    world.model(
        "by_pieces",
        "CREATE MATERIALIZED VIEW by_pieces AS SELECT pieces, count(*) AS sales, max(number) AS newest FROM sale GROUP BY pieces",
    );
    world.model(
        "busy",
        "CREATE VIEW busy AS SELECT shop, sales FROM by_shop WHERE sales > 61",
    );
    wait("the new column", || {
        world.is_answered("SELECT max(newest) FROM by_pieces") == Some(vec!["5999".into()])
    });
    assert_eq!(world.is_answered("SELECT count(*) FROM best_shop"), None);
    assert!(!status().contains("is refused"));
    let busy = "SELECT shop, sales FROM busy ORDER BY shop";
    let found = world.is_answered(busy).unwrap();
    let said = running.kill();
    assert!(
        said.contains("the new definitions hold from epoch"),
        "{said}"
    );
    assert!(!said.contains("computing everything again"), "{said}");
    assert!(!found.is_empty());
    assert_eq!(found, world.computed_anew(busy));

    // After a kill it stands where it stood.
    let running = world.start();
    assert_eq!(
        world.is_answered("SELECT max(newest) FROM by_pieces"),
        Some(vec!["5999".into()])
    );
    let said = running.kill();
    assert!(!said.contains("computing everything again"), "{said}");
    succeed(&mut world.replay());
}

#[test]
fn models_that_changed_while_it_was_stopped_are_computed_from_the_checkpoint() {
    let world = new_world();
    world.feed(0, 2_000);
    succeed(&mut world.until_idle());
    world.model(
        "total",
        "CREATE MATERIALIZED VIEW total AS SELECT count(*) AS shops, sum(sales) AS sales FROM by_shop",
    );
    let output = common::output(&mut world.until_idle());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("computed: total\n"), "{said}");
    assert!(!said.contains("computing everything again"), "{said}");
    assert_eq!(
        ask(&world.state(), "SELECT shops, sales FROM total"),
        ["97,2000"]
    );
    succeed(&mut world.replay());
}

#[test]
fn a_kill_at_any_moment_gives_the_old_models_or_the_new() {
    let world = new_world();
    let variants = [
        BY_SHOP,
        "CREATE MATERIALIZED VIEW by_shop AS SELECT shop, count(*) AS sales, sum(pieces) AS pieces, min(number) AS first FROM sale GROUP BY shop",
        "CREATE MATERIALIZED VIEW by_shop AS SELECT shop, count(*) AS sales, sum(pieces) AS pieces, max(number) AS last FROM sale WHERE number >= 0 GROUP BY shop",
    ];
    let rounds = 12;
    world.feed(0, 4_000);
    for round in 0..rounds {
        let running = world.start();
        world.feed(round + 1, 4_000);
        world.model("by_shop", variants[(round + 1) % variants.len()]);
        // From the look at the files to long after the change.
        std::thread::sleep(Duration::from_millis(
            150 + 130 * (round as u64 * 5 % rounds as u64),
        ));
        running.kill();
    }
    succeed(&mut world.until_idle());
    let all = "SELECT * FROM by_shop ORDER BY shop";
    assert_eq!(
        ask(&world.state(), "SELECT sales FROM total"),
        [((rounds + 1) * 4_000).to_string()]
    );
    assert_eq!(ask(&world.state(), all), world.computed_anew(all));
    succeed(&mut world.replay());
}
