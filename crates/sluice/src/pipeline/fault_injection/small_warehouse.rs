//! A warehouse that is small and has one of everything: a topic of a database
//! with whole transactions and changelog tables, a topic of clients that send
//! again and whose records stay in part in a file, rows that become old, dead letters, and views that filter, join,
//! aggregate, rank and fail.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_capture::mark_maxwell;
use sluice_core::{PartitionId, Record, RecordKind};
use sluice_engine::Program;

use super::Random;
use crate::project::Project;

/// The topic of the database. What is read from it has positions.
pub const SHOP: &str = "shop";
/// The topic of the clients.
pub const CLICKS: &str = "clicks";

/// 2026-01-01 00:00 UTC.
const START_US: i64 = 1_767_225_600_000_000;
const HOUR_US: i64 = 3_600_000_000;

const WAREHOUSE: &str = r#"
name = "small"
[limits]
epoch_records_max = 9
worker_threads = 1
segment_cache_bytes_max = 30000
[log]
segment_bytes_max = 9000
"#;

const SOURCES: &str = r#"
[topic.shop]
[topic.shop.capture]
kind = "http"
transactions = "maxwell"

[topic.clicks]
[topic.clicks.capture]
kind = "file"
path = "/input/*.ndjson"
format = "ndjson"
log = "source"

[table.product]
topic = "shop"
when = [{ field = "/table", equals = "product" }]
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "category", from = "./category", type = "string" },
  { name = "price", from = "./price", type = "decimal(12,2)" },
]

[table.order_line]
topic = "shop"
when = [{ field = "/table", equals = "order_line" }]
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "product_id", from = "./product_id", type = "int64" },
  { name = "pieces", from = "./pieces", type = "int64", min = 0 },
]

[table.click]
topic = "clicks"
event_time = "ts"
lateness = "1 day"
max_ahead = "1 hour"
retain = "2 days"
dedup_key = ["event_id"]
dedup_horizon = "60 days"
columns = [
  { name = "event_id", from = "/event_id", type = "string" },
  { name = "product_id", from = "/product_id", type = "int64" },
  { name = "visitor", from = "/visitor", type = "string", missing = "last", last_by = ["product_id"] },
  { name = "ts", from = "/ts", type = "timestamp", unit = "us" },
]
"#;

const MODELS: [(&str, &str); 12] = [
    (
        "sale",
        "SELECT l.id, p.category, l.pieces, CAST(l.pieces AS DECIMAL(12, 0)) * p.price AS amount
         FROM order_line l JOIN product p ON l.product_id = p.id",
    ),
    (
        "category_sales",
        "SELECT category, count(*) AS lines, sum(amount) AS amount, max(pieces) AS most,
                count(DISTINCT pieces) AS sizes
         FROM sale GROUP BY category",
    ),
    (
        "big_category",
        "SELECT category, amount FROM category_sales WHERE lines > 2",
    ),
    (
        "pieces_a_line",
        "SELECT id, 60 / pieces AS share FROM order_line",
    ),
    (
        "click_minute",
        "SELECT date_trunc('minute', ts) AS minute, count(*) AS clicks,
                count(DISTINCT visitor) AS visitors
         FROM click GROUP BY date_trunc('minute', ts)",
    ),
    (
        "clicked_product",
        "SELECT c.event_id, p.category FROM click c LEFT JOIN product p ON c.product_id = p.id",
    ),
    (
        "sale_place",
        "SELECT id, category, row_number() OVER (PARTITION BY category ORDER BY amount DESC, id) AS place,
                sum(pieces) OVER (PARTITION BY category ORDER BY id) AS pieces_so_far
         FROM sale",
    ),
    (
        "dearest_product",
        "SELECT id, price FROM product ORDER BY price DESC, id LIMIT 3",
    ),
    (
        "product_lines",
        "SELECT product_id, array_agg(id ORDER BY id) AS ids, median(pieces) AS middle,
                sum(CAST(pieces AS DOUBLE) / 7) AS weeks, min(pieces) AS fewest
         FROM order_line GROUP BY product_id",
    ),
    (
        "product_or_line",
        "SELECT p.id, l.id AS line FROM product p FULL JOIN order_line l ON p.id = l.product_id",
    ),
    (
        "slow_product",
        "SELECT id, category FROM product
         WHERE id NOT IN (SELECT product_id FROM order_line WHERE pieces > 3)",
    ),
    (
        "visitor_click",
        "SELECT event_id, visitor, count(*) OVER (PARTITION BY visitor ORDER BY ts, event_id) AS nth
         FROM click",
    ),
];

