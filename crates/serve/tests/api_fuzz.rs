//! Requests to panels, the data API and Sugar with anything in every place:
//! each is answered, what is refused says so as a problem, nothing that was
//! meant as a value is read as SQL, and others get the same answers as before.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;

use common::client::{Answer, encode, get, request, rows};
use common::{Options, Server};
use fuzz_rounds::rounds;
use serde_json::{Value, json};

const PANEL: &str = r#"
title = { en = "Orders", zh = "订单" }
subject = "trade"
chart = "table"
query = """
SELECT id, buyer, amount, day FROM orders
WHERE ($buyer IS NULL OR buyer = $buyer) AND amount >= $least AND ($day IS NULL OR day <= $day)
  AND ($is_large IS NULL OR $is_large = (amount > 100)) AND ($at IS NULL OR at <= $at)
ORDER BY id LIMIT $limit
"""
[parameters.buyer]
type = "text"
[parameters.least]
type = "decimal"
default = "0"
[parameters.day]
type = "date"
[parameters.at]
type = "timestamp"
[parameters.is_large]
type = "boolean"
[parameters.limit]
type = "integer"
default = 10
min = 1
max = 100
[detail]
query = "SELECT * FROM orders WHERE $id IS NULL OR id = $id ORDER BY id"
"#;

