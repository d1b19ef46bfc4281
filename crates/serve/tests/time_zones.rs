//! Ad-hoc SQL in the business time zone, patterns of dates, and integers that do
//! not fit.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use arrow::util::display::array_value_to_string;
use common::client::{Events, get, rows};
use common::wire::WireClient;
use common::{Options, Server};
use sluice_serve::{QueryOptions, ServeError};

/// A shop in Shanghai. Order 600 is of 18:00 there, order 1000 of the next day.
fn start() -> Server {
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

fn start_with_views(time_zone: &str, query_views: Vec<(String, String)>) -> Server {
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

fn ask(server: &Server, sql: &str) -> Result<Vec<String>, ServeError> {
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
fn check(asked: &[(&str, &[&str])]) {
    check_in("Asia/Shanghai", asked);
}

#[track_caller]
fn check_in(time_zone: &str, asked: &[(&str, &[&str])]) {
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

#[test]
fn days_and_hours_are_those_of_the_business() {
    check(&[
        (
            "SELECT at FROM orders ORDER BY id",
            &["1970-01-01T18:00:00+08:00", "1970-01-02T00:40:00+08:00"],
        ),
        (
            "SELECT at::date, count(*) FROM orders GROUP BY at::date ORDER BY 1",
            &["1970-01-01,1", "1970-01-02,1"],
        ),
        (
            "SELECT date_trunc('day', at) FROM orders ORDER BY id",
            &["1970-01-01T00:00:00+08:00", "1970-01-02T00:00:00+08:00"],
        ),
        (
            "SELECT extract(hour FROM at), date_part('day', at) FROM orders ORDER BY id",
            &["18,1", "0,2"],
        ),
        (
            "SELECT extract(epoch FROM at) FROM orders WHERE id = 600",
            &["36000.0"],
        ),
        (
            "SELECT at::timestamp FROM orders WHERE id = 1000",
            &["1970-01-02T00:40:00"],
        ),
        (
            "SELECT date_trunc('day', CAST(at AS TIMESTAMP)) FROM orders WHERE id = 1000",
            &["1970-01-02T00:00:00"],
        ),
        // Times without a zone, however they are written.
        (
            "SELECT id FROM orders WHERE at >= '1970-01-02 00:00:00'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at = TIMESTAMP '1970-01-02 00:40:00'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at = '1970-01-01T16:40:00Z'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at = TIMESTAMPTZ '1970-01-02 00:40:00'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at >= DATE '1970-01-02'",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE DATE '1970-01-02' > at",
            &["600"],
        ),
        (
            "SELECT id FROM orders WHERE at BETWEEN DATE '1970-01-01' AND DATE '1970-01-02'",
            &["600"],
        ),
        (
            "SELECT id FROM orders WHERE date_trunc('day', at) IN (DATE '1970-01-02', DATE '1970-01-03')",
            &["1000"],
        ),
        (
            "SELECT id FROM orders WHERE at > DATE '1970-01-01' + INTERVAL '1 day'",
            &["1000"],
        ),
        (
            "SELECT at AT TIME ZONE 'America/New_York' AS there, (at AT TIME ZONE 'America/New_York')::date AS day FROM orders WHERE id = 1000",
            &["1970-01-01T11:40:00-05:00,1970-01-01"],
        ),
        (
            "SELECT count(DISTINCT at) FROM (SELECT at FROM orders UNION ALL SELECT at FROM days)",
            &["2"],
        ),
        (
            "SELECT o.id FROM orders AS o JOIN days AS d ON o.at = d.at ORDER BY 1",
            &["600", "1000"],
        ),
    ]);
}

/// Dates that meet moments, and what both protocols of the PostgreSQL wire answer.
const DATES_AND_MOMENTS: &[(&str, &[&str])] = &[
    (
        "SELECT id FROM orders WHERE DATE '1970-01-02' BETWEEN at - INTERVAL '1 hour' AND at",
        &["1000"],
    ),
    (
        "SELECT id FROM orders WHERE DATE '1970-01-02' NOT BETWEEN DATE '1970-01-01' AND at",
        &["600"],
    ),
    (
        "SELECT id FROM orders WHERE DATE '1970-01-02' IN (at, date_trunc('day', at))",
        &["1000"],
    ),
    (
        "SELECT id FROM orders WHERE date_trunc('day', at) IN (SELECT d FROM (VALUES (DATE '1970-01-02')) AS v(d))",
        &["1000"],
    ),
    (
        "SELECT id FROM orders WHERE date_trunc('day', at) NOT IN (SELECT d FROM (VALUES (DATE '1970-01-02')) AS v(d))",
        &["600"],
    ),
    (
        "SELECT d FROM (VALUES (DATE '1970-01-01'), (DATE '1970-01-02')) AS v(d) WHERE d IN (SELECT date_trunc('day', at) FROM orders WHERE id = 1000)",
        &["1970-01-02"],
    ),
    (
        "SELECT coalesce(CASE WHEN id = 600 THEN at END, DATE '1970-01-02') FROM orders ORDER BY id",
        &["1970-01-01 18:00:00+08", "1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT coalesce(DATE '1970-01-02', at) FROM orders WHERE id = 600",
        &["1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT nullif(date_trunc('day', at), DATE '1970-01-02') IS NULL FROM orders ORDER BY id",
        &["f", "t"],
    ),
    (
        "SELECT greatest(at, DATE '1970-01-02') FROM orders ORDER BY id",
        &["1970-01-02 00:00:00+08", "1970-01-02 00:40:00+08"],
    ),
    (
        "SELECT least(DATE '1970-01-02', at) FROM orders ORDER BY id",
        &["1970-01-01 18:00:00+08", "1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT CASE id WHEN 600 THEN at ELSE DATE '1970-01-02' END FROM orders ORDER BY id",
        &["1970-01-01 18:00:00+08", "1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT CASE date_trunc('day', at) WHEN DATE '1970-01-02' THEN 'later' ELSE 'sooner' END FROM orders ORDER BY id",
        &["sooner", "later"],
    ),
    (
        "SELECT at FROM orders UNION ALL SELECT DATE '1970-01-03' ORDER BY 1",
        &[
            "1970-01-01 18:00:00+08",
            "1970-01-02 00:40:00+08",
            "1970-01-03 00:00:00+08",
        ],
    ),
    (
        "SELECT x FROM (SELECT DATE '1970-01-02' AS x UNION SELECT date_trunc('day', at) FROM orders) AS u WHERE x >= DATE '1970-01-02'",
        &["1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT date_trunc('day', at) FROM orders INTERSECT SELECT DATE '1970-01-02'",
        &["1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT id FROM (SELECT id, date_trunc('day', at) AS x FROM orders) AS o JOIN (SELECT DATE '1970-01-02' AS x) AS d USING (x)",
        &["1000"],
    ),
    (
        "SELECT id FROM orders JOIN (SELECT DATE '1970-01-02' AS x) AS d ON date_trunc('day', at) = d.x",
        &["1000"],
    ),
    (
        "SELECT TRY_CAST(at AS TIMESTAMP) FROM orders WHERE id = 1000",
        &["1970-01-02 00:40:00"],
    ),
    // What is left to the matching of types.
    (
        "SELECT nvl2(CASE WHEN id = 600 THEN at END, at, DATE '1970-01-05') FROM orders ORDER BY id",
        &["1970-01-01 18:00:00", "1970-01-05 00:00:00"],
    ),
    (
        "SELECT id FROM orders WHERE to_timestamp(CAST(extract(epoch FROM at) AS BIGINT)) = at ORDER BY id",
        &["600", "1000"],
    ),
    (
        "SELECT at::timestamp AS t, count(*) FROM orders GROUP BY ROLLUP(at::timestamp) ORDER BY 1",
        &["1970-01-01 18:00:00,1", "1970-01-02 00:40:00,1", ",2"],
    ),
    (
        "SELECT at::timestamp AS t, grouping(at::timestamp) FROM orders GROUP BY CUBE(at::timestamp) ORDER BY 1",
        &["1970-01-01 18:00:00,0", "1970-01-02 00:40:00,0", ",1"],
    ),
    (
        "SELECT id, id * 2 AS twice, count(*) FROM orders GROUP BY GROUPING SETS ((id), (id * 2)) ORDER BY 1, 2",
        &["600,,1", "1000,,1", ",1200,1", ",2000,1"],
    ),
];

#[test]
fn dates_are_moments_of_the_zone_where_they_meet_some() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    let mut failures = Vec::new();
    for (sql, expected) in DATES_AND_MOMENTS {
        let expected: Vec<String> = expected.iter().map(|row| (*row).to_owned()).collect();
        let (told, prepared) = client.prepared(sql);
        if prepared != expected {
            failures.push(format!("{sql}: prepared {prepared:?} {told:?}"));
            continue;
        }
        let found = client.rows(sql);
        if found != expected {
            failures.push(format!("{sql}: {found:?}"));
        }
        // What says which types the columns have fits them.
        if let Err(problem) = ask(&server, sql) {
            failures.push(format!("{sql}: {problem}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn an_answer_has_the_types_of_its_rows() {
    let server = start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for sql in [
        "SELECT coalesce(DATE '1970-01-02', at) AS x FROM orders",
        "SELECT CASE id WHEN 600 THEN DATE '1970-01-02' ELSE at END AS x FROM orders",
        "SELECT CASE id WHEN 600 THEN 1 ELSE 2.5 END AS x FROM orders",
    ] {
        let answer = runtime.block_on(server.engine.query(sql)).unwrap();
        let rows = answer.batches.first().unwrap().schema();
        let (said, had) = (answer.schema.field(0), rows.field(0));
        assert_eq!(said.data_type(), had.data_type(), "{sql}");
    }
}

/// As PostgreSQL finds them: see the first line of each.
#[test]
fn times_that_are_never_or_twice_there_are_moments_all_the_same() {
    // The clocks go from midnight to one o'clock.
    check_in(
        "America/Sao_Paulo",
        &[
            (
                "SELECT CAST(d AS TIMESTAMPTZ) FROM (VALUES (DATE '2018-11-04'), (DATE '2018-11-05')) AS v(d)",
                &["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"],
            ),
            (
                "SELECT count(*) FROM orders WHERE at < DATE '2018-11-04'",
                &["2"],
            ),
            (
                "SELECT count(*) FROM orders, (VALUES (DATE '2018-11-04')) AS v(d) WHERE at < d",
                &["2"],
            ),
        ],
    );
    // They go from one o'clock to midnight.
    check_in(
        "America/Havana",
        &[
            (
                "SELECT CAST(d AS TIMESTAMPTZ) FROM (VALUES (DATE '2026-11-01')) AS v(d)",
                &["2026-11-01T00:00:00-05:00"],
            ),
            (
                "SELECT count(*) FROM orders WHERE at BETWEEN DATE '1970-01-01' AND DATE '2026-11-01'",
                &["2"],
            ),
        ],
    );
    check_in(
        "America/New_York",
        &[
            (
                "SELECT to_timestamp('2026-03-08 02:30', 'YYYY-MM-DD HH24:MI')",
                &["2026-03-08T03:30:00-04:00"],
            ),
            (
                "SELECT to_timestamp('2026-11-01 01:30', 'YYYY-MM-DD HH24:MI')",
                &["2026-11-01T01:30:00-05:00"],
            ),
            (
                "SELECT to_timestamp('2026-11-01 01:30-04', 'YYYY-MM-DD HH24:MIOF')",
                &["2026-11-01T01:30:00-04:00"],
            ),
            (
                "SELECT count(*) FROM orders WHERE at < TIMESTAMP '2026-03-08 02:30:00'",
                &["2"],
            ),
            (
                "SELECT TIMESTAMP '2026-11-01 01:30:00' AT TIME ZONE 'America/New_York'",
                &["2026-11-01T01:30:00-05:00"],
            ),
        ],
    );
}

/// DataFusion would leave out the zone where it puts both sides of such a
/// comparison the other way round.
#[test]
fn times_without_a_zone_are_compared_in_one_that_has_no_name() {
    check_in(
        "+08:00",
        &[(
            "SELECT t FROM (VALUES (TIMESTAMP '1970-01-02 00:40:00'), (TIMESTAMP '1970-01-02 08:40:00')) AS v(t) WHERE t = '1970-01-02 00:40:00'::timestamptz",
            &["1970-01-02T00:40:00"],
        )],
    );
}

#[test]
fn a_zone_holds_from_the_next_statement_of_a_text_on() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    let at = "SELECT at, to_char(at, 'HH24') FROM orders WHERE id = 600";
    let text = format!("{at}; SET TIME ZONE 'Asia/Tokyo'; {at}; SET TIME ZONE 'UTC'; {at}");
    assert_eq!(
        client.rows(&text),
        [
            "1970-01-01 18:00:00+08,18",
            "1970-01-01 19:00:00+09,19",
            "1970-01-01 10:00:00+00,10",
        ]
    );
    assert_eq!(client.rows(at), ["1970-01-01 10:00:00+00,10"]);
}

#[test]
fn values_are_written_as_a_client_wants_them() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    let sql = "SELECT at, at::date AS day, INTERVAL '1 day 2 hours' AS i, CAST('ab' AS BYTEA), CAST(0.1 AS DOUBLE) + CAST(0.2 AS DOUBLE) FROM orders WHERE id = 600";
    let first = client.rows(sql);
    assert_eq!(
        first,
        ["1970-01-01 18:00:00+08,1970-01-01,1 day 02:00:00,\\x6162,0.30000000000000004"]
    );
    client.ask("SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape'; SET extra_float_digits = 0");
    let other = ["01/01/1970 18:00:00 CST,01/01/1970,P1DT2H,ab,0.3"];
    assert_eq!(client.rows(sql), other);
    assert_eq!(client.prepared(sql).1, other);
    client.ask(&format!("BEGIN; DECLARE c CURSOR FOR {sql}"));
    assert_eq!(client.rows("FETCH ALL FROM c"), other);
    client.ask("COMMIT; RESET ALL");
    assert_eq!(client.rows(sql), first);
    for sql in [
        "SET datestyle = 'soon'",
        "SET bytea_output = 'base64'",
        "SET extra_float_digits = 4",
    ] {
        assert_eq!(client.ask(sql).words, ["22023"], "{sql}");
    }
    assert_eq!(client.rows("SHOW datestyle"), ["ISO, YMD"]);
    // As they said when they connected, however they wrote it.
    let mut client = WireClient::sign_in_with(&server, "DateStyle\0German\0");
    assert_eq!(client.rows("SELECT DATE '2026-11-21'"), ["21.11.2026"]);
}

#[test]
fn intervals_are_written_in_all_styles() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    let sql = "SELECT CASE id WHEN 600 THEN INTERVAL '2 hours' - INTERVAL '1 day' END FROM orders ORDER BY id";
    for (style, expected) in [
        ("postgres", "-1 days +02:00:00"),
        ("postgres_verbose", "@ 1 day -2 hours ago"),
        ("sql_standard", "+0-0 -1 +2:00:00"),
        ("iso_8601", "P-1DT2H"),
    ] {
        client.ask(&format!("SET intervalstyle = '{style}'"));
        // The other one is NULL.
        assert_eq!(client.rows(sql), [expected, ""], "{style}");
        assert_eq!(client.prepared(sql).1, [expected, ""], "{style}");
    }
}

/// Dates begin with their year: no order of day and month is guessed.
#[test]
fn dates_that_do_not_begin_with_the_year_are_errors() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    for style in ["ISO, DMY", "SQL, MDY", "German, DMY", "Postgres, YMD"] {
        let set = client.ask(&format!("SET datestyle = '{style}'"));
        assert_eq!(set.words, ["SET"]);
        for date in ["03/04/2025", "03.04.2025", "03-04-2025", "3/4/25"] {
            for sql in [
                format!("SELECT DATE '{date}'"),
                format!("SELECT '{date}'::date"),
                format!("SELECT TIMESTAMP '{date} 10:00:00'"),
                format!("SELECT id FROM orders WHERE at::date = '{date}'"),
                format!("SELECT id FROM orders WHERE at >= '{date}'"),
                format!("SELECT to_date('{date}')"),
            ] {
                let found = client.ask(&sql);
                let code = found.words.first().map_or(0, String::len);
                assert_eq!((found.words.len(), code), (1, 5), "{sql}: {found:?}");
            }
        }
    }
}

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

/// The page puts rows of an answer and changes of the stream together: what is
/// the same row must be the same text.
#[test]
fn look_ups_and_live_changes_write_times_as_answers_do() {
    let server = start();
    let answer = rows(server.address, "SELECT * FROM orders WHERE id = 600");
    assert_eq!(answer[0][3], "1970-01-01T18:00:00+08:00");
    let found = get(server.address, "/api/v1/tables/orders/600").json();
    assert_eq!(found["rows"], answer);
    let path = "orders?filter.orders=id%3D600";
    let Ok(mut events) = Events::open(server.address, path) else {
        panic!("{path} is not answered");
    };
    let snapshot = events.next();
    assert_eq!(snapshot.data["rows"], answer);
    assert_eq!(snapshot.data["columns"], found["columns"]);
    server
        .shop
        .apply_orders(&[((600, "a".to_owned(), 100), -1)]);
    let delta = events.next();
    assert_eq!(delta.data["changes"][0][1], answer[0]);
}

#[test]
fn dates_are_written_and_read_by_patterns_of_both_kinds() {
    check(&[
        (
            "SELECT to_char(at, 'YYYY-MM-DD HH24:MI:SS TZ') FROM orders ORDER BY id",
            &["1970-01-01 18:00:00 CST", "1970-01-02 00:40:00 CST"],
        ),
        (
            "SELECT to_char(at, '%Y-%m-%d %H:%M') FROM orders WHERE id = 1000",
            &["1970-01-02 00:40"],
        ),
        (
            "SELECT to_char(DATE '2026-11-21', 'FMDay DD Mon YYYY, \"Q\"Q')",
            &["Saturday 21 Nov 2026, Q4"],
        ),
        (
            "SELECT to_char(at, CASE id WHEN 600 THEN 'YYYY' ELSE 'MM' END) FROM orders ORDER BY id",
            &["1970", "01"],
        ),
        (
            "SELECT to_char(at, NULL) IS NULL FROM orders WHERE id = 600",
            &["true"],
        ),
        (
            "SELECT id FROM orders WHERE at = to_timestamp('02.01.1970 00:40', 'DD.MM.YYYY HH24:MI')",
            &["1000"],
        ),
        (
            "SELECT to_date('21.11.2026', 'DD.MM.YYYY'), to_date('2026-11-21', '%Y-%m-%d')",
            &["2026-11-21,2026-11-21"],
        ),
        (
            "SELECT to_date('2026-11-21 00:10+08', 'YYYY-MM-DD HH24:MIOF')",
            &["2026-11-21"],
        ),
        (
            "SELECT to_timestamp('2026-11-21 08:10:00.25', 'YYYY-MM-DD HH24:MI:SS.MS'), to_timestamp('2026-XI-21 08:10:00.5-03:30', 'YYYY-RM-DD HH24:MI:SS.FF6TZH:TZM')",
            &["2026-11-21T08:10:00.250+08:00,2026-11-21T19:40:00.500+08:00"],
        ),
        (
            r#"SELECT to_char(at, 'rm TMMonth \"x\" "\"\\" TZH:TZM OF') FROM orders WHERE id = 600"#,
            &[r#"i    January "x" "\ +08:00 +08"#],
        ),
    ]);
    let server = start();
    assert!(ask(&server, "SELECT to_date('21.13.2026', 'DD.MM.YYYY')").is_err());
    let problem = ask(&server, "SELECT to_timestamp('9999-12-31', 'YYYY-MM-DD')");
    let problem = problem.unwrap_err().to_string();
    assert!(
        problem.contains("`9999-12-31` is out of range"),
        "{problem}"
    );
    check(&[(
        "SELECT to_date('9999-12-31', 'YYYY-MM-DD')",
        &["9999-12-31"],
    )]);
    for call in [
        "to_timestamp('2026 12.3456', 'YYYY SS.MS')",
        "to_timestamp('2026 08 CST', 'YYYY HH24 TZ')",
        "to_date('2026-IIII', 'YYYY-RM')",
    ] {
        let problem = ask(&server, &format!("SELECT {call} AS t"));
        assert!(problem.is_err(), "{call}: {problem:?}");
    }
    for pattern in ["'FM'", "'%A'", "CASE id WHEN 600 THEN 'YYYY' ELSE 'x' END"] {
        let sql = format!("SELECT to_char(at, repeat({pattern}, 1000)) FROM orders");
        let problem = ask(&server, &sql).unwrap_err().to_string();
        assert!(problem.contains("at most 1000 characters"), "{problem}");
    }
}

#[test]
fn integers_that_do_not_fit_are_errors() {
    check(&[
        ("SELECT sum(id) FROM orders", &["1600"]),
        (
            "SELECT sum(id), sum(id + 1) FROM orders GROUP BY buyer",
            &["1600,1602"],
        ),
        ("SELECT sum(id) FROM orders WHERE id < 0", &[""]),
        (
            "SELECT sum(DISTINCT id), sum(amount) FROM orders",
            &["1600,2.00"],
        ),
        (
            "SELECT sum(id) OVER (ORDER BY id ROWS 1 PRECEDING) FROM orders ORDER BY id",
            &["600", "1600"],
        ),
        (
            "SELECT id * 2 + 1 - 1 FROM orders WHERE id + 1 = 601",
            &["1200"],
        ),
        (
            "SELECT CAST(2 AS SMALLINT) * id FROM orders WHERE id = 600",
            &["1200"],
        ),
        (
            "SELECT row_number() OVER (ORDER BY id) - row_number() OVER (ORDER BY id DESC)
             FROM orders ORDER BY id",
            &["-1", "1"],
        ),
        // What does not fit on the way fits at the end.
        (
            "SELECT sum(x) FROM (VALUES (9223372036854775807), (1), (-1)) AS v(x)",
            &["9223372036854775807"],
        ),
    ]);
    let server = start();
    for sql in [
        "SELECT 9223372036854775807 + 1",
        "SELECT -9223372036854775807 - 2",
        "SELECT id * 9223372036854775807 FROM orders",
        "SELECT id FROM orders WHERE id + 9223372036854775807 > 0",
        "SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        "SELECT g, sum(x) FROM (VALUES (1, 9223372036854775807), (1, 1)) AS v(g, x) GROUP BY g",
        "SELECT sum(x) OVER (ORDER BY x) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
    ] {
        let problem = ask(&server, sql).map(|found| found.join(";"));
        let problem = problem.expect_err(sql).to_string();
        assert!(problem.contains("verflow"), "{sql}: {problem}");
    }
}

/// What dates are beside moments in VALUES, INTERSECT and EXCEPT.
const ROWS_OF_DATES_AND_MOMENTS: &[(&str, &[&str])] = &[
    (
        "SELECT x FROM (VALUES (DATE '1970-01-02'), (TIMESTAMPTZ '1970-01-01 23:40:00')) AS v(x) ORDER BY x",
        &["1970-01-01 23:40:00+08", "1970-01-02 00:00:00+08"],
    ),
    (
        "VALUES (1, TIMESTAMPTZ '1970-01-01 23:40:00'), (2, DATE '1970-01-02'), (3, NULL)",
        &["1,1970-01-01 23:40:00+08", "2,1970-01-02 00:00:00+08", "3,"],
    ),
    (
        "SELECT id FROM orders JOIN (VALUES (DATE '1970-01-02'), (TIMESTAMPTZ '1970-01-01 18:00:00')) AS v(x) ON at = x OR date_trunc('day', at) = x ORDER BY id",
        &["600", "1000"],
    ),
    ("VALUES (DATE '1970-01-02'), (NULL)", &["1970-01-02", ""]),
    (
        "SELECT DATE '1970-01-02' INTERSECT SELECT date_trunc('day', at) FROM orders",
        &["1970-01-02 00:00:00+08"],
    ),
    (
        "SELECT DATE '1970-01-05' EXCEPT SELECT at FROM orders",
        &["1970-01-05 00:00:00+08"],
    ),
    (
        "SELECT date_trunc('day', at) FROM orders EXCEPT SELECT DATE '1970-01-02'",
        &["1970-01-01 00:00:00+08"],
    ),
    (
        "SELECT DATE '1970-01-02' AS x INTERSECT SELECT date_trunc('day', at) FROM orders UNION ALL SELECT at FROM orders ORDER BY x",
        &[
            "1970-01-01 18:00:00+08",
            "1970-01-02 00:00:00+08",
            "1970-01-02 00:40:00+08",
        ],
    ),
];

#[test]
fn dates_are_moments_in_rows_of_both() {
    let server = start();
    let mut client = WireClient::sign_in(&server);
    for (sql, expected) in ROWS_OF_DATES_AND_MOMENTS {
        assert_eq!(client.rows(sql), *expected, "{sql}");
        assert_eq!(client.prepared(sql).1, *expected, "{sql}");
    }
}

#[test]
fn a_date_in_another_zone_begins_in_that_of_the_reader() {
    check(&[
        (
            "SELECT DATE '1970-01-02' AT TIME ZONE 'America/New_York'",
            &["1970-01-01T11:00:00-05:00"],
        ),
        (
            "SELECT d AT TIME ZONE 'America/New_York' AS there, (d AT TIME ZONE 'America/New_York')::date AS day FROM (VALUES (DATE '1970-01-02')) AS v(d)",
            &["1970-01-01T11:00:00-05:00,1970-01-01"],
        ),
        (
            "SELECT DATE '1970-01-02' AT TIME ZONE 'Asia/Shanghai'",
            &["1970-01-02T00:00:00+08:00"],
        ),
        (
            "SELECT id FROM orders WHERE at >= DATE '1970-01-02' AT TIME ZONE 'America/New_York'",
            &["1000"],
        ),
        // Where the moment is in another zone, the date is one of that zone.
        (
            "SELECT id FROM orders WHERE at AT TIME ZONE 'America/New_York' >= DATE '1970-01-02'",
            &[],
        ),
        (
            "SELECT id FROM orders WHERE date_trunc('day', at AT TIME ZONE 'America/New_York') IN (SELECT DATE '1970-01-01') ORDER BY id",
            &["600", "1000"],
        ),
    ]);
}

#[test]
fn negatives_and_sums_that_do_not_fit_are_errors() {
    check(&[
        ("SELECT -id FROM orders WHERE id = 600", &["-600"]),
        (
            "SELECT sum(DISTINCT id), sum(DISTINCT amount) FROM orders",
            &["1600,1.00"],
        ),
        (
            "SELECT sum(DISTINCT id) OVER (ORDER BY id ROWS 1 PRECEDING) FROM orders ORDER BY id",
            &["600", "1600"],
        ),
        (
            "SELECT sum(DISTINCT x), sum(DISTINCT y) FROM (VALUES (9223372036854775807, 1), (1, 1), (-1, 1), (-1, 2)) AS v(x, y)",
            &["9223372036854775807,3"],
        ),
        (
            "SELECT sum(x) FROM (VALUES (CAST(99999999999999999999999999999999999998 AS DECIMAL(38, 0))), (1), (NULL)) AS v(x)",
            &["99999999999999999999999999999999999999"],
        ),
    ]);
    let server = start();
    let decimals = "(VALUES (CAST(99999999999999999999999999999999999999 AS DECIMAL(38, 0))), (CAST(99999999999999999999999999999999999998 AS DECIMAL(38, 0)))) AS v(x)";
    for sql in [
        "SELECT -x FROM (VALUES (-9223372036854775808), (1)) AS v(x)",
        "SELECT -(x + 0) FROM (VALUES (-9223372036854775808), (1)) AS v(x)",
        "SELECT sum(DISTINCT x), sum(DISTINCT y) FROM (VALUES (9223372036854775807, 1), (1, 1)) AS v(x, y)",
        "SELECT sum(DISTINCT x) OVER () FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        "SELECT sum(x) FILTER (WHERE x > 0) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        "SELECT sum(x) OVER () FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        &format!("SELECT sum(x) FROM {decimals}"),
        &format!("SELECT sum(DISTINCT x) FROM {decimals}"),
        &format!("SELECT x > 0, sum(x) FROM {decimals} GROUP BY x > 0"),
        &format!("SELECT sum(x) OVER () FROM {decimals}"),
    ] {
        let problem = ask(&server, sql).map(|found| found.join(";"));
        let problem = problem.expect_err(sql).to_string();
        assert!(problem.contains("verflow"), "{sql}: {problem}");
    }
}
