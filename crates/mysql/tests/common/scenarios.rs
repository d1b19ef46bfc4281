//! What any server of the kind must stand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use sluice_core::{Clock as _, SystemClock};
use sluice_mysql::filter::TableFilter;
use sluice_mysql::net::connection::{Address, Connection};
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::ServerSource;

use super::{Server, Tables, assert_equal, copied, drain, is_copied};

pub fn every_type_is_the_same(server: &Server, types: &str, metadatas: &[&str]) {
    for metadata in metadatas {
        let mut client = server.connect();
        let mut run = |sql: &str| {
            client
                .query(sql)
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
        };
        run(&format!("SET GLOBAL binlog_row_metadata = {metadata}"));
        run("DROP DATABASE IF EXISTS shop");
        run("CREATE DATABASE shop CHARACTER SET utf8mb4");
        let mut tables = Tables::default();
        let mut source = server.source(DatabasePosition::default());
        tables.take(source.poll().unwrap().records);
        let mut client = server.connect();
        for statement in types.split(';').map(str::trim) {
            if !statement.is_empty() {
                client
                    .query(statement)
                    .unwrap_or_else(|error| panic!("{statement}: {error}"));
            }
        }
        // Nothing was there to be copied: all of it comes through the log.
        let start_us = SystemClock.now_us();
        while SystemClock.now_us() - start_us < 3_000_000 {
            tables.take(source.poll().unwrap().records);
        }
        assert!(tables.rows.len() >= 4);
        assert_equal(&tables.rows, &copied(server));
    }
}

/// Copy and stream while writers write, connections end and the server is
/// killed; in the end everything is as the server has it.
pub fn copy_and_stream_meet(mut server: Server, row_image: &str, more: &[&str]) {
    server.run(&[
        &format!("SET GLOBAL binlog_row_image = {row_image}"),
        "CREATE DATABASE shop CHARACTER SET utf8mb4",
        "CREATE TABLE shop.account (id INT PRIMARY KEY, cents INT NOT NULL)",
        "CREATE TABLE shop.item (id VARCHAR(20) PRIMARY KEY, n INT, t VARCHAR(30), d DECIMAL(20,10) DEFAULT 1.5, note TEXT)",
        "CREATE TABLE shop.number (n INT PRIMARY KEY)",
        "INSERT INTO shop.number VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
        "INSERT INTO shop.account SELECT a.n * 10 + b.n + 1, 1000 FROM shop.number a, shop.number b WHERE a.n < 2",
        "INSERT INTO shop.item SELECT CONCAT('k', n), n, 'first', n / 7, REPEAT('née ', 20) FROM (SELECT a.n * 1000 + b.n * 100 + c.n * 10 + d.n + 1 AS n FROM shop.number a, shop.number b, shop.number c, shop.number d WHERE a.n < 3) numbers",
        "DROP TABLE shop.number",
    ]);
    server.run(more);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, address) = (stop.clone(), server.address.clone());
        let row_image = row_image.to_owned();
        std::thread::spawn(move || write_until(&stop, &address, &row_image))
    };
    let mut tables = Tables::default();
    let mut source = server.source(DatabasePosition::default());
    for round in 0..400 {
        let mut batch = source.poll().unwrap();
        // As after a kill: what was not durable is lost, mid-transaction too.
        if round % 40 == 39 {
            let kept = batch.records.len() / 2;
            batch.records.truncate(kept);
            tables.take(batch.records);
            source = server.source(tables.position.clone());
        } else {
            tables.take(batch.records);
        }
        std::thread::sleep(Duration::from_millis(5));
        if round == 200 {
            server.restart();
            server.run(&[&format!("SET GLOBAL binlog_row_image = {row_image}")]);
        }
    }
    stop.store(true, Ordering::SeqCst);
    let written = writer.join().unwrap();
    assert!(written > 50, "{written} transactions were written");
    drain(&mut source, &mut tables);
    assert_equal(&tables.rows, &copied(&server));
}

