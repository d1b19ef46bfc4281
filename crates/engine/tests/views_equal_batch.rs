//! After every epoch each view equals its SQL run by DataFusion over everything
//! accepted so far, whatever the cuts, the threads and the restarts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use sluice_core::{
    ChangeKind, ColumnDefinition, Delta, PartitionId, Random, SourceVersion, TableChanges,
    TableDefinition, TableKind,
};
use sluice_engine::{Engine, EngineOptions, Program, ViewDefinition};

/// Views over `orders` (changelog), `lines` and `visits` (append-only).
const VIEWS: &[(&str, &str)] = &[
    (
        "v_filter",
        "SELECT id, amount * 2 AS twice FROM orders WHERE amount > 20 AND city IS NOT NULL",
    ),
    (
        "v_group",
        "SELECT city, count(*) AS n, count(amount) AS c, sum(amount) AS s, avg(amount) AS a, min(amount) AS lo, max(name) AS hi FROM orders GROUP BY city",
    ),
    (
        "v_float",
        "SELECT city, sum(score) AS s, avg(score) AS a, min(score) AS lo FROM orders GROUP BY city",
    ),
    (
        "v_distinct_counts",
        "SELECT city, count(DISTINCT name) AS n, sum(DISTINCT amount) AS s, count(*) FILTER (WHERE amount > 30) AS big FROM orders GROUP BY city",
    ),
    (
        "v_global",
        "SELECT count(*) AS n, sum(amount) AS s, count(DISTINCT city) AS c, min(id) AS lo FROM orders",
    ),
    (
        "v_global_log",
        "SELECT count(*) AS n, max(pages) AS m, count(DISTINCT device) AS d FROM visits",
    ),
    ("v_distinct", "SELECT DISTINCT city, name FROM orders"),
    (
        "v_part_twice",
        "WITH c AS (SELECT o.city, o.name, sum(l.quantity) AS q FROM orders o JOIN lines l ON o.id = l.order_id GROUP BY o.city, o.name)
         SELECT a.city, a.name, a.q, m.most FROM c AS a JOIN (SELECT city, max(q) AS most FROM c GROUP BY city) AS m ON a.city = m.city AND a.q >= m.most",
    ),
    (
        "v_part_with_itself",
        "WITH c AS (SELECT city, count(*) AS n FROM orders WHERE amount > 10 GROUP BY city)
         SELECT a.city, a.n, b.n AS other FROM c AS a LEFT JOIN c AS b ON a.n = b.n UNION ALL SELECT city, n, n + 0 AS m FROM c UNION ALL SELECT city, n, n + 0 AS m FROM c",
    ),
    (
        "v_inner",
        "SELECT o.id, o.city, l.sku, l.quantity FROM orders o JOIN lines l ON o.id = l.order_id",
    ),
    (
        "v_inner_residual",
        "SELECT o.id, l.sku FROM orders o JOIN lines l ON o.id = l.order_id AND o.amount > l.quantity * 10",
    ),
    (
        "v_left",
        "SELECT o.id, o.name, l.sku FROM orders o LEFT JOIN lines l ON o.id = l.order_id",
    ),
    (
        "v_left_residual",
        "SELECT o.id, l.sku, l.quantity FROM orders o LEFT JOIN lines l ON o.id = l.order_id AND l.quantity > 3",
    ),
    (
        "v_right",
        "SELECT o.id, o.name, l.sku FROM orders o RIGHT JOIN lines l ON o.id = l.order_id",
    ),
    (
        "v_self",
        "SELECT a.id AS first, b.id AS second FROM orders a JOIN orders b ON a.city = b.city AND a.id < b.id",
    ),
    (
        "v_expression_key",
        "SELECT o.id, v.device FROM orders o JOIN visits v ON o.amount % 7 = v.pages % 7 AND o.city = v.device",
    ),
    (
        "v_union",
        "SELECT id AS k, city AS t FROM orders UNION ALL SELECT order_id, sku FROM lines",
    ),
    (
        "v_union_without_except",
        "SELECT a.id, a.city FROM (SELECT id, city FROM orders WHERE id < CAST(NULL AS BIGINT) EXCEPT SELECT order_id, sku FROM lines) AS a UNION ALL SELECT a.order_id, a.sku FROM lines AS a",
    ),
    (
        "v_union_without_anti_join",
        "SELECT a.id, a.city FROM (SELECT id, city FROM orders WHERE id < CAST(NULL AS BIGINT)) AS a WHERE NOT EXISTS (SELECT 1 FROM lines WHERE order_id > 2) UNION ALL SELECT a.order_id, a.sku FROM (SELECT order_id, sku FROM lines) AS a",
    ),
    (
        "v_union_without_rows",
        "SELECT * FROM (SELECT id, city FROM orders WHERE id < CAST(NULL AS BIGINT)) AS a UNION ALL SELECT * FROM (SELECT order_id, sku FROM lines) AS b",
    ),
    (
        "v_union_distinct",
        "SELECT city AS t FROM orders UNION SELECT sku FROM lines",
    ),
    (
        "v_layer",
        "WITH big AS (SELECT city, s FROM v_group WHERE s > 50) SELECT b.city, b.s, g.n FROM big b LEFT JOIN v_global g ON b.s > 0 AND g.n = g.n",
    ),
    (
        "v_having",
        "SELECT name, count(*) AS n FROM v_left GROUP BY name HAVING count(*) > 1",
    ),
    (
        "v_case",
        "SELECT id, CASE WHEN amount IS NULL THEN 'none' WHEN amount > 25 THEN upper(name) ELSE coalesce(city, '?') END AS label FROM orders",
    ),
    (
        "v_scalar",
        "SELECT id FROM orders WHERE amount > (SELECT avg(amount) FROM orders)",
    ),
    ("v_copy", "SELECT * FROM v_group"),
    (
        "v_full",
        "SELECT o.id, o.name, l.id AS line, l.sku FROM orders o FULL JOIN lines l ON o.id = l.order_id",
    ),
    (
        "v_full_residual",
        "SELECT o.id, l.id AS line FROM orders o FULL JOIN lines l ON o.id = l.order_id AND o.amount > l.quantity * 8",
    ),
    (
        "v_full_range",
        "SELECT o.id, l.id AS line FROM orders o FULL JOIN lines l ON o.amount < l.quantity * 5 AND o.amount > l.quantity * 4",
    ),
    (
        "v_right_residual",
        "SELECT o.id, l.sku, l.quantity FROM orders o RIGHT JOIN lines l ON o.id = l.order_id AND o.amount > 20",
    ),
    (
        "v_left_range",
        "SELECT o.id, v.pages FROM orders o LEFT JOIN visits v ON v.pages BETWEEN o.amount - 1 AND o.amount + 1",
    ),
    (
        "v_cross",
        "SELECT a.city, b.sku FROM v_distinct a CROSS JOIN (SELECT DISTINCT sku FROM lines) b",
    ),
    (
        "v_comma",
        "SELECT o.id, l.id AS line, v.device FROM orders o, lines l, visits v WHERE o.id = l.order_id AND v.device = o.city",
    ),
    (
        "v_using",
        "SELECT id, name, sku FROM orders JOIN lines USING (id)",
    ),
    (
        "v_full_using",
        "SELECT coalesce(o.id, l.id) AS id, name, sku FROM orders o FULL JOIN lines l ON o.id = l.id",
    ),
    ("v_natural", "SELECT * FROM orders NATURAL LEFT JOIN lines"),
    (
        "v_many",
        "SELECT a.id AS a, b.id AS b, c.id AS c, d.id AS d FROM orders a JOIN lines b ON a.id = b.order_id LEFT JOIN orders c ON c.city = a.city AND c.id > a.id FULL JOIN lines d ON d.order_id = c.id",
    ),
    (
        "v_in",
        "SELECT id, city FROM orders WHERE id IN (SELECT order_id FROM lines WHERE quantity > 2)",
    ),
    (
        "v_not_in",
        "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM lines WHERE order_id IS NOT NULL)",
    ),
    (
        "v_not_in_nulls",
        "SELECT id, city FROM orders WHERE city NOT IN (SELECT device FROM visits WHERE pages < 3)",
    ),
    (
        "v_exists",
        "SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM lines l WHERE l.order_id = o.id AND l.quantity * 6 > o.amount)",
    ),
    (
        "v_not_exists",
        "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM lines l WHERE l.order_id = o.id AND l.quantity * 6 > o.amount)",
    ),
    (
        "v_exists_any",
        "SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM lines WHERE quantity > 6)",
    ),
    (
        "v_mark",
        "SELECT o.id FROM orders o WHERE o.city = 'c1' OR EXISTS (SELECT 1 FROM lines l WHERE l.order_id = o.id AND l.sku = 's1')",
    ),
    (
        "v_mark_not",
        "SELECT o.id FROM orders o WHERE o.amount > 40 OR NOT EXISTS (SELECT 1 FROM lines l WHERE l.order_id = o.id)",
    ),
    (
        "v_correlated_scalar",
        "SELECT o.id FROM orders o WHERE o.amount > (SELECT avg(p.amount) FROM orders p WHERE p.city = o.city)",
    ),
    (
        "v_scalar_select",
        "SELECT o.id, (SELECT count(*) FROM lines l WHERE l.order_id = o.id) AS n, (SELECT max(pages) FROM visits) AS m FROM orders o",
    ),
    (
        "v_intersect",
        "SELECT city FROM orders INTERSECT SELECT device FROM visits",
    ),
    (
        "v_except",
        "SELECT city, name FROM orders EXCEPT SELECT device, 'n1' FROM visits",
    ),
    (
        "v_grouping_sets",
        "SELECT city, name, grouping(city) AS gc, grouping(city, name) AS g, count(*) AS n, sum(amount) AS s FROM orders GROUP BY GROUPING SETS ((city, name), (city), (name), ())",
    ),
    (
        "v_rollup",
        "SELECT city, name, count(*) AS n, count(DISTINCT name) AS d FROM orders GROUP BY ROLLUP (city, name) HAVING count(*) > 1",
    ),
    (
        "v_cube",
        "SELECT upper(city) AS c, sku, max(quantity) AS m FROM orders o JOIN lines l ON o.id = l.order_id GROUP BY CUBE (upper(city), sku)",
    ),
    (
        "v_mixed_sets",
        "SELECT city, name, id % 2 AS parity, count(*) AS n FROM orders GROUP BY id % 2, ROLLUP (city, name)",
    ),
    (
        "v_logic",
        "SELECT city, bool_and(amount > 20) AS a, bool_or(amount > 45) AS o, bit_and(id) AS ba, bit_or(id) AS bo, bit_xor(id) AS bx, bool_or(amount > 40) FILTER (WHERE name = 'n1') AS f FROM orders GROUP BY city",
    ),
    (
        "v_statistics",
        "SELECT city, floor(stddev(score) * 1000 + 0.3141592) AS s, floor(stddev_pop(amount) * 1000 + 0.3141592) AS sp, floor(var_samp(score) * 1000 + 0.3141592) AS v, floor(var_pop(score) * 1000 + 0.3141592) AS vp, floor(covar_samp(score, amount) * 1000 + 0.3141592) AS c, floor(covar_pop(score, amount) * 1000 + 0.3141592) AS cp, floor(corr(score, id) * 1000 + 0.3141592) AS r FROM orders GROUP BY city",
    ),
    (
        "v_regression",
        "SELECT regr_count(score, id) AS n, floor(regr_slope(score, id) * 1000 + 0.3141592) AS s, floor(regr_intercept(score, id) * 1000 + 0.3141592) AS i, floor(regr_r2(score, id) * 1000 + 0.3141592) AS r, floor(regr_avgx(score, id) * 1000 + 0.3141592) AS ax, floor(regr_sxx(score, id) * 1000 + 0.3141592) AS sxx FROM orders",
    ),
    (
        "v_lists",
        "SELECT city, array_agg(id ORDER BY id DESC) AS ids, array_agg(DISTINCT name ORDER BY name) AS names, string_agg(name, ',' ORDER BY name NULLS LAST) AS t, string_agg(DISTINCT name, '|' ORDER BY name) AS d, array_agg(id ORDER BY id) FILTER (WHERE amount > 20) AS f FROM orders GROUP BY city",
    ),
    (
        "v_first",
        "SELECT city, first_value(name ORDER BY amount DESC NULLS LAST, id) AS f, last_value(name ORDER BY score, id) AS l, first_value(amount ORDER BY id) FILTER (WHERE amount IS NOT NULL) AS a, nth_value(id, 2 ORDER BY id) AS second FROM orders GROUP BY city",
    ),
    (
        "v_first_of_log",
        "SELECT device, first_value(pages ORDER BY pages) AS f, last_value(pages ORDER BY pages NULLS FIRST) AS l FROM visits GROUP BY device",
    ),
    (
        "v_quantiles",
        "SELECT city, median(amount) AS m, median(id) AS mi, percentile_cont(0.25) WITHIN GROUP (ORDER BY score) AS q, percentile_cont(score, 0.9) AS p, median(DISTINCT score) AS md, approx_distinct(name) AS n FROM orders GROUP BY city",
    ),
    (
        "v_distinct_sums",
        "SELECT sum(DISTINCT amount) AS s, avg(DISTINCT amount) AS a, min(DISTINCT amount) AS lo, max(DISTINCT score) AS hi, sum(DISTINCT score) AS f FROM orders",
    ),
    ("v_constant", "SELECT 1 AS one, 'x' AS t"),
    (
        "v_values",
        "SELECT o.id, k.label FROM orders o JOIN (VALUES ('c1', 'first'), ('c2', NULL)) AS k (city, label) ON o.city = k.city",
    ),
    ("v_unnest", "SELECT city, unnest(ids) AS id FROM v_lists"),
    (
        "v_unnest_literal",
        "SELECT id, unnest(CASE WHEN amount > 25 THEN make_array(city, name) WHEN amount > 10 THEN make_array(name) END) AS word FROM orders",
    ),
    (
        "v_struct",
        "SELECT id, s['a'] AS a, s['b'] AS b FROM (SELECT id, named_struct('a', city, 'b', amount) AS s FROM orders)",
    ),
    (
        "v_struct_group",
        "SELECT s, count(*) AS n, max(s['b']) AS b FROM (SELECT named_struct('a', city, 'b', id % 3) AS s FROM orders) GROUP BY s",
    ),
    (
        "v_array_join",
        "SELECT a.id, b.ids FROM orders a LEFT JOIN v_lists b ON b.city = a.city AND array_has(b.ids, a.id)",
    ),
    (
        "v_unnest_struct",
        "SELECT id, unnest(s) FROM (SELECT id, named_struct('a', city, 'b', amount) AS s FROM orders)",
    ),
    (
        "v_union_coerced",
        "SELECT id AS k FROM orders UNION ALL SELECT amount FROM orders UNION ALL SELECT NULL FROM visits",
    ),
    (
        "v_row_number",
        "SELECT id, city, row_number() OVER (PARTITION BY city ORDER BY amount DESC, id) AS n, rank() OVER (PARTITION BY city ORDER BY name) AS r, dense_rank() OVER (ORDER BY name, city) AS d, percent_rank() OVER (PARTITION BY city ORDER BY name) AS p, cume_dist() OVER (PARTITION BY city ORDER BY name) AS c, ntile(3) OVER (PARTITION BY city ORDER BY id) AS t FROM orders",
    ),
    (
        "v_neighbours",
        "SELECT id, lag(amount) OVER w AS before, lead(amount, 2, 0) OVER w AS after, first_value(name) OVER w AS f, last_value(name) OVER w AS l, nth_value(name, 2) OVER w AS second, id - lag(id) OVER w AS gap FROM orders WINDOW w AS (PARTITION BY city ORDER BY id)",
    ),
    (
        "v_moving",
        "SELECT id, avg(amount) OVER (ORDER BY id ROWS 2 PRECEDING) AS a, sum(score) OVER (PARTITION BY name ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s, sum(id) OVER (PARTITION BY city ORDER BY id) AS running, count(amount) OVER (PARTITION BY city) AS n, min(amount) OVER (PARTITION BY city ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS lo, max(id) OVER (ORDER BY id RANGE BETWEEN 3 PRECEDING AND 1 PRECEDING) AS m, avg(score) OVER (ORDER BY amount GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) AS g FROM orders",
    ),
    (
        "v_window_of_groups",
        "SELECT city, sum(amount) AS s, rank() OVER (ORDER BY sum(amount) DESC) AS r, sum(sum(amount)) OVER () AS total FROM orders GROUP BY city",
    ),
    (
        "v_top",
        "SELECT city, id, amount FROM (SELECT *, row_number() OVER (PARTITION BY city ORDER BY amount DESC, id) AS n FROM orders) AS o WHERE n <= 2",
    ),
    (
        "v_top_numbered",
        "SELECT city, id, n FROM (SELECT *, row_number() OVER (PARTITION BY city ORDER BY amount DESC NULLS LAST, id) AS n FROM orders) AS o WHERE n BETWEEN 2 AND 3 AND id % 2 = 0",
    ),
    (
        "v_top_ranks",
        "SELECT city, id, n FROM (SELECT *, rank() OVER (PARTITION BY city ORDER BY name DESC) AS n FROM orders) AS o WHERE n < 3",
    ),
    (
        "v_top_groups",
        "SELECT device, pages, n FROM (SELECT *, dense_rank() OVER (PARTITION BY device ORDER BY pages) AS n FROM visits) AS v WHERE n <= 2",
    ),
    (
        "v_top_visits",
        "SELECT device, pages FROM (SELECT *, row_number() OVER (PARTITION BY device ORDER BY pages DESC) AS n FROM visits) AS v WHERE n <= 3",
    ),
    (
        "v_limit",
        "SELECT id, city FROM orders ORDER BY amount DESC, id LIMIT 5 OFFSET 2",
    ),
    (
        "v_limit_inside",
        "SELECT l.sku, o.id FROM lines l JOIN (SELECT id FROM orders ORDER BY score, id LIMIT 4) o ON o.id = l.order_id",
    ),
    (
        "v_limit_visits",
        "SELECT device, pages * 2 AS twice FROM visits ORDER BY pages DESC, device LIMIT 7",
    ),
    (
        "v_latest",
        "SELECT DISTINCT ON (city) city, id, name FROM orders ORDER BY city, score DESC, id",
    ),
    (
        "v_qualify",
        "SELECT id, city FROM orders QUALIFY row_number() OVER (PARTITION BY name ORDER BY id) = 1",
    ),
];

