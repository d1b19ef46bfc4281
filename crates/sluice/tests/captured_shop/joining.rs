//! Tables are added to a source's settings while the shop writes at full speed.

use crate::asker::Asker;
use crate::common::{ask, succeed};
use crate::database::Database;
use crate::tables::assert_same;
use crate::traffic::{MOVING, Traffic};
use crate::world::{World, wait};
use crate::{PROJECT, sources};

/// Those that join, in this order: the first while everything runs, the others around a
/// kill.
const JOINING: [&str; 3] = ["order_info", "cart_info", "order_detail"];

/// Accounts with what is on them, once the tables of the beginning are whole.
const QUESTION: &str = "SELECT c.n, a.n, a.cents FROM (SELECT count(*) AS n FROM zz_copied) AS c CROSS JOIN (SELECT count(*) AS n, sum(cents) AS cents FROM account) AS a";

pub fn tables_join_at_full_speed(database: Database) {
    let (traffic, mut tables) = Traffic::start(&database);
    tables.sort_by_key(|table| {
        let place = JOINING.iter().position(|name| *name == table.name);
        place.map_or(0, |place| place + 1)
    });
    let at_first = tables.len() - JOINING.len();
    let world = World::with(PROJECT);
    world.model(
        "money",
        "CREATE MATERIALIZED VIEW money AS SELECT count(*) AS accounts, sum(cents) AS cents FROM account",
    );
    // So many of them are in the settings.
    let define = |count: usize| {
        let tables = &tables[..count];
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let (topic, capture) = (
            "[topic.shop]\nunplaced = \"drop\"\n",
            database.capture(&names),
        );
        let is_postgres = database.is_postgres();
        world.sources("shop", &sources(topic, &capture, tables, is_postgres));
    };
    define(at_first);
    let state = world.state();
    let goes_on = || {
        let before = ask(&state, MOVING);
        wait("the other tables go on", || ask(&state, MOVING) != before);
    };
    let asker = Asker::start(QUESTION, &["20", "20000"]);
    let running = world.start();
    asker.turn_to(&running.http);
    asker.wait_for(10);

    define(at_first + 1);
    goes_on();
    let is_copied = |table: &str| running.said().contains(&format!(".{table} is copied"));
    wait("a table joins", || is_copied("order_info"));
    goes_on();
    asker.wait_for(10);
    let of_accounts = running.said().matches(".account is copied").count();
    assert_eq!(of_accounts, 1, "the others are not copied again");

    define(tables.len());
    wait("two more begin to join", || {
        running.said().contains(".cart_info")
    });
    // With SIGKILL.
    running.kill();
    let running = world.start();
    asker.turn_to(&running.http);
    let last = "SELECT count(*) > 0 FROM order_detail";
    wait("they go on to join", || world.says(last, "true"));
    goes_on();
    asker.wait_for(10);

    let written = traffic.end();
    assert!(written > 100, "{written} transactions were written");
    for table in &tables {
        assert_same(&database, &state, table);
    }
    assert_eq!(ask(&state, "SELECT * FROM money"), ["20,20000"]);
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&state, letters), ["0"]);
    let asked = asker.end();
    assert!(asked >= 30, "it was asked {asked} times");
    assert!(running.stop().success());
    succeed(&mut world.replay());
    eprintln!("{written} transactions, asked {asked} times");
}
