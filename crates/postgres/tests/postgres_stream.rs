//! First copy and stream give the server's tables, row by row, while writers
//! write, readers are killed and the server crashes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts its own threads"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use common::{Server, Tables, assert_equal, copied};
use serde_json::Value;
use sluice_core::{RecordKind, SystemClock};
use sluice_postgres::net::connection::{Address, Connection, Purpose};
use sluice_postgres::position::{CopyProgress, PostgresPosition};
use sluice_postgres::server::ServerSource;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

const TABLES: &str = "
    CREATE TABLE account (id int PRIMARY KEY, cents int NOT NULL);
    INSERT INTO account SELECT i, 1000 FROM generate_series(1, 20) i;
    CREATE TABLE item (id bigint PRIMARY KEY, n int, price numeric(10,2), body text, doc jsonb);
    ALTER TABLE item ALTER body SET STORAGE EXTERNAL;
    INSERT INTO item SELECT i, i, i / 7.0, repeat(md5(i::text), 100), jsonb_build_object('i', i) FROM generate_series(1, 3000) i;
    CREATE TABLE whole (id text, n int, body text);
    ALTER TABLE whole ALTER body SET STORAGE EXTERNAL;
    ALTER TABLE whole REPLICA IDENTITY FULL;
    INSERT INTO whole SELECT 'k' || i, i, repeat(md5(i::text), 100) FROM generate_series(1, 300) i;
";

/// Moves money and changes items; gives the number of transactions.
fn write_until(stop: &AtomicBool, address: &Address) -> u64 {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut count = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut client) = Connection::open(address, Purpose::Statements) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        while !stop.load(Ordering::SeqCst) {
            count += 1;
            let sql = transaction(&mut random, count);
            if let Err(error) = client.query(&sql) {
                // A key that is taken undoes the transaction.
                if error.code() != "23505" {
                    break;
                }
            }
        }
    }
    count
}

/// One transaction, as one message of statements.
fn transaction(random: &mut Random, count: u64) -> String {
    let (from, to) = (random.below(20) + 1, random.below(20) + 1);
    let mut sql = format!(
        "BEGIN; UPDATE account SET cents = cents - 1 WHERE id = {from}; UPDATE account SET cents = cents + 1 WHERE id = {to};"
    );
    for _ in 0..random.below(6) {
        let (id, other) = (random.below(3_200), random.below(3_200));
        sql.push_str(&match random.below(9) {
            // The large text stays, and is not sent again.
            0 | 1 => format!("UPDATE item SET n = {count}, price = price + 0.01 WHERE id = {id};"),
            2 => format!("UPDATE item SET body = repeat(md5('{count}'), 200) WHERE id = {id};"),
            3 => format!("UPDATE item SET id = {id} WHERE id = {other};"),
            4 => format!("DELETE FROM item WHERE id = {id};"),
            5 => format!("INSERT INTO item VALUES ({id}, {count}, NULL, repeat('née☃', {other}), 'null') ON CONFLICT (id) DO UPDATE SET doc = '[{count}]';"),
            6 => format!("SAVEPOINT s; DELETE FROM item; ROLLBACK TO SAVEPOINT s; UPDATE whole SET n = {count} WHERE id = 'k{}';", id % 300),
            7 => format!("UPDATE whole SET id = 'n{count}_{other}' WHERE id = 'k{}'; INSERT INTO whole VALUES ('k{}', 0, 'new') ;", id % 300, id % 300),
            _ => format!("DELETE FROM whole WHERE id LIKE 'n{}!_%' ESCAPE '!';", count.saturating_sub(5)),
        });
    }
    sql.push_str("COMMIT");
    sql
}

