//! Connections that are encrypted, to a server whose certificate the test
//! makes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes files"
)]

#[path = "common/certificates.rs"]
mod certificates;
mod common;

use std::sync::Arc;

use certificates::make_certificates;
use common::{Kind, Server, Tables, assert_equal, copied, drain};
use sluice_core::SystemClock;
use sluice_mysql::net::tls::TlsMode;
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::ServerSource;

#[test]
fn the_server_s_certificate_is_checked_and_everything_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    for kind in [Kind::MariaDb, Kind::MySql] {
        let (certificate, key) = (path("server.pem"), path("server.key"));
        let more = [
            "--server-id=1".to_owned(),
            format!("--ssl-cert={certificate}"),
            format!("--ssl-key={key}"),
            format!("--ssl-ca={}", path("authority.pem")),
        ];
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let Some(server) = Server::start_as(kind, &more) else {
            continue;
        };
        server.run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(9000))",
            "INSERT INTO shop.t VALUES (1, 'x'), (2, REPEAT('y', 9000))",
            "CREATE USER reader@'%' IDENTIFIED BY 'secret' REQUIRE SSL",
            "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO reader@'%'",
            "GRANT SELECT ON shop.* TO reader@'%'",
        ]);
        let source = |tls: TlsMode| {
            let mut options = server.options();
            options.addresses[0].user = "reader".into();
            options.addresses[0].password = "secret".into();
            options.addresses[0].tls = tls;
            ServerSource::new(options, Arc::new(SystemClock), DatabasePosition::default())
        };
        // The server takes this user over TLS only.
        assert!(source(TlsMode::Off).poll().is_err());
        for tls in [
            TlsMode::Required,
            TlsMode::Verified(Some(path("authority.pem"))),
        ] {
            let mut tables = Tables::default();
            let mut source = source(tls);
            drain(&mut source, &mut tables);
            server.run(&["UPDATE shop.t SET v = CONCAT(v, 'z') WHERE id = 1"]);
            drain(&mut source, &mut tables);
            assert_equal(&tables.rows, &copied(&server));
        }
        // Of another authority; of none that is known; for another name.
        let refused = |mut source: ServerSource| {
            let batch = source.poll();
            let warned = batch.map(|batch| batch.warnings.join("\n"));
            warned.unwrap_or_else(|error| error.to_string())
        };
        for authorities in [Some(path("other.pem")), None] {
            let said = refused(source(TlsMode::Verified(authorities)));
            let wanted = "the server's certificate is of no authority that is known";
            assert!(said.contains(wanted), "{said}");
        }
        let mut options = server.options();
        options.addresses[0].host = "localhost".into();
        options.addresses[0].tls = TlsMode::Verified(Some(path("authority.pem")));
        let clock = Arc::new(SystemClock);
        let said = refused(ServerSource::new(
            options,
            clock,
            DatabasePosition::default(),
        ));
        let wanted = "is for IpAddress(127.0.0.1), and not for localhost\n";
        assert!(said.contains(wanted), "{said}");
        let missing = TlsMode::Verified(Some(path("missing.pem")));
        let said = source(missing).poll().unwrap_err().to_string();
        assert!(said.contains("missing.pem"), "{said}");
    }
}
