//! The HTTP API from outside: every endpoint, its errors and limits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use arrow::ipc::reader::StreamReader;
use common::client::{get, request, rows, sql};
use common::{Options, Order, Server, order_delta, stock_delta};
use serde_json::json;

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

fn order(id: i64, buyer: &str, cents: i64) -> Order {
    (id, buyer.to_owned(), cents)
}

fn filled() -> Server {
    let server = Server::start();
    fill(&server);
    server
}

fn fill(server: &Server) {
    server.shop.apply(BTreeMap::from([
        (
            "orders".to_owned(),
            order_delta(&[
                (order(1, "ann", 1_050), 1),
                (order(2, "b\"ob\n", 99_999), 1),
                (order(7, "", -5), 1),
            ]),
        ),
        (
            "stock".to_owned(),
            stock_delta(&[("a b", 3, (1 << 53) + 1), ("c/d,é", 4, 2)]),
        ),
        ("visits".to_owned(), stock_delta(&[("x", 0, 1)])),
    ]));
}

#[test]
fn sql_answers_json_in_the_forms_of_the_contract() {
    let server = filled();
    let body = br#"{"sql": "SELECT * FROM orders ORDER BY id"}"#;
    let answer = request(server.address, "POST", "/api/v1/sql", &JSON, body);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let found = answer.json();
    assert_eq!(found["epoch"], 1);
    assert_eq!(
        found["columns"][2],
        json!({"name": "amount", "type": "Decimal128(16, 2)"})
    );
    assert_eq!(
        found["rows"],
        json!([
            [
                1,
                "ann",
                "10.50",
                "1970-01-01T00:01:00Z",
                "1970-01-02",
                null
            ],
            [
                2,
                "b\"ob\n",
                "999.99",
                "1970-01-01T00:02:00Z",
                "1970-01-03",
                0.25
            ],
            [7, null, "-0.05", "1970-01-01T00:07:00Z", "1970-01-08", null],
        ])
    );
    let wide = rows(server.address, "SELECT pieces FROM stock ORDER BY sku");
    assert_eq!(wide, json!([["9007199254740993"], [2]]));
    assert_eq!(
        rows(server.address, "SELECT id, amount FROM big_orders"),
        json!([[2, "999.99"]])
    );
    assert_eq!(
        rows(server.address, "SELECT * FROM other_orders"),
        json!([])
    );
    let lists = "SELECT id IN (1, NULL) AND id IN (1, 2), id IN (2, NULL) AND id IN (1, NULL)
                 FROM orders ORDER BY id";
    assert_eq!(
        rows(server.address, lists),
        json!([[true, null], [null, null], [false, null]])
    );
    // The same for subqueries, below OR and NOT and as a column.
    let subqueries = "WITH t(id, b) AS (VALUES (4, NULL), (5, 2), (6, 7)), s(k) AS (VALUES (7))
                      SELECT id FROM t WHERE id = 1 OR b NOT IN (SELECT k FROM s) ORDER BY id";
    assert_eq!(rows(server.address, subqueries), json!([[5]]));
    let subqueries = "WITH t(id, b) AS (VALUES (4, NULL), (5, 2), (6, 7)), s(k) AS (VALUES (7))
                      SELECT id, b IN (SELECT k FROM s) FROM t ORDER BY id";
    assert_eq!(
        rows(server.address, subqueries),
        json!([[4, null], [5, false], [6, true]])
    );
    assert_eq!(rows(server.address, "SELECT NULL AS z"), json!([[null]]));
    let intervals = "SELECT to_timestamp(9000) + (-INTERVAL '1h 30m') = to_timestamp(3600) AS a,
            to_timestamp(9000) + INTERVAL - '1 hour 30 minutes' = to_timestamp(3600) AS b";
    assert_eq!(rows(server.address, intervals), json!([[true, true]]));
    let casts = "SELECT id, id::text FROM orders ORDER BY id LIMIT 1";
    assert_eq!(rows(server.address, casts), json!([[1, "1"]]));
}

