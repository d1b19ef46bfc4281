//! What stands in transactions: statements, definitions, rows.

use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{Record, RecordKind};

use super::{Context, Decoder, state_record};
use crate::binlog::event::{EventHeader, kind};
use crate::binlog::mapped_table::MappedTable;
use crate::binlog::query::{Meaning, Query};
use crate::binlog::rows::{RowsEvent, RowsKind, table_id_bytes};
use crate::binlog::table_map::TableMap;
use crate::ddl::{Schemas, TableEvent, follow};
use crate::error::Problem;
use crate::message::{Order, change, truncated};
use crate::position::{CopyProgress, StateStep, rows_step};
use crate::schema::{ColumnSchema, TableName, TableSchema};

impl Decoder {
    pub(super) fn query(
        &mut self,
        header: EventHeader,
        query: &Query,
        context: &mut Context<'_, '_, '_>,
    ) -> Result<(), Problem> {
        match query.meaning() {
            Meaning::Begin => {
                self.check_ended()?;
                if self.transaction.is_none() {
                    self.begin_transaction();
                }
            }
            Meaning::Commit => self.end_transaction(header, context),
            Meaning::Rollback => {
                if self.transaction.as_ref().is_some_and(|open| open.rows > 0) {
                    context.out.warnings.push(format!(
                        "{}, before byte {}: a transaction that changed tables without transactions was undone; what it did to other tables stays until their rows change again",
                        self.position.file, header.end
                    ));
                }
                self.end_transaction(header, context);
            }
            Meaning::Distributed => {
                if query
                    .text
                    .trim_start()
                    .get(..9)
                    .is_some_and(|start| start.eq_ignore_ascii_case("XA COMMIT"))
                {
                    return Err(Problem::Distributed);
                }
            }
            Meaning::Rows if self.may_change_captured(query) => {
                // Its values may be personal: they do not go into an error.
                let is_value = |sign: char| "('\"=".contains(sign) || sign.is_ascii_digit();
                let begin = query.text.split(is_value).next().unwrap_or_default();
                return Err(Problem::Statement(begin.chars().take(80).collect()));
            }
            Meaning::Definition => self.definition(header, query, context),
            Meaning::Rows | Meaning::Other => self.end_statement(header, context),
        }
        Ok(())
    }

    /// Whether a statement may change rows of tables that are captured: those of
    /// the database in use, or others by their whole name.
    fn may_change_captured(&self, query: &Query) -> bool {
        let filter = &self.filter;
        let is_named = || query.named_tables().iter().any(|name| filter.takes(name));
        filter.takes_database(&query.database) || is_named()
    }

