//! SHOW, `current_setting` and `set_config`.

use crate::common::Server;
use crate::common::client::sql;
use crate::common::wire::{WireClient, told};

/// What SHOW says, which it ends with its word alone.
fn show(client: &mut WireClient, name: &str) -> String {
    let show = format!("SHOW {name}");
    assert_eq!(client.ask(&show), told(&["SHOW"], 'I'), "{name}");
    let (ended, rows) = client.prepared(&show);
    assert_eq!(ended, told(&["SHOW"], 'I'), "{name}");
    assert_eq!(client.rows(&show), rows, "{name}");
    rows[0].clone()
}

#[test]
fn settings_are_read_by_a_function() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    assert_eq!(client.ask("SHOW ALL"), told(&["SHOW"], 'I'));
    client.parse("before", "SELECT current_setting('application_name')");
    client.sync();
    client.ask("SET application_name = 'till'; SET datestyle = 'SQL, DMY'; SET my.own = '1'");
    client.ask("SET statement_timeout = '5s'");
    for (name, value) in [
        ("application_name", "till"),
        ("DateStyle", "SQL, DMY"),
        ("my.own", "1"),
        ("statement_timeout", "5000ms"),
        ("timezone", "UTC"),
        ("server_version_num", "160006"),
        ("transaction_isolation", "read committed"),
        ("session_authorization", "shop"),
    ] {
        assert_eq!(show(&mut client, name), value, "{name}");
        for call in [
            format!("SELECT current_setting('{name}')"),
            format!("SELECT pg_catalog.current_setting('{name}', true)"),
        ] {
            assert_eq!(client.rows(&call), [value], "{call}");
            assert_eq!(client.prepared(&call).1, [value], "{call}");
        }
    }
    // What was prepared before reads what holds now.
    let again = client.bind("", "before").execute("", 0).sync();
    assert_eq!(again, (told(&["SELECT 1"], 'I'), vec!["till".to_owned()]));
    for unknown in ["current_setting('nope')", "current_setting('nope', false)"] {
        let refused = client.refused(&format!("SELECT {unknown}"));
        let problem = "unrecognized configuration parameter \"nope\"";
        assert_eq!(refused, ("42704".to_owned(), problem.to_owned()));
    }
    for missing in [
        "current_setting('nope', true)",
        "current_setting(NULL)",
        "current_setting('timezone', NULL)",
    ] {
        let rows = client.rows(&format!("SELECT ({missing}) IS NULL AS is_null"));
        assert_eq!(rows, ["t"], "{missing}");
    }
}

#[test]
fn settings_are_set_by_a_function() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    let zone = "SELECT set_config('TimeZone', 'asia/tokyo', false)";
    assert_eq!(client.rows(zone), ["Asia/Tokyo"]);
    assert_eq!(show(&mut client, "timezone"), "Asia/Tokyo");
    let timeout = "SELECT pg_catalog.set_config('statement_timeout', '5s', false)";
    assert_eq!(client.prepared(timeout).1, ["5000ms"]);
    assert_eq!(show(&mut client, "statement_timeout"), "5000ms");
    let name = |value: &str, is_local: bool| {
        format!("SELECT set_config('application_name', '{value}', {is_local})")
    };
    // Until the transaction ends.
    let within = "SHOW application_name";
    client.ask("BEGIN");
    assert_eq!(client.rows(&name("a", true)), ["a"]);
    assert_eq!(client.rows(within), ["a"]);
    client.ask("COMMIT");
    assert_eq!(show(&mut client, "application_name"), "");
    let text = format!("{}; {within}", name("b", true));
    assert_eq!(client.rows(&text), ["b", "b"]);
    assert_eq!(client.rows(&name("c", true)), ["c"]);
    assert_eq!(show(&mut client, "application_name"), "");
    // It is taken back with the transaction.
    client.ask(&format!("BEGIN; {}; ROLLBACK", name("d", false)));
    assert_eq!(show(&mut client, "application_name"), "");
    let (told_of, rows) = client.pipeline(&[&name("e", false), within]);
    assert_eq!(told_of, told(&["SELECT 1", "SHOW"], 'I'));
    assert_eq!(rows, ["e", "e"]);
    // A statement that fails sets nothing.
    let failing = format!("{}, 1 / 0", name("f", false));
    assert_eq!(client.ask(&failing), told(&["22012"], 'I'));
    assert_eq!(client.ask("SELECT 1"), told(&["SELECT 1"], 'I'));
    assert_eq!(show(&mut client, "application_name"), "e");
    for (arguments, code) in [
        ("'timezone', 'Mars/Base', false", "22023"),
        ("'default_transaction_isolation', 'none', false", "22023"),
        ("'datafusion.execution.batch_size', '1', false", "42501"),
        ("'application_name', NULL, false", "22004"),
        ("NULL, 'g', false", "22004"),
    ] {
        let call = format!("SELECT set_config({arguments})");
        assert_eq!(client.ask(&call), told(&[code], 'I'), "{call}");
        assert_eq!(client.prepared(&call).0, told(&[code], 'I'), "{call}");
    }
    assert_eq!(show(&mut client, "application_name"), "e");
    let answer = sql(server.address, "json", &name("h", false));
    assert_eq!(answer.status, 400);
    let problem = answer.problem();
    assert!(problem.contains("PostgreSQL wire alone"), "{problem}");
}
