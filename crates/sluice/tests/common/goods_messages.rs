//! Change messages of goods, and the table that they make.

/// A table of what the change messages of a topic say of goods, whichever program
/// wrote them.
pub fn goods_table(table: &str, topic: &str) -> String {
    format!(
        r#"
[table.{table}]
topic = "{topic}"
when = [{{ field = "/table", equals = "goods" }}]
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = {{ field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }}
columns = [
  {{ name = "id", from = "./id", type = "int64" }},
  {{ name = "price", from = "./price", type = "decimal(10,2)" }},
]
"#
    )
}

/// A change of goods as Debezium writes it: the row lies in the message as it was
/// before where it is deleted (`d`), and else as it is after.
pub fn debezium(op: &str, position: u32, row: &str) -> String {
    let (before, after) = match op {
        "d" => (row, "null"),
        _ => ("null", row),
    };
    format!(
        r#"{{"before":{before},"after":{after},"source":{{"connector":"mysql","db":"shop","table":"goods","ts_ms":5,"file":"log.000003","pos":{position},"row":0}},"op":"{op}"}}"#
    )
}