    pub(super) fn definition(
        &mut self,
        header: EventHeader,
        query: &Query,
        context: &mut Context<'_, '_, '_>,
    ) {
        let before = self.position.schemas.clone();
        let collation = query.server_collation;
        let events = follow(
            &mut self.position.schemas,
            &query.database,
            &query.text,
            collation,
        );
        // Defaults are asked for again.
        for event in &events {
            if let TableEvent::Defined(name) = event
                && let Some(schema) = self.position.schemas.get_mut(name)
            {
                for column in &mut schema.columns {
                    column.default = None;
                }
            }
        }
        let filter = &self.filter;
        self.position
            .schemas
            .retain(|name, _| filter.takes(name) || name.table.is_empty());
        self.tables.clear();
        let is_ours = |event: &TableEvent| match event {
            TableEvent::Defined(name) | TableEvent::Dropped(name) | TableEvent::Truncated(name) => {
                filter.takes(name)
            }
            TableEvent::Renamed(from, to) => filter.takes(from) || filter.takes(to),
        };
        let is_ours = events.iter().any(is_ours);
        let mut changed: Vec<(TableName, Option<TableSchema>)> = Vec::new();
        for name in before
            .keys()
            .filter(|name| !self.position.schemas.contains_key(name))
        {
            changed.push((name.clone(), None));
        }
        for (name, schema) in &self.position.schemas {
            if before.get(name) != Some(schema) {
                changed.push((name.clone(), Some(schema.clone())));
            }
        }
        // `CREATE TABLE … SELECT` has its statement before its rows.
        let is_inside = self.next_gtid.is_none()
            && self
                .transaction
                .as_ref()
                .is_some_and(|open| !open.is_statement);
        if !is_inside {
            self.end_transaction(header, context);
        }
        if !is_ours && changed.is_empty() {
            return;
        }
        let mut copies = self.reordered(&before, &events, &query.text);
        copies.extend(self.joined(&events));
        self.position.apply_state(StateStep {
            copies: copies.clone(),
            ..StateStep::default()
        });
        let step = StateStep {
            schemas: changed,
            copies,
            at: (!is_inside).then(|| self.position.place()),
            ..StateStep::default()
        };
        let mark = self.release_held(false, context);
        if loses_partitions(&query.text) && is_ours {
            context.out.warnings.push(format!(
                "{}, before byte {}: partitions were dropped, emptied or exchanged; the log does not say which rows those are, and they stay in the warehouse",
                self.position.file, header.end
            ));
        }
        let told = self.not_joined(header, &events);
        context.out.warnings.extend(told);
        for event in &events {
            let TableEvent::Truncated(name) = event else {
                continue;
            };
            if self.filter.takes(name) {
                let payload = truncated(name, header.time_s, self.position.transactions);
                context.out.records.push(Record {
                    kind: RecordKind::Data,
                    payload: Bytes::from(payload),
                    capture_time_us: context.now_us,
                    // The next record says how far the log was read.
                    position: Bytes::new(),
                    transaction: mark.clone(),
                });
            }
        }
        let payload = crate::message::definition(&query.database, &query.text);
        let record = state_record(&step, context.now_us, mark, Bytes::from(payload));
        context.out.records.push(record);
        self.has_moved = is_inside;
    }

    /// Tables in the middle of their copy whose keys may have another order now: what
    /// was copied is no beginning of it.
    fn reordered(
        &self,
        before: &Schemas,
        events: &[TableEvent],
        statement: &str,
    ) -> Vec<(TableName, CopyProgress)> {
        let is_halfway = |name: &TableName| {
            let mut copies = self.position.copies.iter();
            copies.any(|(table, progress)| {
                table == name && matches!(progress, CopyProgress::Until(_))
            })
        };
        let is_other = |name: &TableName| {
            let after = self.position.schemas.get(name);
            orders_anew(statement) || !has_same_key(before.get(name), after)
        };
        let defined = events.iter().filter_map(|event| match event {
            TableEvent::Defined(name) => Some(name),
            _ => None,
        });
        let anew = defined.filter(|name| is_halfway(name) && is_other(name));
        anew.map(|name| (name.clone(), CopyProgress::Waiting))
            .collect()
    }

    /// Tables that have a name now that is captured: what they hold is copied, and
    /// takes the place of what another table of the name held.
    fn joined(&self, events: &[TableEvent]) -> Vec<(TableName, CopyProgress)> {
        let mut joined = Vec::new();
        for event in events {
            if let TableEvent::Renamed(_, to) = event
                && self.copies_new_tables
                && self.filter.takes(to)
            {
                joined.push((to.clone(), CopyProgress::Replacing));
            }
        }
        joined
    }

    /// What is to be told of tables that have a name now that is captured, where
    /// nothing is copied.
    fn not_joined(&self, header: EventHeader, events: &[TableEvent]) -> Vec<String> {
        let told = events.iter().filter_map(|event| match event {
            TableEvent::Renamed(from, to)
                if !self.copies_new_tables && self.filter.takes(to) =>
            {
                Some(format!(
                    "{}, before byte {}: {from} is called {to} from here on; what it held is not copied, and what was read of {to} before stays in the warehouse",
                    self.position.file, header.end
                ))
            }
            _ => None,
        });
        told.collect()
    }

