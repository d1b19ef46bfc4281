//! `sources/*.toml` changes while the warehouse works, and while it is killed:
//! in the end every table and view equals a run under the last definitions from
//! the start, and readers never see a table that is half filled.

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

use common::{ask, sluice, succeed};
use world::{World, wait, write};

const SALES: &str = r#"
[topic.sales]
[topic.sales.capture]
kind = "file"
path = "sales*.ndjson"
format = "ndjson"

[table.sale]
topic = "sales"
columns = [
  { name = "number", from = "/n", type = "int64" },
  { name = "shop", from = "/shop", type = "int64", max = 90 },
]
"#;

const VISITS: &str = r#"
[topic.visits]
[topic.visits.capture]
kind = "file"
path = "visits*.ndjson"
format = "ndjson"

[table.visit]
topic = "visits"
columns = [{ name = "number", from = "/n", type = "int64" }]
"#;

const BY_SHOP: &str = "CREATE MATERIALIZED VIEW by_shop AS
SELECT shop, count(*) AS sales FROM sale GROUP BY shop";
const OTHERS: &str = "CREATE MATERIALIZED VIEW letters AS
SELECT table_name, count(*) AS letters FROM sluice_dead_letters GROUP BY table_name";

fn new_world() -> World {
    let world = World::with(
        "name = \"changing\"\n[limits]\ncheckpoint_interval_ms = 50\nepoch_records_max = 500\n",
    );
    world.sources("sales", SALES);
    world.model("by_shop", BY_SHOP);
    world.model("letters", OTHERS);
    world
}

impl World {
    /// Numbers from `from` on, spread over 100 shops.
    fn feed(&self, topic: &str, file: usize, from: usize, count: usize) {
        let line = |number: usize| format!("{{\"n\":{number},\"shop\":{}}}\n", number % 100);
        let lines: String = (from..from + count).map(line).collect();
        let path = self.project().join(format!("{topic}{file:04}.ndjson"));
        write(&path, &lines);
    }

    fn status(&self) -> String {
        succeed(sluice().arg("status").arg("--state").arg(self.state()))
    }
}

#[test]
fn tables_and_sources_come_change_and_go_while_the_warehouse_works() {
    let world = new_world();
    world.feed("sales", 0, 0, 3_000);
    let running = world.start();
    let count = "SELECT count(*) FROM sale";
    wait("all sales", || world.says(count, "2730"));
    assert!(world.says("SELECT sum(letters) FROM letters", "270"));

    // A table of the topic with its history, one that begins now, and a source.
    let more = r#"
[table.even_shop]
topic = "sales"
columns = [{ name = "shop", from = "/shop", type = "int64" }]

[table.from_now_on]
topic = "sales"
history = "none"
columns = [{ name = "number", from = "/n", type = "int64" }]
"#;
    let more = format!("{more}{VISITS}");
    let more = more.as_str();
    world.feed("visits", 0, 0, 700);
    world.sources("more", more);
    let mut seen: Vec<Vec<String>> = Vec::new();
    wait("the new table", || {
        seen.extend(world.is_answered("SELECT count(*) FROM even_shop"));
        !seen.is_empty()
    });
    assert_eq!(seen[0], ["3000"], "it was seen half filled");
    assert!(world.says("SELECT count(*) FROM from_now_on", "0"));
    wait("visits", || world.says("SELECT count(*) FROM visit", "700"));
    world.feed("sales", 1, 3_000, 1_000);
    wait("more sales", || world.says(count, "3640"));
    let begins = "SELECT min(number), count(*) FROM from_now_on";
    assert!(world.says(begins, "3000,1000"));

    // Wrong files are refused, and nothing changes.
    world.sources("more", &more.replace("int64", "number"));
    wait("the refusal", || world.status().contains("is refused"));
    let said = world.status();
    assert!(
        said.contains("more.toml:") && said.contains("no type"),
        "{said}"
    );
    world.feed("sales", 2, 4_000, 1_000);
    wait("more sales", || world.says(count, "4550"));

    // A column and a limit change, with the view; a table and a source go.
    let changed = SALES.replace("max = 90", "max = 95").replace(
        "{ name = \"number\"",
        "{ name = \"text\", from = \"/n\", type = \"string\" },\n  { name = \"number\"",
    );
    let fewer = &more[..more.find("[topic.visits]").unwrap()];
    world.sources("more", fewer);
    world.sources("sales", &changed);
    wait("the new column", || {
        world.says("SELECT max(text) FROM sale WHERE number < 50", "9")
    });
    assert!(world.says(count, "4800"));
    assert!(world.says("SELECT sum(sales) FROM by_shop", "4800"));
    assert!(world.says(
        "SELECT letters FROM letters WHERE table_name = 'sale'",
        "200"
    ));
    assert_eq!(world.is_answered("SELECT count(*) FROM visit"), None);
    assert!(world.says(begins, "3000,2000"));
    assert!(!world.status().contains("is refused"));
    let said = running.kill();
    assert!(
        said.contains("the new definitions hold from epoch"),
        "{said}"
    );
    assert!(!said.contains("computing everything again"), "{said}");

    // After a kill it stands where it stood.
    let running = world.start();
    assert!(world.says(begins, "3000,2000"));
    assert!(world.says("SELECT sum(sales) FROM by_shop", "4800"));
    let said = running.kill();
    assert!(!said.contains("computing everything again"), "{said}");
    succeed(&mut world.until_idle());
    succeed(&mut world.replay());
}

