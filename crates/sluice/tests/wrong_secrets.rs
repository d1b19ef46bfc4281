//! Whoever tries one secret after the other is shut out for a while, over HTTP,
//! the PostgreSQL wire and as Sugar BI alike.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;

use std::time::Duration;

use common::{Running, ask, write_files};
use serde_json::Value;

const CONFIG: &str = r#"name = "shop"
[limits]
wrong_secrets_per_minute_max = 4
[users.board]
role = "reader"
secret = "file:board"
[users.li]
role = "analyst"
secret = "file:li"
[sugar]
token = "file:board"
"#;
const SOURCE: &str = r#"
[topic.orders.capture]
kind = "http"
[table.orders]
topic = "orders"
columns = [{ name = "id", from = "/id", type = "int64" }]
"#;

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .http_status_as_error(false)
        .build();
    config.into()
}

fn status(http: &str, secret: Option<&str>) -> (u16, Option<String>) {
    let mut request = agent().get(format!("{http}/api/v1/info"));
    if let Some(secret) = secret {
        request = request.header("Authorization", format!("Bearer {secret}"));
    }
    let answer = request.call().unwrap();
    let wait = answer.headers().get("retry-after");
    let wait = wait.map(|wait| wait.to_str().unwrap().to_owned());
    (answer.status().as_u16(), wait)
}

/// The code of the error, if signing in fails.
fn sign_in(port: u16, user: &str, password: &str) -> Option<String> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port);
    config.user(user).password(password).dbname("sluice");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let error = config.connect(tokio_postgres::NoTls).await.err()?;
        Some(error.code().map_or("none", |code| code.code()).to_owned())
    })
}

fn sugar(http: &str, token: &str) -> Value {
    let request = agent().post(format!("{http}/api/v1/sugar/none"));
    let mut answer = request.header("Sugar-Token", token).send("").unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["status"].clone()
}

#[test]
fn too_many_wrong_secrets_shut_an_address_out_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (project, state) = (folder.path().join("shop"), folder.path().join("state"));
    write_files(
        &project,
        &[
            ("warehouse.toml", CONFIG),
            ("sources/orders.toml", SOURCE),
            ("board", "the-board"),
            ("li", "the-analyst"),
        ],
    );
    let running = Running::start(&project, &state, &[]);
    let (http, port) = (running.http.as_str(), running.port);
    assert_eq!(status(http, Some("the-board")).0, 200);
    assert_eq!(sign_in(port, "li", "the-analyst"), None);
    // Who says nothing has tried nothing.
    for _ in 0..10 {
        assert_eq!(status(http, None).0, 401);
    }
    // One of each way, and a user that there is not.
    assert_eq!(status(http, Some("guess-one")), (401, None));
    assert_eq!(sugar(http, "guess-two"), 401);
    assert_eq!(sign_in(port, "li", "guess-three").as_deref(), Some("28P01"));
    assert_eq!(sugar(http, "the-board"), 404);
    assert_eq!(
        sign_in(port, "nobody", "guess-four").as_deref(),
        Some("28P01")
    );
    // Now right ones are not taken either.
    let (code, wait) = status(http, Some("the-board"));
    assert_eq!(code, 429);
    let wait: u64 = wait.unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(status(http, Some("guess-five")).0, 429);
    assert_eq!(sugar(http, "the-board"), 429);
    let refused = sign_in(port, "li", "the-analyst");
    assert_eq!(refused.as_deref(), Some("53300"));
    assert_eq!(status(http, None).0, 401);
    // The program itself gets in, with a secret that nobody guesses.
    assert_eq!(ask(&state, "SELECT count(*) FROM orders"), ["0"]);
    std::thread::sleep(Duration::from_millis(500));
    let audit = std::fs::read_to_string(state.join("audit/audit.jsonl")).unwrap();
    assert_eq!(
        audit.matches("too many wrong secrets").count(),
        1,
        "{audit}"
    );
    assert!(
        !audit.contains("guess-") && !audit.contains("the-"),
        "{audit}"
    );
}
