//! What Sugar BI asks and gets: the exact answer for every kind of chart, and
//! failures, which are answers too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::client::{Answer, request};
use common::{Options, Server};

const TOKEN: &str = "a-long-secret";

fn panel(chart: &str, query: &str, more: &str) -> String {
    format!(
        "title = {{ en = \"Panel\", zh = \"面板\" }}\nsubject = \"trade\"\nchart = \"{chart}\"\nquery = \"\"\"{query}\"\"\"\n{more}"
    )
}

const DAY: &str = "[parameters.day]\ntype = \"date\"\ndefault = \"1970-01-02\"\n";
const NAMES: &str = "[columns.amount]\ntitle = { en = \"Amount\", zh = \"金额\" }\nformat = \"money\"\n[columns.orders]\ntitle = { en = \"Orders\", zh = \"订单数\" }\n";

fn panels() -> Vec<(String, String)> {
    let by_buyer = "SELECT buyer, sum(amount) AS amount, count(*) AS orders FROM orders WHERE day >= $day GROUP BY buyer ORDER BY buyer";
    let named = format!("{DAY}{NAMES}");
    let all = [
        (
            "number",
            panel(
                "number",
                "SELECT sum(amount) AS amount FROM orders WHERE day >= $day HAVING count(*) > 0",
                DAY,
            ),
        ),
        ("line", panel("line", by_buyer, &named)),
        ("area", panel("area", by_buyer, &named)),
        (
            "bar",
            panel(
                "bar",
                "SELECT day, buyer, amount FROM orders WHERE day >= $day ORDER BY day",
                &format!(
                    "{DAY}[columns.buyer]\nrole = \"series\"\n[columns.day]\nrole = \"category\"\n"
                ),
            ),
        ),
        ("pie", panel("pie", by_buyer, &named)),
        ("funnel", panel("funnel", by_buyer, &named)),
        ("word_cloud", panel("word_cloud", by_buyer, &named)),
        ("map", panel("map", by_buyer, &named)),
        (
            "table",
            panel(
                "table",
                "SELECT id, buyer, day, amount FROM orders WHERE day >= $day ORDER BY id",
                &format!(
                    "{DAY}[columns.id]\nrole = \"hidden\"\n[columns.amount]\ntitle = {{ en = \"Amount\", zh = \"金额\" }}\n"
                ),
            ),
        ),
        (
            "failing",
            panel(
                "number",
                "SELECT 1 / (count(*) - count(*)) AS orders FROM orders",
                "",
            ),
        ),
    ];
    all.into_iter()
        .map(|(name, text)| (name.to_owned(), text))
        .collect()
}

fn server(token: Option<&str>) -> Server {
    let server = Server::start_with(Options {
        panels: panels(),
        sugar_token: token.map(str::to_owned),
        ..Options::default()
    });
    let order = |id: i64, buyer: &str, cents| ((id, buyer.to_owned(), cents), 1);
    server.shop.apply_orders(&[
        order(1, "广西壮族自治区", 1_050),
        order(2, "北京市", 1_234_567_890_123_456),
        order(3, "北京市", 25),
    ]);
    server
}