pub fn new_rows_have_their_defaults(server: &Server) {
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    let mut tables = Tables::default();
    let mut source = server.source(DatabasePosition::default());
    tables.take(source.poll().unwrap().records);
    server.run(&[
        "CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, a INT DEFAULT 5, b VARCHAR(20) NOT NULL DEFAULT 'it''s', c TIMESTAMP DEFAULT CURRENT_TIMESTAMP, d TEXT, e DECIMAL(8,3) NOT NULL DEFAULT 1.5, f ENUM('x','y') DEFAULT 'y', g BIT(4) DEFAULT b'101', h DATE DEFAULT '2026-01-02', i DATETIME(3) DEFAULT NULL)",
        "SET SESSION binlog_row_image = MINIMAL",
    ]);
    let mut client = server.connect();
    for statement in [
        "SET SESSION binlog_row_image = MINIMAL",
        "INSERT INTO shop.t (a) VALUES (1), (2)",
        "INSERT INTO shop.t (b, d) VALUES ('said', 'too')",
        "UPDATE shop.t SET e = 2 WHERE a = 2",
        "UPDATE shop.t SET id = 70, d = 'moved' WHERE a = 1",
        "ALTER TABLE shop.t ALTER a SET DEFAULT 6",
        "INSERT INTO shop.t (e) VALUES (3)",
        "DELETE FROM shop.t WHERE a = 2",
    ] {
        let result = client.query(statement);
        result.unwrap_or_else(|error| panic!("{statement}: {error}"));
        let start_us = SystemClock.now_us();
        while SystemClock.now_us() - start_us < 400_000 {
            tables.take(source.poll().unwrap().records);
        }
    }
    assert_eq!(tables.rows.len(), 3);
    assert_equal(&tables.rows, &copied(server));
}

pub fn tables_join_and_are_emptied(server: &Server) {
    server.run(&[
        "CREATE DATABASE shop CHARACTER SET utf8mb4",
        "CREATE TABLE shop.a (id INT PRIMARY KEY, n INT)",
        "INSERT INTO shop.a VALUES (1, 1), (2, 2)",
        "CREATE TABLE shop.b (id INT PRIMARY KEY, n INT)",
        "INSERT INTO shop.b VALUES (1, 1), (2, 2), (3, 3)",
        "CREATE DATABASE other",
        "CREATE TABLE other.c (id INT PRIMARY KEY, n INT)",
        "INSERT INTO other.c VALUES (7, 7)",
    ]);
    // Only one table at first.
    let narrow = |position: DatabasePosition| {
        let mut options = server.options();
        options.filter = TableFilter::new(&["shop.a".to_owned()]).unwrap();
        ServerSource::new(options, Arc::new(SystemClock), position)
    };
    let mut tables = Tables::default();
    drain(&mut narrow(DatabasePosition::default()), &mut tables);
    assert_eq!(tables.rows.len(), 2);
    // Changes that nobody asked for yet, of the other one too.
    server.run(&[
        "INSERT INTO shop.b VALUES (4, 4)",
        "INSERT INTO shop.a VALUES (3, 3)",
    ]);
    let mut source = server.source(tables.position.clone());
    drain(&mut source, &mut tables);
    assert_equal(&tables.rows, &copied(server));
    assert_eq!(tables.rows.len(), 7);
    server.run(&[
        "TRUNCATE TABLE shop.b",
        "INSERT INTO shop.b VALUES (9, 9)",
        "RENAME TABLE other.c TO shop.c",
        "UPDATE shop.c SET n = 8",
        "CREATE TABLE shop.d LIKE shop.c",
        "INSERT INTO shop.d VALUES (1, 2)",
    ]);
    drain(&mut source, &mut tables);
    assert_equal(&tables.rows, &copied(server));
    assert_eq!(tables.rows.len(), 3 + 1 + 1 + 1);
}

