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
use crate::ddl::{TableEvent, follow};
use crate::error::Problem;
use crate::message::{Order, change};
use crate::position::{StateStep, rows_step};
use crate::schema::{TableName, TableSchema};

impl Decoder {
    pub(super) fn query(
        &mut self,
        header: EventHeader,
        query: &Query,
        context: &mut Context<'_, '_, '_>,
    ) -> Result<(), Problem> {
        match query.meaning() {
            Meaning::Begin => {
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
            Meaning::Rows if self.filter.takes_database(&query.database) => {
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
        let step = StateStep {
            schemas: changed,
            copies: Vec::new(),
            at: (!is_inside).then(|| self.position.place()),
        };
        let mark = self.release_held(false, context);
        let payload = crate::message::definition(&query.database, &query.text, &events);
        let record = state_record(&step, context.now_us, mark, Bytes::from(payload));
        context.out.records.push(record);
        self.has_moved = is_inside;
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
            format.is_mariadb(),
        )?;
        let id = map.table_id;
        let name = TableName::new(map.database.clone(), map.table.clone());
        let known = self.tables.get(&id);
        if known.is_some_and(|known| known.map == map) {
            return Ok(());
        }
        let table = if self.filter.takes(&name) {
            let schema = self.position.schemas.get(&name);
            let (table, learned) = MappedTable::new(map, name.clone(), schema, context.lookup)?;
            if let Some(schema) = learned {
                let step = StateStep {
                    schemas: vec![(name.clone(), Some(schema.clone()))],
                    ..StateStep::default()
                };
                self.position.schemas.insert(name, schema);
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
            let step = rows_step(transaction.rows);
            let payload = change(
                &table.json_start,
                columns,
                event.kind,
                (before, after),
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
}
