//! What the real program tells by mail, through a mail server that others wrote, with
//! STARTTLS and a password: of a source that stops and of its recovery, and the
//! report. What the server and the certificates must be, and that rows flow while
//! mail does not. `scripts/install-test-tools` installs the server, aiosmtpd.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, waits, and says loudly what it skips"
)]

#[path = "../../mysql/tests/common/certificates.rs"]
mod certificates;
mod common;
#[path = "common/files_below.rs"]
mod files_below;
#[path = "common/found_below.rs"]
mod found_below;
#[path = "mail_server/server.rs"]
mod server;
#[path = "common/stopping_source.rs"]
mod stopping_source;
#[path = "common/world.rs"]
mod world;

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use common::{Running, ask_until, output, request, sluice, succeed};
use found_below::{found_below, found_in};
use server::{PASSWORD, Server};
use stopping_source::{orders_source, quick_alarm, shop};
use world::{World, wait, write};

/// So long that the subject takes more than one line.
const TITLE: &str = "订单的来源已经停止，请值班的同事尽快查看数据采集的状态";
const OWNER: &str = "li@shop.example";

const VISITS: &str = r#"
[topic.visits.capture]
kind = "file"
path = "visits.ndjson"
format = "ndjson"
[table.visits]
topic = "visits"
columns = [
  { name = "day", from = "/day", type = "date" },
  { name = "channel", from = "/channel", type = "string" },
]
"#;

const REPORT: &str = r#"
title = "经营日报"
to = "boss"
at = "00:00"
language = "zh"

[[figure]]
title = "访问"
unit = "次"
sql = "SELECT count(*) AS value FROM visits WHERE day <= $day"

[[chart]]
title = "各渠道 <访问>"
sql = "SELECT channel, count(*) AS visits FROM visits WHERE day <= $day GROUP BY channel ORDER BY channel"
"#;

/// How a mail is given to the server: nothing but the greeting is said in clear.
const DELIVERY: [&str; 8] = [
    "EHLO",
    "+STARTTLS",
    "+EHLO",
    "+AUTH",
    "+MAIL",
    "+RCPT",
    "+DATA",
    "+QUIT",
];

/// A warehouse with a source at `url` that somebody owns, and one that nobody does. It
/// takes the mail server by this name, with this password, and trusts this authority.
fn world(server: &Server, host: &str, authority: &str, password: &str, url: &str) -> World {
    let port = server.port;
    let world = World::with(&format!(
        r#"name = "shop"

[owners]
boss = "Wang <wang@shop.example>, {OWNER}"

[mail]
server = "{host}"
port = {port}
certificates = "authority.pem"
from = "数仓 <sluice@shop.example>"
user = "sluice"
password = "file:mail-password"

[alarms]
group_wait = "1 second"
"#
    ));
    let file = |name: &str| world.project().join(name);
    trust(&world, server, authority);
    write(&file("mail-password"), password);
    visit(&world, &["app"]);
    world.sources("orders", &orders_source(OWNER, url));
    world.sources("visits", VISITS);
    let alarm = quick_alarm().replace("A source has stopped", TITLE);
    assert!(alarm.contains(TITLE));
    write(&file("alerts/source_stopped.toml"), &alarm);
    world
}

/// The warehouse trusts this authority from now on.
fn trust(world: &World, server: &Server, authority: &str) {
    let certificates = std::fs::read_to_string(server.authority(authority)).unwrap();
    write(&world.project().join("authority.pem"), &certificates);
}