#[test]
fn casts_stand_beside_what_they_cast() {
    let server = filled();
    let found = |statement: &str| {
        let answer = sql(server.address, "json", statement);
        assert_eq!(answer.status, 200, "{statement}: {}", answer.text());
        answer.json()
    };
    let ids = "(VALUES (1), (2), (10)) AS v(id)";
    // A name is that of the answer's column: text.
    for (order, expected, name) in [
        ("id", json!([["1"], ["10"], ["2"]]), "id"),
        ("v.id", json!([["1"], ["2"], ["10"]]), "id_2"),
    ] {
        let found = found(&format!("SELECT id::text FROM {ids} ORDER BY {order}"));
        assert_eq!(found["rows"], expected, "{order}");
        assert_eq!(found["columns"][0]["name"], name, "{order}");
    }
    for statement in [
        "SELECT id, id::text FROM orders ORDER BY id",
        "SELECT *, day::text FROM orders",
        "SELECT o.*, o.id::text, s.day::text FROM orders AS o, stock AS s",
        "SELECT at, (at AT TIME ZONE 'Asia/Shanghai')::date FROM orders ORDER BY at",
        "EXPLAIN SELECT id, id::text FROM orders",
    ] {
        found(statement);
    }
}

#[test]
fn sql_answers_csv_and_arrow() {
    let server = filled();
    let statement = "SELECT id, buyer, amount FROM orders ORDER BY id";
    let csv = sql(server.address, "csv", statement);
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        csv.text(),
        "id,buyer,amount\n1,ann,10.50\n2,\"b\"\"ob\n\",999.99\n7,,-0.05\n"
    );
    let empty = sql(server.address, "csv", "SELECT id FROM other_orders");
    assert_eq!(empty.text(), "id\n");
    let accept = [("Accept", "application/vnd.apache.arrow.stream")];
    let arrow = request(
        server.address,
        "POST",
        "/api/v1/sql",
        &accept,
        statement.as_bytes(),
    );
    let reader = StreamReader::try_new(arrow.body.as_slice(), None).unwrap();
    let counts = reader.map(|batch| batch.unwrap().num_rows());
    assert_eq!(counts.sum::<usize>(), 3);
}

#[test]
fn wrong_statements_are_explained() {
    let server = filled();
    let address = server.address;
    for (statement, status, part) in [
        ("SELECT nothing FROM orders", 400, "nothing"),
        ("SELEC 1", 400, "SELEC"),
        ("SELECT * FROM nowhere", 400, "nowhere"),
        ("DROP TABLE orders", 403, "DROP TABLE"),
        ("INSERT INTO orders VALUES (1)", 403, "INSERT"),
        (
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            403,
            "CREATE",
        ),
        ("COPY orders TO '/tmp/out.csv'", 403, "COPY"),
        ("SELECT 1/0", 400, "ivide by zero"),
        ("", 400, "empty"),
    ] {
        let answer = sql(address, "json", statement);
        assert_eq!(answer.status, status, "{statement}: {}", answer.text());
        let detail = answer.problem();
        assert!(detail.contains(part), "{statement}: {detail}");
    }
    assert_eq!(sql(address, "xml", "SELECT 1").status, 400);
    assert_eq!(
        request(address, "POST", "/api/v1/sql", &JSON, b"{\"sql\": 1}").status,
        400
    );
    assert_eq!(
        request(
            address,
            "POST",
            "/api/v1/sql",
            &JSON,
            b"{\"sql\": \"SELECT 1\""
        )
        .status,
        400
    );
    let answer = request(address, "POST", "/api/v1/sql", &[], b"SELECT '\xff\xfe'");
    assert_eq!(answer.status, 400);
    assert!(answer.problem().contains("UTF-8"));
    assert_eq!(get(address, "/api/v1/sql").status, 405);
}

