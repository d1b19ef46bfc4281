//! Calls of functions that are not found by trying one or two arguments.

/// What is tried as arguments: columns of `t`, lists and a text.
pub const ARGUMENTS: [&str; 10] = [
    "n",
    "f",
    "s",
    "b",
    "d",
    "at",
    "c",
    "make_array(n, k)",
    "make_array(f, f)",
    "'a'",
];

/// Functions and the arguments of a call.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("approx_percentile_cont", "f, 0.5"),
    ("approx_percentile_cont_with_weight", "f, k, 0.5"),
    ("array_agg", "n ORDER BY k"),
    ("array_remove_n", "make_array(n, k), n, 1"),
    ("array_replace_all", "make_array(n, k), n, k"),
    ("array_replace", "make_array(n, k), n, k"),
    ("array_replace_n", "make_array(n, k), n, k, 1"),
    ("array_resize", "make_array(n, k), 3, n"),
    ("array_slice", "make_array(n, k), 1, 1"),
    ("array_to_string", "make_array(n, k), ','"),
    ("arrow_cast", "n, 'Int32'"),
    ("arrow_try_cast", "n, 'Int32'"),
    ("concat_ws", "',', s, s"),
    ("date_bin", "INTERVAL '1 day', at"),
    ("date_part", "'day', at"),
    ("date_trunc", "'day', at"),
    ("decode", "'6162', 'hex'"),
    ("digest", "s, 'sha256'"),
    ("ema", "f, 0.25"),
    ("encode", "s, 'hex'"),
    ("first_value", "n ORDER BY k"),
    ("first_value", "n"),
    ("flatten", "make_array(make_array(n), make_array(k))"),
    ("get_field", "named_struct('a', n), 'a'"),
    ("last_value", "n ORDER BY k"),
    ("last_value", "n"),
    ("lpad", "s, 5, 'x'"),
    ("make_date", "2024, 1, 2"),
    ("make_time", "1, 2, 3"),
    ("map", "make_array('a'), make_array(n)"),
    ("map_entries", "map(make_array('a'), make_array(n))"),
    ("map_extract", "map(make_array('a'), make_array(n)), 'a'"),
    ("map_keys", "map(make_array('a'), make_array(n))"),
    ("map_values", "map(make_array('a'), make_array(n))"),
    ("named_struct", "'a', n"),
    ("nth_value", "n, 1 ORDER BY k"),
    ("nth_value", "n, 1"),
    ("ntile", "2"),
    ("nvl2", "n, k, k"),
    ("overlay", "s, 'x', 1"),
    ("regexp_count", "s, 'a'"),
    ("regexp_instr", "s, 'a'"),
    ("regexp_like", "s, 'a'"),
    ("regexp_match", "s, 'a'"),
    ("regexp_replace", "s, 'a', 'b'"),
    ("replace", "s, 'a', 'b'"),
    ("rpad", "s, 5, 'x'"),
    ("split_part", "s, 'a', 1"),
    ("string_agg", "s, ',' ORDER BY k"),
    ("string_to_array", "s, 'a'"),
    ("substr_index", "s, 'a', 1"),
    ("to_char", "at, 'YYYY-MM-DD'"),
    ("to_date", "'2024-01-02', 'YYYY-MM-DD'"),
    ("translate", "s, 'a', 'b'"),
    ("with_metadata", "n, 'key', 'value'"),
];

/// Functions whose calls have more around them than others, and a query with one.
pub const STATEMENTS: &[(&str, &str)] = &[
    (
        "grouping",
        "SELECT g, grouping(g) AS x, count(*) AS c FROM t GROUP BY GROUPING SETS ((g), ())",
    ),
    (
        "percentile_cont",
        "SELECT g, percentile_cont(0.5) WITHIN GROUP (ORDER BY f) AS x FROM t GROUP BY g",
    ),
    ("uniq_count", COUNTED_STATES),
    ("uniq_merge", COUNTED_STATES),
    ("uniq_state", COUNTED_STATES),
];

/// The states themselves differ with the order in which values come.
const COUNTED_STATES: &str = "SELECT uniq_count(uniq_merge(state)) AS x FROM (SELECT g, uniq_state(n, 'numbers') AS state FROM t GROUP BY g) AS s";

/// Functions of which no call can be written: of unions, which SQL cannot make.
pub const WITHOUT_CALL: [&str; 2] = ["union_extract", "union_tag"];