fn column(name: &str, data_type: DataType, nullable: bool) -> ColumnDefinition {
    ColumnDefinition {
        name: name.into(),
        data_type,
        nullable,
    }
}

fn tables() -> Vec<TableDefinition> {
    let money = DataType::Decimal128(10, 2);
    vec![
        TableDefinition {
            name: "orders".into(),
            columns: vec![
                column("id", DataType::Int64, false),
                column("city", DataType::Utf8, true),
                column("name", DataType::Utf8, true),
                column("amount", money, true),
                column("score", DataType::Float64, true),
            ],
            kind: TableKind::Changelog {
                primary_key: vec![0],
            },
            event_time: None,
            stored: true,
        },
        TableDefinition {
            name: "lines".into(),
            columns: vec![
                column("id", DataType::Int64, false),
                column("order_id", DataType::Int64, true),
                column("sku", DataType::Utf8, true),
                column("quantity", DataType::Int64, true),
            ],
            kind: TableKind::Changelog {
                primary_key: vec![0],
            },
            event_time: None,
            stored: true,
        },
        TableDefinition {
            name: "visits".into(),
            columns: vec![
                column("device", DataType::Utf8, true),
                column("pages", DataType::Int64, true),
            ],
            kind: TableKind::AppendOnly,
            event_time: None,
            stored: true,
        },
    ]
}