/// The models, and two changes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Models {
    /// [`MODELS`].
    First,
    /// What is new follows from stored tables and views.
    OfStored,
    /// What is new needs the log: its tables keep only a part of their rows, or
    /// the order of rows matters.
    OfLog,
    /// Other tables, with [`MODELS`] and a view on a new one.
    OtherTables,
}

/// What of [`SOURCES`] is other, and what it is then.
const OTHER_SOURCES: [(&str, &str); 4] = [
    (
        r#"type = "decimal(12,2)" }"#,
        r#"type = "decimal(12,2)", max = 60 }"#,
    ),
    (
        r#"dedup_horizon = "60 days""#,
        r#"dedup_horizon = "50 days""#,
    ),
    (
        r#"  { name = "ts","#,
        r#"  { name = "place", from = "/place", type = "string", missing = "null" },
  { name = "ts","#,
    ),
    (
        "[table.click]",
        r#"[table.small_line]
topic = "shop"
when = [{ field = "/table", equals = "order_line" }]
row = "/data"
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "pieces", from = "./pieces", type = "int64", min = 0, max = 3 },
]

[table.click]"#,
    ),
];

const OF_OTHER_TABLES: [(&str, Option<&str>); 1] = [(
    "small_lines",
    Some("SELECT pieces, count(*) AS lines FROM small_line GROUP BY pieces"),
)];

/// In place of models of that name; without a SELECT the model is gone.
const OF_STORED: [(&str, Option<&str>); 5] = [
    (
        "category_sales",
        Some(
            "SELECT category, count(*) AS lines, sum(amount) AS amount,
                    min(pieces) AS fewest FROM sale GROUP BY category",
        ),
    ),
    (
        "pieces_a_line",
        Some("SELECT id, 120 / pieces AS share FROM order_line"),
    ),
    ("dearest_product", None),
    (
        "line_of_product",
        Some(
            "SELECT l.id, p.price FROM order_line l LEFT JOIN product p ON p.id = l.product_id
             WHERE 6 / l.pieces > 0",
        ),
    ),
    (
        "sale_of_big",
        Some("SELECT s.id, b.amount FROM sale s JOIN big_category b ON s.category = b.category"),
    ),
];

const OF_LOG: [(&str, Option<&str>); 4] = [
    (
        "visitor_session",
        Some(
            "SELECT visitor, window_start, count(*) AS clicks
             FROM session(click, visitor, ts, INTERVAL '90 minutes')
             GROUP BY visitor, window_start, window_end",
        ),
    ),
    (
        "category_sales",
        Some(
            "SELECT category, count(*) AS lines, sum(amount) AS amount FROM sale GROUP BY category",
        ),
    ),
    ("click_minute", None),
    (
        "click_day",
        Some(
            "SELECT date_trunc('day', ts) AS day, count(*) AS clicks FROM click GROUP BY date_trunc('day', ts)",
        ),
    ),
];

impl Models {
    fn texts(self) -> Vec<(&'static str, &'static str)> {
        let changes: &[(&str, Option<&str>)] = match self {
            Self::First => &[],
            Self::OfStored => &OF_STORED,
            Self::OfLog => &OF_LOG,
            Self::OtherTables => &OF_OTHER_TABLES,
        };
        let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
        let kept = MODELS.into_iter().filter(|(name, _)| !is_changed(name));
        let new = changes
            .iter()
            .filter_map(|(name, select)| Some((*name, (*select)?)));
        kept.chain(new).collect()
    }

    fn sources(self) -> String {
        let others: &[(&str, &str)] = match self {
            Self::OtherTables => &OTHER_SOURCES,
            _ => &[],
        };
        let mut text = SOURCES.trim_start().to_owned();
        for (known, other) in others {
            assert!(text.contains(known), "{known}");
            text = text.replacen(known, other, 1);
        }
        text
    }
}

/// A project and its plan.
#[derive(Debug)]
pub struct Definitions {
    pub project: Project,
    pub program: Arc<Program>,
}

/// Writes the project's files.
#[expect(clippy::disallowed_methods, reason = "a project is read from files")]
pub fn write_project(folder: &Path, models: Models) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("warehouse.toml", WAREHOUSE.trim_start());
    write("sources/all.toml", &models.sources());
    for (name, select) in models.texts() {
        let sql = format!("CREATE MATERIALIZED VIEW {name} AS {select}\n");
        write(&format!("models/{name}.sql"), &sql);
    }
}

