//! A server that takes encrypted connections only, with a certificate that the
//! test makes: copy and stream are read from the right server, and from no other.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes files"
)]

#[path = "../../mysql/tests/common/certificates.rs"]
mod certificates;
mod common;

use std::sync::Arc;
use std::time::Duration;

use certificates::make_certificates;
use common::{Server, Tables, assert_equal, copied};
use serde_json::json;
use sluice_core::SystemClock;
use sluice_mysql::net::tls::TlsMode;
use sluice_postgres::position::PostgresPosition;
use sluice_postgres::server::ServerSource;

fn source(server: &Server, slot: &str, host: &str, tls: TlsMode) -> ServerSource {
    let mut options = server.options(slot);
    options.addresses[0].host = host.into();
    options.addresses[0].tls = tls;
    ServerSource::new(options, Arc::new(SystemClock), PostgresPosition::default())
}

/// The error, or else the warning, of a source that must read nothing.
fn refusal(server: &Server, host: &str, tls: TlsMode) -> String {
    let mut source = source(server, "refused", host, tls);
    for _ in 0..200 {
        match source.poll() {
            Err(error) => return error.to_string(),
            Ok(batch) => {
                assert!(batch.records.is_empty(), "it reads");
                if !batch.warnings.is_empty() {
                    return batch.warnings.join("\n");
                }
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nothing was refused");
}

#[test]
fn the_right_server_is_read_over_tls_and_no_other_one() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    std::fs::write(folder.path().join("empty.pem"), "no certificate\n").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let of = |name: &str| TlsMode::Verified(Some(path(name)));
    server.run("CREATE TABLE t (id int PRIMARY KEY, v text)");
    server.run("INSERT INTO t VALUES (1, 'x'), (2, repeat('y', 100000))");

    // Encryption is asked for, and the server has none.
    for tls in [TlsMode::Required, of("authority.pem")] {
        let said = refusal(&server, "127.0.0.1", tls);
        assert!(said.starts_with("the server offers no TLS\n"), "{said}");
    }

    server.encrypt(folder.path());
    let unknown = "the server's certificate is of no authority that is known\n";
    let other_name =
        "the server's certificate is for IpAddress(127.0.0.1), and not for localhost\n";
    for (host, tls, wanted) in [
        ("127.0.0.1", TlsMode::Off, "pg_hba.conf"),
        ("127.0.0.1", of("other.pem"), unknown),
        ("127.0.0.1", TlsMode::Verified(None), unknown),
        ("localhost", of("authority.pem"), other_name),
        ("127.0.0.1", of("missing.pem"), "missing.pem: "),
        (
            "127.0.0.1",
            of("empty.pem"),
            "empty.pem: it holds no certificate\n",
        ),
    ] {
        let said = refusal(&server, host, tls.clone());
        assert!(said.contains(wanted), "{host}, {tls:?}: {said}");
    }
    let slots = server.run("SELECT count(*) FROM pg_replication_slots");
    assert_eq!(
        slots,
        [[Some("0".to_owned())]],
        "who was refused made a slot"
    );

    for (slot, host, tls) in [
        // Whoever checks no certificate checks no name.
        ("required", "localhost", TlsMode::Required),
        ("verified", "127.0.0.1", of("authority.pem")),
    ] {
        let mut tables = Tables::default();
        let mut source = source(&server, slot, host, tls);
        tables.drain(&server, &mut source);
        server.run(
            "UPDATE t SET v = v || 'z' WHERE id = 1; INSERT INTO t SELECT max(id) + 1, repeat('w', 100000) FROM t",
        );
        tables.drain(&server, &mut source);
        // It came encrypted; and so does what the next connection brings.
        let stream = format!("FROM pg_replication_slots WHERE slot_name = '{slot}'");
        let is_encrypted =
            format!("SELECT ssl FROM pg_stat_ssl WHERE pid = (SELECT active_pid {stream})");
        assert_eq!(server.run(&is_encrypted), [[Some("t".to_owned())]]);
        server.run(&format!("SELECT pg_terminate_backend(active_pid) {stream}"));
        server.run("UPDATE t SET v = v || 'z' WHERE id = 1");
        tables.drain(&server, &mut source);
        assert_equal(&tables.rows, &copied(&server));
    }
    let mut last = Tables::default();
    let mut source = source(&server, "last", "127.0.0.1", of("authority.pem"));
    last.drain(&server, &mut source);
    let row = &last.rows[&("t".to_owned(), "1".to_owned())];
    assert_eq!(*row, json!({ "id": 1, "v": "xzzzz" }));
}