fn views() -> Vec<ViewDefinition> {
    VIEWS
        .iter()
        .map(|(name, select)| ViewDefinition {
            name: (*name).into(),
            file: format!("{name}.sql"),
            sql: format!("CREATE MATERIALIZED VIEW {name} AS {select}"),
        })
        .collect()
}

fn maybe<T>(random: &mut Random, value: T) -> Option<T> {
    (random.below(7) > 0).then_some(value)
}

fn changes(
    table: &TableDefinition,
    random: &mut Random,
    count: usize,
    next: &mut u64,
) -> TableChanges {
    let mut kinds = Vec::new();
    let mut versions = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..count {
        *next += 1;
        ids.push(random.below(25) as i64);
        let append = table.kind == TableKind::AppendOnly;
        let delete = random.below(4) == 0;
        kinds.push(match (append, delete) {
            (true, _) => ChangeKind::Insert,
            (_, true) => ChangeKind::Delete,
            _ => ChangeKind::Upsert,
        });
        // Now and then a redelivered older change.
        let age = if random.below(9) == 0 { 30 } else { 0 };
        versions.push(SourceVersion {
            major: next.saturating_sub(age),
            minor: 0,
        });
    }
    let text = |random: &mut Random, prefix: &str| -> ArrayRef {
        let values: Vec<Option<String>> = (0..count)
            .map(|_| {
                let value = format!("{prefix}{}", random.below(4));
                maybe(random, value)
            })
            .collect();
        Arc::new(StringArray::from(values))
    };
    let numbers = |random: &mut Random, limit: u64| -> ArrayRef {
        let values: Vec<Option<i64>> = (0..count)
            .map(|_| {
                let value = random.below(limit) as i64;
                maybe(random, value)
            })
            .collect();
        Arc::new(Int64Array::from(values))
    };
    let columns: Vec<ArrayRef> = match table.name.as_str() {
        "orders" => {
            let amounts: Vec<Option<i128>> = (0..count)
                .map(|_| {
                    let value = i128::from(random.below(5_000));
                    maybe(random, value)
                })
                .collect();
            let scores: Vec<Option<f64>> = (0..count)
                .map(|_| {
                    let value = random.below(1_000) as f64 / 8.0;
                    maybe(random, value)
                })
                .collect();
            vec![
                Arc::new(Int64Array::from(ids)),
                text(random, "c"),
                text(random, "n"),
                Arc::new(
                    Decimal128Array::from(amounts)
                        .with_precision_and_scale(10, 2)
                        .unwrap(),
                ),
                Arc::new(Float64Array::from(scores)),
            ]
        }
        "lines" => vec![
            Arc::new(Int64Array::from(ids)),
            numbers(random, 25),
            text(random, "s"),
            numbers(random, 8),
        ],
        _ => vec![text(random, "c"), numbers(random, 30)],
    };
    TableChanges {
        table: table.name.clone(),
        partition: PartitionId {
            topic: "t".into(),
            partition: 0,
        },
        rows: RecordBatch::try_new(table.schema(), columns).unwrap(),
        kinds,
        versions,
        key_changes: vec![],
        before_rows: None,
        unchanged: Vec::new(),
    }
}