/// A table that takes the name of another one takes its place, as when a tool changes a
/// large table by a copy of it: in one statement or two, whether the copy was captured
/// or not. Other tables are not copied again.
pub fn tables_take_each_others_names(server: &Server) {
    let insert = |table: &str, ids: std::ops::Range<u32>| {
        let rows: Vec<String> = ids.map(|id| format!("({id}, {id})")).collect();
        let rows = rows.join(", ");
        format!("INSERT INTO shop.{table} (id, n) VALUES {rows}")
    };
    let of_shop = |tables: &BTreeMap<(String, String), Value>| {
        let mut of_shop = tables.clone();
        of_shop.retain(|(table, _), _| matches!(table.as_str(), "t" | "other"));
        of_shop
    };
    for filter in [&["shop.*"][..], &["shop.t", "shop.other"]] {
        let source = |position: &DatabasePosition, copies: bool| {
            let mut options = server.options();
            let filter: Vec<String> = filter.iter().map(|&name| name.to_owned()).collect();
            options.filter = TableFilter::new(&filter).unwrap();
            options.copies = copies;
            ServerSource::new(options, Arc::new(SystemClock), position.clone())
        };
        server.run(&[
            "DROP DATABASE IF EXISTS shop",
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, n INT)",
            &insert("t", 0..250),
            "CREATE TABLE shop.other (id INT PRIMARY KEY, n INT)",
            &insert("other", 0..150),
        ]);
        let mut tables = Tables::default();
        let mut reading = source(&tables.position, true);
        drain(&mut reading, &mut tables);
        assert_eq!(of_shop(&tables.rows).len(), 400);

        server.run(&[
            "CREATE TABLE shop._t_new (id INT PRIMARY KEY, n INT, more INT DEFAULT 7)",
            &insert("_t_new", 200..500),
            "UPDATE shop.t SET n = -1 WHERE id = 100",
            "RENAME TABLE shop.t TO shop._t_old, shop._t_new TO shop.t",
            "UPDATE shop.t SET n = -2 WHERE id IN (210, 480)",
            "DELETE FROM shop.t WHERE id = 220",
            "UPDATE shop.other SET n = -3 WHERE id = 5",
        ]);
        drain(&mut reading, &mut tables);
        let found = of_shop(&tables.rows);
        assert_equal(&found, &of_shop(&copied(server)));
        assert_eq!(found.len(), 299 + 150);

        // In two statements, with a stop between them, and nobody writes afterwards.
        server.run(&[
            "CREATE TABLE shop._t_new (id INT PRIMARY KEY, n INT)",
            &insert("_t_new", 480..600),
            "RENAME TABLE shop.t TO shop._t_older",
        ]);
        drain(&mut reading, &mut tables);
        drop(reading);
        server.run(&["RENAME TABLE shop._t_new TO shop.t"]);
        let mut reading = source(&tables.position, true);
        drain(&mut reading, &mut tables);
        let found = of_shop(&tables.rows);
        assert_equal(&found, &of_shop(&copied(server)));
        assert_eq!(found.len(), 120 + 150);

        // While it is read, and nobody writes afterwards.
        server.run(&[
            "CREATE TABLE shop._t_new (id INT PRIMARY KEY, n INT)",
            &insert("_t_new", 590..700),
            "RENAME TABLE shop.t TO shop._t_later, shop._t_new TO shop.t",
        ]);
        drain(&mut reading, &mut tables);
        let found = of_shop(&tables.rows);
        assert_equal(&found, &of_shop(&copied(server)));
        assert_eq!(found.len(), 110 + 150);
        let mut of_other = tables.times.clone();
        of_other.retain(|(table, _), times| table == "other" && *times != 1);
        assert_eq!(of_other, BTreeMap::new());
        drop(reading);

        // Where nothing is copied it is said.
        let mut tables = Tables::default();
        let mut reading = source(&tables.position, false);
        tables.take(reading.poll().unwrap().records);
        server.run(&["RENAME TABLE shop.t TO shop._t_oldest, shop._t_old TO shop.t"]);
        drain_stream(&mut reading, &mut tables);
        let told = "shop._t_old is called shop.t from here on; what it held is not copied";
        let mut told = tables.warnings.iter().filter(|said| said.contains(told));
        assert!(told.next().is_some(), "{:?}", tables.warnings);
    }
}

/// Reads until nothing came for a while, where nothing is copied.
fn drain_stream(source: &mut ServerSource, tables: &mut Tables) {
    let start_us = SystemClock.now_us();
    while SystemClock.now_us() - start_us < 2_000_000 {
        let batch = source.poll().unwrap();
        tables.warnings.extend(batch.warnings);
        tables.take(batch.records);
    }
}

/// The tables that are taken are others from the middle of a transaction on: every row
/// comes once, whichever were counted before.
pub fn tables_change_inside_a_transaction(server: &Server) {
    let numbers: Vec<String> = (0..700).map(|number| format!("({number})")).collect();
    server.run(&[
        "CREATE DATABASE other",
        "CREATE TABLE other.number (n INT PRIMARY KEY)",
        &format!("INSERT INTO other.number VALUES {}", numbers.join(", ")),
        "CREATE DATABASE shop CHARACTER SET utf8mb4",
        "CREATE TABLE shop.a (id INT PRIMARY KEY, t TEXT)",
        "CREATE TABLE shop.b (id INT PRIMARY KEY, t TEXT)",
        "INSERT INTO shop.a VALUES (1, 'first')",
    ]);
    let taking = |name: &str, position: &DatabasePosition| {
        let mut options = server.options();
        options.filter = TableFilter::new(&[name.to_owned()]).unwrap();
        ServerSource::new(options, Arc::new(SystemClock), position.clone())
    };
    let mut tables = Tables::default();
    for (round, [before, after]) in [["shop.a", "shop.*"], ["shop.*", "shop.a"]]
        .into_iter()
        .enumerate()
    {
        let mut source = taking(before, &tables.position);
        drain(&mut source, &mut tables);
        // More than is read at a time.
        let of_b = |first: usize| {
            format!("INSERT INTO shop.b SELECT n + {first}, 'b' FROM other.number WHERE n < 20")
        };
        let first = (round + 1) * 1_000;
        server.run(&[
            "BEGIN",
            &of_b(first),
            &format!("INSERT INTO shop.a SELECT n + {first}, REPEAT('a', 10000) FROM other.number"),
            &of_b(first + 500),
            "COMMIT",
        ]);
        while tables.open.is_empty() {
            tables.take(source.poll().unwrap().records);
        }
        drop(source);
        drain(&mut taking(after, &tables.position), &mut tables);
    }
    assert_equal(&tables.rows, &copied(server));
    assert_eq!(tables.rows.len(), 1 + 2 * (700 + 40));
    let twice = tables.times.iter().find(|(_, times)| **times != 1);
    assert_eq!(twice, None);
    // What comes back is copied anew.
    server.run(&["INSERT INTO shop.b VALUES (9, 'meanwhile')"]);
    let mut source = taking("shop.a", &tables.position);
    drain(&mut source, &mut tables);
    drop(source);
    drain(&mut taking("shop.*", &tables.position), &mut tables);
    assert_equal(&tables.rows, &copied(server));
}

