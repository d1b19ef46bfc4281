//! What errors are told with: codes over the PostgreSQL wire, as PostgreSQL has them, and
//! words without the parts of the library that they came through.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::Server;
use common::client::sql;
use common::wire::{WireClient, told};

#[test]
fn errors_of_values_have_the_codes_of_postgresql() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (statement, code) in [
        // division_by_zero
        ("SELECT 1 / 0", "22012"),
        ("SELECT 1 % 0", "22012"),
        ("SELECT 1.0 / 0", "22012"),
        ("SELECT 1 / (n - 1) FROM (VALUES (1), (2)) AS v(n)", "22012"),
        // invalid_text_representation
        ("SELECT 'abc'::int", "22P02"),
        ("SELECT '1.5'::int", "22P02"),
        (
            "SELECT s::int FROM (VALUES ('abc'), ('1')) AS v(s)",
            "22P02",
        ),
        ("SELECT 'abc'::numeric(10, 2)", "22P02"),
        ("SELECT 'x'::double precision", "22P02"),
        ("SELECT 'maybe'::boolean", "22P02"),
        ("SELECT id FROM orders WHERE id > 'x'", "22P02"),
        // numeric_value_out_of_range
        ("SELECT '99999999999'::int", "22003"),
        ("SELECT '99999999999999999999'::bigint", "22003"),
        ("SELECT '12345678901'::numeric(5, 2)", "22003"),
        ("SELECT 123456::numeric(5, 2)", "22003"),
        ("SELECT 300000::smallint", "22003"),
        ("SELECT 1e30::bigint", "22003"),
        ("SELECT 1e30::double precision::bigint", "22003"),
        ("SELECT 9223372036854775807 + 1", "22003"),
        (
            "SELECT sum(n) FROM (VALUES (9223372036854775807), (1)) AS v(n)",
            "22003",
        ),
        ("SELECT factorial(100)", "22003"),
        // invalid_datetime_format
        ("SELECT 'x'::date", "22007"),
        (
            "SELECT s::date FROM (VALUES ('abc'), ('1')) AS v(s)",
            "22007",
        ),
        ("SELECT 'x'::time", "22007"),
        ("SELECT TIMESTAMPTZ 'x'", "22007"),
        ("SELECT 'x'::interval", "22007"),
        ("SELECT to_date('x', 'YYYY-MM-DD')", "22007"),
        ("SELECT id FROM orders WHERE day > 'x'", "22007"),
        // datetime_field_overflow
        ("SELECT '2025-13-01'::date", "22008"),
        ("SELECT '25:00:00'::time", "22008"),
        ("SELECT TIMESTAMPTZ '2025-02-30 10:00:00'", "22008"),
        ("SELECT make_date(2025, 2, 30)", "22008"),
        ("SELECT to_timestamp('2025-13-01', 'YYYY-MM-DD')", "22008"),
        (
            "SELECT DATE '9999-12-31' + INTERVAL '9999999 years'",
            "22008",
        ),
        // invalid_argument_for_logarithm, and for power
        ("SELECT ln(0)", "2201E"),
        (
            "SELECT log10(n - 2) FROM (VALUES (1), (2)) AS v(n)",
            "2201E",
        ),
        ("SELECT log(0, 8)", "2201E"),
        ("SELECT log(1.0, 8)", "22012"),
        ("SELECT sqrt(-1)", "2201F"),
        ("SELECT power(-8, 0.5)", "2201F"),
        ("SELECT power(0, -1)", "2201F"),
        ("SELECT power(1e200::float8, 2)", "22003"),
        (
            "SELECT exp(n) FROM (VALUES (1::float8), (1000)) AS v(n)",
            "22003",
        ),
        ("SELECT asin(1.5)", "22003"),
        ("SELECT cos('Infinity'::float8)", "22003"),
        (
            "SELECT lcm(9223372036854775807, 9223372036854775806)",
            "22003",
        ),
        // invalid_regular_expression, invalid_parameter_value, cardinality_violation
        ("SELECT 'a' ~ '('", "2201B"),
        ("SELECT now() AT TIME ZONE 'Mars/Base'", "22023"),
        ("SELECT split_part('a', 'b', 0)", "22023"),
        ("SELECT (SELECT n FROM (VALUES (1), (2)) AS v(n))", "21000"),
    ] {
        assert_eq!(client.ask(statement), told(&[code], 'I'), "{statement}");
        let prepared = client.prepared(statement).0;
        assert_eq!(prepared, told(&[code], 'I'), "{statement}");
    }
    for (statement, code) in [
        ("COPY (SELECT 1 / 0 AS n) TO STDOUT", "22012"),
        (
            "BEGIN; DECLARE c CURSOR FOR SELECT 'x'::date AS d; FETCH c; COMMIT",
            "22007",
        ),
    ] {
        let words = client.ask(statement).words;
        assert_eq!(words.last().map(String::as_str), Some(code), "{statement}");
        client.ask("ROLLBACK");
    }
}

