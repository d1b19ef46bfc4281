//! Panels over HTTP: their list, every form of an answer, parameters of every
//! type, what is known already, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and asks from threads of its own"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use common::client::{get, request};
use common::{COUNT_PANEL, Options, Server, stock_delta};
use serde_json::json;
use sluice_serve::{PanelDefinitions, PanelFile, Panels, SystemTable};

const ORDERS: &str = r#"
title = { en = "Orders", zh = "订单" }
subject = "trade"
chart = "table"
query = """
SELECT id, buyer, amount, day FROM orders
WHERE ($buyer IS NULL OR buyer = $buyer) AND amount >= $least AND day <= $day
ORDER BY id LIMIT $limit
"""
[parameters.buyer]
type = "text"
[parameters.least]
type = "decimal"
default = "0.5"
[parameters.day]
type = "date"
default = "today"
max = "1970-06-01"
[parameters.limit]
type = "integer"
default = 10
min = 1
max = 100
[columns.amount]
title = { en = "Amount", zh = "金额" }
format = "money"
[columns.id]
role = "text"
[detail]
query = "SELECT * FROM orders WHERE $id IS NULL OR id = $id ORDER BY id"
"#;

const NOW: &str = r#"
title = { en = "Now", zh = "现在" }
subject = "trade"
chart = "table"
query = "SELECT now() AS moment, count(*) AS orders FROM orders"
"#;

fn served(panels: &[(&str, &str)]) -> Server {
    let server = Server::start_with(Options::with_panels(panels));
    let order = |id: i64, buyer: &str, cents| ((id, buyer.to_owned(), cents), 1);
    server.shop.apply_orders(&[
        order(1, "ann", 1_050),
        order(2, "b<o>&b", 99_999),
        order(3, "ann", 200),
    ]);
    server
}

#[test]
fn a_panel_answers_with_defaults_and_with_what_is_asked() {
    let server = served(&[("orders", ORDERS)]);
    let answer = get(server.address, "/api/v1/panels/orders");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    assert_eq!(found["panel"], "orders");
    assert_eq!(found["epoch"], 1);
    assert_eq!(
        found["parameters"],
        json!({"buyer": null, "least": "0.5000", "day": "1970-01-01", "limit": "10"})
    );
    // All orders are of later days.
    assert_eq!(found["rows"], json!([]));
    assert_eq!(
        found["columns"][2]["title"],
        json!({"en": "Amount", "zh": "金额"})
    );
    assert_eq!(found["columns"][2]["format"], "money");
    let path = "/api/v1/panels/orders?day=1970-01-31&buyer=ann&limit=1";
    let found = get(server.address, path).json();
    assert_eq!(found["rows"], json!([[1, "ann", "10.50", "1970-01-02"]]));
    let path = "/api/v1/panels/orders?day=19700131&least=10.51";
    let found = get(server.address, path).json();
    assert_eq!(
        found["rows"],
        json!([[2, "b<o>&b", "999.99", "1970-01-03"]])
    );
    let found = get(server.address, "/api/v1/panels/orders/detail?id=3").json();
    assert_eq!(found["rows"].as_array().unwrap().len(), 1);
    assert_eq!(found["rows"][0][2], "2.00");
    let found = get(server.address, "/api/v1/panels/orders/detail").json();
    assert_eq!(found["rows"].as_array().unwrap().len(), 3);
    assert_eq!(found["rows_total"], 3);
    assert!(found["rows_total_by_kind"].is_null());
    let found = get(server.address, "/api/v1/panels/orders?day=1970-01-31").json();
    assert!(found["rows_total"].is_null());
}

/// How many orders a buyer has of a share, and which they are.
const BUYERS: &str = r#"
title = { en = "Buyers", zh = "买家" }
subject = "trade"
chart = "table"
query = "SELECT buyer, share, count(*) AS orders FROM orders GROUP BY buyer, share"
[detail]
query = """
WITH of_buyer AS (SELECT id FROM orders WHERE $buyer IS NULL OR $buyer = buyer)
SELECT id FROM of_buyer
WHERE id IN (SELECT id FROM orders WHERE $share IS NULL OR share = $share)
ORDER BY id
"""
"#;