/// Rows of a table without a key come once, however much is written while it is
/// copied.
pub fn tables_without_a_key_come_once(server: &Server, is_busy: bool) {
    let rows = |ids: std::ops::Range<u32>| {
        let rows: Vec<String> = ids.map(|id| format!("({id}, 'n')")).collect();
        format!("INSERT INTO shop.visit VALUES {}", rows.join(", "))
    };
    server.run(&[
        "CREATE DATABASE shop CHARACTER SET utf8mb4",
        "CREATE TABLE shop.visit (id INT, note VARCHAR(9))",
        &rows(0..300),
    ]);
    let mut tables = Tables::default();
    let mut source = server.source(DatabasePosition::default());
    let stop = AtomicBool::new(!is_busy);
    std::thread::scope(|scope| {
        let written = scope.spawn(|| {
            let mut next = 1_000;
            while !stop.load(Ordering::SeqCst) && next < 20_000 {
                server.run(&[&rows(next..next + 3)]);
                next += 3;
            }
        });
        tables.take(source.poll().unwrap().records);
        server.run(&[&rows(300..400)]);
        let start_us = SystemClock.now_us();
        while !is_copied(&tables.position) {
            tables.take(source.poll().unwrap().records);
            let waited_us = SystemClock.now_us() - start_us;
            assert!(waited_us < 60_000_000, "it is never copied");
        }
        stop.store(true, Ordering::SeqCst);
        written.join().unwrap();
    });
    server.run(&[&rows(400..410)]);
    drain(&mut source, &mut tables);
    let twice = tables.times.iter().find(|(_, times)| **times != 1);
    assert_eq!(twice, None);
    assert_equal(&tables.rows, &copied(server));
    assert!(tables.rows.len() >= 410);
}

/// Moves money and changes items; gives the number of transactions.
fn write_until(stop: &AtomicBool, address: &Address, row_image: &str) -> u64 {
    let mut count = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut client) = Connection::open(address) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let set = format!("SET SESSION binlog_row_image = {row_image}");
        if client.query(&set).is_err() {
            continue;
        }
        while !stop.load(Ordering::SeqCst) {
            count += 1;
            let (from, to) = (count % 20 + 1, count * 7 % 19 + 1);
            let key = count * 37 % 3_000;
            let statements = [
                "BEGIN".to_owned(),
                format!("UPDATE shop.account SET cents = cents - 1 WHERE id = {from}"),
                format!("UPDATE shop.account SET cents = cents + 1 WHERE id = {to}"),
                format!("UPDATE shop.item SET n = n + {count}, t = 'changed' WHERE id = 'k{key}'"),
                format!("DELETE FROM shop.item WHERE id = 'k{}'", key + 1),
                format!(
                    "REPLACE INTO shop.item VALUES ('n{}', {count}, 'née', 0.1, '')",
                    count % 500
                ),
                // Forwards and backwards past where the copy is.
                format!(
                    "UPDATE shop.item SET id = 'a{count}' WHERE id = 'k{}'",
                    key + 2
                ),
                format!(
                    "UPDATE shop.item SET id = 'z{count}' WHERE id = 'k{}'",
                    key + 3
                ),
                format!("INSERT IGNORE INTO shop.item (id, n) VALUES ('m{count}', 1)"),
                "COMMIT".to_owned(),
            ];
            if statements
                .iter()
                .any(|statement| client.query(statement).is_err())
            {
                break;
            }
        }
    }
    count
}
