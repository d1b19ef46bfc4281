//! How far event time has come.
//!
//! The watermark of a table says that no row older than it will be accepted any
//! more. What reads several tables has the least of their watermarks.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::{CodecError, Reader, Writer};

/// Watermarks of the tables, in microseconds, and which tables are idle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Watermarks {
    /// By name. They never go back.
    tables: BTreeMap<String, i64>,
    idle: BTreeSet<String>,
}

impl Watermarks {
    pub(crate) fn advance(&mut self, table: &str, watermark: i64) {
        let known = self.tables.entry(table.to_owned()).or_insert(watermark);
        *known = watermark.max(*known);
    }

    pub(crate) fn set_idle(&mut self, table: &str, is_idle: bool) {
        if is_idle {
            self.idle.insert(table.to_owned());
        } else {
            self.idle.remove(table);
        }
    }

    /// Takes idle tables along: each follows the least watermark of the others
    /// with which it is read. It keeps what it was given, also when it wakes,
    /// because windows were closed by it.
    pub(crate) fn lift_idle<'a>(
        &mut self,
        read_together: impl Iterator<Item = &'a BTreeSet<String>>,
    ) {
        if self.idle.is_empty() {
            return;
        }
        let mut lifted: Vec<(String, i64)> = Vec::new();
        for tables in read_together {
            let awake = tables.iter().filter(|table| !self.idle.contains(*table));
            let Some(least) = awake.map(|table| self.of_table(table)).min().flatten() else {
                continue;
            };
            let idle = tables.iter().filter(|table| self.idle.contains(*table));
            lifted.extend(idle.map(|table| (table.clone(), least)));
        }
        for (table, watermark) in lifted {
            self.advance(&table, watermark);
        }
    }

    /// Those of `tables` are now as `other` has them.
    pub(crate) fn replace(&mut self, tables: &BTreeSet<String>, other: &Self) {
        for table in tables {
            self.tables.remove(table);
            self.idle.remove(table);
            let watermark = other.of_table(table);
            self.tables
                .extend(watermark.map(|watermark| (table.clone(), watermark)));
            if other.idle.contains(table) {
                self.idle.insert(table.clone());
            }
        }
    }

    pub(crate) fn of_table(&self, table: &str) -> Option<i64> {
        self.tables.get(table).copied()
    }

    /// The least watermark of `tables`; `None` while one of them has none.
    pub(crate) fn of_tables<'a>(&self, tables: impl Iterator<Item = &'a String>) -> Option<i64> {
        tables.map(|table| self.of_table(table)).min().flatten()
    }

    pub(crate) fn save(&self, writer: &mut Writer) {
        writer.u32(self.tables.len() as u32);
        for (table, watermark) in &self.tables {
            writer.bytes(table.as_bytes());
            writer.i64(*watermark);
        }
        writer.u32(self.idle.len() as u32);
        for table in &self.idle {
            writer.bytes(table.as_bytes());
        }
    }

    pub(crate) fn load(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let name = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes);
            text.map(str::to_owned)
                .map_err(|_| CodecError::Invalid("a table name that is no text".into()))
        };
        let mut loaded = Self::default();
        for _ in 0..reader.u32()? {
            let table = name(reader.bytes()?)?;
            loaded.tables.insert(table, reader.i64()?);
        }
        for _ in 0..reader.u32()? {
            loaded.idle.insert(name(reader.bytes()?)?);
        }
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_table_follows_those_that_it_is_read_with() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let groups: Vec<BTreeSet<String>> = vec![set(&["a", "b"]), set(&["a", "c"])];
        let mut watermarks = Watermarks::default();
        watermarks.advance("a", 5);
        watermarks.advance("b", 20);
        watermarks.advance("c", 10);
        watermarks.lift_idle(groups.iter());
        assert_eq!(watermarks.of_table("a"), Some(5), "only marks make idle");
        watermarks.set_idle("a", true);
        watermarks.lift_idle(groups.iter());
        assert_eq!(watermarks.of_table("a"), Some(20));
        // Awake again: what was given stays.
        watermarks.set_idle("a", false);
        watermarks.advance("a", 7);
        watermarks.advance("b", 30);
        watermarks.lift_idle(groups.iter());
        assert_eq!(watermarks.of_table("a"), Some(20));
        let mut writer = Writer::new();
        watermarks.save(&mut writer);
        let bytes = writer.finish();
        let loaded = Watermarks::load(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(loaded, watermarks);
    }
}
