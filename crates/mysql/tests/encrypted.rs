//! Connections that are encrypted, to a server whose certificate the test
//! makes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes files"
)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{Kind, Server, Tables, assert_equal, copied, drain};
use sluice_core::SystemClock;
use sluice_mysql::net::tls::TlsMode;
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::ServerSource;

fn openssl(folder: &Path, words: &str) -> bool {
    let status = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// An authority, and a certificate of it for `127.0.0.1`.
fn make_certificates(folder: &Path) -> bool {
    let extensions = "subjectAltName=IP:127.0.0.1\n";
    std::fs::write(folder.join("extensions"), extensions).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!(
            "req -x509 {key} -keyout authority.key -out authority.pem -days 2 -subj /CN=authority -addext basicConstraints=critical,CA:TRUE"
        ),
    ) && openssl(
        folder,
        &format!(
            "req -x509 {key} -keyout other.key -out other.pem -days 2 -subj /CN=other -addext basicConstraints=critical,CA:TRUE"
        ),
    ) && openssl(
        folder,
        &format!("req {key} -keyout server.key -out server.csr -subj /CN=server"),
    ) && openssl(
        folder,
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out server.pem -days 2 -extfile extensions",
    )
}

#[test]
fn the_server_s_certificate_is_checked_and_everything_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        make_certificates(folder.path()),
        "openssl makes certificates"
    );
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
            assert!(said.contains("certificate"), "{said}");
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
        assert!(said.contains("certificate"), "{said}");
        let missing = TlsMode::Verified(Some(path("missing.pem")));
        let said = source(missing).poll().unwrap_err().to_string();
        assert!(said.contains("missing.pem"), "{said}");
    }
}
