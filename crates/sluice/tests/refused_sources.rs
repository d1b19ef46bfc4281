//! A source that is refused while the warehouse works fails alone: everything else goes
//! on, it is told why, also after a restart, and the source goes on where it was once
//! somebody has mended what is wrong. Whoever starts a source for the first time is told
//! at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes files"
)]

mod common;
#[path = "../../postgres/tests/common/mod.rs"]
mod postgres;
#[path = "common/world.rs"]
mod world;

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use common::{fail, run_command, succeed};
use world::{World, wait};

/// A table of the shop's database, read by a user who may read what he is granted.
fn goods(port: u16) -> String {
    format!(
        r#"[topic.shop.capture]
kind = "postgres"
host = "127.0.0.1"
port = {port}
database = "shop"
user = "reader"
publications = ["sluice"]

[topic.shop]
unplaced = "drop"

[table.goods]
topic = "shop"
when = [{{ field = "/table", equals = "goods" }}]
row = "/data"
before = "/old"
primary_key = ["id"]
change_kind = {{ field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }}
columns = [
  {{ name = "id", from = "./id", type = "int64" }},
  {{ name = "name", from = "./name", type = "string", missing = "null" }},
]
"#
    )
}

const VISITS: &str = r#"
[topic.visits]
[topic.visits.capture]
kind = "file"
path = "visits.ndjson"
format = "ndjson"

[table.visit]
topic = "visits"
columns = [{ name = "number", from = "/n", type = "int64" }]
"#;

const NAMES: &str = "SELECT count(*), min(name) FROM goods";
const STATES: &str = "SELECT string_agg(state, ' ' ORDER BY source) FROM sluice_sources";

#[test]
fn a_source_that_is_refused_fails_alone_until_it_is_mended() {
    let Some(server) = postgres::Server::start(&[]) else {
        return;
    };
    server.run(
        "CREATE TABLE goods (id bigint PRIMARY KEY, name text);
         INSERT INTO goods VALUES (1, 'tea'), (2, 'rice');
         CREATE ROLE reader LOGIN REPLICATION",
    );
    let world = World::with("name = \"refused\"\n");
    let mut count = 0;
    let mut visit = || {
        let visits = world.project().join("visits.ndjson");
        let mut file = OpenOptions::new().create(true).append(true).open(visits);
        count += 1;
        writeln!(file.as_mut().unwrap(), "{{\"n\": {count}}}").unwrap();
        let counted = || world.says("SELECT count(*) FROM visit", &count.to_string());
        (count > 1).then(|| wait("the visit", counted));
    };
    visit();
    world.sources("visits", VISITS);
    world.sources("shop", &goods(server.address.port));

    // What was never read is told at once.
    let mut first = run_command(&world.project(), &world.state());
    let error = fail(&mut first, 1);
    let refusal = "user `reader` may not read public.goods";
    assert!(error.contains(refusal), "{error}");
    assert!(error.contains("help: GRANT"), "{error}");

    server.run("GRANT SELECT ON goods TO reader");
    let running = world.start();
    wait("the copy", || world.says(NAMES, "2,rice"));
    // Somebody makes a table and forgets who should read it.
    server.run("CREATE TABLE note (id int PRIMARY KEY); INSERT INTO note VALUES (1)");
    wait("failing", || world.says(STATES, "failing running"));
    let error = "SELECT error LIKE '%user `reader` may not read public.note%GRANT%', failing_since IS NOT NULL FROM sluice_sources WHERE source = 'shop'";
    assert!(world.says(error, "true,true"));
    server.run("UPDATE goods SET name = 'oil' WHERE id = 2");
    visit();
    // It is tried again meanwhile, and that is not told each time.
    std::thread::sleep(Duration::from_secs(11));
    assert!(world.says(STATES, "failing running"));
    let said = running.kill();
    assert_eq!(
        said.matches("may not read public.note").count(),
        1,
        "{said}"
    );
    assert!(said.contains("it is tried again every 5 s, all other sources go on"));

    // A restart, while it is refused, is none for the others.
    let running = world.start();
    visit();
    wait("failing", || world.says(STATES, "failing running"));
    assert!(world.says(error, "true,true"));
    visit();
    // Whoever wants everything to be read is told that it is not.
    assert!(running.stop().success());
    let error = fail(&mut world.until_idle(), 1);
    assert!(error.contains("may not read public.note"), "{error}");

    let running = world.start();
    wait("failing", || world.says(STATES, "failing running"));
    server.run("GRANT SELECT ON note TO reader");
    wait("the change", || world.says(NAMES, "2,oil"));
    wait("running", || world.says(STATES, "running running"));
    let error = "SELECT count(*) FROM sluice_sources WHERE error IS NOT NULL";
    assert!(world.says(error, "0"));
    server.run("INSERT INTO goods VALUES (3, 'jam')");
    wait("the new row", || world.says(NAMES, "3,jam"));
    visit();
    assert!(running.stop().success());
    succeed(&mut world.replay());
}
