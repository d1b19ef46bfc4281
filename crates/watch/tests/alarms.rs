//! Alarms from the query to the mail, with a clock that the test sets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "this test uses a part of it")]
mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{MailBox, Told, certificate};
use parking_lot::Mutex;
use sluice_core::{ManualClock, RealDisk};
use sluice_watch::{
    HttpPost, MailServer, MailTls, Phase, QuietHours, Receiver, Silence, WatchOptions, Watcher,
    parse_alert,
};

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
/// 2024-11-11T10:00:00Z.
const START_US: i64 = 1_731_319_200 * SECOND_US;

const SOURCES: &str = r#"
title = "A source has stopped"
severity = "critical"
sql = "sources"
labels = ["source"]
value = "failing"
every = "5 seconds"
for = "10 seconds"
message = "{source} has stopped: {error}"
when = { above = 0 }
"#;
const ORDERS: &str = r#"
title = "Few orders"
owner = "sales"
sql = "orders"
labels = ["channel"]
every = "5 seconds"
when = { below = 10 }
"#;

fn options() -> WatchOptions {
    WatchOptions {
        warehouse: "shop".to_owned(),
        link: Some("http://127.0.0.1:8080".to_owned()),
        zone: "Asia/Shanghai".parse().unwrap(),
        owner: "data@shop.example".to_owned(),
        group_wait_us: 5 * SECOND_US,
        repeat_us: 4 * HOUR_US,
        quiet_hours: QuietHours::parse("22:00-07:00"),
    }
}

fn server(mail_box: &MailBox) -> MailServer {
    MailServer {
        host: "localhost".to_owned(),
        port: mail_box.address.port(),
        tls: MailTls::StartTls,
        certificates: Some(certificate().display().to_string()),
        login: Some(("user".to_owned(), "secret".to_owned())),
        from: "Sluice <sluice@shop.example>".to_owned(),
        owners: BTreeMap::from([("sales".to_owned(), "li@shop.example".to_owned())]),
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    now_us: i64,
    told: Told,
    watcher: Watcher,
}

impl Bench {
    fn new(folder: &Path, alerts: &[(&str, &str)], receivers: Vec<Box<dyn Receiver>>) -> Self {
        Self::at(START_US, folder, alerts, receivers)
    }

    fn at(
        now_us: i64,
        folder: &Path,
        alerts: &[(&str, &str)],
        receivers: Vec<Box<dyn Receiver>>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(now_us));
        let alerts = alerts
            .iter()
            .map(|(name, text)| parse_alert(name, name, text).unwrap());
        let watcher = Watcher::open(
            options(),
            alerts.collect(),
            receivers,
            Arc::new(RealDisk),
            folder,
            clock.clone(),
        );
        Self {
            clock,
            now_us,
            told: Told::default(),
            watcher: watcher.unwrap(),
        }
    }

    /// Time goes on in steps of a second. Returns what went wrong on the way.
    fn go_on(&mut self, seconds: i64) -> Vec<String> {
        let mut problems = Vec::new();
        for _ in 0..seconds {
            self.now_us += SECOND_US;
            self.clock.set_us(self.now_us);
            self.watcher.evaluate(&self.told).unwrap();
            problems.extend(self.watcher.deliver().unwrap());
        }
        problems
    }
}

#[test]
fn an_answer_with_too_many_rows_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), &[("few_orders", ORDERS)], Vec::new());
    let answer = |bench: &mut Bench, count: usize| {
        let rows: Vec<String> = (0..count).map(|number| format!("c{number},5")).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        bench.told.rows("orders", "channel,value", &rows);
        bench.go_on(5);
        bench.watcher.instances()
    };
    let whole = answer(&mut bench, 1_000);
    assert_eq!(whole.len(), 1_000);
    assert!(whole.iter().all(|found| found.message == "5: below 10"));
    assert_eq!(bench.watcher.cut_answers(), [""; 0]);

    let cut = answer(&mut bench, 1_001);
    assert_eq!(cut.len(), 1_000);
    let note = "the query has more than 1,000 rows, of which 1,000 are looked at";
    let message = format!("5: below 10 ({note})");
    assert!(cut.iter().all(|found| found.message == message));
    let said = bench.watcher.cut_answers();
    assert_eq!(said.len(), 1);
    let start = format!("alarm few_orders: {note}\n  help: ");
    assert!(said[0].starts_with(&start), "{said:?}");

    // Nothing is said of it once the answer fits.
    let fits = answer(&mut bench, 1);
    let firing = fits.iter().filter(|found| found.phase == Phase::Firing);
    let firing: Vec<&str> = firing.map(|found| found.message.as_str()).collect();
    assert_eq!(firing, ["5: below 10"]);
    assert_eq!(bench.watcher.cut_answers(), [""; 0]);
}

