//! Plain views, which mean in every zone what they mean as models.

use crate::common::wire::WireClient;
use crate::zoned_shop::{check, start_with_views};

#[test]
fn a_plain_view_means_what_it_means_as_a_model() {
    check(&[
        (
            "SELECT utc_day, day, there, is_later FROM days ORDER BY id",
            &[
                "1970-01-01,1970-01-01,1970-01-01T19:00:00,false",
                "1970-01-01,1970-01-02,1970-01-02T01:40:00,false",
            ],
        ),
        // What it gives is read as any table is.
        (
            "SELECT at, at::date FROM days WHERE at >= '1970-01-02'",
            &["1970-01-02T00:40:00+08:00,1970-01-02"],
        ),
        ("SELECT count(*) FROM days_again", &["2"]),
    ]);
}

/// Queries, and what they answer in UTC and as plain views.
const OF_MODELS: &[(&str, [&str; 2])] = &[
    (
        "SELECT id, CAST(at AT TIME ZONE 'Asia/Tokyo' AS TIMESTAMP) AS x FROM orders",
        ["600,1970-01-01 19:00:00", "1000,1970-01-02 01:40:00"],
    ),
    (
        "SELECT id, date_trunc('day', at AT TIME ZONE 'Asia/Tokyo')::timestamp AS x FROM orders",
        ["600,1970-01-01 00:00:00", "1000,1970-01-02 00:00:00"],
    ),
    (
        "SELECT id, at::timestamp AS x, at::date AS y FROM orders",
        [
            "600,1970-01-01 10:00:00,1970-01-01",
            "1000,1970-01-01 16:40:00,1970-01-01",
        ],
    ),
    (
        "SELECT id, at AT TIME ZONE 'Asia/Tokyo' >= TIMESTAMP '1970-01-02 00:00:00' AS x FROM orders",
        ["600,f", "1000,t"],
    ),
    (
        "SELECT id, at >= DATE '1970-01-02' AS x, DATE '9999-12-31' > at AS y, DATE '9999-12-31' > at::timestamp AS z FROM orders",
        ["600,f,t,t", "1000,f,t,t"],
    ),
    (
        "SELECT id, at AT TIME ZONE 'Asia/Tokyo' >= DATE '1970-01-02' AS x FROM orders",
        ["600,f", "1000,t"],
    ),
    (
        "SELECT id, to_char(coalesce(CASE WHEN id = 600 THEN at END, DATE '1970-01-02'), 'DD HH24:MI') AS x FROM orders",
        ["600,01 10:00", "1000,02 00:00"],
    ),
    (
        "SELECT id, (DATE '1970-01-02' AT TIME ZONE 'America/New_York')::timestamp AS x FROM orders",
        ["600,1970-01-01 19:00:00", "1000,1970-01-01 19:00:00"],
    ),
    (
        "SELECT id, to_char(at, 'DD.MM.YYYY HH24:MI') AS x FROM orders",
        ["600,01.01.1970 10:00", "1000,01.01.1970 16:40"],
    ),
    (
        "SELECT id, row_number() OVER (ORDER BY id) - row_number() OVER (ORDER BY id DESC) AS x FROM orders",
        ["600,-1", "1000,1"],
    ),
];

#[test]
fn a_plain_view_means_what_a_query_means_in_utc() {
    let views = OF_MODELS.iter().enumerate();
    let views = views.map(|(number, (select, _))| (format!("v{number}"), (*select).to_owned()));
    let server = start_with_views("Asia/Shanghai", views.collect());
    let mut of_business = WireClient::sign_in(&server);
    let mut in_utc = WireClient::sign_in(&server);
    in_utc.ask("SET TIME ZONE 'UTC'");
    for (number, (select, expected)) in OF_MODELS.iter().enumerate() {
        let asked = format!("{select} ORDER BY id");
        assert_eq!(in_utc.rows(&asked), *expected, "{select}");
        let view = format!("SELECT * FROM v{number} ORDER BY id");
        assert_eq!(of_business.rows(&view), *expected, "{view}: {select}");
        assert_eq!(in_utc.rows(&view), *expected, "{view} in UTC: {select}");
    }
}
