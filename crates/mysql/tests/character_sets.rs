//! Every character of every character set that a server has comes from the log
//! as the server itself makes UTF-8 of it; so do the values of enumerations and
//! sets, and defaults.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts servers"
)]

mod common;

use std::fmt::Write as _;
use std::time::Duration;

use common::{Kind, Server, Tables, assert_equal, copied};
use sluice_core::{Clock as _, SystemClock};
use sluice_mysql::net::connection::Connection;
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::ServerSource;
use sluice_mysql::value::collation::charset_of_collation;

/// The bytes of one character, or of what could be one.
type Code = Vec<u8>;

/// Codes of a row.
const ROW_CODES: usize = 1_000;

/// A set as the server shows it.
struct Set {
    name: String,
    bytes_max: usize,
}

/// A text that was written: its set, the number of its row, and how many
/// characters it has.
struct Written {
    set: String,
    row: usize,
    characters: usize,
}

#[test]
fn every_character_of_mariadb_is_as_the_server_converts_it() {
    let Some(server) = Server::start() else {
        return;
    };
    // Its collations of several sets have a number for each of them.
    let collations = "SELECT id, character_set_name \
                      FROM information_schema.collation_character_set_applicability";
    collations_name_their_sets(&server, collations);
    every_character_is_the_same(&server, &["NO_LOG", "FULL"]);
}

#[test]
fn every_character_of_mysql_is_as_the_server_converts_it() {
    let Some(server) = Server::start_as(Kind::MySql, &["--server-id=1"]) else {
        return;
    };
    let collations = "SELECT id, character_set_name FROM information_schema.collations";
    collations_name_their_sets(&server, collations);
    every_character_is_the_same(&server, &["MINIMAL", "FULL"]);
}

fn collations_name_their_sets(server: &Server, query: &str) {
    let rows = server.connect().query(query).unwrap();
    assert!(rows.len() > 200, "{} collations", rows.len());
    for row in rows {
        let [Some(id), Some(set)] = row.as_slice() else {
            continue;
        };
        let id = text(id).parse().unwrap();
        let found = charset_of_collation(id);
        assert_eq!(found, Some(text(set).as_str()), "{id}");
    }
}

