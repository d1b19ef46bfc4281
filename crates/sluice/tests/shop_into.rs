//! `sluice shop`: the whole shop in a real database, with the numbers of its own
//! books.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{fail, sluice};
use sluice_mysql::net::connection::{Address, Connection};
use sluice_mysql::net::tls::TlsMode;

/// A server that is stopped when it is dropped.
struct Server {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    let asked = command.arg("--version").stdout(Stdio::null()).status();
    if asked.is_err() {
        eprintln!("SKIPPED: {program} is not installed; scripts/install-test-tools installs it");
    }
    asked.is_ok()
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

fn mariadb() -> Option<Server> {
    if !is_there("mariadbd") {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = format!("--datadir={}", folder.path().join("data").display());
    let mut install = Command::new("mariadb-install-db");
    install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
    install.arg("--skip-test-db").arg(&data);
    assert!(quiet(&mut install).status().unwrap().success());
    let port = free_port();
    let mut command = Command::new("mariadbd");
    command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"]);
    // The test ends with its data.
    command.args(["--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0"]);
    command.arg(format!("--port={port}")).arg(&data);
    let socket = folder.path().join("socket");
    command.arg(format!("--socket={}", socket.display()));
    Some(Server {
        process: quiet(&mut command).spawn().unwrap(),
        port,
        _folder: folder,
    })
}

/// PostgreSQL does not run as root, which a test may be.
fn postgres_command(program: &str, folder: &Path) -> Command {
    let is_root = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout);
    if is_root.unwrap().trim() != "0" {
        return Command::new(program);
    }
    let owned = Command::new("chown")
        .args(["-R", "postgres"])
        .arg(folder)
        .status();
    assert!(owned.unwrap().success());
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        program,
    ]);
    command.current_dir(folder);
    command
}

fn postgres() -> Option<Server> {
    if !is_there("initdb") || !is_there("postgres") {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut install = postgres_command("initdb", folder.path());
    install
        .args(["-A", "trust", "-U", "shop", "-E", "UTF8", "-D"])
        .arg(&data);
    assert!(quiet(&mut install).status().unwrap().success());
    let port = free_port();
    let mut command = postgres_command("postgres", folder.path());
    command
        .arg("-D")
        .arg(&data)
        .args(["-h", "127.0.0.1", "-k", ""]);
    command.args(["-c", "fsync=off", "-p", &port.to_string()]);
    Some(Server {
        process: quiet(&mut command).spawn().unwrap(),
        port,
        _folder: folder,
    })
}

/// Runs the command until the server answers. Returns what it says.
fn write(url: &str) -> String {
    let mut said = String::new();
    for _ in 0..100 {
        let mut command = sluice();
        command.args(["shop", "--into", url, "--hours", "4", "--rate", "2"]);
        command.args(["--devices", "2000", "--refund-steps", "--all-columns"]);
        let output = command.output().unwrap();
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return said;
        }
        assert!(said.contains("connecting to the database"), "{said}");
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("the server does not answer: {said}");
}

/// Rules that hold for a whole shop, as queries that find nothing.
const RULES: [&str; 7] = [
    "SELECT count(*) FROM order_info AS o WHERE total_amount <> feight_fee - feight_fee_reduce
       + (SELECT sum(split_total_amount) FROM order_detail AS d WHERE d.order_id = o.id)",
    "SELECT count(*) FROM order_detail WHERE split_total_amount
       <> order_price * sku_num - split_activity_amount - split_coupon_amount",
    "SELECT count(*) FROM payment_info AS p LEFT JOIN order_info AS o ON o.id = p.order_id
       WHERE o.id IS NULL OR (p.payment_status = '1602') <> (p.callback_time IS NOT NULL)",
    "SELECT count(*) FROM order_info AS o WHERE order_status = '1002'
       AND NOT EXISTS (SELECT 1 FROM payment_info AS p WHERE p.order_id = o.id AND p.payment_status = '1602')",
    "SELECT count(*) FROM refund_payment WHERE (refund_status = '0705') <> (callback_time IS NOT NULL)",
    "SELECT count(*) FROM user_info WHERE passwd IS NULL OR name IS NULL OR phone_num IS NULL OR email IS NULL",
    "SELECT count(*) FROM cart_info AS c LEFT JOIN user_info AS u ON u.id = c.user_id WHERE u.id IS NULL",
];

/// The rules hold, and there are as many orders as the command says.
fn check(said: &str, mut ask: impl FnMut(&str) -> String) {
    let words: Vec<&str> = said.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "orders").unwrap();
    let orders = ask("SELECT count(*) FROM order_info");
    assert_eq!(orders, words[place - 1]);
    assert!(orders.parse::<u64>().unwrap() > 50, "{orders}");
    for rule in RULES {
        assert_eq!(ask(rule), "0", "{rule}");
    }
    let members = ask("SELECT count(*) FROM user_info");
    assert!(members.parse::<u64>().unwrap() > 800, "{members}");
    assert_eq!(
        ask("SELECT count(*) FROM base_province WHERE name = '广东'"),
        "1"
    );
}

