//! What a server must be and what a user must be allowed: each lack is named
//! with what to do. And the ways to sign in.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, writes files, and waits"
)]

mod common;

use std::process::Command;
use std::time::Duration;

use common::{Server, Tables, assert_equal, copied};
use sluice_mysql::net::tls::TlsMode;
use sluice_postgres::net::connection::{Address, Connection, Purpose};
use sluice_postgres::position::PostgresPosition;
use sluice_postgres::server::ServerOptions;

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn what_a_server_or_user_lacks_is_named_with_what_to_do() {
    let Some(server) = Server::start(&["max_replication_slots=2", "max_wal_senders=2"]) else {
        return;
    };
    server.run("CREATE TABLE t (id int PRIMARY KEY, v text)");
    let start = PostgresPosition::default;
    let with = |change: &dyn Fn(&mut ServerOptions)| {
        let mut options = server.options("one");
        change(&mut options);
        server.refusal(options, start())
    };
    let text = with(&|options| options.publications = vec!["shop".into()]);
    assert_says(&text, &["no publication `shop`", "CREATE PUBLICATION shop"]);

    server.run("CREATE ROLE reader LOGIN");
    let as_reader = |options: &mut ServerOptions| options.addresses[0].user = "reader".into();
    assert_says(
        &with(&as_reader),
        &[
            "`reader` may not replicate",
            "ALTER ROLE reader REPLICATION",
        ],
    );
    server.run("ALTER ROLE reader REPLICATION");
    assert_says(
        &with(&as_reader),
        &["may not read public.t", "GRANT SELECT"],
    );
    server.run("GRANT SELECT ON t TO reader");
    let mut reads = server.options("least");
    as_reader(&mut reads);
    let clock = std::sync::Arc::new(sluice_core::SystemClock);
    let mut source = sluice_postgres::server::ServerSource::new(reads, clock, start());
    let mut tables = Tables::default();
    while tables.position.lsn.0 == 0 || !tables.position.is_copied() {
        tables.take(source.poll().unwrap().records);
    }
    drop(source);

    assert_says(
        &server.refusal(server.options("least"), start()),
        &["slot `least` exists", "pg_drop_replication_slot('least')"],
    );
    server.run("SELECT pg_create_physical_replication_slot('used')");
    let text = server.refusal(server.options("third"), start());
    assert_says(
        &text,
        &["no free replication slot", "max_replication_slots"],
    );
    let other_kind = PostgresPosition {
        slot: "used".into(),
        ..tables.position.clone()
    };
    assert_says(
        &server.refusal(server.options("used"), other_kind),
        &["slot `used` is of plugin"],
    );
    // Somebody else reads the slot.
    server.run("INSERT INTO t VALUES (1, 'x'); SELECT pg_switch_wal()");
    for _ in 0..100 {
        if server
            .client()
            .query("SELECT pg_replication_slot_advance('least', pg_current_wal_lsn())")
            .is_ok()
        {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let text = server.refusal(server.options("least"), tables.position.clone());
    assert_says(
        &text,
        &["was read up to", "another reader", "empty state folder"],
    );
    let other = PostgresPosition {
        cluster: "7".into(),
        ..tables.position.clone()
    };
    assert_says(
        &server.refusal(server.options("least"), other),
        &["the warehouse's changes are of cluster 7"],
    );
    server.run("SELECT pg_drop_replication_slot('least')");
    let text = server.refusal(server.options("least"), tables.position.clone());
    assert_says(&text, &["slot `least` is gone", "empty state folder"]);
    let address = Address {
        user: "nobody_there".into(),
        ..server.address.clone()
    };
    let refused = Connection::open(&address, Purpose::Statements).unwrap_err();
    assert_says(&refused.to_string(), &["nobody_there"]);
}

#[test]
fn a_server_that_does_not_log_for_decoding_is_refused() {
    let Some(server) = Server::start(&["wal_level=replica"]) else {
        return;
    };
    let text = server.refusal(server.options("s"), PostgresPosition::default());
    assert_says(&text, &["`wal_level` is `replica`", "set it to logical"]);
}

#[test]
fn a_slot_that_grows_is_warned_of_and_one_that_is_lost_is_named() {
    let settings = [
        "max_slot_wal_keep_size=1MB",
        "min_wal_size=2MB",
        "max_wal_size=2MB",
    ];
    let Some(server) = Server::start(&settings) else {
        return;
    };
    server.run("CREATE TABLE t (id int PRIMARY KEY, v text)");
    let mut options = server.options("grows");
    options.slot_bytes_warning = 1;
    let clock = std::sync::Arc::new(sluice_core::SystemClock);
    let mut source =
        sluice_postgres::server::ServerSource::new(options, clock, PostgresPosition::default());
    let mut tables = Tables::default();
    tables.drain(&server, &mut source);
    server.run("INSERT INTO t VALUES (1, 'x')");
    tables.drain(&server, &mut source);
    assert!(
        tables
            .warnings
            .iter()
            .any(|w| w.contains("of its log for slot `grows`")),
        "{:?}",
        tables.warnings
    );
    drop(source);
    for _ in 0..6 {
        server.run("INSERT INTO t SELECT max(id) + 1, repeat(md5(random()::text), 100) FROM t");
        server.run("SELECT pg_switch_wal()");
        server.run("CHECKPOINT");
    }
    let text = server.refusal(server.options("grows"), tables.position.clone());
    assert_says(
        &text,
        &[
            "has thrown away",
            "wal_status = lost",
            "max_slot_wal_keep_size",
            "empty state folder",
        ],
    );
}

#[test]
fn what_was_written_without_a_publication_is_named() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run("CREATE TABLE t (id int PRIMARY KEY, v text)");
    let mut tables = Tables::default();
    let mut source = server.source("gone", PostgresPosition::default());
    tables.drain(&server, &mut source);
    drop(source);
    server.run("DROP PUBLICATION sluice");
    server.run("INSERT INTO t VALUES (1, 'x')");
    let text = server.refusal(server.options("gone"), tables.position.clone());
    assert_says(
        &text,
        &["has no publication `sluice`", "cannot be read later"],
    );
    server.run("CREATE PUBLICATION sluice FOR ALL TABLES");
    let text = server.refusal(server.options("gone"), tables.position.clone());
    assert_says(
        &text,
        &[
            "publication \"sluice\" does not exist",
            "was when the changes that come next were written",
            "pg_drop_replication_slot('gone')",
            "empty state folder",
        ],
    );
}

#[test]
fn the_server_forgets_only_what_is_durable() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.run("CREATE TABLE t (id int PRIMARY KEY, v text)");
    let mut tables = Tables::default();
    let mut source = server.source("keeps", PostgresPosition::default());
    tables.drain(&server, &mut source);
    // Batches are given, but none is durable: then reading begins there again.
    server.run("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i");
    let mut given = 0;
    while given < 1_000 {
        given += source.poll().unwrap().records.len();
    }
    drop(source);
    let mut source = server.source("keeps", tables.position.clone());
    tables.drain(&server, &mut source);
    assert_equal(&tables.rows, &copied(&server));
    // What is durable is told of, within some seconds.
    for round in 0.. {
        let batch = source.poll().unwrap();
        tables.take(batch.records);
        let confirmed = server.run("SELECT confirmed_flush_lsn FROM pg_replication_slots");
        let confirmed: sluice_postgres::lsn::Lsn =
            confirmed[0][0].as_ref().unwrap().parse().unwrap();
        assert!(confirmed <= tables.position.lsn);
        if confirmed == tables.position.lsn {
            break;
        }
        assert!(round < 100, "{confirmed} is not {}", tables.position.lsn);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn every_way_to_sign_in_is_answered() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let folder = server.folder().to_owned();
    let data = folder.join("data");
    let (key, certificate) = (data.join("server.key"), data.join("server.crt"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    let has_tls = made.is_ok_and(|made| made.status.success());
    if has_tls {
        // The server wants its key to be its own.
        let owner = std::process::Command::new("stat")
            .args(["-c", "%u:%g"])
            .arg(&data)
            .output()
            .unwrap();
        let owner = String::from_utf8(owner.stdout).unwrap();
        assert!(
            Command::new("chown")
                .arg(owner.trim())
                .args([&key, &certificate])
                .status()
                .unwrap()
                .success()
        );
        assert!(
            Command::new("chmod")
                .arg("600")
                .arg(&key)
                .status()
                .unwrap()
                .success()
        );
        assert!(
            Command::new("chmod")
                .arg("644")
                .arg(&certificate)
                .status()
                .unwrap()
                .success()
        );
        server.run("ALTER SYSTEM SET ssl = on");
    } else {
        eprintln!("SKIPPED: TLS, because openssl makes no certificate");
    }
    server.run("SET password_encryption = 'scram-sha-256'; CREATE ROLE scram LOGIN PASSWORD 'schlüssel ½'; CREATE ROLE clear LOGIN PASSWORD 'c'; SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN PASSWORD 'm'");
    std::fs::write(
        data.join("pg_hba.conf"),
        "host all scram all scram-sha-256\nhost all hashed all md5\nhost all clear all password\nhost all admin all trust\n",
    )
    .unwrap();
    server.run("SELECT pg_reload_conf()");
    std::thread::sleep(Duration::from_millis(500));
    let open = |user: &str, password: &str, tls: TlsMode| {
        let address = Address {
            user: user.into(),
            password: password.into(),
            tls,
            host: "localhost".into(),
            ..server.address.clone()
        };
        let mut connection =
            Connection::open(&address, Purpose::Statements).map_err(|error| error.to_string())?;
        connection
            .value("SELECT current_user")
            .map_err(|error| error.to_string())
    };
    let user = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(open("scram", "schlüssel ½", TlsMode::Off), user("scram"));
    assert_eq!(open("hashed", "m", TlsMode::Off), user("hashed"));
    assert_says(
        &open("scram", "no", TlsMode::Off).unwrap_err(),
        &["password authentication failed"],
    );
    assert_says(
        &open("scram", "", TlsMode::Off).unwrap_err(),
        &["wants a password", "env:NAME"],
    );
    assert_says(
        &open("clear", "c", TlsMode::Off).unwrap_err(),
        &["in clear", "tls"],
    );
    if has_tls {
        let own = certificate.display().to_string();
        for mode in [TlsMode::Required, TlsMode::Verified(Some(own))] {
            assert_eq!(open("clear", "c", mode.clone()), user("clear"));
            assert_eq!(open("scram", "schlüssel ½", mode), user("scram"));
        }
        assert!(
            open("clear", "c", TlsMode::Verified(None)).is_err(),
            "nobody vouches for it"
        );
    } else {
        assert_says(
            &open("clear", "c", TlsMode::Required).unwrap_err(),
            &["offers no TLS"],
        );
    }
}
