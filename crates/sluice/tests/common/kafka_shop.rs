//! A warehouse over the topics of a shop in Kafka. The test file has the modules
//! `brokers` and `world` beside this one.

use crate::brokers::Broker;
use crate::world::World;

/// All topics of the shop, with all that Kafka knows of a record. Topics and
/// partitions that come later are found soon.
pub const EVERYTHING: &str = r#"topics = ["orders", "^app-.*"]
include = ["key", "headers", "topic", "partition", "offset", "timestamp"]
discovery_interval = "300 ms"
"#;

/// Orders are rows that stay. A customer is known by the key of the record, and
/// goes with one that has no value.
const TABLES: &str = r#"
[table.orders]
topic = "shop"
when = [{ field = "/_kafka/topic", equals = "orders" }]
columns = [
  COLUMNS
  { name = "id", from = "/id", type = "int64" },
  { name = "place", from = "/_kafka/partition", type = "int64" },
  { name = "source", from = "/_kafka/headers/source", type = "string", missing = "null" },
  { name = "sent", from = "/_kafka/timestamp", type = "timestamp", unit = "ms" },
]

[table.customer]
topic = "shop"
when = [{ field = "/_kafka/topic", equals = "app-customer" }]
primary_key = ["id"]
change_kind = { field = "/_kafka/tombstone", insert = ["false"], delete = ["true"] }
columns = [
  { name = "id", from = "/_kafka/key", type = "int64" },
  { name = "name", from = "/name", type = "string", missing = "null" },
]
"#;

/// The tables of `EVERYTHING`: orders, of which a test has columns of its own, and
/// customers.
pub fn tables(columns_of_orders: &str) -> String {
    TABLES.replace("COLUMNS", columns_of_orders)
}

/// A warehouse with what `define` says. Its epochs are small, so that a kill comes
/// within one or between two.
pub fn new_world(
    broker: &Broker,
    checkpoint_interval_ms: u32,
    capture: &str,
    tables: &str,
) -> World {
    let world = World::with(&format!(
        "name = \"kafka\"\n[limits]\nepoch_records_max = 777\ncheckpoint_interval_ms = {checkpoint_interval_ms}\n"
    ));
    define(&world, broker, capture, tables);
    world
}

/// Defines the topic `shop`, which is what `capture` names at the broker, and its
/// tables.
pub fn define(world: &World, broker: &Broker, capture: &str, tables: &str) {
    let address = broker.address();
    world.sources(
        "shop",
        &format!(
            "[topic.shop.capture]\nkind = \"kafka\"\nbootstrap_servers = [\"{address}\"]\n{capture}\n{tables}"
        ),
    );
}