    pub(super) fn table_map(
        &mut self,
        body: &[u8],
        context: &mut Context<'_, '_, '_>,
    ) -> Result<(), Problem> {
        let Some(format) = &self.format else {
            return Err(Problem::NoFormat);
        };
        let map = TableMap::read(
            body,
            table_id_bytes(format, kind::TABLE_MAP),
            format.lists(),
        )?;
        let id = map.table_id;
        let name = TableName::new(map.database.clone(), map.table.clone());
        let known = self.tables.get(&id);
        if known.is_some_and(|known| known.map == map) {
            return Ok(());
        }
        let table = if self.filter.takes(&name) {
            let schema = self.position.schemas.get(&name);
            // No statement made it since reading began: it is new to the filter.
            let is_new = schema.is_none() && self.copies_new_tables;
            let (table, mut learned) = MappedTable::new(map, name.clone(), schema, context.lookup)?;
            if is_new && learned.is_none() {
                learned = (context.lookup)(&name);
            }
            if let Some(schema) = learned {
                let mut step = StateStep {
                    schemas: vec![(name.clone(), Some(schema))],
                    ..StateStep::default()
                };
                let mut copies = self.position.copies.iter();
                if is_new && copies.all(|(known, _)| *known != name) {
                    step.copies.push((name.clone(), CopyProgress::Waiting));
                }
                self.position.apply_state(step.clone());
                let mark = self.release_held(false, context);
                context
                    .out
                    .records
                    .push(state_record(&step, context.now_us, mark, Bytes::new()));
            }
            table
        } else {
            MappedTable::passed_over(map, name)
        };
        self.tables.insert(id, Arc::new(table));
        Ok(())
    }

    pub(super) fn rows(
        &mut self,
        header: EventHeader,
        body: &[u8],
        of_rows: (RowsKind, bool),
        context: &mut Context<'_, '_, '_>,
    ) -> Result<(), Problem> {
        let Some(format) = &self.format else {
            return Err(Problem::NoFormat);
        };
        let event = RowsEvent::read(body, header.kind, of_rows, format)?;
        let Some(table) = self.tables.get(&event.table_id).cloned() else {
            // A mark without a table: the end of a statement.
            if event.table_id == 0xff_ffff {
                return Ok(());
            }
            return Err(Problem::NoTableMap(event.table_id));
        };
        let Some(columns) = &table.columns else {
            return Ok(());
        };
        if self.transaction.is_none() {
            self.begin_transaction();
        }
        self.check_order()?;
        let defaults = match event.lacks_columns() {
            true => self.defaults(&table, &event, context)?,
            false => Vec::new(),
        };
        event.read_rows(columns, |before, after| {
            let Some(transaction) = &mut self.transaction else {
                return Ok(());
            };
            let order = Order {
                time_s: header.time_s,
                transaction: self.position.transactions + 1,
                row: transaction.rows,
            };
            transaction.rows += 1;
            if transaction.rows <= self.skip_rows {
                return Ok(());
            }
            let gtid = match transaction.gtid {
                Some(_) => transaction.id.as_str(),
                None => "",
            };
            let step = rows_step(transaction.rows, gtid);
            let payload = change(
                &table.json_start,
                columns,
                event.kind,
                (before, after),
                &defaults,
                order,
            );
            self.release_held(false, context);
            self.held = Some(Record {
                kind: RecordKind::Data,
                payload: Bytes::from(payload),
                capture_time_us: context.now_us,
                position: Bytes::from(step),
                transaction: None,
            });
            Ok::<(), Problem>(())
        })
    }

    /// What the columns have that a minimal image of a new row leaves out. Where
    /// no server can be asked, as with files, a default that the log does not say
    /// stays out of the record: MariaDB's full images lack computed columns too.
    fn defaults(
        &mut self,
        table: &MappedTable,
        event: &RowsEvent<'_>,
        context: &mut Context<'_, '_, '_>,
    ) -> Result<Vec<Option<String>>, Problem> {
        let name = TableName::new(table.map.database.clone(), table.map.table.clone());
        let count = table.columns.as_ref().map_or(0, Vec::len);
        let missing = |schema: &TableSchema| {
            let is_missing = |&index: &usize| {
                let column = schema.columns.get(index);
                !event.has_column(index) && column.is_none_or(|column| column.default.is_none())
            };
            (0..count).find(is_missing)
        };
        let of_log = self.position.schemas.get(&name);
        if of_log.is_none_or(|schema| missing(schema).is_some()) {
            match (context.lookup)(&name) {
                Some(schema) if schema.columns.len() == count => {
                    self.position.schemas.insert(name.clone(), schema);
                }
                Some(_) => {}
                None => {
                    let columns = of_log.map_or(&[][..], |schema| &schema.columns);
                    return Ok(columns.iter().map(|it| it.default.clone()).collect());
                }
            }
        }
        let known = self.position.schemas.get(&name);
        match known.map(|schema| (schema, missing(schema))) {
            Some((schema, None)) => {
                let defaults = schema.columns.iter();
                Ok(defaults.map(|column| column.default.clone()).collect())
            }
            Some((schema, Some(index))) => {
                let column = schema.columns.get(index).map(|column| column.name.clone());
                Err(Problem::UnknownDefault(name, column.unwrap_or_default()))
            }
            None => Err(Problem::UnknownDefault(name, String::new())),
        }
    }
}