#[test]
fn errors_of_statements_have_the_codes_of_postgresql() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (statement, code) in [
        // undefined_table
        ("SELECT * FROM nothing", "42P01"),
        ("SELECT visits.id FROM orders", "42P01"),
        ("SELECT visits.* FROM orders", "42P01"),
        // undefined_column, ambiguous_column
        ("SELECT nothing FROM orders", "42703"),
        ("SELECT orders.nothing FROM orders", "42703"),
        ("SELECT id FROM orders WHERE nothing > 1", "42703"),
        ("SELECT id FROM orders, other_orders", "42702"),
        // duplicate_alias
        ("SELECT 1 FROM orders, orders", "42712"),
        (
            "WITH a AS (SELECT 1 AS x), a AS (SELECT 2 AS x) SELECT x FROM a",
            "42712",
        ),
        // undefined_function, which operators are too
        ("SELECT nothing(id) FROM orders", "42883"),
        ("SELECT abs(id, id) FROM orders", "42883"),
        ("SELECT lower()", "42883"),
        ("SELECT id + true FROM orders", "42883"),
        ("SELECT id FROM orders WHERE id = true", "42883"),
        ("SELECT id FROM orders WHERE buyer = true", "42883"),
        ("SELECT id FROM orders WHERE id IN (true)", "42883"),
        // datatype_mismatch, cannot_coerce
        ("SELECT id FROM orders WHERE id", "42804"),
        ("SELECT id FROM orders WHERE id AND true", "42804"),
        (
            "SELECT CASE WHEN id > 1 THEN 1 ELSE true END FROM orders",
            "42804",
        ),
        ("SELECT 1 UNION SELECT true", "42804"),
        ("SELECT true::date", "42846"),
        // grouping_error
        ("SELECT buyer, count(*) FROM orders", "42803"),
        ("SELECT id FROM orders GROUP BY buyer", "42803"),
        ("SELECT id FROM orders HAVING id > 1", "42803"),
        ("SELECT id FROM orders WHERE count(*) > 1", "42803"),
        ("SELECT sum(count(*)) FROM orders", "42803"),
        // invalid_column_reference
        ("SELECT buyer FROM orders ORDER BY 5", "42P10"),
        ("SELECT buyer FROM orders GROUP BY 5", "42P10"),
        // windowing_error
        (
            "SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED FOLLOWING AND UNBOUNDED FOLLOWING) FROM orders",
            "42P20",
        ),
        // syntax_error
        ("SELECT id FROM orders WHERE", "42601"),
        ("SELECT *", "42601"),
        ("SELECT 1 UNION SELECT 1, 2", "42601"),
        ("SELECT * FROM (VALUES (1), (1, 2)) AS v", "42601"),
        ("SELECT (SELECT id, buyer FROM orders LIMIT 1)", "42601"),
        // feature_not_supported
        ("SELECT array_filter(ARRAY[1, 2], x -> x > 1)", "0A000"),
        // invalid_row_count_in_limit_clause, and for OFFSET
        ("SELECT id FROM orders LIMIT -1", "2201W"),
        ("SELECT id FROM orders OFFSET -1", "2201X"),
    ] {
        assert_eq!(client.ask(statement), told(&[code], 'I'), "{statement}");
        let prepared = client.prepared(statement).0;
        assert_eq!(prepared, told(&[code], 'I'), "{statement}");
    }
}

