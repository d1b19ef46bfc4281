//! A PostgreSQL server that takes encrypted connections only, with a certificate
//! that the test makes, read by the real program over several publications.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes files"
)]

mod common;
#[allow(dead_code, reason = "the tests of the crate use the rest")]
#[path = "../../postgres/tests/common/mod.rs"]
mod postgres;
#[path = "common/world.rs"]
mod world;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::ask;
use sluice_mysql::net::tls::TlsMode;
use sluice_postgres::net::connection::{Connection, Purpose};
use sluice_postgres::position::PostgresPosition;
use world::{World, wait};

fn quiet(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn openssl(folder: &Path, words: &str) {
    let mut command = Command::new("openssl");
    command.args(words.split_whitespace()).current_dir(folder);
    assert!(quiet(&mut command), "openssl {words}");
}

/// Two authorities, and a certificate of the first for `127.0.0.1`.
fn make_certificates(folder: &Path) {
    std::fs::write(folder.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["authority", "other"] {
        openssl(
            folder,
            &format!(
                "req -x509 {key} -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name} -addext basicConstraints=critical,CA:TRUE"
            ),
        );
    }
    openssl(
        folder,
        &format!("req {key} -keyout server.key -out server.csr -subj /CN=server"),
    );
    openssl(
        folder,
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out server.pem -days 2 -extfile extensions",
    );
}

/// Lets the server take encrypted connections, and over TCP no others.
fn encrypt(server: &mut postgres::Server, certificates: &Path) {
    let data = server.folder().join("data");
    for file in ["server.pem", "server.key"] {
        let to = data.join(file);
        std::fs::copy(certificates.join(file), &to).unwrap();
        // The server reads a key of its own that nobody else may read.
        assert!(quiet(Command::new("chmod").arg("600").arg(&to)));
        let mut owner = Command::new("chown");
        owner.arg(format!("--reference={}", data.display()));
        assert!(quiet(owner.arg(&to)));
    }
    let rules = data.join("pg_hba.conf");
    let text = std::fs::read_to_string(&rules).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix("host ") {
        Some(rest) => format!("hostssl {rest}\n"),
        None => format!("{line}\n"),
    });
    std::fs::write(&rules, lines.collect::<String>()).unwrap();
    for setting in [
        "ssl_cert_file = 'server.pem'",
        "ssl_key_file = 'server.key'",
        "ssl = on",
    ] {
        server.run(&format!("ALTER SYSTEM SET {setting}"));
    }
    server.run("SELECT pg_reload_conf()");
    server.address.tls = TlsMode::Required;
    let start = Instant::now();
    while Connection::open(&server.address, Purpose::Statements).is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "no TLS");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a source of these settings says that cannot read.
fn refusal(server: &postgres::Server, host: &str, tls: TlsMode) -> String {
    let mut options = server.options("refused");
    options.addresses[0].host = host.into();
    options.addresses[0].tls = tls;
    let clock = std::sync::Arc::new(sluice_core::SystemClock);
    let mut source =
        sluice_postgres::server::ServerSource::new(options, clock, PostgresPosition::default());
    for _ in 0..200 {
        match source.poll() {
            Err(error) => return error.to_string(),
            Ok(batch) if !batch.warnings.is_empty() => return batch.warnings.join("\n"),
            Ok(batch) => assert!(batch.records.is_empty(), "it reads"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nothing was refused");
}

fn sources(server: &postgres::Server, tls: &str) -> String {
    let mut text = format!(
        "[topic.shop.capture]\nkind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\nuser = \"admin\"\npublications = [\"sales\", \"stock\"]\n{tls}\n",
        server.address.port
    );
    for table in ["orders", "goods"] {
        text.push_str(&format!(
            "[table.{table}]\ntopic = \"shop\"\nwhen = [{{ field = \"/table\", equals = \"{table}\" }}]\nrow = \"/data\"\nbefore = \"/old\"\nversion = [\"/lsn\", \"/xoffset\"]\nprimary_key = [\"id\"]\nchange_kind = {{ field = \"/type\", insert = [\"insert\", \"bootstrap-insert\"], update = [\"update\"], delete = [\"delete\"] }}\ncolumns = [\n  {{ name = \"id\", from = \"./id\", type = \"int64\" }},\n  {{ name = \"name\", from = \"./name\", type = \"string\", missing = \"null\" }},\n]\n"
        ));
    }
    text
}

#[test]
fn the_server_s_certificate_is_checked_and_several_publications_are_read() {
    let Some(mut server) = postgres::Server::start(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    encrypt(&mut server, folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    server.run("CREATE TABLE orders (id bigint PRIMARY KEY, name text)");
    server.run("CREATE TABLE goods (id bigint PRIMARY KEY, name text)");
    server.run("CREATE TABLE secrets (id bigint PRIMARY KEY, name text)");
    server.run("CREATE PUBLICATION sales FOR TABLE orders");
    server.run("CREATE PUBLICATION stock FOR TABLE goods");
    for table in ["orders", "goods", "secrets"] {
        server.run(&format!(
            "INSERT INTO {table} VALUES (1, '{table}'), (2, repeat('y', 9000))"
        ));
    }

    // In clear; of another authority; of none that is known; for another name;
    // with authorities that are not there.
    let authority = TlsMode::Verified(Some(path("authority.pem")));
    let missing = TlsMode::Verified(Some(path("missing.pem")));
    for (host, tls, word) in [
        ("127.0.0.1", TlsMode::Off, "pg_hba"),
        (
            "127.0.0.1",
            TlsMode::Verified(Some(path("other.pem"))),
            "certificate",
        ),
        ("127.0.0.1", TlsMode::Verified(None), "certificate"),
        ("localhost", authority, "certificate"),
        ("127.0.0.1", missing, "missing.pem"),
    ] {
        let said = refusal(&server, host, tls.clone());
        assert!(said.contains(word), "{host} {tls:?}: {said}");
    }

    // The program with a wrong authority says so and takes nothing; started with the
    // right one it goes on.
    let world = World::with("name = \"encrypted\"\n");
    let verified = |name: &str| format!("tls = \"verified\"\ntls_ca = \"{}\"", path(name));
    world.sources("shop", &sources(&server, &verified("other.pem")));
    let running = world.start();
    wait("the warning", || running.said().contains("certificate"));
    assert_eq!(ask(&world.state(), "SELECT count(*) FROM orders"), ["0"]);
    assert!(running.stop().success());
    world.sources("shop", &sources(&server, &verified("authority.pem")));
    let running = world.start();
    let rows = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM goods)";
    wait("the copies", || world.says(rows, "2,2"));
    // One transaction over the tables of both publications.
    server.run(
        "BEGIN; INSERT INTO orders VALUES (3, 'new'); DELETE FROM goods WHERE id = 2; INSERT INTO secrets VALUES (3, 'hidden'); COMMIT",
    );
    wait("the changes", || world.says(rows, "3,1"));
    let long = "SELECT length(name) FROM orders WHERE id = 2";
    assert_eq!(ask(&world.state(), long), ["9000"]);
    let encrypted = server.run(
        "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_replication r ON r.pid = s.pid",
    );
    assert_eq!(encrypted, [[Some("t".to_owned())]]);
    // Tables of no publication are not read.
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&world.state(), letters), ["0"]);

    // A third publication, while it runs.
    server.run("CREATE PUBLICATION more FOR TABLE secrets");
    let text = sources(&server, &verified("authority.pem"));
    let more = text.replace("[\"sales\", \"stock\"]", "[\"sales\", \"stock\", \"more\"]");
    let of_goods = text.find("[table.goods]").unwrap();
    let table = text[of_goods..].replace("goods", "secrets");
    world.sources("shop", &format!("{more}{table}"));
    let secrets = "SELECT count(*) FROM secrets";
    wait("the third publication", || world.says(secrets, "3"));
    server.run("INSERT INTO secrets VALUES (4, 'four')");
    wait("its changes", || world.says(secrets, "4"));
    running.kill();
}