#[test]
fn copy_and_stream_meet_without_gap_while_writers_write_and_everything_ends() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    server.run(TABLES);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, address) = (stop.clone(), server.address.clone());
        std::thread::spawn(move || write_until(&stop, &address))
    };
    let mut tables = Tables::default();
    let mut source = server.source("shop", PostgresPosition::default());
    let mut kills_in_copy = 0;
    for round in 0..420 {
        let mut batch = source.poll().unwrap();
        // As after a kill: what was not durable is lost, mid-transaction too.
        if round % 60 == 59 || round == 3 || round == 7 {
            kills_in_copy += u32::from(!tables.position.is_copied());
            let kept = batch.records.len() / 2;
            batch.records.truncate(kept);
            tables.take(batch.records);
            source = server.source("shop", tables.position.clone());
        } else {
            tables.take(batch.records);
        }
        std::thread::sleep(Duration::from_millis(5));
        if round == 200 {
            server.crash();
        }
    }
    stop.store(true, Ordering::SeqCst);
    let written = writer.join().unwrap();
    assert!(written > 50, "{written} transactions were written");
    assert!(kills_in_copy > 0, "no kill was in the copy");
    tables.drain(&server, &mut source);
    assert!(tables.unchanged > 0, "no large value stayed unchanged");
    assert_equal(&tables.rows, &copied(&server));
    let names: Vec<_> = tables
        .position
        .copies
        .iter()
        .map(|copy| copy.table.to_string())
        .collect();
    assert!(names.len() >= 4, "{names:?}");
}

#[test]
fn a_copy_that_was_killed_in_the_middle_of_a_table_goes_on() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run(
        "CREATE TABLE big (part int, id bigint, v text, PRIMARY KEY (part, id));
         ALTER TABLE big ALTER v SET STORAGE EXTERNAL;
         INSERT INTO big SELECT i % 3, i, repeat(md5(i::text), 40) FROM generate_series(1, 12000) i;
         CREATE TABLE small (id int PRIMARY KEY, v int);
         INSERT INTO small SELECT i, 0 FROM generate_series(1, 10) i",
    );
    let mut tables = Tables::default();
    let mut source = server.source("big", PostgresPosition::default());
    let progress = |tables: &Tables| tables.position.copies.first().map(|c| c.progress.clone());
    while !matches!(progress(&tables), Some(CopyProgress::Begun)) {
        tables.take(source.poll().unwrap().records);
    }
    // Half of a batch is durable.
    let mut batch = source.poll().unwrap().records;
    batch.truncate(batch.len() / 2);
    tables.take(batch);
    drop(source);
    let copied_before = tables.rows.len();
    assert!((1..12_000).contains(&copied_before), "{copied_before}");
    // Rows of both parts change, come and go while nobody reads.
    server.run(
        "UPDATE big SET v = 'changed' WHERE id IN (1, 11999);
         DELETE FROM big WHERE id IN (2, 11998);
         UPDATE big SET part = 9, id = 20000 WHERE id = 3;
         UPDATE big SET part = -1, id = -1 WHERE id = 11996;
         INSERT INTO big VALUES (0, 0, 'new'), (9, 30000, 'new');
         UPDATE small SET v = 1;
         DELETE FROM small WHERE id = 1",
    );
    let mut source = server.source("big", tables.position.clone());
    while !tables.position.is_copied() {
        tables.take(source.poll().unwrap().records);
    }
    // No row is missing or older than the second snapshot, and none stayed
    // that is gone since.
    assert_equal(&tables.rows, &copied(&server));
    server.run("UPDATE big SET part = 8 WHERE id = 20000; UPDATE small SET v = 2");
    tables.drain(&server, &mut source);
    assert_equal(&tables.rows, &copied(&server));
}