#[test]
fn a_row_without_a_value_leads_to_the_rows_without_it() {
    let server = served(&[("buyers", BUYERS)]);
    // Without a name there is no buyer, and every seventh order has no share.
    let order = |id: i64, buyer: &str| ((id, buyer.to_owned(), 100), 1);
    let more = [order(4, ""), order(7, ""), order(14, "ann"), order(18, "")];
    server.shop.apply_orders(&more);
    let ask = |query: &str| {
        let path = format!("/api/v1/panels/buyers/detail?{query}");
        get(server.address, &path)
    };
    let all = json!([[1], [2], [3], [4], [7], [14], [18]]);
    let cases = [
        ("", all),
        ("buyer=ann", json!([[1], [3], [14]])),
        ("null=buyer", json!([[4], [7], [18]])),
        ("null=share", json!([[7], [14]])),
        ("null=share&null=buyer", json!([[7]])),
        ("null=share&buyer=ann", json!([[14]])),
        ("null=buyer&share=0.5", json!([[4]])),
        // An empty text is a value, which nobody has.
        ("buyer=", json!([])),
    ];
    for (query, expected) in &cases {
        let answer = ask(query);
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let found = answer.json();
        assert_eq!(found["rows"], *expected, "{query}");
        let total = expected.as_array().unwrap().len();
        assert_eq!(found["rows_total"], total, "{query}");
    }
    assert_ne!(ask("null=buyer").header("etag"), ask("").header("etag"));
    let csv = ask("null=buyer&format=csv");
    assert_eq!(csv.text(), "id\n4\n7\n18\n");
    let refused = [
        ("null=nobody", "has no parameter or column `nobody`"),
        ("null=buyer&buyer=ann", "`buyer` has a value"),
    ];
    for (query, expected) in refused {
        let answer = ask(query);
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.problem().contains(expected), "{}", answer.text());
    }
    let figures = get(server.address, "/api/v1/panels/buyers?null=buyer");
    assert_eq!(figures.status, 400);
    assert!(figures.problem().contains("no parameter `null`"));
}

#[test]
fn what_a_request_says_is_a_value_and_never_sql() {
    let server = served(&[("orders", ORDERS)]);
    let attacks = [
        "' OR '1'='1",
        "ann' --",
        "ann'; DROP TABLE orders; --",
        "$day",
        "\u{0}",
        "ann\\' OR 1=1",
    ];
    for attack in attacks {
        let path = format!(
            "/api/v1/panels/orders?day=1970-01-31&buyer={}",
            common::client::encode(attack)
        );
        let answer = get(server.address, &path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["rows"], json!([]), "{attack}");
    }
    let refused = [
        ("limit=0", "limit: 0 is less than 1"),
        ("limit=101", "limit: 101 is more than 100"),
        ("limit=1;DROP", "limit: `1;DROP` is no integer"),
        ("limit=", "limit: `` is no integer"),
        ("day=1971-01-01", "day: 1971-01-01 is more than 1970-06-01"),
        ("day=2026-02-30", "day: `2026-02-30` is no date"),
        ("least=1e400", "least: `1e400` is no decimal"),
        (
            "dya=1970-01-01",
            "the panel `orders` has no parameter `dya`",
        ),
        ("format=pdf", "`pdf` is no format"),
    ];
    for (query, expected) in refused {
        let answer = get(server.address, &format!("/api/v1/panels/orders?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.problem().contains(expected), "{}", answer.text());
    }
    let missing = get(server.address, "/api/v1/panels/nothing");
    assert_eq!(missing.status, 404);
    assert!(missing.problem().contains("no panel `nothing`"));
}

#[test]
fn csv_and_workbooks_have_the_same_rows() {
    let server = served(&[("orders", ORDERS)]);
    let csv = get(server.address, "/api/v1/panels/orders.csv?day=1970-01-31");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        csv.text(),
        "id,buyer,amount,day\n1,ann,10.50,1970-01-02\n2,b<o>&b,999.99,1970-01-03\n3,ann,2.00,1970-01-04\n"
    );
    let accept = [("Accept", "text/csv")];
    let path = "/api/v1/panels/orders?day=1970-01-31";
    let same = request(server.address, "GET", path, &accept, b"");
    assert_eq!(same.text(), csv.text());
    let book = get(
        server.address,
        "/api/v1/panels/orders.xlsx?day=1970-01-31&lang=zh",
    );
    assert_eq!(
        book.header("content-disposition"),
        Some("attachment; filename=\"orders.xlsx\"")
    );
    let parts = stored_parts(&book.body);
    let names: Vec<&str> = parts.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names[0], "[Content_Types].xml");
    let part = |wanted: &str| {
        let found = parts.iter().find(|(name, _)| name == wanted);
        found.map(|(_, text)| text.clone()).unwrap()
    };
    assert!(part("xl/workbook.xml").contains("name=\"订单\""));
    let sheet = part("xl/worksheets/sheet1.xml");
    assert!(sheet.contains(">金额</t>"), "{sheet}");
    let row = "<row><c s=\"5\"><v>2</v></c><c t=\"inlineStr\" s=\"0\"><is><t xml:space=\"preserve\">b&lt;o&gt;&amp;b</t></is></c><c s=\"3\"><v>999.99</v></c><c s=\"2\"><v>25571</v></c></row>";
    assert!(sheet.contains(row), "{sheet}");
    let again = get(
        server.address,
        "/api/v1/panels/orders.xlsx?day=1970-01-31&lang=zh",
    );
    assert_eq!(again.body, book.body, "equal answers are equal bytes");
}