#[test]
fn the_owner_of_a_stopped_source_gets_a_mail_in_time_and_one_for_its_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let mail_box = MailBox::start();
    let mail: Vec<Box<dyn Receiver>> = vec![Box::new(server(&mail_box))];
    let mut bench = Bench::new(folder.path(), &[("source_stopped", SOURCES)], mail);
    let columns = "source,owner,failing,error";
    bench.told.rows(
        "sources",
        columns,
        &["orders,li@shop.example,0,", "log,,0,"],
    );
    bench.go_on(60);
    assert_eq!(mail_box.subjects(), [""; 0]);

    bench.told.rows(
        "sources",
        columns,
        &["orders,li@shop.example,1,no route to host", "log,,0,"],
    );
    // Evaluated every 5 s, pending for 10, and 5 for others that begin then too.
    bench.go_on(25);
    let mails = mail_box.mails.lock().clone();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(
        mail.header("Subject"),
        "[shop] critical: A source has stopped"
    );
    assert_eq!(mail.to, ["li@shop.example"]);
    assert_eq!(mail.login.as_deref(), Some("\0user\0secret"));
    assert!(mail.was_encrypted);
    let text = mail.text();
    assert!(
        text.contains("source=orders\n  orders has stopped: no route to host\n"),
        "{text}"
    );
    assert!(text.contains("since 2024-11-11 18:01:"), "{text}");

    // It goes on: nobody is told again before its time.
    bench.go_on(600);
    assert_eq!(mail_box.mails.lock().len(), 1);

    bench.told.rows(
        "sources",
        columns,
        &["orders,li@shop.example,0,", "log,,0,"],
    );
    bench.go_on(15);
    let mails = mail_box.mails.lock().clone();
    assert_eq!(mails.len(), 2);
    assert_eq!(
        mails[1].header("Subject"),
        "[shop] resolved: A source has stopped"
    );
    assert!(
        mails[1].text().contains("resolved 2024-11-11 18:"),
        "{}",
        mails[1].text()
    );
}

#[test]
fn what_could_not_be_delivered_is_delivered_later_and_nothing_twice_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mail_box = MailBox::start();
    mail_box.is_down.store(true, Ordering::SeqCst);
    let alerts = [("few_orders", ORDERS)];
    let mail = |mail_box: &MailBox| -> Vec<Box<dyn Receiver>> { vec![Box::new(server(mail_box))] };
    let mut bench = Bench::new(folder.path(), &alerts, mail(&mail_box));
    bench
        .told
        .rows("orders", "channel,value", &["app,3", "web,20"]);
    let problems = bench.go_on(30);
    assert!(
        !problems.is_empty() && problems.len() < 6,
        "it backs off: {problems:?}"
    );
    // The other channel fires, and is right again, while nobody can be told.
    bench
        .told
        .rows("orders", "channel,value", &["app,3", "web,4"]);
    bench.go_on(30);
    bench
        .told
        .rows("orders", "channel,value", &["app,3", "web,20"]);
    bench.go_on(30);
    let now_us = bench.now_us;
    drop(bench);

    let mut bench = Bench::at(now_us, folder.path(), &alerts, mail(&mail_box));
    bench
        .told
        .rows("orders", "channel,value", &["app,3", "web,20"]);
    mail_box.is_down.store(false, Ordering::SeqCst);
    bench.go_on(30);
    let mails = mail_box.mails.lock().clone();
    assert_eq!(mails.len(), 1, "{:?}", mail_box.subjects());
    assert_eq!(mails[0].to, ["li@shop.example"]);
    let text = mails[0].text();
    let firing = text.find("FIRING\n\nchannel=app\n  3: below 10").unwrap();
    let resolved = text.find("RESOLVED\n\nchannel=web\n  4: below 10").unwrap();
    assert!(firing < resolved, "{text}");
    let now_us = bench.now_us;
    drop(bench);

    let mut bench = Bench::at(now_us, folder.path(), &alerts, mail(&mail_box));
    bench
        .told
        .rows("orders", "channel,value", &["app,3", "web,20"]);
    bench.go_on(60);
    assert_eq!(mail_box.mails.lock().len(), 1, "nothing is told twice");
    // What goes on is told again after its time.
    bench.go_on(4 * 3600);
    let subjects = mail_box.subjects();
    assert_eq!(subjects.len(), 1, "in quiet hours a warning waits");
    bench
        .told
        .rows("orders", "channel,value", &["app,30", "web,20"]);
    bench.go_on(9 * 3600);
    let subjects = mail_box.subjects();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert_eq!(subjects[1], "[shop] resolved: Few orders");
    let date = mail_box.mails.lock()[1].header("Date");
    assert!(
        date.contains("11 Nov 2024 23:00:0"),
        "7 in the morning in Shanghai: {date}"
    );
}

