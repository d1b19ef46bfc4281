//! The shop's changes as statements for a real database: its tables, and every
//! transaction as the statements that make it.

mod schema;

use serde_json::{Map, Value};

use crate::message::{Message, Topic};

pub use schema::{TABLES, create_tables};

/// Rows of the snapshot that one statement inserts.
const ROWS_MAX: usize = 500;

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    PostgreSql,
}

/// A message is no change of the shop's database.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// It is no JSON.
    #[error("a change of the shop is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It lacks something.
    #[error("a change of the shop has no `{0}`")]
    Missing(&'static str),
}

/// Rows of the snapshot with the same table and columns.
#[derive(Debug, Default)]
struct Rows {
    /// `INSERT INTO table (columns) VALUES `.
    head: String,
    values: Vec<String>,
}

/// Makes statements of the shop's messages.
#[derive(Debug)]
pub struct StatementWriter {
    dialect: Dialect,
    snapshot: Rows,
    /// Statements of the transaction that has not come to its end.
    open: Vec<String>,
}

impl StatementWriter {
    /// A writer that has seen nothing.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            snapshot: Rows::default(),
            open: Vec::new(),
        }
    }

    /// Appends to `transactions` what is complete with this message, each as the
    /// statements between its BEGIN and its COMMIT. The log of visitors is no
    /// part of the database.
    ///
    /// # Errors
    /// When the message is not one that the shop sends.
    pub fn add(
        &mut self,
        message: &Message,
        transactions: &mut Vec<Vec<String>>,
    ) -> Result<(), StatementError> {
        if message.topic != Topic::ShopDb {
            return Ok(());
        }
        let change: Value = serde_json::from_str(&message.payload)?;
        let text = |name| change.get(name).and_then(Value::as_str);
        let row = |name| change.get(name).and_then(Value::as_object);
        let table = text("table").ok_or(StatementError::Missing("table"))?;
        let kind = text("type").ok_or(StatementError::Missing("type"))?;
        let data = row("data").ok_or(StatementError::Missing("data"))?;
        if kind == "bootstrap-insert" {
            self.add_to_snapshot(table, data, transactions);
            return Ok(());
        }
        self.flush(transactions);
        let statement = match kind {
            "update" => {
                let old = row("old").ok_or(StatementError::Missing("old"))?;
                self.update(table, data, old)
            }
            "delete" => self.delete(table, data),
            _ => {
                let (head, values) = self.insert(table, data);
                format!("{head}{values}")
            }
        };
        self.open.push(statement);
        if change.get("commit").is_some() {
            transactions.push(std::mem::take(&mut self.open));
        }
        Ok(())
    }

    /// Appends what is left of the snapshot, in case that no change follows.
    pub fn flush(&mut self, transactions: &mut Vec<Vec<String>>) {
        let rows = std::mem::take(&mut self.snapshot);
        if !rows.values.is_empty() {
            transactions.push(vec![format!("{}{}", rows.head, rows.values.join(", "))]);
        }
    }

    fn add_to_snapshot(
        &mut self,
        table: &str,
        data: &Map<String, Value>,
        transactions: &mut Vec<Vec<String>>,
    ) {
        let (head, values) = self.insert(table, data);
        if head != self.snapshot.head || self.snapshot.values.len() >= ROWS_MAX {
            self.flush(transactions);
            self.snapshot.head = head;
        }
        self.snapshot.values.push(values);
    }

    /// The beginning of the statement, and the row.
    fn insert(&self, table: &str, data: &Map<String, Value>) -> (String, String) {
        let columns: Vec<&str> = data.keys().map(String::as_str).collect();
        let values: Vec<String> = data.values().map(|value| self.literal(value)).collect();
        let head = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
        (head, format!("({})", values.join(", ")))
    }

    fn update(&self, table: &str, data: &Map<String, Value>, old: &Map<String, Value>) -> String {
        let changed = old.keys().map(|column| {
            let value = data.get(column).unwrap_or(&Value::Null);
            format!("{column} = {}", self.literal(value))
        });
        let changed: Vec<String> = changed.collect();
        let key = self.key(table, data);
        format!("UPDATE {table} SET {} WHERE {key}", changed.join(", "))
    }

    fn delete(&self, table: &str, data: &Map<String, Value>) -> String {
        format!("DELETE FROM {table} WHERE {}", self.key(table, data))
    }

    /// The condition that only this row meets.
    fn key(&self, table: &str, data: &Map<String, Value>) -> String {
        let columns = schema::keys_of(table).iter().map(|column| {
            let value = data.get(*column).unwrap_or(&Value::Null);
            format!("{column} = {}", self.literal(value))
        });
        columns.collect::<Vec<String>>().join(" AND ")
    }

    fn literal(&self, value: &Value) -> String {
        match value {
            Value::Null => "NULL".to_owned(),
            Value::String(text) => {
                let text = text.replace('\'', "''");
                match self.dialect {
                    Dialect::MySql => format!("'{}'", text.replace('\\', "\\\\")),
                    Dialect::PostgreSql => format!("'{text}'"),
                }
            }
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &str) -> Message {
        Message {
            topic: Topic::ShopDb,
            send_time_us: 0,
            payload: payload.to_owned(),
        }
    }

    #[test]
    fn changes_are_statements_in_their_transactions() {
        let mut writer = StatementWriter::new(Dialect::MySql);
        let mut found = Vec::new();
        for payload in [
            r#"{"table":"base_dic","type":"bootstrap-insert","data":{"dic_code":"1","dic_name":"it's \\ one"}}"#,
            r#"{"table":"base_dic","type":"bootstrap-insert","data":{"dic_code":"2","dic_name":"two"}}"#,
            r#"{"table":"cart_info","type":"insert","xid":1,"data":{"id":1,"sku_num":2,"order_time":null}}"#,
            r#"{"table":"cart_info","type":"update","xid":1,"commit":true,"data":{"id":1,"sku_num":3},"old":{"sku_num":2}}"#,
            r#"{"table":"cart_info","type":"delete","xid":2,"commit":true,"data":{"id":1,"sku_num":3}}"#,
            r#"{"table":"currency_rate","type":"update","xid":3,"commit":true,"data":{"currency":"EUR","day":"2026-01-02","rate":8.25},"old":{"rate":8.5}}"#,
        ] {
            writer
                .add(&message(payload), &mut found)
                .unwrap_or_default();
        }
        let expected: [&[&str]; 4] = [
            &[
                "INSERT INTO base_dic (dic_code, dic_name) VALUES ('1', 'it''s \\\\ one'), ('2', 'two')",
            ],
            &[
                "INSERT INTO cart_info (id, order_time, sku_num) VALUES (1, NULL, 2)",
                "UPDATE cart_info SET sku_num = 3 WHERE id = 1",
            ],
            &["DELETE FROM cart_info WHERE id = 1"],
            &["UPDATE currency_rate SET rate = 8.25 WHERE currency = 'EUR' AND day = '2026-01-02'"],
        ];
        assert_eq!(found, expected);
        assert!(writer.add(&message("{}"), &mut found).is_err());
    }
}