type Content = BTreeMap<Vec<String>, i64>;

fn texts(rows: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("∅");
    let formatters: Vec<ArrayFormatter<'_>> = rows
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    (0..rows.num_rows())
        .map(|row| {
            formatters
                .iter()
                .map(|column| column.value(row).to_string())
                .collect()
        })
        .collect()
}

fn add(content: &mut Content, delta: &Delta) {
    for (row, weight) in texts(delta.rows()).into_iter().zip(delta.weights()) {
        let total = content.entry(row.clone()).or_insert(0);
        *total += weight;
        if *total == 0 {
            content.remove(&row);
        }
    }
}

/// The rows behind a content, for the batch engine.
fn batch_of(table: &TableDefinition, rows: &[Delta]) -> RecordBatch {
    let all = Delta::concat(&table.schema(), rows)
        .unwrap()
        .consolidate()
        .unwrap();
    let mut indices = Vec::new();
    for (row, &weight) in all.weights().iter().enumerate() {
        assert!(weight > 0, "negative weight in {}", table.name);
        indices.extend(std::iter::repeat_n(row as u32, weight as usize));
    }
    arrow::compute::take_record_batch(all.rows(), &arrow::array::UInt32Array::from(indices))
        .unwrap()
}

async fn expected(
    tables: &[TableDefinition],
    deltas: &BTreeMap<String, Vec<Delta>>,
) -> BTreeMap<String, Content> {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    for table in tables {
        let rows = batch_of(
            table,
            deltas.get(&table.name).map_or(&[][..], Vec::as_slice),
        );
        let table_rows = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
        context
            .register_table(table.name.as_str(), Arc::new(table_rows))
            .unwrap();
    }
    let mut results = BTreeMap::new();
    for (name, select) in VIEWS {
        let frame = context.sql(select).await.unwrap();
        // What DataFusion's batches say of types and nulls is not always what
        // its plan said.
        let planned = frame.schema().as_arrow().clone();
        let batches: Vec<RecordBatch> = frame.collect().await.unwrap();
        let found = batches.first().map(|batch| batch.schema());
        let found = found.unwrap_or(Arc::new(planned));
        let fields = found.fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batches: Vec<RecordBatch> = batches
            .into_iter()
            .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).unwrap())
            .collect();
        let mut content = Content::new();
        for batch in &batches {
            add(&mut content, &Delta::insert(batch.clone()));
        }
        results.insert((*name).to_owned(), content);
        let rows = MemTable::try_new(schema, vec![batches]).unwrap();
        context.register_table(*name, Arc::new(rows)).unwrap();
    }
    results
}

