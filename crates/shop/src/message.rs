//! Messages as the shop sends them, and how their JSON is written.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Where a message belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topic {
    /// Behaviour of visitors, one object a record.
    AppLog,
    /// Changes of the shop's database, in the form of Maxwell.
    ShopDb,
}

impl Topic {
    /// Its name in the built-in warehouse.
    pub fn name(self) -> &'static str {
        match self {
            Self::AppLog => "app_log",
            Self::ShopDb => "shop_db",
        }
    }
}

/// Something that the shop sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where it belongs.
    pub topic: Topic,
    /// When it is sent, microseconds since 1970 UTC.
    pub send_time_us: i64,
    /// One line, without its end.
    pub payload: String,
}

/// Writes one JSON object. Texts come from the shop itself and need no escapes.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    output: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn begin(output: &'a mut String) -> Self {
        output.push('{');
        Self {
            output,
            is_empty: true,
        }
    }

    fn name(&mut self, name: &str) {
        if !self.is_empty {
            self.output.push(',');
        }
        self.is_empty = false;
        self.output.push('"');
        self.output.push_str(name);
        self.output.push_str("\":");
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        debug_assert!(!value.contains(['"', '\\', '\n']));
        self.output.push('"');
        self.output.push_str(value);
        self.output.push('"');
        self
    }

    pub(crate) fn number(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        self.name(name);
        // Writing to a string does not fail.
        let _ = write!(self.output, "{value}");
        self
    }

    /// Cents as a decimal with two digits.
    pub(crate) fn money(&mut self, name: &str, cents: i64) -> &mut Self {
        self.name(name);
        debug_assert!(cents >= 0);
        let _ = write!(self.output, "{}.{:02}", cents / 100, cents % 100);
        self
    }

    pub(crate) fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.name(name);
        self.output.push_str(json);
        self
    }

    pub(crate) fn end(self) {
        self.output.push('}');
    }
}

/// A row of the database with what changed in it.
#[derive(Debug, Default)]
pub(crate) struct RowChange {
    pub(crate) table: &'static str,
    pub(crate) kind: &'static str,
    /// The row, as JSON.
    pub(crate) data: String,
    /// The changed columns before the change, as JSON; empty for inserts.
    pub(crate) old: String,
}

impl RowChange {
    pub(crate) fn insert(table: &'static str, data: String) -> Self {
        let kind = "insert";
        Self {
            table,
            kind,
            data,
            old: String::new(),
        }
    }

    pub(crate) fn update(table: &'static str, data: String, old: String) -> Self {
        let kind = "update";
        Self {
            table,
            kind,
            data,
            old,
        }
    }

    /// `data` is the row as it was.
    pub(crate) fn delete(table: &'static str, data: String) -> Self {
        let kind = "delete";
        Self {
            table,
            kind,
            data,
            old: String::new(),
        }
    }

    /// The change as Maxwell writes it
    /// (<https://maxwells-daemon.io/dataformat/>).
    pub(crate) fn payload(&self, time_us: i64, xid: u64, xoffset: usize, is_last: bool) -> String {
        let mut text = String::with_capacity(self.data.len() + self.old.len() + 160);
        let mut message = Object::begin(&mut text);
        message
            .text("database", "shop")
            .text("table", self.table)
            .text("type", self.kind)
            .number("ts", time_us.div_euclid(1_000_000));
        if self.kind != "bootstrap-insert" {
            message.number("xid", xid).number("xoffset", xoffset);
            if is_last {
                message.raw("commit", "true");
            }
        }
        message.raw("data", &self.data);
        if !self.old.is_empty() {
            message.raw("old", &self.old);
        }
        message.end();
        text
    }
}

/// The JSON of a row, written by `fields`.
pub(crate) fn row(fields: impl FnOnce(&mut Object<'_>)) -> String {
    let mut text = String::with_capacity(256);
    let mut object = Object::begin(&mut text);
    fields(&mut object);
    object.end();
    text
}