/// The parts of a ZIP archive without compression, by its directory at the end;
/// every checksum is compared.
fn stored_parts(bytes: &[u8]) -> Vec<(String, String)> {
    let number = |at: usize, length: usize| {
        let bytes = &bytes[at..at + length];
        bytes
            .iter()
            .rev()
            .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte))
    };
    let end = bytes.len() - 22;
    assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
    let (count, mut at) = (number(end + 10, 2), number(end + 16, 4));
    let mut parts = Vec::new();
    for _ in 0..count {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        let (checksum, length) = (number(at + 16, 4), number(at + 24, 4));
        let name_length = number(at + 28, 2);
        let name = &bytes[at + 46..at + 46 + name_length];
        let local = number(at + 42, 4);
        assert_eq!(&bytes[local..local + 4], b"PK\x03\x04");
        let start = local + 30 + number(local + 26, 2) + number(local + 28, 2);
        let content = &bytes[start..start + length];
        assert_eq!(crc32(content) as usize, checksum);
        parts.push((
            String::from_utf8(name.to_vec()).unwrap(),
            String::from_utf8(content.to_vec()).unwrap(),
        ));
        at += 46 + name_length;
    }
    parts
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut checksum = !0_u32;
    for byte in bytes {
        checksum ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = 0_u32.wrapping_sub(checksum & 1);
            checksum = (checksum >> 1) ^ (0xEDB8_8320 & mask);
        }
    }
    !checksum
}

