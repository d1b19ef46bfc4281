//! Days, hours and times without a zone in the zone of the business, or of a client.

use crate::common::wire::WireClient;
use crate::zoned_shop::{check, check_in, start};

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
