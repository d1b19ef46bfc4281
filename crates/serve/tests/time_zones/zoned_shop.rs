//! A shop whose business has a time zone.

use arrow::util::display::array_value_to_string;
use sluice_serve::{QueryOptions, ServeError};

use crate::common::{Options, Server};

/// A shop in Shanghai. Order 600 is of 18:00 there, order 1000 of the next day.
pub fn start() -> Server {
    start_in("Asia/Shanghai")
}

fn start_in(time_zone: &str) -> Server {
    let view = |name: &str, select: &str| (name.to_owned(), select.to_owned());
    start_with_views(
        time_zone,
        vec![
            view(
                "days",
                "SELECT id, at, CAST(at AS DATE) AS utc_day, CAST(at AT TIME ZONE 'Asia/Shanghai' AS DATE) AS day, CAST(at AT TIME ZONE 'Asia/Tokyo' AS TIMESTAMP) AS there, at >= DATE '1970-01-02' AS is_later FROM orders",
            ),
            view(
                "days_again",
                "SELECT * FROM days WHERE CAST(at AS DATE) = utc_day",
            ),
        ],
    )
}

pub fn start_with_views(time_zone: &str, query_views: Vec<(String, String)>) -> Server {
    let query = QueryOptions {
        time_zone: time_zone.to_owned(),
        query_views,
        ..QueryOptions::default()
    };
    let server = Server::start_with(Options {
        query,
        ..Options::default()
    });
    let order = |id: i64| ((id, "a".to_owned(), 100), 1);
    server.shop.apply_orders(&[order(600), order(1_000)]);
    server
}

/// The rows of an answer, values with commas between them.
pub fn ask(server: &Server, sql: &str) -> Result<Vec<String>, ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(server.engine.query(sql))?;
    let mut rows = Vec::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let columns = batch.columns().iter();
            let cells = columns.map(|column| array_value_to_string(column, row).unwrap());
            rows.push(cells.collect::<Vec<_>>().join(","));
        }
    }
    Ok(rows)
}

#[track_caller]
pub fn check(asked: &[(&str, &[&str])]) {
    check_in("Asia/Shanghai", asked);
}

#[track_caller]
pub fn check_in(time_zone: &str, asked: &[(&str, &[&str])]) {
    let server = start_in(time_zone);
    let mut failures = Vec::new();
    for (sql, expected) in asked {
        match ask(&server, sql) {
            Ok(found) if found == *expected => {}
            Ok(found) => failures.push(format!("{sql}: {found:?} is not {expected:?}")),
            Err(problem) => failures.push(format!("{sql}: {problem}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