#[test]
fn an_answer_that_is_known_is_not_sent_again() {
    let server = served(&[("orders", ORDERS), ("now", NOW)]);
    let path = "/api/v1/panels/orders?day=1970-01-31";
    let etag = get(server.address, path).header("etag").unwrap().to_owned();
    let known = [("If-None-Match", etag.as_str())];
    let answer = request(server.address, "GET", path, &known, b"");
    assert_eq!(answer.status, 304);
    assert!(answer.body.is_empty());
    // Other parameters, another form, another epoch: other answers.
    for other in [
        "/api/v1/panels/orders?day=1970-01-30",
        "/api/v1/panels/orders.csv?day=1970-01-31",
    ] {
        let answer = request(server.address, "GET", other, &known, b"");
        assert_eq!(answer.status, 200);
        assert_ne!(answer.header("etag"), Some(etag.as_str()));
    }
    server.shop.apply_orders(&[((9, "zoe".to_owned(), 100), 1)]);
    let answer = request(server.address, "GET", path, &known, b"");
    assert_eq!(answer.status, 200);
    // What reads the clock is always answered anew.
    assert_eq!(
        get(server.address, "/api/v1/panels/now").header("etag"),
        None
    );
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn the_list_and_the_description_say_what_there_is() {
    let server = served(&[("orders", ORDERS), ("now", NOW)]);
    let list = get(server.address, "/api/v1/panels").json();
    let names = list["panels"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|panel| panel["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["now", "orders"]);
    let orders = &list["panels"][1];
    assert_eq!(orders["detail"], true);
    assert_eq!(orders["chart"], "table");
    assert_eq!(orders["parameters"][1]["default"], "today");
    assert_eq!(orders["parameters"][1]["value"], "1970-01-01");
    let described = get(server.address, "/api/v1/openapi.json").json();
    assert_eq!(described["openapi"], "3.1.0");
    let path = &described["paths"]["/api/v1/panels/orders"]["get"];
    assert_eq!(path["operationId"], "orders");
    let limit = path["parameters"].as_array().unwrap().iter();
    let limit = limit.clone().find(|it| it["name"] == "limit").unwrap();
    assert_eq!(
        limit["schema"],
        json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": 100})
    );
    assert!(described["paths"]["/api/v1/panels/orders/detail"].is_object());
    // Sugar is off without a token.
    assert!(described["paths"]["/api/v1/sugar/orders"].is_null());
    // Every reference leads somewhere.
    let text = described.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(described.pointer(pointer).is_some(), "{pointer}");
    }
}

/// What is wrong with a panel, as `sluice check` says it.
fn problems(text: &str) -> String {
    let file = PanelFile {
        path: "panels/x.toml".to_owned(),
        text: text.to_owned(),
    };
    let definitions = match PanelDefinitions::parse(&[file], None) {
        Ok(definitions) => definitions,
        Err(errors) => return errors[0].to_string(),
    };
    let server = Server::start();
    match Panels::check(&definitions, &server.engine) {
        Ok(_) => "no problem".to_owned(),
        Err(errors) => errors[0].to_string(),
    }
}

#[test]
fn a_wrong_panel_is_refused_with_its_place() {
    let head = "title = { en = \"x\", zh = \"x\" }\nsubject = \"x\"\n";
    let cases = [
        (
            "chart = \"pi\"\nquery = \"SELECT 1\"\n",
            "panels/x.toml:3:9: unknown variant `pi`",
        ),
        (
            "chart = \"table\"\nquery = \"SELECT nothing FROM orders\"\n",
            "panels/x.toml:4:9: query: Schema error: No field named nothing",
        ),
        (
            "chart = \"table\"\nquery = \"SELECT id FROM orders WHERE id = $id\"\n",
            "panels/x.toml:4:9: query: `$id` is no parameter\n  help: the panel has no [parameters]",
        ),
        (
            "chart = \"table\"\nquery = \"SELECT id FROM orders\"\n[parameters.day]\ntype = \"date\"\n",
            "no query uses the parameter `day`",
        ),
        (
            "chart = \"pie\"\nquery = \"SELECT buyer FROM orders\"\n",
            "the chart wants one category and a value; the query has 1 of the role category, 0 value, 0 series",
        ),
        (
            "chart = \"pie\"\nquery = \"SELECT id, buyer FROM orders\"\n[columns.nobody]\nrole = \"value\"\n",
            "the query has no column `nobody`\n  help: its columns are id, buyer",
        ),
        (
            "chart = \"table\"\nquery = \"DELETE FROM orders\"\n",
            "query: it is no query",
        ),
        (
            "chart = \"table\"\nquery = \"SELECT 1; SELECT 2\"\n",
            "query: write one query",
        ),
        (
            "chart = \"table\"\nquery = \"SELECT id FROM orders LIMIT $n\"\n[parameters.n]\ntype = \"integer\"\ndefault = 5\nmax = 3\n",
            "panels/x.toml:7:11: n: 5 is more than 3",
        ),
        (
            "chart = \"table\"\nquery = \"SELECT id FROM orders LIMIT $format\"\n[parameters.format]\ntype = \"integer\"\n",
            "a parameter cannot be named `format`",
        ),
        (
            "chart = \"table\"\nquery = \"SELECT id FROM orders\"\n[detail]\nquery = \"SELECT * FROM orders WHERE id = $ids\"\n",
            "panels/x.toml:6:9: detail query: `$ids` is no parameter",
        ),
        (
            "chart = \"table\"\nquery = \"SELECT id FROM orders\"\n[detail]\nlimit = 0\nquery = \"SELECT 1 AS n\"\n",
            "panels/x.toml:6:9: a detail cannot give 0 rows\n  help: write a limit from 1 to 100000",
        ),
    ];
    for (text, expected) in cases {
        let found = problems(&format!("{head}{text}"));
        assert!(found.contains(expected), "{found}\nexpected {expected}");
    }
}

#[test]
fn a_panel_may_show_a_column_and_a_cast_of_it() {
    let text = "title = { en = \"x\", zh = \"x\" }\nsubject = \"x\"\nchart = \"table\"\nquery = \"SELECT id, id::text FROM orders ORDER BY id\"\n";
    assert_eq!(problems(text), "no problem");
}

const SLOW: &str = r#"
title = { en = "Slow", zh = "慢" }
subject = "trade"
chart = "number"
fresh_ms = 60000
query = """
SELECT count(*) AS pairs FROM orders AS a, orders AS b, orders AS c
WHERE a.id + b.id + c.id > $least
"""
[parameters.least]
type = "integer"
default = 0
"#;

/// A counter of `/metrics`.
fn counted(server: &Server, name: &str) -> u64 {
    let metrics = get(server.address, "/metrics");
    let mut lines = metrics.text().lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap().parse().unwrap()
}

#[test]
fn many_who_ask_for_one_panel_cost_one_computation() {
    let server = served(&[("slow", SLOW)]);
    for start in 0..3_i64 {
        let orders = (0..100).map(|id| ((100 + start * 100 + id, "ann".to_owned(), 5), 1));
        server.shop.apply_orders(&orders.collect::<Vec<_>>());
    }
    let address = server.address;
    let before = counted(&server, "sluice_http_queries_total");
    let clients: Vec<_> = (0..40)
        .map(|_| std::thread::spawn(move || get(address, "/api/v1/panels/slow")))
        .collect();
    for client in clients {
        let answer = client.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["rows"], json!([[303_i64.pow(3)]]));
    }
    assert_eq!(counted(&server, "sluice_http_queries_total") - before, 1);
    assert_eq!(counted(&server, "sluice_panel_answers_reused_total"), 39);
    // Another value is another answer.
    assert_eq!(get(address, "/api/v1/panels/slow?least=700").status, 200);
    assert_eq!(counted(&server, "sluice_http_queries_total") - before, 2);
    // A minute's answer may be given again in a later epoch, and its tag is
    // that of its own.
    server.shop.apply_orders(&[((9_000, "b".to_owned(), 5), 1)]);
    let again = get(address, "/api/v1/panels/slow");
    let tag = again.header("etag").unwrap().to_owned();
    assert_eq!(again.json()["epoch"], 4);
    let head = [("If-None-Match", &*tag)];
    let known = request(address, "GET", "/api/v1/panels/slow", &head, b"");
    assert_eq!(known.status, 304);
}

const BIG: &str = r#"
title = { en = "Big orders", zh = "大订单" }
subject = "trade"
chart = "table"
query = "SELECT id FROM big_orders WHERE id IN (SELECT pieces FROM visits) OR id > 0 ORDER BY id"
"#;

#[test]
fn an_answer_holds_until_what_it_reads_changes() {
    let server = served(&[("big", BIG)]);
    let path = "/api/v1/panels/big";
    let computed = || counted(&server, "sluice_http_queries_total");
    server
        .shop
        .apply_orders(&[((7, "zoe".to_owned(), 50_000), 1)]);
    let first = get(server.address, path);
    let (epoch, tag) = (first.json()["epoch"].clone(), first.header("etag"));
    let before = computed();
    // Other tables change, or nothing does.
    let stock = BTreeMap::from([("stock".to_owned(), stock_delta(&[("a", 1, 5)]))]);
    server.shop.apply(stock);
    server.shop.apply_orders(&[]);
    server.shop.apply(BTreeMap::new());
    let again = get(server.address, path);
    assert_eq!(again.json()["epoch"], epoch);
    assert_eq!(again.header("etag"), tag);
    let known = [("If-None-Match", tag.unwrap())];
    assert_eq!(
        request(server.address, "GET", path, &known, b"").status,
        304
    );
    assert_eq!(computed(), before);
    // What a view of it reads, in a subquery too.
    let visits = BTreeMap::from([("visits".to_owned(), stock_delta(&[("a", 1, 5)]))]);
    server.shop.apply(visits);
    assert_eq!(
        request(server.address, "GET", path, &known, b"").status,
        200
    );
    assert_eq!(computed(), before + 1);
    server
        .shop
        .apply_orders(&[((8, "zoe".to_owned(), 50_000), 1)]);
    assert_eq!(
        get(server.address, path).json()["rows"],
        json!([[2], [7], [8]])
    );
    // Models that change may leave the panel as it is, and its tables too.
    let before = computed();
    server.state.note_changed_models();
    assert_eq!(
        request(server.address, "GET", path, &known, b"").status,
        200
    );
    assert_eq!(computed(), before + 1);
}

#[test]
fn a_quick_panel_is_never_old() {
    let server = served(&[("orders", ORDERS)]);
    for id in 10..30 {
        server
            .shop
            .apply_orders(&[((id, "zoe".to_owned(), 500), 1)]);
        let answer = get(
            server.address,
            "/api/v1/panels/orders?buyer=zoe&limit=100&day=1970-06-01",
        )
        .json();
        assert_eq!(
            answer["rows"].as_array().unwrap().len() as i64,
            id - 9,
            "{answer}"
        );
    }
}

#[test]
fn who_says_no_cache_is_given_a_new_answer() {
    let for_a_minute = format!("fresh_ms = 60000\n{COUNT_PANEL}");
    let server = served(&[("count", &for_a_minute)]);
    let path = "/api/v1/panels/count";
    let rows = |said: &str| {
        let said = [("Cache-Control", said)];
        request(server.address, "GET", path, &said, b"").json()["rows"].take()
    };
    assert_eq!(rows("max-age=0"), json!([[3]]));
    server.shop.apply_orders(&[((9, "zoe".to_owned(), 100), 1)]);
    assert_eq!(rows("max-age=0"), json!([[3]]));
    assert_eq!(rows("max-age=0, No-Cache"), json!([[4]]));
    assert_eq!(rows("max-age=0"), json!([[4]]));
    // Nothing has changed: a new one would be the same.
    let before = counted(&server, "sluice_http_queries_total");
    assert_eq!(rows("no-cache"), json!([[4]]));
    assert_eq!(counted(&server, "sluice_http_queries_total"), before);
}

const LARGE: &str = r#"
title = { en = "Large", zh = "大" }
subject = "trade"
chart = "table"
query = """
SELECT repeat('a', 1000000) AS a, repeat('b', 1000000) AS b, repeat('c', 1000000) AS c,
  repeat('d', 1000000) AS d, repeat('e', 1000000) AS e, repeat('f', 1000000) AS f,
  repeat('g', 1000000) AS g, repeat('h', 1000000) AS h, repeat('i', 1000000) AS i,
  count(*) AS orders
FROM orders
"""
"#;

#[test]
fn an_answer_without_room_is_known_by_its_tag() {
    let server = served(&[("large", LARGE)]);
    let path = "/api/v1/panels/large";
    let tag = get(server.address, path).header("etag").unwrap().to_owned();
    let computed = counted(&server, "sluice_http_queries_total");
    let known = [("If-None-Match", tag.as_str())];
    let status = || request(server.address, "GET", path, &known, b"").status;
    assert_eq!(status(), 304);
    assert_eq!(counted(&server, "sluice_http_queries_total"), computed);
    server.shop.apply_orders(&[((9, "zoe".to_owned(), 100), 1)]);
    assert_eq!(status(), 200);
    assert_eq!(counted(&server, "sluice_http_queries_total"), computed + 1);
}

/// How often it was asked for.
#[derive(Debug, Default)]
struct Asked(AtomicI64);

impl SystemTable for Asked {
    fn rows(&self) -> datafusion::error::Result<RecordBatch> {
        let times = self.0.fetch_add(1, Ordering::Relaxed);
        let times: ArrayRef = Arc::new(Int64Array::from(vec![times]));
        Ok(RecordBatch::try_from_iter([("times", times)])?)
    }
}

#[test]
fn what_the_warehouse_tells_of_itself_changes_within_an_epoch() {
    let server = served(&[]);
    let table = Arc::new(Asked::default());
    server.engine.add_table("sluice_asked", table).unwrap();
    let file = PanelFile {
        path: "panels/asked.toml".to_owned(),
        text: NOW.replace(
            "SELECT now() AS moment, count(*) AS orders FROM orders",
            "SELECT times FROM sluice_asked",
        ),
    };
    let definitions = PanelDefinitions::parse(&[file], None).unwrap();
    let panels = Panels::check(&definitions, &server.engine).unwrap();
    server.state.set_panels(panels);
    let first = get(server.address, "/api/v1/panels/asked");
    let second = get(server.address, "/api/v1/panels/asked");
    assert_eq!((first.status, second.status), (200, 200));
    let (first_found, second_found) = (first.json(), second.json());
    assert_eq!(first_found["epoch"], second_found["epoch"]);
    assert_ne!(first_found["rows"], second_found["rows"]);
    assert_eq!(first.header("etag"), None);
}