#[test]
fn mariadb_holds_the_shop() {
    let Some(server) = mariadb() else { return };
    let url = format!("mysql://root@127.0.0.1:{}/shop", server.port);
    let said = write(&url);
    let mut connection = Connection::open(&Address {
        host: "127.0.0.1".into(),
        port: server.port,
        user: "root".into(),
        password: String::new(),
        tls: TlsMode::Off,
    })
    .unwrap();
    connection.query("SET NAMES utf8mb4").unwrap();
    connection.query("USE shop").unwrap();
    check(&said, |sql| connection.value(sql).unwrap());
    // A shop is not written over another one.
    let error = fail(sluice().args(["shop", "--into", &url]), 1);
    assert!(error.contains("empty database"), "{error}");
}

#[test]
fn postgresql_holds_the_shop() {
    let Some(server) = postgres() else { return };
    let url = format!("postgres://shop@127.0.0.1:{}/postgres", server.port);
    let said = write(&url);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (client, connection) = runtime
        .block_on(async { tokio_postgres::connect(&url, tokio_postgres::NoTls).await })
        .unwrap();
    runtime.spawn(connection);
    check(&said, |sql| {
        let rows = runtime.block_on(client.query_one(sql, &[])).unwrap();
        rows.get::<_, i64>(0).to_string()
    });
    let error = fail(sluice().args(["shop", "--into", &url]), 1);
    assert!(error.contains("empty database"), "{error}");
    let error = fail(sluice().args(["shop", "--into", "oracle://x"]), 2);
    assert!(error.contains("names no database"), "{error}");
}

/// The files hold what the generator makes, and are not written over.
#[test]
fn files_hold_the_records() {
    let folder = tempfile::tempdir().unwrap();
    let into = format!("file:{}", folder.path().join("shop").display());
    let mut command = sluice();
    command.args(["shop", "--into", &into, "--hours", "3", "--rate", "2"]);
    let output = command.args(["--several-currencies"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let read = |name| std::fs::read_to_string(folder.path().join("shop").join(name)).unwrap();
    let (log, changes) = (read("app_log.ndjson"), read("shop_db.ndjson"));
    let records = log.lines().count() + changes.lines().count();
    assert!(said.contains(&format!("wrote {records} records")), "{said}");
    assert!(log.contains("\"page\":") && changes.contains("\"currency_rate\""));
    let error = fail(sluice().args(["shop", "--into", &into, "--hours", "1"]), 1);
    assert!(error.contains("exists already"), "{error}");
}

/// All that happens in a shop of some years is in the files when it is asked for, and
/// each part of it by itself.
#[test]
fn files_hold_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, options: &[&str]| {
        let into = format!("file:{}", folder.path().join(name).display());
        let mut command = sluice();
        command.args(["shop", "--into", &into, "--hours", "6", "--rate", "5"]);
        common::succeed(command.args(options));
        ["app_log.ndjson", "shop_db.ndjson"].map(|file| {
            let path = folder.path().join(name).join(file);
            std::fs::read_to_string(path).unwrap()
        })
    };
    let is_full = |[log, changes]: &[String; 2]| {
        let is_view = |line: &&str| line.contains("\"page\":{");
        [
            log.contains("\"page_id\":\"good_spec\""),
            log.lines()
                .filter(is_view)
                .any(|line| !line.contains("\"sid\"")),
            log.lines()
                .filter(is_view)
                .any(|line| !line.contains("\"event_id\"")),
            changes.contains("\"currency_rate\""),
            ["sku_name", "spu_name", "name"]
                .iter()
                .any(|name| changes.contains(&format!("\"old\":{{\"{name}\""))),
            // Rows of nobody have numbers from here on.
            changes.contains("\"id\":90000"),
            changes.contains("\"consignee\""),
        ]
    };
    // A broken record may lack anything.
    let plain = written("plain", &["--dirty", "0"]);
    assert_eq!(is_full(&plain), [false; 7]);
    let full = written("full", &["--dirty", "0", "--everything"]);
    assert_eq!(is_full(&full), [true; 7]);
    let detailed = written("detailed", &["--dirty", "0", "--details"]);
    assert_eq!(
        is_full(&detailed),
        [true, false, true, false, false, false, false]
    );
    let error = fail(
        sluice().args(["shop", "--into", "file:x", "--late", "1001"]),
        2,
    );
    assert!(error.contains("1001"), "{error}");
}
