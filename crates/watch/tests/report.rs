//! The morning report, from the queries to the mail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "this test uses a part of it")]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{MailBox, Told, certificate};
use sluice_core::{ManualClock, RealDisk};
use sluice_watch::{MailServer, MailTls, Reporting, WatchOptions, Watcher, parse_report};

const REPORT: &str = r#"
title = "经营日报"
to = "boss"
at = "08:30"
language = "zh"

[[figure]]
title = "成交额"
unit = "元"
sql = "gmv $day"

[[chart]]
title = "订单 <按小时>"
sql = "hours $day"
"#;

/// 2024-11-11T00:29:00Z is 8:29 in Shanghai.
const BEFORE_US: i64 = 1_731_284_940_000_000;
const MINUTE_US: i64 = 60_000_000;

#[test]
fn the_report_of_yesterday_is_sent_once_in_the_morning() {
    let folder = tempfile::tempdir().unwrap();
    let mail_box = MailBox::start();
    let clock = Arc::new(ManualClock::new(BEFORE_US));
    let options = WatchOptions {
        warehouse: "shop".to_owned(),
        link: None,
        zone: "Asia/Shanghai".parse().unwrap(),
        owner: String::new(),
        group_wait_us: 0,
        repeat_us: 0,
        quiet_hours: None,
    };
    let server = MailServer {
        host: "localhost".to_owned(),
        port: mail_box.address.port(),
        tls: MailTls::StartTls,
        certificates: Some(certificate().display().to_string()),
        login: None,
        from: "sluice@shop.example".to_owned(),
        owners: BTreeMap::from([("boss".to_owned(), "boss@shop.example".to_owned())]),
    };
    let report = parse_report("morning", "morning.toml", REPORT).unwrap();
    let watcher = || {
        let disk = Arc::new(RealDisk);
        let (options, clock) = (options.clone(), clock.clone());
        Watcher::open(options, Vec::new(), Vec::new(), disk, folder.path(), clock).unwrap()
    };
    let told = Told::default();
    told.rows("gmv DATE '2024-11-10'", "value", &["12345.5"]);
    told.rows("gmv DATE '2024-11-09'", "value", &["10000"]);
    told.rows("gmv DATE '2024-11-03'", "value", &[]);
    told.rows("hours DATE '2024-11-10'", "hour,orders", &["9,5", "10,20"]);

    let reporting = Reporting::new(options.clone(), vec![report], server, clock.clone());
    let first = watcher();
    assert!(reporting.send(&first, &told).is_empty());
    assert!(mail_box.mails.lock().is_empty(), "it is too early");
    // A server that does not answer costs a minute.
    mail_box.is_down.store(true, Ordering::SeqCst);
    clock.set_us(BEFORE_US + MINUTE_US);
    assert_eq!(reporting.send(&first, &told).len(), 1);
    mail_box.is_down.store(false, Ordering::SeqCst);
    assert!(reporting.send(&first, &told).is_empty());
    assert!(mail_box.mails.lock().is_empty());
    clock.set_us(BEFORE_US + 3 * MINUTE_US);
    assert!(reporting.send(&first, &told).is_empty());
    assert!(reporting.send(&watcher(), &told).is_empty(), "a restart");

    let mails = mail_box.mails.lock();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["boss@shop.example"]);
    let content = &mails[0].content;
    let parts: Vec<&str> = content
        .split("Content-Transfer-Encoding: base64\r\n\r\n")
        .collect();
    let part = |number: usize| {
        let body = parts[number].split("\r\n--").next().unwrap();
        common::text_of(body)
    };
    let plain = part(1);
    assert!(
        plain.contains("成交额: 12,345.50 元\n  前一日: 10,000 元 +23.5 %\n  上周同日: – \n"),
        "{plain}"
    );
    let html = part(2);
    assert!(html.contains("<html lang=\"zh-CN\">"), "{html}");
    assert!(html.contains("订单 &lt;按小时&gt;"), "{html}");
    assert!(
        html.contains("width:360px") && html.contains("width:90px"),
        "{html}"
    );
}

#[test]
fn mistakes_are_named_with_their_place() {
    let problem = |text: &str| parse_report("a", "a.toml", text).unwrap_err().to_string();
    assert!(problem("title = \"x\"\n").contains("nothing in it"));
    let text = "at = \"8 Uhr\"\n[[figure]]\ntitle = \"a\"\nsql = \"SELECT $day\"\n";
    assert!(problem(text).starts_with("a.toml:1:6: `8 Uhr` is no time of day"));
    let text = "[[figure]]\ntitle = \"a\"\nsql = \"SELECT 1\"\n";
    assert!(problem(text).starts_with("a.toml:3:7: the query does not ask for $day"));
}