#[test]
fn a_new_source_whose_folder_is_missing_fails_alone_until_it_is_there() {
    let world = new_world();
    world.feed("sales", 0, 0, 1_000);
    let running = world.start();
    let count = "SELECT count(*) FROM sale";
    wait("all sales", || world.says(count, "910"));
    world.sources("visits", &VISITS.replace("visits*", "arriving/visits*"));
    let state = "SELECT state FROM sluice_sources WHERE source = 'visits'";
    wait("the source to fail", || world.says(state, "failing"));
    world.feed("sales", 1, 1_000, 1_000);
    wait("more sales", || world.says(count, "1820"));
    world.feed("arriving/visits", 0, 0, 70);
    wait("visits", || world.says("SELECT count(*) FROM visit", "70"));
    wait("the source to run", || world.says(state, "running"));
    running.kill();
}

#[test]
fn a_change_that_needs_a_part_of_the_log_that_is_gone_is_refused() {
    let world = new_world();
    write(
        &world.project().join("warehouse.toml"),
        "name = \"changing\"\n[limits]\ncheckpoint_interval_ms = 50\n[log]\nretain_bytes = 1\nsegment_bytes_max = 2000\n",
    );
    let running = world.start();
    for file in 0..4 {
        world.feed("sales", file, file * 1_000, 1_000);
        let count = ((file + 1) * 910).to_string();
        wait("sales", || world.says("SELECT count(*) FROM sale", &count));
    }
    let first = world
        .state()
        .join("log/topics/sales/00000/00000000000000000000.seg");
    let folder = first.parent().unwrap();
    wait("a part of the log is dropped", || {
        let oldest = std::fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().file_name());
        !oldest
            .min()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("0000000000000000000")
    });
    let late = "\n[table.late]\ntopic = \"sales\"\ncolumns = [{ name = \"number\", from = \"/n\", type = \"int64\" }]\n";
    world.sources("late", late);
    wait("the refusal", || world.status().contains("is refused"));
    let said = world.status();
    assert!(said.contains("history = \"none\""), "{said}");
    // As it says.
    world.sources(
        "late",
        &late.replace("columns", "history = \"none\"\ncolumns"),
    );
    wait("the table", || world.says("SELECT count(*) FROM late", "0"));
    world.feed("sales", 9, 9_000, 1_000);
    wait("its rows", || {
        world.says("SELECT count(*) FROM late", "1000")
    });
    running.kill();
    let running = world.start();
    wait("its rows", || {
        world.says("SELECT min(number) FROM late", "9000")
    });
    running.kill();
}

#[test]
fn a_kill_at_any_moment_gives_the_old_tables_or_the_new() {
    let world = new_world();
    let variants = ["max = 90", "max = 80", "max = 99, min = 3"];
    let rounds = 9;
    world.feed("sales", 0, 0, 4_000);
    for round in 0..rounds {
        let running = world.start();
        world.feed("sales", round + 1, (round + 1) * 4_000, 4_000);
        let variant = variants[(round + 1) % variants.len()];
        world.sources("sales", &SALES.replace("max = 90", variant));
        // From the look at the files to long after the change.
        std::thread::sleep(Duration::from_millis(
            150 + 130 * (round as u64 * 5 % rounds as u64),
        ));
        running.kill();
    }
    world.sources("sales", &SALES.replace("max = 90", "max = 49"));
    succeed(&mut world.until_idle());
    let total = ((rounds + 1) * 2_000).to_string();
    assert_eq!(
        ask(&world.state(), "SELECT count(*) FROM sale"),
        std::slice::from_ref(&total)
    );
    assert_eq!(
        ask(&world.state(), "SELECT sum(sales) FROM by_shop"),
        std::slice::from_ref(&total)
    );
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&world.state(), letters), [total]);
    succeed(&mut world.replay());
}