/// More visits, each through a channel.
fn visit(world: &World, channels: &[&str]) {
    let path = world.project().join("visits.ndjson");
    let mut text = String::new();
    for channel in channels {
        text += &format!("{{\"day\":\"2024-11-10\",\"channel\":\"{channel}\"}}\n");
    }
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// What `sluice alarms list` says; nothing before the warehouse answers.
fn listed(world: &World) -> String {
    let mut command = sluice();
    command.args(["alarms", "list", "--state"]);
    let output = output(command.arg(world.state()));
    String::from_utf8(output.stdout).unwrap()
}

fn metrics(running: &Running) -> String {
    let url = format!("{}/metrics", running.http);
    let (status, text) = request("GET", &url, None, None);
    assert_eq!(status, 200, "{text}");
    text
}

/// The mail that arrives after so many others.
#[track_caller]
fn next_mail(server: &Server, others: usize) -> Value {
    wait("a mail", || server.mails().len() > others);
    server.mails().swap_remove(others)
}

/// What Python's library makes of the headers.
#[track_caller]
fn assert_read_well(mail: &Value, to: &[&str], subject: &str) {
    assert_eq!(mail["defects"], json!([]), "{mail}");
    assert_eq!(mail["from"], json!(["数仓", "sluice@shop.example"]));
    assert_eq!(mail["to"], json!(to));
    assert_eq!(mail["subject"], subject);
    let id = mail["message_id"].as_str().unwrap();
    let id = id.strip_suffix("@shop.example>").unwrap();
    assert!(id.len() > 10 && id.starts_with('<'), "{mail}");
    let age_seconds = mail["age_seconds"].as_f64().unwrap();
    assert!((-5.0..60.0).contains(&age_seconds), "{age_seconds}");
    let headers = [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ];
    let found: Vec<&str> = mail["headers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        // Of a mail that is one part.
        .filter(|name| *name != "Content-Transfer-Encoding")
        .collect();
    assert_eq!(found, headers);
}

#[test]
fn the_owner_of_a_source_that_stops_has_a_mail_in_time_and_one_of_its_recovery() {
    let Some(server) = Server::start() else {
        return;
    };
    let is_down = Arc::new(AtomicBool::new(false));
    let url = shop(is_down.clone());
    let world = world(&server, "127.0.0.1", "authority", PASSWORD, &url);
    let running = world.start();
    wait("the source runs", || {
        let state = "SELECT state FROM sluice_sources WHERE source = 'orders'";
        world.says(state, "running")
    });
    assert_eq!(server.events(), Vec::<Value>::new());

    is_down.store(true, Ordering::SeqCst);
    let stopped = Instant::now();
    let first = next_mail(&server, 0);
    // An evaluation each second, two seconds pending, one for others to begin too;
    // the rest is for a machine that is busy.
    let elapsed = stopped.elapsed();
    assert!(elapsed > Duration::from_secs(2), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
    wait("the goodbye", || server.commands().len() >= DELIVERY.len());
    assert_eq!(server.commands(), DELIVERY);
    let events = server.events();
    assert_eq!(events[3]["is_right"], true);
    assert_eq!(events[4]["address"], "sluice@shop.example");
    assert_eq!(events[5]["address"], OWNER);
    assert_read_well(&first, &[OWNER], &format!("[shop] critical: {TITLE}"));
    assert_eq!(first["types"], json!(["text/plain"]));
    let text = first["texts"][0].as_str().unwrap();
    let begin = format!(
        "FIRING\n\nsource=orders\n  orders cannot be read: {url} answers 500 Internal Server Error\n  since "
    );
    assert!(text.starts_with(&begin), "{text}");
    let end = format!(
        "\n\n-- \nWarehouse shop, alarm source_stopped, severity critical, owner {OWNER}\n"
    );
    assert!(text.ends_with(&end), "{text}");

    is_down.store(false, Ordering::SeqCst);
    let second = next_mail(&server, 1);
    assert_read_well(&second, &[OWNER], &format!("[shop] resolved: {TITLE}"));
    assert_ne!(second["message_id"], first["message_id"]);
    let text = second["texts"][0].as_str().unwrap();
    assert!(text.starts_with("RESOLVED\n\nsource=orders\n"), "{text}");
    wait("the second goodbye", || {
        server.commands().len() >= 2 * DELIVERY.len()
    });
    assert_eq!(server.commands()[DELIVERY.len()..], DELIVERY);
    drop(running);
}

#[test]
fn rows_flow_while_mail_does_not_and_a_wrong_password_is_told_without_it() {
    const WRONG: &str = "Zx9-wrong-battery";
    /// As AUTH PLAIN sends it: `printf '\0sluice\0Zx9-wrong-battery' | base64`.
    const WRONG_SENT: &str = "AHNsdWljZQBaeDktd3JvbmctYmF0dGVyeQ==";
    let Some(server) = Server::start() else {
        return;
    };
    let url = shop(Arc::new(AtomicBool::new(true)));
    let world = world(&server, "127.0.0.1", "authority", WRONG, &url);
    let rows = "SELECT count(*) FROM visits";

    // A server that takes the connection and says nothing.
    server.signal("STOP");
    let running = world.start();
    wait("the alarm fires", || listed(&world).starts_with("firing "));
    // Longer than the alarm waits for others.
    std::thread::sleep(Duration::from_secs(3));
    visit(&world, &["web"]);
    ask_until(&world.state(), rows, &["2"]);
    // The mail is still on its way.
    assert!(metrics(&running).contains("\nsluice_alarms_undelivered 0\n"));
    assert_eq!(server.events(), Vec::<Value>::new());

    // Now it answers, and refuses the password, more than once.
    server.signal("CONT");
    let refused = || {
        let events = server.events().into_iter();
        events.filter(|event| event["is_right"] == false).count()
    };
    wait("two refusals", || refused() >= 2);
    visit(&world, &["app"]);
    ask_until(&world.state(), rows, &["3"]);
    let refusal = format!(
        "mail server 127.0.0.1:{}: 535 5.7.8 Authentication credentials invalid",
        server.port
    );
    let told = listed(&world);
    assert!(
        told.contains(&format!("not delivered yet: mail: {refusal}\n")),
        "{told}"
    );
    wait("the number of those who could not be told", || {
        metrics(&running).contains("\nsluice_alarms_undelivered 1\n")
    });
    assert_eq!(server.mails(), Vec::<Value>::new());
    // In the log it stands once, though it goes on.
    let warning = format!("alarm source_stopped to {OWNER} by mail: {refusal}; trying again");
    assert_eq!(running.said().matches(&warning).count(), 1);

    // The account gets the password that the warehouse has.
    let wire = format!("{told}{}", metrics(&running));
    server.set_password(WRONG);
    let mail = next_mail(&server, 0);
    assert_read_well(&mail, &[OWNER], &format!("[shop] critical: {TITLE}"));
    let delivered = "SELECT delivered IS NOT NULL FROM sluice_alarms";
    ask_until(&world.state(), delivered, &["true"]);

    let secrets = [WRONG, WRONG_SENT];
    let (status, said) = running.stop_and_tell();
    assert!(status.success(), "{said}");
    let mut found = found_below(&world.state(), &secrets);
    found.extend(found_in("stderr", said.as_bytes(), &secrets));
    found.extend(found_in("the answers", wire.as_bytes(), &secrets));
    assert!(found.is_empty(), "{found:#?}");
}

/// A warehouse whose mail server is refused for this reason, again and again, and hears
/// nothing but the greeting.
#[track_caller]
fn refuse(server: &Server, host: &str, authority: &str, problem: &str) -> (Running, World) {
    let url = shop(Arc::new(AtomicBool::new(true)));
    let world = world(server, host, authority, PASSWORD, &url);
    let running = world.start();
    wait("two tries", || server.commands().len() >= 2);
    let refusal = format!("mail: mail server {host}:{}: {problem}", server.port);
    let told = listed(&world);
    assert!(
        told.contains(&format!("not delivered yet: {refusal}")),
        "{told}"
    );
    let said = running.said();
    let warning = format!("alarm source_stopped to {OWNER} by {refusal}");
    assert!(said.contains(&warning), "{said}");
    let commands = server.commands();
    assert!(
        commands.iter().all(|command| command == "EHLO"),
        "{commands:?}"
    );
    (running, world)
}

#[test]
fn a_server_without_starttls_hears_no_password_and_gets_no_mail() {
    let Some(server) = Server::start_plain() else {
        return;
    };
    let (running, world) = refuse(&server, "127.0.0.1", "authority", "454 TLS not available");
    let told = listed(&world);
    let advice = "set mail.tls = \"implicit\" where it encrypts from the first byte";
    assert!(told.contains(advice), "{told}");
    drop(running);
}

#[test]
fn a_server_of_another_authority_or_name_hears_no_password_and_gets_no_mail() {
    for (host, authority, problem) in [
        (
            "127.0.0.1",
            "other",
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            "localhost",
            "authority",
            "invalid peer certificate: certificate not valid for name \"localhost\"",
        ),
    ] {
        let Some(server) = Server::start() else {
            return;
        };
        let (running, world) = refuse(&server, host, authority, problem);
        if authority == "other" {
            // It was nothing else: with the right one the mail goes out.
            trust(&world, &server, "authority");
            let mail = next_mail(&server, 0);
            assert_read_well(&mail, &[OWNER], &format!("[shop] critical: {TITLE}"));
        }
        drop(running);
    }
}

#[test]
fn the_morning_report_arrives_with_its_chart() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = shop(Arc::new(AtomicBool::new(false)));
    let world = world(&server, "127.0.0.1", "authority", PASSWORD, &url);
    // The rows are there before the report is: it is sent as soon as it can be.
    visit(&world, &["web", "app", "app"]);
    succeed(&mut world.until_idle());
    assert_eq!(server.events(), Vec::<Value>::new());
    write(&world.project().join("reports/daily.toml"), REPORT);
    let running = world.start();
    let mail = next_mail(&server, 0);

    let subject = mail["subject"].as_str().unwrap();
    let day = subject.strip_prefix("[shop] 经营日报: ").unwrap();
    assert_read_well(&mail, &["wang@shop.example", OWNER], subject);
    wait("the goodbye", || server.commands().len() > DELIVERY.len());
    let mut commands = DELIVERY.to_vec();
    commands.insert(5, "+RCPT");
    assert_eq!(server.commands(), commands);
    let types = [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
    ];
    assert_eq!(mail["types"], json!(types));
    let plain = format!(
        "经营日报: {day}\n\n访问: 4 次\n  前一日: 4 次 +0.0 %\n  上周同日: 4 次 +0.0 %\n\n各渠道 <访问>\n  app: 3\n  web: 1\n"
    );
    assert_eq!(mail["texts"][0], plain.as_str());
    let html = mail["texts"][1].as_str().unwrap();
    assert!(html.contains(">各渠道 &lt;访问&gt;</h2>"), "{html}");
    // Bars: the longest is 360 pixels wide, and one of a third of it 120.
    let (first, rest) = html.split_once(">web</td>").unwrap();
    assert!(
        first.contains(">app</td>") && first.contains("width:360px"),
        "{html}"
    );
    assert!(rest.contains("width:120px"), "{html}");
    drop(running);
}