const TOKEN: &str = "a-token-of-the-test";
const NAMES: [&str; 10] = [
    "buyer", "least", "day", "at", "is_large", "limit", "id", "format", "lang", "download",
];
const VALUES: [&str; 36] = [
    "' OR 1=1 --",
    "'; DROP TABLE orders; --",
    "ann' UNION SELECT * FROM other_orders --",
    "\") OR (\"1\"=\"1",
    "$buyer",
    "$1",
    "${name}",
    "{{7*7}}",
    "NULL",
    "null",
    "",
    " ",
    "\0",
    "\u{202e}ann",
    "ann\r\nSet-Cookie: a=b",
    "上海",
    "-1",
    "0",
    "1e400",
    "NaN",
    "-Infinity",
    "99999999999999999999999999999999999999999",
    "0x10",
    "1;2",
    "9223372036854775808",
    "today",
    "today-99999999999",
    "yesterday",
    "2026-02-30",
    "-0001-01-01",
    "99999-12-31",
    "2026-11-20T25:61:61Z",
    "true",
    "../../etc/passwd",
    "%00",
    "<script>alert(1)</script>",
];
const PATHS: [&str; 14] = [
    "/api/v1/panels/orders",
    "/api/v1/panels/orders.csv",
    "/api/v1/panels/orders.xlsx",
    "/api/v1/panels/orders/detail",
    "/api/v1/panels",
    "/api/v1/panels/../panels/orders",
    "/api/v1/panels/%2e%2e%2fsecret",
    "/api/v1/panels/orders%00",
    "/api/v1/panels/orders.exe",
    "//api/v1/panels/orders",
    "/api/v1/tables/orders/1",
    "/api/v1/tables/orders/1%27%20OR%201=1",
    "/api/v1/live/%2e%2e",
    "/../../../../etc/passwd",
];
const TYPES: [&str; 7] = [
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-7",
    "image/png",
    "a/b/c;;;",
];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn value(&mut self) -> String {
        match self.below(8) {
            0 => self.one(&VALUES).repeat(1 + self.below(300)),
            1 => {
                let letters = (0..self.below(40)).map(|_| self.below(0x2_0000) as u32);
                letters.filter_map(char::from_u32).collect()
            }
            _ => self.one(&VALUES).to_owned(),
        }
    }

    fn query(&mut self) -> String {
        let pairs = (0..self.below(5)).map(|_| {
            let name = match self.below(6) {
                0 => encode(&self.value()),
                _ => self.one(&NAMES).to_owned(),
            };
            match self.below(12) {
                0 => name,
                1 => format!(
                    "{name}={}",
                    self.one(&["%", "%f", "%ff%fe", "%zz", "a=b=c", "&&"])
                ),
                _ => format!("{name}={}", encode(&self.value())),
            }
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    fn conditions(&mut self) -> Vec<u8> {
        let pairs = (0..self.below(4))
            .map(|_| json!({ "k": self.one(&NAMES), "t": "x", "v": self.value() }))
            .collect::<Vec<_>>();
        let text = match self.below(6) {
            0 => json!(pairs).to_string(),
            1 => json!({ "conditions": { "k": 1 }, self.one(&NAMES): self.value() }).to_string(),
            2 => "[".repeat(1 + self.below(5_000)),
            _ => json!({ "conditions": pairs }).to_string(),
        };
        let mut bytes = text.into_bytes();
        if self.below(5) == 0 && !bytes.is_empty() {
            let place = self.below(bytes.len());
            bytes[place] = self.below(256) as u8;
        }
        bytes
    }
}

fn served() -> Server {
    let server = Server::start_with(Options {
        sugar_token: Some(TOKEN.to_owned()),
        ..Options::with_panels(&[("orders", PANEL)])
    });
    let order = |id: i64, buyer: &str, cents| ((id, buyer.to_owned(), cents), 1);
    server
        .shop
        .apply_orders(&[order(1, "ann", 1_050), order(2, "b<o>&b", 99_999)]);
    server
}

/// What a panel may show at all: its own two rows, however it is asked.
fn check_rows(answer: &Answer, what: &str) {
    let Ok(found) = serde_json::from_slice::<Value>(&answer.body) else {
        return;
    };
    let Some(rows) = found["rows"].as_array() else {
        return;
    };
    assert!(rows.len() <= 2, "{what}: {found}");
    for row in rows {
        let id = row[0].as_i64();
        assert!(matches!(id, Some(1 | 2)), "{what}: {found}");
    }
}

#[test]
fn whatever_is_asked_of_panels_is_answered_and_harms_nobody() {
    let server = served();
    let good = get(server.address, "/api/v1/panels/orders").json()["rows"].take();
    let (mut refused, mut answered) = (0, 0);
    for seed in rounds(600) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let path = format!("{}?{}", random.one(&PATHS), random.query());
        let value = random.value();
        let header =
            match value.bytes().all(|byte| (32..127).contains(&byte)) && value.len() < 4_000 {
                true => value,
                false => "x".to_owned(),
            };
        let name = random.one(&[
            "Accept",
            "If-None-Match",
            "Range",
            "X-Forwarded-For",
            "Cookie",
        ]);
        let method = random.one(&["GET", "GET", "GET", "GET", "POST", "DELETE", "PUT", "HEAD"]);
        let body = random.conditions();
        let content_type = random.one(&TYPES);
        let head = [(name, &*header), ("Content-Type", content_type)];
        let what = format!("seed {seed}: {method} {path} {head:?}");
        let answer = request(server.address, method, &path, &head, &body);
        match answer.status {
            200 | 304 => {
                answered += 1;
                if path.contains("/panels/orders") {
                    check_rows(&answer, &what);
                }
            }
            // Whoever speaks no HTTP, or another method, is told by the server
            // itself.
            400..=499 => {
                refused += 1;
                let is_problem = answer.header("content-type") == Some("application/problem+json");
                let is_bare = answer.body.is_empty();
                assert!(
                    is_problem || is_bare,
                    "{what}: {}",
                    String::from_utf8_lossy(&answer.body)
                );
            }
            other => panic!("{what}: {other} {}", String::from_utf8_lossy(&answer.body)),
        }
        assert!(answer.header("set-cookie").is_none(), "{what}");
        if seed % 20 == 0 {
            let found = get(server.address, "/api/v1/panels/orders").json()["rows"].take();
            assert_eq!(found, good, "after {what}");
        }
    }
    assert!(
        answered > 50 && refused > 100,
        "{answered} answered, {refused} refused"
    );
    assert_eq!(
        rows(server.address, "SELECT count(*) FROM orders"),
        json!([[2]])
    );
}

#[test]
fn whatever_sugar_is_told_it_gets_a_status_and_needs_the_token() {
    let server = served();
    let mut done = 0;
    for seed in rounds(900) {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
        let path = format!(
            "/api/v1/sugar/{}?{}",
            random.one(&["orders", "orders", "nope", "%2e%2e"]),
            random.query()
        );
        let wrong = [
            "a-token-of-the-tesT",
            "a-token-of-the-tes",
            "a-token-of-the-testt",
            "",
            "null",
            "*",
        ];
        let is_known = random.below(2) == 0;
        let token = if is_known { TOKEN } else { random.one(&wrong) };
        let body = random.conditions();
        let head = [("Sugar-Token", token), ("Content-Type", random.one(&TYPES))];
        let answer = request(server.address, "POST", &path, &head, &body);
        let what = format!(
            "seed {seed}: {path} {head:?} {}",
            String::from_utf8_lossy(&body)
        );
        assert_eq!(answer.status, 200, "{what}");
        let found = answer.json();
        let status = found["status"]
            .as_i64()
            .unwrap_or_else(|| panic!("{what}: {found}"));
        if !is_known {
            assert_eq!(status, 401, "{what}");
        }
        if status == 0 {
            done += 1;
            let rows = found["data"]["rows"].as_array().unwrap();
            assert!(rows.len() <= 2, "{what}: {found}");
        } else {
            assert!(
                found["data"].is_null() && found["msg"].is_string(),
                "{what}: {found}"
            );
        }
    }
    assert!(done > 5, "only {done} were answered");
    // Without the header at all, and with a body that is too large.
    let answer = request(server.address, "POST", "/api/v1/sugar/orders", &[], b"{}");
    assert_eq!(answer.json()["status"], 401);
    let head = [("Sugar-Token", TOKEN)];
    let large = vec![b' '; 2 << 20];
    let answer = request(
        server.address,
        "POST",
        "/api/v1/sugar/orders",
        &head,
        &large,
    );
    assert_eq!(answer.status, 413);
    assert_eq!(get(server.address, "/healthz").status, 200);
}