#[test]
fn an_owner_whose_address_is_refused_does_not_hold_up_others() {
    let folder = tempfile::tempdir().unwrap();
    let mail_box = MailBox::start();
    *mail_box.refused.lock() = "gone@shop.example".to_owned();
    let alert = ORDERS.replace("owner = \"sales\"\n", "");
    let mail: Vec<Box<dyn Receiver>> = vec![Box::new(server(&mail_box))];
    let mut bench = Bench::new(folder.path(), &[("few_orders", &alert)], mail);
    let columns = "channel,value,owner";
    bench.told.rows(
        "orders",
        columns,
        &["app,3,gone@shop.example", "web,4,li@shop.example"],
    );
    let problems = bench.go_on(30);
    assert!(problems[0].contains("550"), "{problems:?}");
    let mails = mail_box.mails.lock().clone();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["li@shop.example"]);
}

#[test]
fn silences_hold_messages_back_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let mail_box = MailBox::start();
    let mail: Vec<Box<dyn Receiver>> = vec![Box::new(server(&mail_box))];
    let mut bench = Bench::new(folder.path(), &[("few_orders", ORDERS)], mail);
    let silence = |alarm: &str, channel: &str| Silence {
        id: 0,
        alarm: Some(alarm.to_owned()),
        labels: BTreeMap::from([("channel".to_owned(), channel.to_owned())]),
        from_us: 0,
        until_us: 0,
        comment: "known".to_owned(),
        by: "li".to_owned(),
    };
    let error = bench
        .watcher
        .silence(silence("few_ordres", "app"), HOUR_US)
        .unwrap_err();
    assert!(error.to_string().contains("known: few_orders"), "{error}");
    let kept = bench
        .watcher
        .silence(silence("few_orders", "app"), HOUR_US)
        .unwrap();
    assert_eq!(kept.id, 1);
    bench
        .told
        .rows("orders", "channel,value", &["app,3", "web,4"]);
    bench.go_on(60);
    let text = mail_box.mails.lock()[0].text();
    assert!(
        text.contains("channel=web") && !text.contains("channel=app"),
        "{text}"
    );
    assert_eq!(bench.watcher.silences(), std::slice::from_ref(&kept));
    bench.watcher.end_silence(kept.id).unwrap();
    assert!(bench.watcher.end_silence(kept.id).is_err());
    bench.go_on(15);
    assert_eq!(mail_box.mails.lock().len(), 2);
    let text = mail_box.mails.lock()[1].text();
    assert!(
        text.contains("channel=app") && !text.contains("channel=web"),
        "{text}"
    );
}

#[test]
fn an_alarm_that_cannot_be_evaluated_is_an_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), &[("few_orders", ORDERS)], Vec::new());
    bench.told.fails("orders", "no such table");
    bench.go_on(400);
    let instances = bench.watcher.instances();
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0].alarm, "alarm_cannot_be_evaluated");
    assert_eq!(instances[0].phase, Phase::Firing);
    assert_eq!(instances[0].owner, "sales");
    assert_eq!(instances[0].message, "no such table");
    bench.told.rows("orders", "channel,value", &["app,30"]);
    bench.go_on(10);
    assert_eq!(bench.watcher.instances()[0].phase, Phase::Resolved);
}

#[test]
fn comparisons_ask_for_the_same_span_of_another_day_and_miss_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let alert = r#"
sql = "$from $until"
labels = ["channel"]
every = "1 hour"
when = { fell_by = "50%", compared_with = "yesterday", before_at_least = 10 }
message = "{value} instead of {before}"
"#;
    let mut bench = Bench::new(folder.path(), &[("fallen", alert)], Vec::new());
    let now = "TIMESTAMPTZ '2024-11-11T09:00:01.000000Z' TIMESTAMPTZ '2024-11-11T10:00:01.000000Z'";
    let yesterday =
        "TIMESTAMPTZ '2024-11-10T09:00:01.000000Z' TIMESTAMPTZ '2024-11-10T10:00:01.000000Z'";
    bench.told.rows(now, "channel,value", &["app,60", "new,5"]);
    bench
        .told
        .rows(yesterday, "channel,value", &["app,100", "web,80", "tiny,9"]);
    bench.go_on(1);
    let instances = bench.watcher.instances();
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0].label_text(), "channel=web");
    assert_eq!(instances[0].message, "0 instead of 80");
}

/// The paths and bodies of requests.
type Requests = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