#[test]
fn what_to_write_is_told_instead_of_the_parts_of_the_library() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (statement, code, words) in [
        (
            "SELECT date_trunc('day', now(), 'America/New_York')",
            "42883",
            "date_trunc('day', t AT TIME ZONE 'Europe/London')",
        ),
        (
            "SELECT substring(buyer FROM '[0-9]+') FROM orders",
            "42883",
            "write (regexp_match(text, pattern))[1]",
        ),
        (
            "SELECT to_char(id, '999') FROM orders",
            "42883",
            "for a number write round(x, 2)::text",
        ),
        (
            "SELECT jsonb_build_object('id', id) FROM orders",
            "42883",
            "There is no JSON type in queries",
        ),
        (
            "SELECT buyer ->> 'name' FROM orders",
            "0A000",
            "There is no JSON type in queries",
        ),
        (
            "SELECT x FROM (VALUES (ARRAY[1, 2])) AS t(l), unnest(t.l) AS u(x)",
            "0A000",
            "unnest(t.list) AS x",
        ),
    ] {
        let (found, problem) = client.refused(statement);
        assert_eq!(found, code, "{statement}: {problem}");
        assert!(problem.contains(words), "{statement}: {problem}");
        for part in ["bug", "Physical plan", "Internal error", "OneOf("] {
            assert!(!problem.contains(part), "{statement}: {problem}");
        }
        let answer = sql(server.address, "json", statement);
        assert_eq!(answer.problem(), problem, "{statement}");
    }
}

#[test]
fn errors_are_told_by_their_root() {
    let server = Server::start();
    let mut client = WireClient::sign_in(&server);
    for (statement, code, problem) in [
        (
            "SELECT 'abc'::int",
            "22P02",
            "Cannot cast string 'abc' to value of Int32 type",
        ),
        ("SELECT 1 / 0", "22012", "Divide by zero error"),
        (
            "SELECT 'x'::interval",
            "22007",
            "\"x\" is no interval: write numbers with their units, as in '1 day 2.5 hours', or a time, as in '1 day 02:30:00'",
        ),
        (
            "SELECT sqrt(-1)",
            "2201F",
            "cannot take square root of a negative number",
        ),
        (
            "SELECT id FROM orders LIMIT -1",
            "2201W",
            "Error during planning: LIMIT must be >= 0, '-1' was provided",
        ),
        (
            "SELECT curdate()",
            "42883",
            "Error during planning: Invalid function 'curdate'. Write current_date",
        ),
        (
            "SELECT id FROM orders FETCH FIRST 2 ROWS ONLY",
            "0A000",
            "This feature is not implemented: FETCH FIRST n ROWS ONLY is not supported: write LIMIT n",
        ),
    ] {
        let refused = client.refused(statement);
        assert_eq!(
            refused,
            (code.to_owned(), problem.to_owned()),
            "{statement}"
        );
        let answer = sql(server.address, "json", statement);
        assert_eq!(answer.status, 400, "{statement}");
        assert_eq!(answer.problem(), problem, "{statement}");
    }
    let (code, problem) = client.refused("SELECT 9223372036854775807 + 1");
    assert_eq!(code, "22003");
    let expected = "value out of range: Overflow happened on: 9223372036854775807 + 1";
    assert_eq!(problem, expected);
}