/// Whether two definitions have keys of the same columns and types. What a column has
/// by default does not matter.
fn has_same_key(one: Option<&TableSchema>, other: Option<&TableSchema>) -> bool {
    let key = |schema: &TableSchema| -> Vec<ColumnSchema> {
        let columns = schema.key.iter().filter_map(|&k| schema.columns.get(k));
        let without_default = columns.map(|column| ColumnSchema {
            default: None,
            ..column.clone()
        });
        without_default.collect()
    };
    one.map(key) == other.map(key)
}

/// Whether a statement may change the order of texts, which definitions do not hold.
fn orders_anew(statement: &str) -> bool {
    let statement = statement.to_ascii_lowercase();
    let mut words = ["collate", "charset", "character set", "convert"].into_iter();
    words.any(|word| statement.contains(word))
}

/// Whether a statement takes rows out of a table with their partitions.
fn loses_partitions(statement: &str) -> bool {
    let words: Vec<String> = statement
        .split_whitespace()
        .take(16)
        .map(str::to_ascii_lowercase)
        .collect();
    words.first().is_some_and(|word| word == "alter")
        && words.windows(2).any(|pair| {
            matches!(
                pair[0].as_str(),
                "drop" | "truncate" | "exchange" | "discard"
            ) && pair[1] == "partition"
        })
}

#[cfg(test)]
mod tests {
    use super::{has_same_key, loses_partitions, orders_anew};
    use crate::ddl::{Schemas, follow};
    use crate::schema::TableName;

    #[test]
    fn statements_that_may_order_a_key_anew_are_known() {
        let mut schemas = Schemas::new();
        let name = TableName::new("shop", "t");
        follow(
            &mut schemas,
            "shop",
            "CREATE TABLE t (id INT, code VARCHAR(9), n INT DEFAULT 1, PRIMARY KEY (id))",
            Some(8),
        );
        let before = schemas[&name].clone();
        let is_same = |statement: &str| {
            let mut after = schemas.clone();
            follow(&mut after, "shop", statement, Some(8));
            has_same_key(Some(&before), after.get(&name)) && !orders_anew(statement)
        };
        assert!(is_same("ALTER TABLE t ADD COLUMN m INT FIRST"));
        assert!(is_same("ALTER TABLE t MODIFY n BIGINT"));
        assert!(!is_same("ALTER TABLE t MODIFY id VARCHAR(20)"));
        assert!(!is_same("ALTER TABLE t MODIFY id INT UNSIGNED"));
        assert!(!is_same("ALTER TABLE t DROP PRIMARY KEY"));
        assert!(!is_same(
            "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (code, id)"
        ));
        assert!(!is_same("ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4"));
        assert!(!is_same(
            "ALTER TABLE t MODIFY code VARCHAR(9) COLLATE utf8mb4_bin"
        ));
    }

    #[test]
    fn statements_that_take_partitions_out_are_known() {
        assert!(loses_partitions("ALTER TABLE t TRUNCATE  PARTITION p1"));
        assert!(loses_partitions("alter table t drop partition p0, p1"));
        assert!(!loses_partitions(
            "ALTER TABLE t ADD PARTITION (PARTITION p2 VALUES IN (3))"
        ));
        assert!(!loses_partitions("CREATE TABLE drop_partition (id INT)"));
    }
}