/// Answers requests with `statuses` in turn, and keeps what they said.
fn http_server(statuses: Vec<u16>) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests: Arc<Mutex<Vec<(String, serde_json::Value)>>> = Arc::default();
    let kept = requests.clone();
    std::thread::Builder::new()
        .spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap() == 0 {
                        break;
                    }
                }
                let length = head.lines().find_map(|line| {
                    let line = line.to_ascii_lowercase();
                    line.strip_prefix("content-length: ")?.parse::<usize>().ok()
                });
                let mut body = vec![0; length.unwrap()];
                reader.read_exact(&mut body).unwrap();
                kept.lock()
                    .push((head, serde_json::from_slice(&body).unwrap()));
                let status = statuses.get(number).unwrap_or(&200);
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        })
        .unwrap();
    (url, requests)
}

#[test]
fn a_webhook_gets_json_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (url, requests) = http_server(vec![500]);
    let hook = HttpPost::webhook(
        "hook".to_owned(),
        format!("{url}/in"),
        Some("Bearer t".to_owned()),
    );
    let mut bench = Bench::new(
        folder.path(),
        &[("few_orders", ORDERS)],
        vec![Box::new(hook)],
    );
    bench.told.rows("orders", "channel,value", &["app,3"]);
    bench.go_on(20);
    let requests = requests.lock();
    assert_eq!(requests.len(), 2);
    let (head, body) = &requests[1];
    assert!(head.starts_with("POST /in "), "{head}");
    assert!(
        head.to_ascii_lowercase()
            .contains("authorization: bearer t"),
        "{head}"
    );
    assert_eq!(body["id"], requests[0].1["id"], "the same message");
    assert_eq!(body["state"], "firing");
    assert_eq!(body["instances"][0]["labels"]["channel"], "app");
}

#[test]
fn an_alertmanager_hears_of_what_fires_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let (url, requests) = http_server(Vec::new());
    let manager = HttpPost::alertmanager("alertmanager".to_owned(), &url, None);
    let mut bench = Bench::new(
        folder.path(),
        &[("few_orders", ORDERS)],
        vec![Box::new(manager)],
    );
    bench.told.rows("orders", "channel,value", &["app,3"]);
    bench.go_on(150);
    bench.told.rows("orders", "channel,value", &["app,30"]);
    bench.go_on(10);
    let requests = requests.lock();
    assert_eq!(
        requests.len(),
        4,
        "at 0, 60 and 120 seconds, and at the end"
    );
    let (head, body) = &requests[0];
    assert!(head.starts_with("POST /api/v2/alerts "), "{head}");
    assert_eq!(body[0]["labels"]["alertname"], "few_orders");
    assert_eq!(body[0]["labels"]["channel"], "app");
    assert_eq!(body[0]["startsAt"], "2024-11-11T10:00:01.000Z");
    assert_eq!(body[0]["endsAt"], "2024-11-11T10:05:01.000Z");
    assert_eq!(requests[3].1[0]["endsAt"], "2024-11-11T10:02:31.000Z");
}

#[test]
fn other_rules_take_effect_while_the_old_ones_fire() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), &[("few_orders", ORDERS)], Vec::new());
    bench
        .told
        .rows("orders", "channel,value", &["app,5", "web,30"]);
    bench.go_on(10);
    let firing = |bench: &Bench| -> Vec<(String, String)> {
        let instances = bench.watcher.instances();
        let firing = instances.iter().filter(|one| one.phase == Phase::Firing);
        firing
            .map(|one| (one.alarm.clone(), one.labels["channel"].clone()))
            .collect()
    };
    let of = |alarm: &str, channel: &str| (alarm.to_owned(), channel.to_owned());
    assert_eq!(firing(&bench), [of("few_orders", "app")]);
    // A higher bound counts from the next look on, not after the old interval.
    let higher = ORDERS.replace("below = 10", "below = 50");
    let alert = |name: &str, text: &str| parse_alert(name, name, text).unwrap();
    bench
        .watcher
        .set_alerts(vec![alert("few_orders", &higher)])
        .unwrap();
    bench.go_on(1);
    assert_eq!(firing(&bench).len(), 2);
    // Another name is another alarm: what the old one said is over.
    bench
        .watcher
        .set_alerts(vec![alert("orders_fell", ORDERS)])
        .unwrap();
    assert_eq!(firing(&bench), []);
    bench.go_on(10);
    assert_eq!(firing(&bench), [of("orders_fell", "app")]);
    let resolved = bench.watcher.instances();
    let resolved = resolved.iter().filter(|one| one.phase == Phase::Resolved);
    assert_eq!(resolved.count(), 2);
    // It is so after a restart, too.
    let bench = Bench::at(
        bench.now_us,
        folder.path(),
        &[("orders_fell", ORDERS)],
        Vec::new(),
    );
    assert_eq!(firing(&bench), [of("orders_fell", "app")]);
}