#[test]
fn look_ups_find_rows_by_key() {
    let server = filled();
    let address = server.address;
    let answer = get(address, "/api/v1/tables/orders/2");
    assert_eq!(answer.status, 200);
    let found = answer.json();
    assert_eq!(found["epoch"], 1);
    assert_eq!(found["columns"][0], json!({"name": "id", "type": "Int64"}));
    assert_eq!(found["rows"].as_array().unwrap().len(), 1);
    assert_eq!(found["rows"][0][1], "b\"ob\n");
    // A key of two columns, one with a space, one with what separates keys.
    for path in ["stock/a%20b,1970-01-04", "stock/c%2Fd%2C%C3%A9,1970-01-05"] {
        let answer = get(address, &format!("/api/v1/tables/{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 1);
    }
    for (path, status, part) in [
        ("orders/3", 404, "no row"),
        ("nowhere/3", 404, "nowhere"),
        ("orders/x", 400, "Int64"),
        ("orders/1,2", 400, "id"),
        ("stock/a+b,1970-01-04", 404, "a+b"),
        ("stock/a", 400, "sku,day"),
        ("visits/x", 400, "no key"),
        ("orders/99999999999999999999", 400, "Int64"),
    ] {
        let answer = get(address, &format!("/api/v1/tables/{path}"));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.problem().contains(part), "{path}: {}", answer.text());
    }
    // Rows that are replaced or removed are no longer found.
    server.shop.apply_orders(&[
        (order(2, "b\"ob\n", 99_999), -1),
        (order(2, "carl", 1), 1),
        (order(1, "ann", 1_050), -1),
    ]);
    let found = get(address, "/api/v1/tables/orders/2").json();
    assert_eq!(found["epoch"], 2);
    assert_eq!(found["rows"].as_array().unwrap().len(), 1);
    assert_eq!(found["rows"][0][1], "carl");
    assert_eq!(get(address, "/api/v1/tables/orders/1").status, 404);
}

#[test]
fn the_warehouse_says_what_it_is() {
    let server = filled();
    let address = server.address;
    assert_eq!(
        get(address, "/api/v1/info").json(),
        json!({
            "name": "little shop",
            "version": env!("CARGO_PKG_VERSION"),
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "now": "1970-01-01T00:00:01.500000Z",
            "epoch": 1,
            "models": null,
            "role": "admin",
            "collections": ["orders", "other_orders", "stock", "visits"],
            "panels": [],
            "sample_shop": false,
            "uptime_s": 0,
        })
    );
    let catalog = get(address, "/api/v1/catalog").json();
    let kinds: Vec<(&str, &str, Option<u64>)> = catalog["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            (text("name"), text("kind"), entry["rows"].as_u64())
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("orders", "table", Some(3)),
            ("other_orders", "table", Some(0)),
            ("stock", "view", Some(2)),
            ("visits", "table", Some(1)),
            ("big_orders", "query view", None),
        ]
    );
    assert_eq!(
        catalog["collections"][0]["columns"][0],
        json!({"name": "id", "type": "Int64", "nullable": false})
    );
}

#[test]
fn health_and_numbers() {
    let server = filled();
    let address = server.address;
    assert_eq!(get(address, "/healthz").text(), "ok\n");
    assert_eq!(get(address, "/readyz").status, 503);
    server.state.set_ready(true);
    assert_eq!(get(address, "/readyz").status, 200);
    rows(address, "SELECT id FROM orders");
    sql(address, "json", "SELEC");
    get(address, "/api/v1/tables/orders/1");
    let answer = get(address, "/metrics");
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        "# TYPE sluice_http_queries_total counter",
        "sluice_http_queries_total 2",
        "sluice_http_query_failures_total 1",
        "sluice_http_lookups_total 1",
        "sluice_live_watchers 0",
    ] {
        assert!(answer.text().lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn files_of_the_page_are_served_or_their_absence_explained() {
    let server = Server::start();
    let address = server.address;
    let page = get(address, "/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    if let Some(etag) = page.header("etag") {
        let known = request(address, "GET", "/", &[("If-None-Match", etag)], b"");
        assert_eq!(known.status, 304);
        let head = request(address, "HEAD", "/", &[], b"");
        assert_eq!((head.status, head.body.len()), (200, 0));
    } else {
        assert!(page.text().contains("make web"));
    }
    assert_eq!(get(address, "/nothing").status, 404);
    assert_eq!(get(address, "/../Cargo.toml").status, 404);
    assert_eq!(request(address, "DELETE", "/", &[], b"").status, 405);
}

#[test]
fn statements_and_answers_have_limits() {
    let mut options = Options::default();
    options.http.statement_bytes_max = 1_000;
    options.http.answer_bytes_max = 2_000;
    options.http.queries_max = 1;
    let server = Server::start_with(options);
    let address = server.address;
    let long = format!("SELECT '{}'", "x".repeat(1_000));
    assert_eq!(sql(address, "json", &long).status, 413);
    let many = "SELECT * FROM generate_series(1, 1000)";
    for format in ["json", "csv"] {
        let answer = sql(address, format, many);
        assert_eq!(answer.status, 413, "{format}");
        assert!(answer.problem().contains("2000 bytes"), "{}", answer.text());
    }
    assert_eq!(
        rows(address, "SELECT count(*) FROM generate_series(1, 1000)"),
        json!([[1000]])
    );
}