#[test]
fn definitions_may_change_and_tables_come_while_running() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run("DROP PUBLICATION sluice; CREATE TABLE one (id int PRIMARY KEY, v text); INSERT INTO one VALUES (1, 'a'); CREATE TABLE later (id int PRIMARY KEY, v text); INSERT INTO later SELECT i, 'old' FROM generate_series(1, 100) i; CREATE TABLE mark (id bigint PRIMARY KEY); CREATE PUBLICATION sluice FOR TABLE one; CREATE PUBLICATION other FOR TABLE mark");
    let mut options = server.options("defs");
    options.publications.push("other".into());
    let new = |position| ServerSource::new(options.clone(), Arc::new(SystemClock), position);
    let mut source = new(PostgresPosition::default());
    let mut tables = Tables::default();
    tables.drain(&server, &mut source);
    assert_eq!(tables.rows.len(), 1, "only what is published");
    server.run("UPDATE one SET v = 'b'");
    server.run("ALTER TABLE one ADD COLUMN extra int DEFAULT 7; INSERT INTO one VALUES (2, 'b', 8); UPDATE one SET v = 'c' WHERE id = 1");
    server.run("ALTER TABLE one RENAME COLUMN v TO w; INSERT INTO one VALUES (3, 'c', 9)");
    server.run("ALTER TABLE one ALTER COLUMN w TYPE int USING length(w), DROP COLUMN extra; INSERT INTO one VALUES (4, 5)");
    tables.drain(&server, &mut source);
    let row = |tables: &Tables, id: &str| tables.rows[&("one".to_owned(), id.to_owned())].clone();
    assert_eq!(
        row(&tables, "1"),
        serde_json::json!({"id": 1, "v": "c", "extra": 7})
    );
    assert_eq!(
        row(&tables, "3"),
        serde_json::json!({"id": 3, "w": "c", "extra": 9})
    );
    assert_eq!(row(&tables, "4"), serde_json::json!({"id": 4, "w": 5}));
    let said = tables.warnings.join("\n");
    for word in [
        "column `extra` is new",
        "column `w` is new",
        "column `v` is gone",
        "another type",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // A table joins the publication with rows of before; writers go on.
    server.run("ALTER PUBLICATION sluice ADD TABLE later; UPDATE later SET v = 'new' WHERE id = 1; DELETE FROM later WHERE id = 2; INSERT INTO later VALUES (101, 'new')");
    tables.drain(&server, &mut source);
    server.run("UPDATE later SET v = 'newer' WHERE id = 3");
    tables.drain(&server, &mut source);
    let later = |tables: &Tables| {
        let rows = tables
            .rows
            .iter()
            .filter(|((table, _), _)| table == "later");
        rows.map(|(_, row)| row["v"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(later(&tables).len(), 100);
    assert_eq!(later(&tables).iter().filter(|v| *v == "old").count(), 97);
    server.run("TRUNCATE one, later");
    tables.drain(&server, &mut source);
    assert_eq!(later(&tables), Vec::<String>::new());
}

#[test]
fn a_table_that_takes_the_name_of_another_takes_its_place() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text);
         INSERT INTO t SELECT i, 'old' FROM generate_series(1, 100) i;
         CREATE TABLE other (id int PRIMARY KEY, v text);
         INSERT INTO other VALUES (1, 'x')",
    );
    let mut tables = Tables::default();
    let mut source = server.source("swap", PostgresPosition::default());
    tables.drain(&server, &mut source);
    let of = |rows: &common::Rows| {
        let mut rows = rows.clone();
        rows.retain(|(table, _), _| table == "t" || table == "other");
        rows
    };
    assert_eq!(of(&tables.rows).len(), 101);

    server.run(
        "CREATE TABLE t_new (id int PRIMARY KEY, v text, more int);
         INSERT INTO t_new SELECT i, 'new', i FROM generate_series(50, 200) i",
    );
    server.run("UPDATE t SET v = 'last' WHERE id = 1");
    server.run(
        "BEGIN; ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t; COMMIT;
         UPDATE t SET v = 'newer' WHERE id = 60; DELETE FROM t WHERE id = 61;
         UPDATE other SET v = 'y'",
    );
    tables.drain(&server, &mut source);
    let found = of(&tables.rows);
    assert_equal(&found, &of(&copied(&server)));
    assert_eq!(found.len(), 150 + 1);

    // It is found without a change, too, and after a stop.
    drop(source);
    server.run("BEGIN; ALTER TABLE t RENAME TO t_older; ALTER TABLE t_old RENAME TO t; COMMIT");
    let wanted = of(&copied(&server));
    assert_eq!(wanted.len(), 100 + 1);
    let mut source = server.source("swap", tables.position.clone());
    let start = std::time::Instant::now();
    while of(&tables.rows) != wanted {
        tables.take(source.poll().unwrap().records);
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(60), "{:?}", tables.position);
    }
    server.run("DELETE FROM t WHERE id > 50");
    tables.drain(&server, &mut source);
    assert_equal(&of(&tables.rows), &of(&copied(&server)));
}