impl Definitions {
    /// The small warehouse with these models.
    pub fn new(models: Models) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_project(folder.path(), models);
        Self::load(folder.path())
    }

    /// The project in a folder.
    pub fn load(folder: &Path) -> Self {
        let project = Project::load(folder, &[]).unwrap();
        let program = project.plan().unwrap();
        Self { project, program }
    }

    /// The same with other limits of the log, in bytes a partition.
    pub fn retain_bytes(mut self, retain_bytes: Option<u64>) -> Self {
        self.project.config.log.retain_bytes = retain_bytes;
        self
    }
}

pub fn partition(topic: &str) -> PartitionId {
    PartitionId {
        topic: topic.to_owned(),
        partition: 0,
    }
}

/// Where the file lies that holds the clients' events.
pub const INPUT: &str = "/input";
/// Its name.
pub const INPUT_FILE: &str = "clicks.ndjson";

/// Where the state lies on the simulated disk.
pub fn state() -> &'static Path {
    Path::new("/state")
}

fn record(number: usize, payload: Vec<u8>, position: Vec<u8>) -> Record {
    Record {
        kind: RecordKind::Data,
        payload: payload.into(),
        capture_time_us: START_US + number as i64 * HOUR_US,
        position: position.into(),
        transaction: None,
    }
}

/// What the database says from its beginning: the position of a record is the
/// number of the next one.
pub fn shop_script(random: &mut Random, length: usize) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::with_capacity(length);
    let mut rows: [Vec<Value>; 2] = [Vec::new(), Vec::new()];
    let mut transaction = 0;
    while records.len() < length {
        transaction += 1;
        let changes = 1 + random.below(4) as usize;
        for change in 0..changes.min(length - records.len()) {
            let number = records.len();
            let is_last = change + 1 == changes.min(length - number + change);
            let mut message = shop_change(random, &mut rows, number);
            message["xid"] = json!(transaction);
            message["xoffset"] = json!(change);
            if is_last {
                message["commit"] = json!(true);
            }
            let mut position = vec![0x80];
            position.extend_from_slice((number + 1).to_string().as_bytes());
            records.push(record(number, message.to_string().into_bytes(), position));
        }
    }
    mark_maxwell(&mut records);
    records
}

/// One change; `rows` are those of the two tables, the first value of each its
/// key.
fn shop_change(random: &mut Random, rows: &mut [Vec<Value>; 2], number: usize) -> Value {
    let table = usize::from(random.below(3) > 0);
    let name = ["product", "order_line"][table];
    let rows = &mut rows[table];
    let kind = random.below(6);
    if rows.is_empty() || kind < 3 {
        // Some lines are of a product that comes later, and some have a number
        // of pieces that is refused.
        let row = match table {
            0 => json!({ "id": rows.len(), "category": format!("c{}", random.below(4)),
                         "price": format!("{}.{:02}", random.below(50), random.below(100)) }),
            _ => json!({ "id": number, "product_id": random.below(12),
                         "pieces": random.below(8) as i64 - 1 }),
        };
        rows.push(row.clone());
        return json!({ "table": name, "type": "insert", "data": row });
    }
    let chosen = random.below(rows.len() as u64) as usize;
    if kind < 5 {
        let (field, value) = match table {
            0 => ("price", json!(format!("{}.50", random.below(90)))),
            _ => ("pieces", json!(random.below(8))),
        };
        let old = json!({ field: rows[chosen][field].clone() });
        rows[chosen][field] = value;
        return json!({ "table": name, "type": "update", "data": rows[chosen], "old": old });
    }
    json!({ "table": name, "type": "delete", "data": rows[chosen].clone() })
}

/// Whether the client's event `number` becomes a row.
pub fn is_good_click(number: usize) -> bool {
    !number.is_multiple_of(11) && (number < 17 || !number.is_multiple_of(17))
}

/// What the clients send.
pub fn click_script(random: &mut Random, length: usize) -> Vec<Record> {
    let click = |number: usize| {
        let late_us = match number >= 17 && number.is_multiple_of(17) {
            true => 240 * HOUR_US,
            false => random.below(30_000_000) as i64,
        };
        let mut event = json!({
            "event_id": format!("e{number}"), "product_id": random.below(12),
            "ts": START_US + number as i64 * HOUR_US - late_us,
        });
        if number == 1 {
            event["product_id"] = json!(0);
        }
        if number == 1 || random.below(4) > 0 {
            event["visitor"] = json!(format!("v{}", random.below(5)));
        } else {
            // Taken from the last one of the product.
            event["product_id"] = json!(0);
        }
        let mut payload = event.to_string();
        if number.is_multiple_of(11) {
            payload.truncate(payload.len() / 2);
        }
        record(number, payload.into_bytes(), Vec::new())
    };
    (0..length).map(click).collect()
}
