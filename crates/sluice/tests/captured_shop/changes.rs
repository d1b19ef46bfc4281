//! Definitions of tables change while they are written at full speed, a table takes
//! another one's name, and the server throws away what was read of its log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::asker::{Asker, COPIED_LAST, MAKE_COPIED_LAST};
use crate::common::{Running, ask, ask_long_until, ask_until, replay_command, succeed};
use crate::database::{Database, Place};
use crate::tables::{Table, assert_same};
use crate::{sources, write_project};

const ITEMS: i64 = 200;

/// Each transaction adds a number to an item and notes it.
const QUESTION: &str = "SELECT c.n, i.n - o.n FROM (SELECT count(*) AS n FROM zz_copied) AS c CROSS JOIN (SELECT coalesce(sum(n), 0) AS n FROM item) AS i CROSS JOIN (SELECT coalesce(sum(n), 0) AS n FROM note) AS o";

const MODELS: [(&str, &str); 1] = [(
    "by_item",
    "SELECT i.id, i.name, count(*) AS notes, sum(o.n) AS n FROM item AS i JOIN note AS o ON o.item = i.id GROUP BY i.id, i.name",
)];

/// Statements that are run together; those of them in which a lock came between are
/// undone with their connection, and run again.
fn change(database: &Database, statements: &[&str]) {
    let mut said = String::new();
    for _ in 0..100 {
        let mut client = database.place().connect().unwrap();
        let failed = statements.iter().find_map(|sql| client.query(sql).err());
        let Some(error) = failed else { return };
        said = error;
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{statements:?}: {said}");
}

/// Writes as fast as the server takes it; gives the number of transactions.
fn write_until(stop: &AtomicBool, place: &Place) -> u64 {
    let (mut number, mut written) = (0_i64, 0);
    while !stop.load(Ordering::SeqCst) {
        let Some(mut client) = place.connect() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        while !stop.load(Ordering::SeqCst) {
            number += 1;
            let item = number * 7 % ITEMS + 1;
            // Every third number is put into the cart, and every other of those taken
            // out later.
            let of_cart = match number % 6 {
                2 | 5 => format!("INSERT INTO cart (id, n) VALUES ({number}, 0)"),
                1 => format!("DELETE FROM cart WHERE id = {}", number - 32),
                4 => format!("UPDATE cart SET n = n + 2 WHERE id = {}", number - 17),
                _ => format!("UPDATE cart SET n = n + 1 WHERE id = {}", number - 10),
            };
            let statements = [
                "BEGIN",
                &format!("UPDATE item SET n = n + {number}, name = 'né{number}' WHERE id = {item}"),
                &format!("INSERT INTO note (id, item, n) VALUES ({number}, {item}, {number})"),
                &of_cart,
                "COMMIT",
            ];
            if statements.iter().any(|sql| client.query(sql).is_err()) {
                break;
            }
            written += 1;
        }
    }
    written
}

fn tables() -> Vec<Table> {
    let tables: [(&str, &[(&str, &str)]); 4] = [
        ("cart", &[("id", "bigint"), ("n", "int")]),
        (
            "item",
            &[
                ("id", "int"),
                ("n", "bigint"),
                ("name", "varchar"),
                ("extra", "int"),
                ("title", "varchar"),
            ],
        ),
        (
            "note",
            &[("id", "bigint"), ("item", "int"), ("n", "bigint")],
        ),
        (COPIED_LAST, &[("id", "int")]),
    ];
    let owned = |&(name, kind): &(&str, &str)| (name.to_owned(), kind.to_owned());
    let table = |(name, columns): (&str, &[(&str, &str)])| Table {
        name: name.to_owned(),
        columns: columns.iter().map(owned).collect(),
    };
    tables.into_iter().map(table).collect()
}

fn make_tables(database: &Database) {
    let items = (1..=ITEMS).map(|id| format!("({id}, 0, 'first', 'l{id}', {id})"));
    let items: Vec<String> = items.collect();
    change(
        database,
        &["CREATE TABLE cart (id BIGINT PRIMARY KEY, n INT NOT NULL)"],
    );
    change(
        database,
        &["CREATE TABLE note (id BIGINT PRIMARY KEY, item INT NOT NULL, n BIGINT NOT NULL)"],
    );
    change(
        database,
        &[
            "CREATE TABLE item (id INT PRIMARY KEY, n INT NOT NULL, name VARCHAR(20), label VARCHAR(20), unused INT)",
        ],
    );
    change(
        database,
        &[&format!("INSERT INTO item VALUES {}", items.join(", "))],
    );
    for statement in MAKE_COPIED_LAST {
        change(database, &[statement]);
    }
    // So that the server can say how many rows there are.
    change(
        database,
        &[match database {
            Database::MySql(_) => "ANALYZE TABLE item",
            Database::Postgres(_) => "ANALYZE item",
        }],
    );
}

/// Changes a table's columns in the middle of what is written to it.
fn alter_item(database: &Database) {
    let widen = match database {
        Database::MySql(_) => "ALTER TABLE item MODIFY n BIGINT NOT NULL, MODIFY name VARCHAR(200)",
        Database::Postgres(_) => {
            "ALTER TABLE item ALTER n TYPE bigint, ALTER name TYPE varchar(200)"
        }
    };
    for statement in [
        "ALTER TABLE item ADD COLUMN extra INT NOT NULL DEFAULT 7",
        widen,
        "ALTER TABLE item RENAME COLUMN label TO title",
        "ALTER TABLE item DROP COLUMN unused",
    ] {
        change(database, &[statement]);
        std::thread::sleep(Duration::from_millis(300));
    }
    // More than the columns held before.
    change(
        database,
        &[
            "BEGIN",
            "UPDATE item SET n = n + 3000000000 WHERE id = 1",
            "INSERT INTO note (id, item, n) VALUES (-1, 1, 3000000000)",
            "COMMIT",
        ],
    );
}

/// As gh-ost and pt-online-schema-change end.
fn swap_cart(database: &Database) {
    let (make, swap): (_, &[&str]) = match database {
        Database::MySql(_) => (
            "CREATE TABLE cart_new LIKE cart",
            &["RENAME TABLE cart TO cart_gone, cart_new TO cart"],
        ),
        Database::Postgres(_) => (
            "CREATE TABLE cart_new (LIKE cart INCLUDING ALL)",
            &[
                "BEGIN",
                "ALTER TABLE cart RENAME TO cart_gone",
                "ALTER TABLE cart_new RENAME TO cart",
                "COMMIT",
            ],
        ),
    };
    change(database, &[make]);
    change(database, &["INSERT INTO cart_new SELECT * FROM cart"]);
    change(database, swap);
    std::thread::sleep(Duration::from_millis(300));
    change(database, &["DROP TABLE cart_gone"]);
}

/// Throws away what was read of the server's log.
fn purge_log(database: &Database) {
    let Database::MySql(_) = database else {
        for _ in 0..3 {
            database.ask("SELECT pg_switch_wal()");
            database.ask("CHECKPOINT");
        }
        return;
    };
    let files = || -> Vec<String> {
        let rows = database.ask("SHOW BINARY LOGS").into_iter();
        rows.map(|mut row| row.swap_remove(0)).collect()
    };
    let first = files().swap_remove(0);
    for _ in 0..100 {
        database.ask("FLUSH BINARY LOGS");
        std::thread::sleep(Duration::from_millis(200));
        // A file that is still being read stays.
        let newest = files().pop().unwrap();
        database.ask(&format!("PURGE BINARY LOGS TO '{newest}'"));
        if !files().contains(&first) {
            return;
        }
    }
    panic!("the server keeps its log");
}

pub fn definitions_change_at_full_speed(database: Database) {
    make_tables(&database);
    let folder = tempfile::tempdir().unwrap();
    let (project, state) = (folder.path().join("project"), folder.path().join("state"));
    let tables = tables();
    // What was a table's has no definition while it has another name.
    let topic = "[topic.shop]\nunplaced = \"drop\"\n";
    let is_postgres = database.is_postgres();
    let sources = sources(topic, &database.capture(&["*"]), &tables, is_postgres);
    write_project(&project, &sources, &MODELS);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, place) = (stop.clone(), database.place());
        std::thread::spawn(move || write_until(&stop, &place))
    };
    let asker = Asker::start(QUESTION, &["0"]);
    let running = Running::start(&project, &state, &[]);
    asker.turn_to(&running.http);
    let is_copied = format!("SELECT count(*) FROM {COPIED_LAST}");
    ask_long_until(&state, &is_copied, &["1"]);
    let said = running.said();
    assert!(said.contains(".item, about "), "{said}");
    assert!(said.contains(".item is copied: 200 rows"), "{said}");
    asker.wait_for(10);

    alter_item(&database);
    asker.wait_for(10);
    swap_cart(&database);
    asker.wait_for(10);
    purge_log(&database);
    asker.wait_for(10);

    stop.store(true, Ordering::SeqCst);
    let written = writer.join().unwrap();
    assert!(written > 100, "{written} transactions were written");
    // What a new column has, and a new name, come with each row's next change.
    change(
        &database,
        &["UPDATE item SET name = concat(name, ', a name of more than twenty letters')"],
    );
    for table in &tables {
        assert_same(&database, &state, table);
    }
    assert_eq!(
        ask(&state, "SELECT count(*), min(extra), max(extra) FROM item"),
        ["200,7,7"]
    );
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&state, letters), ["0"]);
    let asked = asker.end();
    assert!(asked >= 40, "it was asked {asked} times");
    // Numbers of the copies are there as well.
    let metrics = "SELECT count(*) > 0, max(value) FROM sluice_metrics WHERE name = 'sluice_copy_rows' AND labels LIKE '%.item\"%'";
    assert_eq!(ask(&state, metrics), ["true,200.0"]);
    let copying = "SELECT copying IS NULL, copy_rows IS NULL FROM sluice_sources";
    ask_until(&state, copying, &["true,true"]);
    assert!(running.stop().success());
    succeed(&mut replay_command(&project, &state));
    eprintln!("{written} transactions, asked {asked} times");
}