/// Gives a table another name in a transaction that ends once somebody waits for the
/// table, who has looked it up by its old name by then.
fn rename_when_waited_for(server: &Server, old: &str, new: &str) -> JoinHandle<()> {
    let (mut holder, mut watcher) = (server.client(), server.client());
    let rename = format!("ALTER TABLE {old} RENAME TO {new}");
    holder.query("BEGIN").unwrap();
    holder.query(&rename).unwrap();
    std::thread::spawn(move || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'";
        for _ in 0..1_000 {
            if watcher.query(waiting).unwrap()[0][0].as_deref() != Some("0") {
                holder.query("COMMIT").unwrap();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nobody waits for {rename}");
    })
}

#[test]
fn a_table_that_gets_another_name_while_its_copy_begins_is_copied_by_that() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let make = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)";
    server.run(make);
    let mut tables = Tables::default();
    let mut source = server.source("names", PostgresPosition::default());
    // Of the first copy, and of one that begins while the stream is read.
    for (name, count) in [("first", 100), ("second", 200)] {
        let renamed = rename_when_waited_for(&server, "t", name);
        while !renamed.is_finished() {
            tables.take(source.poll().unwrap().records);
        }
        renamed.join().unwrap();
        let start = std::time::Instant::now();
        while tables.rows.len() < count {
            tables.take(source.poll().unwrap().records);
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(60), "{:?}", tables.position);
        }
        server.run(make);
    }
    tables.drain(&server, &mut source);
    assert_equal(&tables.rows, &copied(&server));
}