fn ask(server: &Server, path: &str, token: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(token.map(|token| ("Sugar-Token", token)));
    let path = format!("/api/v1/sugar/{path}");
    let answer = request(server.address, "POST", &path, &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer
}

#[track_caller]
fn golden(server: &Server, path: &str, body: &str, data: &str) {
    let answer = ask(server, path, Some(TOKEN), body);
    let expected = format!("{{\"status\":0,\"msg\":\"\",\"data\":{data}}}\n");
    assert_eq!(answer.text(), expected, "{path}");
    // It is JSON, whatever is in the names.
    answer.json();
}

#[test]
fn every_kind_of_chart_has_its_shape() {
    let server = server(Some(TOKEN));
    golden(&server, "number", "", "12345678901245.31");
    let lines = r#"{"categories":["北京市","广西壮族自治区"],"series":[{"name":"金额","data":[12345678901234.81,10.50]},{"name":"订单数","data":[2,1]}]}"#;
    golden(&server, "line", "", lines);
    golden(&server, "area", "", lines);
    golden(
        &server,
        "bar",
        "",
        r#"{"categories":["1970-01-02","1970-01-03","1970-01-04"],"series":[{"name":"广西壮族自治区","data":[10.50,null,null]},{"name":"北京市","data":[null,12345678901234.56,0.25]}]}"#,
    );
    let named =
        r#"[{"name":"北京市","value":12345678901234.81},{"name":"广西壮族自治区","value":10.50}]"#;
    for kind in ["pie", "funnel", "word_cloud"] {
        golden(&server, kind, "", named);
    }
    golden(
        &server,
        "map",
        "",
        r#"{"mapData":[{"name":"北京","value":12345678901234.81},{"name":"广西","value":10.50}],"valueName":"金额"}"#,
    );
    golden(
        &server,
        "table",
        "",
        r#"{"columns":[{"name":"buyer","id":"buyer"},{"name":"day","id":"day"},{"name":"金额","id":"amount"}],"rows":[{"buyer":"广西壮族自治区","day":"1970-01-02","amount":10.50},{"buyer":"北京市","day":"1970-01-03","amount":12345678901234.56},{"buyer":"北京市","day":"1970-01-04","amount":0.25}]}"#,
    );
}

#[test]
fn filters_come_in_the_address_or_in_the_body() {
    let server = server(Some(TOKEN));
    let last = "[{\"name\":\"北京市\",\"value\":0.25}]";
    golden(&server, "pie?day=19700104", "", last);
    let chosen = r#"{"conditions":[{"k":"day","t":"date","v":"1970-01-04"},{"k":"other","t":"text","v":"x"}]}"#;
    golden(&server, "pie", chosen, last);
    golden(&server, "pie", r#"{"day":"1970-01-04"}"#, last);
    let empty_choice = r#"{"conditions":[{"k":"day","t":"date","v":""}]}"#;
    golden(&server, "number", empty_choice, "12345678901245.31");
    let english = ask(&server, "map?lang=en", Some(TOKEN), "");
    assert_eq!(english.json()["data"]["valueName"], "Amount");
}

#[test]
fn an_empty_result_keeps_its_shape() {
    let server = server(Some(TOKEN));
    let none = "{\"day\":\"1970-02-01\"}";
    golden(&server, "number", none, "null");
    for kind in ["pie", "funnel", "word_cloud"] {
        golden(&server, kind, none, "[]");
    }
    let lines =
        r#"{"categories":[],"series":[{"name":"金额","data":[]},{"name":"订单数","data":[]}]}"#;
    golden(&server, "line", none, lines);
    golden(&server, "bar", none, r#"{"categories":[],"series":[]}"#);
    golden(&server, "map", none, r#"{"mapData":[],"valueName":"金额"}"#);
    let head = r#"{"columns":[{"name":"buyer","id":"buyer"},{"name":"day","id":"day"},{"name":"金额","id":"amount"}],"rows":[]}"#;
    golden(&server, "table", none, head);
}

#[track_caller]
fn refused(answer: &Answer, status: i64, words: &str) {
    let found = answer.json();
    assert_eq!(found["status"], status, "{found}");
    assert!(found["msg"].as_str().unwrap().contains(words), "{found}");
    assert!(found["data"].is_null());
}

#[test]
fn failures_are_answers_with_a_status() {
    let on = server(Some(TOKEN));
    for token in [
        None,
        Some(""),
        Some("a-long-secre"),
        Some("a-long-secret2"),
        Some("A-LONG-SECRET"),
    ] {
        refused(&ask(&on, "number", token, ""), 401, "Sugar-Token");
    }
    refused(
        &ask(&on, "nothing", Some(TOKEN), ""),
        404,
        "no panel `nothing`",
    );
    refused(
        &ask(&on, "number?day=x", Some(TOKEN), ""),
        400,
        "`x` is no date",
    );
    refused(
        &ask(&on, "number?dya=x", Some(TOKEN), ""),
        400,
        "no parameter `dya`",
    );
    refused(&ask(&on, "number", Some(TOKEN), "{"), 400, "not JSON");
    refused(&ask(&on, "failing", Some(TOKEN), ""), 400, "Divide by zero");
    let off = server(None);
    refused(&ask(&off, "number", Some(TOKEN), ""), 403, "[sugar]");
}