fn every_character_is_the_same(server: &Server, metadatas: &[&str]) {
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    let mut client = server.connect();
    let mut tables = Tables::default();
    let mut source = server.source(DatabasePosition::default());
    tables.take(source.poll().unwrap().records);

    let sets = sets(&mut client);
    assert!(sets.len() >= 40, "{} sets", sets.len());
    write_candidates(server);
    let mut written = Vec::new();
    for set in &sets {
        let codes = codes(server, set);
        assert!(codes.len() >= 128, "{}: {} codes", set.name, codes.len());
        write_texts(&mut client, &set.name, &codes, &mut written);
    }
    read(&mut source, &mut tables, written.len());
    compare(&mut client, &tables, &written);

    let mut rows = written.len();
    for metadata in metadatas {
        run(
            &mut client,
            &format!("SET GLOBAL binlog_row_metadata = {metadata}"),
        );
        for set in sets.iter().filter(|set| set.name != "binary") {
            let letter = letter(&mut client, &set.name);
            write_labels(&mut client, metadata, &set.name, letter);
            rows += 2;
        }
        write_as_another_client(server, metadata);
        rows += 1;
        read(&mut source, &mut tables, rows);
    }
    assert_equal(&tables.rows, &copied(server));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(client: &mut Connection, sql: &str) {
    let shown = || sql.chars().take(200).collect::<String>();
    let result = client.query(sql);
    result.unwrap_or_else(|error| panic!("{}: {error}", shown()));
}

fn sets(client: &mut Connection) -> Vec<Set> {
    let rows = client.query("SHOW CHARACTER SET").unwrap();
    let sets = rows.iter().map(|row| match row.as_slice() {
        [Some(name), _, _, Some(bytes_max)] => Set {
            name: text(name),
            bytes_max: text(bytes_max).parse().unwrap(),
        },
        other => panic!("{other:?}"),
    });
    sets.collect()
}

/// All codes of one byte; of two, the first of which is no ASCII; and of three
/// that begin as those of the Japanese sets.
fn candidates() -> Vec<Code> {
    let mut codes: Vec<Code> = (0..=0xff).map(|byte| vec![byte]).collect();
    for first in 0x80..=0xff {
        codes.extend((0..=0xff).map(|second| vec![first, second]));
    }
    for second in 0xa1..=0xfe {
        codes.extend((0xa1..=0xfe).map(|third| vec![0x8f, second, third]));
    }
    codes
}

/// A connection whose changes are not in the log.
fn silent(server: &Server) -> Connection {
    let mut client = server.connect();
    run(&mut client, "SET SESSION sql_log_bin = 0");
    client
}

fn write_candidates(server: &Server) {
    let mut client = silent(server);
    run(&mut client, "CREATE DATABASE work CHARACTER SET utf8mb4");
    run(&mut client, "CREATE TABLE work.code (code VARBINARY(4))");
    for codes in candidates().chunks(20_000) {
        let rows: Vec<String> = codes
            .iter()
            .map(|code| format!("({})", hex(code)))
            .collect();
        let insert = format!("INSERT INTO work.code VALUES {}", rows.join(","));
        run(&mut client, &insert);
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::from("x'");
    for byte in bytes {
        write!(out, "{byte:02x}").unwrap();
    }
    out.push('\'');
    out
}

/// Every character that a set can represent.
fn codes(server: &Server, set: &Set) -> Vec<Code> {
    let all = '\0'..=char::MAX;
    let utf16 = |one: char| one.encode_utf16(&mut [0; 2]).to_vec();
    match set.name.as_str() {
        "utf8mb3" => ('\0'..='\u{ffff}')
            .map(|one| one.to_string().into_bytes())
            .collect(),
        "utf8mb4" => all.map(|one| one.to_string().into_bytes()).collect(),
        // Halves of surrogate pairs too.
        "ucs2" => (0..=u16::MAX)
            .map(|unit| unit.to_be_bytes().to_vec())
            .collect(),
        "utf16" => all
            .map(|one| utf16(one).into_iter().flat_map(u16::to_be_bytes).collect())
            .collect(),
        "utf16le" => all
            .map(|one| utf16(one).into_iter().flat_map(u16::to_le_bytes).collect())
            .collect(),
        "utf32" => all
            .map(|one| u32::from(one).to_be_bytes().to_vec())
            .collect(),
        "gb18030" => {
            let mut codes = accepted_codes(server, set);
            for row in 0..126 * 10_u16 {
                let (first, second) = ((row / 10) as u8, (row % 10) as u8);
                codes.extend((0..126 * 10_u16).map(|column| {
                    let (third, fourth) = ((column / 10) as u8, (column % 10) as u8);
                    vec![0x81 + first, 0x30 + second, 0x81 + third, 0x30 + fourth]
                }));
            }
            codes
        }
        _ => accepted_codes(server, set),
    }
}

/// Those of the candidates that the server stores as they are.
fn accepted_codes(server: &Server, set: &Set) -> Vec<Code> {
    let mut client = silent(server);
    let Set { name, bytes_max } = set;
    run(
        &mut client,
        &format!(
            "CREATE TABLE work.of_{name} (code VARBINARY(4), t VARCHAR(4) CHARACTER SET {name})"
        ),
    );
    // Of others it stores what comes before the first wrong byte.
    run(
        &mut client,
        &format!(
            "INSERT IGNORE INTO work.of_{name} SELECT code, code FROM work.code \
             WHERE LENGTH(code) <= {bytes_max}"
        ),
    );
    let stored = client.query(&format!(
        "SELECT code FROM work.of_{name} WHERE HEX(t) = HEX(code) ORDER BY LENGTH(code), code"
    ));
    let stored = stored.unwrap().into_iter();
    stored.map(|mut row| row.remove(0).unwrap()).collect()
}

/// Writes all codes of a set, many in a row.
fn write_texts(client: &mut Connection, set: &str, codes: &[Code], written: &mut Vec<Written>) {
    const STATEMENT_ROWS: usize = 100;
    run(
        client,
        &format!(
            "CREATE TABLE shop.of_{set} (id INT PRIMARY KEY, t MEDIUMTEXT CHARACTER SET {set})"
        ),
    );
    let rows: Vec<&[Code]> = codes.chunks(ROW_CODES).collect();
    for (part, rows) in rows.chunks(STATEMENT_ROWS).enumerate() {
        let mut values = Vec::new();
        for (place, codes) in rows.iter().enumerate() {
            let row = part * STATEMENT_ROWS + place;
            values.push(format!("({row}, {})", hex(&codes.concat())));
            written.push(Written {
                set: set.to_owned(),
                row,
                characters: codes.len(),
            });
        }
        let values = values.join(",");
        run(
            client,
            &format!("INSERT INTO shop.of_{set} VALUES {values}"),
        );
    }
}

/// Reads until there are so many rows, all of them from the log.
fn read(source: &mut ServerSource, tables: &mut Tables, rows: usize) {
    let start_us = SystemClock.now_us();
    while tables.rows.len() < rows {
        let batch = source.poll().unwrap();
        let is_from_log = batch.copies.iter().all(|copy| copy.rows == 0);
        assert!(is_from_log, "{:?}", batch.copies);
        tables.take(batch.records);
        let found = tables.rows.len();
        let is_in_time = SystemClock.now_us() - start_us < 120_000_000;
        assert!(is_in_time, "{found} of {rows} rows came");
        if batch.at_end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Compares what came from the log with what the server sends, in the connection's
/// `utf8mb4`.
fn compare(client: &mut Connection, tables: &Tables, written: &[Written]) {
    const SHOWN_MAX: usize = 20;
    let mut differences = Vec::new();
    for Written { set, row, .. } in written {
        let converted = match set.as_str() {
            "binary" => r"REPLACE(TO_BASE64(t), '\n', '')",
            _ => "t",
        };
        let query = format!("SELECT {converted} FROM shop.of_{set} WHERE id = {row}");
        let rows = client.query(&query).unwrap();
        let server = text(rows[0][0].as_ref().unwrap());
        let key = (format!("of_{set}"), row.to_string());
        let log = tables.rows[&key]["t"].as_str().unwrap();
        if log == server {
            continue;
        }
        let lengths = (log.chars().count(), server.chars().count());
        differences.push(format!("{set}, row {row}: lengths {lengths:?}"));
        let pairs = log.chars().zip(server.chars()).enumerate();
        for (place, (log, server)) in pairs.filter(|(_, (log, server))| log != server) {
            let code = place + row * ROW_CODES;
            differences.push(format!("{set}, code {code}: {log:?}, not {server:?}"));
        }
    }
    let characters: usize = written.iter().map(|text| text.characters).sum();
    eprintln!("{characters} characters were compared");
    // All of Unicode in four sets, and those of the others.
    assert!(characters > 4 * 1_112_064 + 200_000);
    let shown = &differences[..differences.len().min(SHOWN_MAX)];
    assert!(shown.is_empty(), "{}: {shown:#?}", differences.len());
}

/// A letter of a set that is no ASCII; of ASCII, one that is.
fn letter(client: &mut Connection, set: &str) -> char {
    let rows = client.query(&format!(
        "SELECT t FROM shop.of_{set} WHERE id < 3 ORDER BY id"
    ));
    let rows = rows.unwrap();
    let texts: Vec<String> = rows
        .iter()
        .map(|row| text(row[0].as_ref().unwrap()))
        .collect();
    let mut letters = texts.iter().flat_map(|text| text.chars());
    let letter = letters.find(|&one| one >= '\u{a1}' && one.is_alphabetic());
    letter.unwrap_or('z')
}

/// Writes two rows with an enumeration, a set and a default of a character set;
/// the second one leaves out what has a default.
fn write_labels(client: &mut Connection, metadata: &str, set: &str, letter: char) {
    let table = format!("shop.{metadata}_{set}");
    for statement in [
        format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, \
             e ENUM('b', '{letter}') CHARACTER SET {set}, \
             s SET('b', '{letter}') CHARACTER SET {set}, \
             c CHAR(9) CHARACTER SET {set}, \
             d VARCHAR(9) CHARACTER SET {set} NOT NULL DEFAULT '{letter}')"
        ),
        format!(
            "INSERT INTO {table} (id, e, s, c) VALUES (1, '{letter}', 'b,{letter}', '{letter}')"
        ),
        "SET SESSION binlog_row_image = MINIMAL".into(),
        format!("INSERT INTO {table} (id, e) VALUES (2, 'b')"),
        "SET SESSION binlog_row_image = FULL".into(),
    ] {
        run(client, &statement);
    }
}

/// A statement is in the log in the character set of its client, which reads
/// the bytes of this one as Chinese.
fn write_as_another_client(server: &Server, metadata: &str) {
    let mut client = server.connect();
    let table = format!("shop.{metadata}_client");
    for statement in [
        "SET NAMES gbk".into(),
        format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, e ENUM('b', 'é') CHARACTER SET utf8mb4)"
        ),
        format!("INSERT INTO {table} VALUES (1, 2)"),
    ] {
        run(&mut client, &statement);
    }
}
