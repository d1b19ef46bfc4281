//! The tables of a server: how the warehouse is told of them, and whether both have the
//! same rows.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::ask;
use crate::database::Database;

/// A table of the server as it says itself.
pub struct Table {
    pub name: String,
    /// Names and types.
    pub columns: Vec<(String, String)>,
}

impl Table {
    fn key(&self) -> &str {
        &self.columns[0].0
    }

    /// As `sources/*.toml` says it.
    pub fn definition(&self, is_postgres: bool) -> String {
        let version = match is_postgres {
            true => "version = [\"/lsn\", \"/xoffset\"]\n",
            false => "",
        };
        let mut text = format!(
            "[table.{0}]\ntopic = \"shop\"\nwhen = [{{ field = \"/table\", equals = \"{0}\" }}]\nrow = \"/data\"\nbefore = \"/old\"\nunchanged = \"/unchanged\"\n{version}primary_key = [\"{1}\"]\nchange_kind = {{ field = \"/type\", insert = [\"insert\", \"bootstrap-insert\"], update = [\"update\"], delete = [\"delete\"] }}\ncolumns = [\n",
            self.name,
            self.key()
        );
        for (name, kind) in &self.columns {
            let of_type = match kind.as_str() {
                "bigint" | "int" | "integer" => "type = \"int64\"",
                "decimal" | "numeric" => "type = \"decimal(16,2)\"",
                "date" => "type = \"date\"",
                kind if kind.starts_with("timestamp") || kind == "datetime" => {
                    "type = \"timestamp\", format = \"%Y-%m-%d %H:%M:%S%.f\", time_zone = \"UTC\""
                }
                _ => "type = \"string\"",
            };
            let missing = if name == self.key() {
                ""
            } else {
                ", missing = \"null\""
            };
            text.push_str(&format!(
                "  {{ name = \"{name}\", from = \"./{name}\", {of_type}{missing} }},\n"
            ));
        }
        text.push_str("]\n");
        text
    }

    /// The question for all its rows: every value as a text that all servers
    /// write alike.
    fn question(&self, of: Asked) -> String {
        let columns = self.columns.iter().map(|(name, kind)| match kind.as_str() {
            "bigint" | "int" | "integer" | "decimal" | "numeric" | "date" => name.clone(),
            kind if kind.starts_with("timestamp") || kind == "datetime" => match of {
                Asked::Sluice => format!("CAST({name} AS BIGINT)"),
                Asked::MySql => format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {name})"),
                Asked::Postgres => format!("(extract(epoch FROM {name}) * 1000000)::bigint"),
            },
            _ => match of {
                // MySQL 9 has no md5 of its own.
                Asked::Sluice => format!("encode(sha256({name}), 'hex')"),
                Asked::MySql => format!("sha2({name}, 256)"),
                Asked::Postgres => {
                    format!("encode(sha256(convert_to({name}::text, 'UTF8')), 'hex')")
                }
            },
        });
        let columns: Vec<String> = columns.collect();
        format!(
            "SELECT {} FROM {} ORDER BY {}",
            columns.join(", "),
            self.name,
            self.key()
        )
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Sluice,
    MySql,
    Postgres,
}

/// The tables of the shop; waits until it has made them.
pub fn tables(database: &Database) -> Vec<Table> {
    let schema = match database {
        Database::MySql(_) => "shop",
        Database::Postgres(_) => "public",
    };
    let asked = format!(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = '{schema}' ORDER BY table_name, ordinal_position"
    );
    for _ in 0..600 {
        let rows = database.ask(&asked);
        if rows.iter().any(|row| row[0] == "refund_payment") {
            let mut tables: Vec<Table> = Vec::new();
            for mut row in rows {
                let kind = row.pop().unwrap();
                let column = row.pop().unwrap();
                let name = row.pop().unwrap();
                if tables.last().is_none_or(|table| table.name != name) {
                    let columns = Vec::new();
                    tables.push(Table { name, columns });
                }
                tables.last_mut().unwrap().columns.push((column, kind));
            }
            return tables;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the shop makes no tables");
}

/// Waits until the warehouse has the rows that the server has.
pub fn assert_same(database: &Database, state: &Path, table: &Table) -> usize {
    let of = match database {
        Database::MySql(_) => Asked::MySql,
        Database::Postgres(_) => Asked::Postgres,
    };
    let rows = database.ask(&table.question(of));
    let wanted: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    let asked = table.question(Asked::Sluice);
    let start = Instant::now();
    let mut found = ask(state, &asked);
    while found != wanted && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(200));
        found = ask(state, &asked);
    }
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted, "{}", table.name);
    }
    assert_eq!(found.len(), wanted.len(), "{}", table.name);
    wanted.len()
}
