//! A shop whose changes are lines of a file in the project, as Maxwell writes them.

use std::fs::{File, OpenOptions};
use std::path::Path;

use serde_json::{Value, json};

/// The file, to which lines are appended.
pub fn open_changes(project: &Path) -> File {
    let path = project.join("changes.ndjson");
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap()
}

/// The change at a place of the transaction with this number.
pub fn change_message(
    table: &str,
    kind: &str,
    data: &Value,
    (xid, place): (u64, usize),
    is_last: bool,
) -> Value {
    let mut change = json!({
        "database": "shop", "table": table, "type": kind, "data": data,
        "xid": xid, "xoffset": place,
    });
    if is_last {
        change["commit"] = json!(true);
    }
    change
}