async fn run(seed: u64, epochs: u64, rows_max: u64) {
    let tables = tables();
    let program = Arc::new(
        Program::plan(&tables, &views())
            .map_err(|errors| {
                errors
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            })
            .unwrap(),
    );
    let mut random = Random(seed * 7_919 + 1);
    let options = EngineOptions::with_threads(1 + random.below(3) as usize);
    let mut engine = Engine::new(program.clone(), options.clone()).unwrap();
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut contents: BTreeMap<String, Content> = BTreeMap::new();
    let mut table_deltas: BTreeMap<String, Vec<Delta>> = BTreeMap::new();
    let mut next = 100;
    for epoch in 1..=epochs {
        let mut input = Vec::new();
        for table in &tables {
            for _ in 0..random.below(3) {
                let count = random.below(rows_max) as usize + 1;
                input.push(changes(table, &mut random, count, &mut next));
            }
        }
        let output = engine.step(epoch, input).unwrap();
        assert!(
            !output.deltas.contains_key(sluice_engine::EVALUATION_ERRORS),
            "{output:?}"
        );
        for (name, delta) in &output.deltas {
            add(contents.entry(name.clone()).or_default(), delta);
            if tables.iter().any(|table| table.name == *name) {
                table_deltas
                    .entry(name.clone())
                    .or_default()
                    .push(delta.clone());
            }
        }
        for (name, wanted) in expected(&tables, &table_deltas).await {
            let found = contents.get(&name).cloned().unwrap_or_default();
            assert_eq!(found, wanted, "view {name}, seed {seed}, epoch {epoch}");
        }
        if random.below(3) == 0 {
            let checkpoint = engine.checkpoint().unwrap();
            parts.extend(checkpoint.changed);
            parts.retain(|name, _| checkpoint.live.contains(name));
            engine = Engine::restore(program.clone(), options.clone(), epoch, &parts).unwrap();
        }
    }
}

#[tokio::test]
async fn random_changes_with_restarts() {
    for seed in 0..25 {
        run(seed, 12, 8).await;
    }
}

#[tokio::test]
async fn large_epochs_use_all_threads() {
    run(99, 3, 20_000).await;
}