#[test]
fn old_rows_show_what_the_replica_identity_says() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run(
        "CREATE TABLE by_key (id int PRIMARY KEY, v int, body text);
         CREATE TABLE by_index (id int PRIMARY KEY, code int NOT NULL UNIQUE, v int);
         ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code_key;
         CREATE TABLE whole (id int, v int, body text);
         ALTER TABLE whole REPLICA IDENTITY FULL;
         CREATE TABLE none (id int, v int);
         ALTER TABLE by_key ALTER body SET STORAGE EXTERNAL;
         ALTER TABLE whole ALTER body SET STORAGE EXTERNAL",
    );
    let mut tables = Tables::default();
    let mut source = server.source("identity", PostgresPosition::default());
    tables.drain(&server, &mut source);
    let has_warning = |w: &String| w.contains("public.none has no replica identity");
    assert!(tables.warnings.iter().any(has_warning));
    server.run("INSERT INTO by_key VALUES (1, 1, repeat('x', 9000)); INSERT INTO by_index VALUES (1, 5, 1); INSERT INTO whole VALUES (1, 1, repeat('y', 9000)); INSERT INTO none VALUES (1, 1)");
    server.run("UPDATE by_key SET v = 2; UPDATE by_key SET id = 2; UPDATE by_index SET code = 6; UPDATE whole SET v = 2; DELETE FROM by_key; DELETE FROM by_index; DELETE FROM whole");
    let refused = server.client().query("UPDATE none SET v = 2").unwrap_err();
    assert!(
        refused.to_string().contains("replica identity"),
        "{refused}"
    );
    server.run("INSERT INTO mark VALUES (1000)");
    let mut messages: Vec<Value> = Vec::new();
    while messages
        .last()
        .is_none_or(|message| message["table"] != "mark")
    {
        let records = source.poll().unwrap().records;
        let data = records
            .iter()
            .filter(|record| record.kind == RecordKind::Data);
        messages
            .extend(data.map(|record| serde_json::from_slice::<Value>(&record.payload).unwrap()));
    }
    let of = |table: &str| {
        let found = messages.iter().filter(|message| message["table"] == table);
        found.cloned().collect::<Vec<_>>()
    };
    let by_key = of("by_key");
    assert_eq!(by_key[1]["data"], serde_json::json!({"id": 1, "v": 2}));
    assert_eq!(by_key[1]["unchanged"], serde_json::json!(["body"]));
    assert_eq!(by_key[2]["old"], serde_json::json!({"id": 1}));
    assert_eq!(by_key[3]["data"], serde_json::json!({"id": 2}));
    let by_index = of("by_index");
    assert_eq!(by_index[1]["old"], serde_json::json!({"code": 5}));
    assert_eq!(by_index[2]["data"], serde_json::json!({"code": 6}));
    let whole = of("whole");
    assert_eq!(whole[1]["data"]["body"], "y".repeat(9_000));
    assert_eq!(whole[1]["old"], serde_json::json!({"v": 1}));
    assert!(whole[1].get("unchanged").is_none());
    assert_eq!(whole[2]["data"]["v"], 2);
    assert_eq!(messages[0]["xoffset"], 0);
    assert!(messages[0].get("commit").is_none());
    assert_eq!(messages.last().unwrap()["commit"], true);
    let places: Vec<_> = messages
        .iter()
        .map(|m| (m["lsn"].as_u64(), m["xoffset"].as_u64()))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn columns_and_rows_that_are_not_published_are_neither_copied_nor_streamed() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let version = server.run("SHOW server_version_num")[0][0].clone().unwrap();
    if version.parse::<u32>().unwrap() < 150_000 {
        eprintln!("SKIPPED: version {version} of PostgreSQL publishes whole tables only");
        return;
    }
    server.run(
        "DROP PUBLICATION sluice;
         CREATE TABLE f (id int PRIMARY KEY, secret text, v int, twice int GENERATED ALWAYS AS (v * 2) STORED);
         INSERT INTO f SELECT i, 'secret', i FROM generate_series(1, 10) i;
         CREATE TABLE whole (id int PRIMARY KEY, v int, twice int GENERATED ALWAYS AS (v * 2) STORED);
         INSERT INTO whole VALUES (1, 1);
         CREATE TABLE parts (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
         INSERT INTO parts VALUES (1, 1);
         CREATE TABLE mark (id bigint PRIMARY KEY);
         CREATE PUBLICATION sluice FOR TABLE f (id, v) WHERE (id > 5), TABLE whole, TABLE mark, TABLE parts WITH (publish_via_partition_root)",
    );
    let mut tables = Tables::default();
    let mut source = server.source("published", PostgresPosition::default());
    tables.drain(&server, &mut source);
    server.run("INSERT INTO f VALUES (3000, 'secret', 1), (0, 'secret', 1); INSERT INTO whole VALUES (2, 2); UPDATE f SET secret = 'x', v = 0 WHERE id = 7; INSERT INTO parts VALUES (2, 2)");
    tables.drain(&server, &mut source);
    let of = |table: &str| {
        let rows = tables.rows.iter().filter(|((of, _), _)| of == table);
        rows.map(|(_, row)| row.to_string()).collect::<Vec<_>>()
    };
    let mut wanted: Vec<String> = (6..=10)
        .map(|id| format!(r#"{{"id":{id},"v":{}}}"#, if id == 7 { 0 } else { id }))
        .collect();
    wanted.push(r#"{"id":3000,"v":1}"#.to_owned());
    wanted.sort();
    let mut found = of("f");
    found.sort();
    assert_eq!(found, wanted);
    let two = [r#"{"id":1,"v":1}"#, r#"{"id":2,"v":2}"#];
    assert_eq!(of("whole"), two);
    assert_eq!(of("parts"), two);
}

#[test]
fn a_first_copy_tells_how_far_it_has_come() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT i FROM generate_series(1, 250) i",
    );
    server.run("ANALYZE t");
    let mut source = server.source("told", PostgresPosition::default());
    let (mut position, mut notes, mut copies) = (PostgresPosition::default(), vec![], vec![]);
    while position.lsn.0 == 0 || !position.is_copied() {
        let batch = source.poll().unwrap();
        notes.extend(batch.notes);
        copies.extend(batch.copies);
        for record in batch.records {
            if !record.position.is_empty() {
                position.apply(&record.position).unwrap();
            }
        }
    }
    assert_eq!(notes[0], "test: copying public.t, about 250 rows");
    let end = notes.last().unwrap();
    assert!(
        end.starts_with("test: public.t is copied: 250 rows"),
        "{end}"
    );
    let end = copies.last().unwrap();
    assert_eq!((end.table.as_str(), end.rows), ("public.t", 250));
    assert_eq!((end.rows_expected, end.is_over), (Some(250), true));
}
