//! Statements that change the definitions of tables, followed so that columns
//! have their names where the log does not say them.
//!
//! Nothing is refused here: what is not understood changes nothing, and a
//! definition that does not fit the rows behind it is found when they come.

mod columns;
mod edit;
pub(crate) mod tokens;

use std::collections::BTreeMap;

use self::columns::{
    begins_key, column, is_primary_key, key_columns, server_charset, table_charset,
};
use self::edit::{change_column, place_column, remove_column, set_key};
use self::tokens::{Tokens, tokens};
use crate::schema::{ColumnSchema, TableName, TableSchema};

/// What is known of all tables.
pub type Schemas = BTreeMap<TableName, TableSchema>;

/// What a statement did to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableEvent {
    /// Its definition is new or another one.
    Defined(TableName),
    /// It is gone.
    Dropped(TableName),
    /// It has another name.
    Renamed(TableName, TableName),
    /// All its rows are gone.
    Truncated(TableName),
}

/// Follows a statement that was made with `database` in use. `collation` is
/// the number of the server's collation then.
pub fn follow(
    schemas: &mut Schemas,
    database: &str,
    statement: &str,
    collation: Option<u16>,
) -> Vec<TableEvent> {
    let words = tokens(statement);
    let mut follower = Follower {
        schemas,
        database,
        collation,
        events: Vec::new(),
    };
    // What is not understood gives nothing.
    let _ = follower.statement(Tokens::new(&words));
    follower.events
}

/// A column of a type as `information_schema` writes it.
pub(crate) fn column_of_type(name: &str, column_type: &str) -> ColumnSchema {
    let words = tokens(column_type);
    let found = column(name.to_owned(), Tokens::new(&words));
    found
        .map(|found| found.column)
        .unwrap_or_else(|| ColumnSchema {
            name: name.to_owned(),
            ..ColumnSchema::default()
        })
}

struct Follower<'a> {
    schemas: &'a mut Schemas,
    database: &'a str,
    collation: Option<u16>,
    events: Vec<TableEvent>,
}

impl Follower<'_> {
    fn statement(&mut self, mut tokens: Tokens<'_>) -> Option<()> {
        if tokens.words(&["create"]) {
            let _ = tokens.words(&["or", "replace"]);
            if tokens.words(&["table"]) {
                return self.create(tokens);
            }
            if tokens.words(&["database"]) || tokens.words(&["schema"]) {
                let _ = tokens.words(&["if", "not", "exists"]);
                return self.database(tokens);
            }
        } else if tokens.words(&["alter"]) {
            let _ = tokens.words(&["online"]);
            let _ = tokens.words(&["ignore"]);
            if tokens.words(&["table"]) {
                let _ = tokens.words(&["if", "exists"]);
                let name = self.table_name(&mut tokens)?;
                return self.alter(name, tokens);
            }
            if tokens.words(&["database"]) || tokens.words(&["schema"]) {
                return self.database(tokens);
            }
        } else if tokens.words(&["drop"]) {
            if tokens.words(&["table"]) {
                let _ = tokens.words(&["if", "exists"]);
                for mut part in tokens.split_at_commas() {
                    let name = self.table_name(&mut part)?;
                    self.schemas.remove(&name);
                    self.events.push(TableEvent::Dropped(name));
                }
            } else if tokens.words(&["database"]) || tokens.words(&["schema"]) {
                let _ = tokens.words(&["if", "exists"]);
                let database = tokens.name()?;
                let is_in = |name: &&TableName| name.database == database;
                let gone: Vec<TableName> = self.schemas.keys().filter(is_in).cloned().collect();
                for name in gone {
                    self.schemas.remove(&name);
                    self.events.push(TableEvent::Dropped(name));
                }
            }
        } else if tokens.words(&["rename", "table"]) || tokens.words(&["rename", "tables"]) {
            let _ = tokens.words(&["if", "exists"]);
            for mut part in tokens.split_at_commas() {
                let from = self.table_name(&mut part)?;
                while !part.words(&["to"]) {
                    part.next()?;
                }
                let to = self.table_name(&mut part)?;
                self.rename(from, to);
            }
        } else if tokens.words(&["truncate"]) {
            let _ = tokens.words(&["table"]);
            let name = self.table_name(&mut tokens)?;
            self.events.push(TableEvent::Truncated(name));
        }
        Some(())
    }

    fn table_name(&self, tokens: &mut Tokens<'_>) -> Option<TableName> {
        let first = tokens.name()?;
        if tokens.sign('.') {
            return Some(TableName::new(first, tokens.name()?));
        }
        Some(TableName::new(self.database, first))
    }

    /// What text columns of a database's tables have if nothing else is said.
    fn database(&mut self, mut tokens: Tokens<'_>) -> Option<()> {
        let name = tokens.name()?;
        let schema = TableSchema {
            charset: table_charset(tokens).or_else(|| server_charset(self.collation)),
            ..TableSchema::default()
        };
        self.schemas.insert(TableName::of_database(&name), schema);
        Some(())
    }

    fn rename(&mut self, from: TableName, to: TableName) {
        if let Some(schema) = self.schemas.remove(&from) {
            self.schemas.insert(to.clone(), schema);
        }
        self.events.push(TableEvent::Renamed(from, to));
    }

    fn create(&mut self, mut tokens: Tokens<'_>) -> Option<()> {
        let if_not_exists = tokens.words(&["if", "not", "exists"]);
        let name = self.table_name(&mut tokens)?;
        if if_not_exists && self.schemas.contains_key(&name) {
            return Some(());
        }
        let inside = tokens.parentheses();
        let mut like = inside.clone().unwrap_or_else(|| tokens.clone());
        if like.words(&["like"]) {
            let other = self.table_name(&mut like)?;
            let schema = self.schemas.get(&other)?.clone();
            self.schemas.insert(name.clone(), schema);
            self.events.push(TableEvent::Defined(name));
            return Some(());
        }
        let of_database = self.schemas.get(&TableName::of_database(&name.database));
        let of_database = of_database.and_then(|schema| schema.charset.clone());
        let mut schema = TableSchema {
            charset: table_charset(tokens)
                .or(of_database)
                .or_else(|| server_charset(self.collation)),
            ..TableSchema::default()
        };
        for mut part in inside?.split_at_commas() {
            if begins_key(&part) {
                if is_primary_key(&part) {
                    set_key(&mut schema, &key_columns(part)?);
                }
                continue;
            }
            let column_name = part.name()?;
            place_column(&mut schema, column(column_name, part)?);
        }
        self.schemas.insert(name.clone(), schema);
        self.events.push(TableEvent::Defined(name));
        Some(())
    }

    fn alter(&mut self, name: TableName, mut tokens: Tokens<'_>) -> Option<()> {
        let _ = tokens.words(&["nowait"]);
        if tokens.words(&["wait"]) {
            tokens.next();
        }
        let mut schema = self.schemas.get(&name).cloned().unwrap_or_default();
        let mut renamed = None;
        for part in tokens.split_at_commas() {
            if let Some(new_name) = self.alter_part(&mut schema, part) {
                renamed = Some(new_name);
            }
        }
        if self.schemas.contains_key(&name) {
            self.schemas.insert(name.clone(), schema);
        }
        self.events.push(TableEvent::Defined(name.clone()));
        if let Some(new_name) = renamed {
            self.rename(name, new_name);
        }
        Some(())
    }

    /// One of the changes; gives the table's new name if it has one.
    fn alter_part(&self, schema: &mut TableSchema, mut tokens: Tokens<'_>) -> Option<TableName> {
        if tokens.words(&["add"]) {
            if begins_key(&tokens) {
                if is_primary_key(&tokens) {
                    set_key(schema, &key_columns(tokens)?);
                }
                return None;
            }
            let _ = tokens.words(&["column"]);
            let if_not_exists = tokens.words(&["if", "not", "exists"]);
            let parts = match tokens.parentheses() {
                Some(inside) => inside.split_at_commas(),
                None => vec![tokens],
            };
            for mut part in parts {
                let name = part.name()?;
                if !(if_not_exists && schema.position(&name).is_some()) {
                    place_column(schema, column(name, part)?);
                }
            }
        } else if tokens.words(&["drop"]) {
            if tokens.words(&["primary"]) {
                schema.key.clear();
            } else if !begins_key(&tokens) {
                let _ = tokens.words(&["column"]);
                let _ = tokens.words(&["if", "exists"]);
                remove_column(schema, &tokens.name()?);
            }
        } else if tokens.words(&["change"]) {
            let old = column_name(&mut tokens)?;
            let new = tokens.name()?;
            change_column(schema, &old, column(new, tokens)?);
        } else if tokens.words(&["modify"]) {
            let name = column_name(&mut tokens)?;
            change_column(schema, &name, column(name.clone(), tokens)?);
        } else if tokens.words(&["rename"]) {
            if tokens.words(&["column"]) {
                let position = schema.position(&tokens.name()?)?;
                if tokens.words(&["to"]) {
                    schema.columns[position].name = tokens.name()?;
                }
            } else if !tokens.words(&["index"]) && !tokens.words(&["key"]) {
                let _ = tokens.words(&["to"]) || tokens.words(&["as"]) || tokens.sign('=');
                return self.table_name(&mut tokens);
            }
        } else if tokens.words(&["convert", "to"]) {
            let charset = table_charset(tokens)?;
            for column in &mut schema.columns {
                let is_text = !matches!(column.charset.as_deref(), Some("binary"));
                if is_text && (column.charset.is_some() || !column.values.is_empty()) {
                    column.charset = Some(charset.clone());
                }
            }
            schema.charset = Some(charset);
        } else {
            let _ = tokens.words(&["default"]);
            if let Some(charset) = table_charset(tokens) {
                schema.charset = Some(charset);
            }
        }
        None
    }
}

fn column_name(tokens: &mut Tokens<'_>) -> Option<String> {
    let _ = tokens.words(&["column"]);
    let _ = tokens.words(&["if", "exists"]);
    tokens.name()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(schemas: &Schemas, table: &str) -> Vec<String> {
        let schema = &schemas[&TableName::new("shop", table)];
        schema
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    fn run(schemas: &mut Schemas, statement: &str) -> Vec<TableEvent> {
        follow(schemas, "shop", statement, Some(8))
    }

    #[test]
    fn definitions_are_followed_through_all_changes() {
        let mut schemas = Schemas::new();
        run(
            &mut schemas,
            "CREATE TABLE IF NOT EXISTS `t` (\n id int(10) unsigned NOT NULL AUTO_INCREMENT COMMENT 'a, b) first',\n \
             kind enum('a','it''s') CHARACTER SET utf8mb4 DEFAULT 'a', name varchar(20) DEFAULT 'unsigned', \
             doc json, b blob, PRIMARY KEY (`id`), KEY k (name(3)), \
             CONSTRAINT c FOREIGN KEY (id) REFERENCES other (id) ON DELETE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=latin2",
        );
        let schema = &schemas[&TableName::new("shop", "t")];
        assert_eq!(names(&schemas, "t"), ["id", "kind", "name", "doc", "b"]);
        assert_eq!(schema.key, [0]);
        assert!(schema.columns[0].unsigned && !schema.columns[2].unsigned);
        assert_eq!(schema.columns[1].values, ["a", "it's"]);
        assert_eq!(schema.columns[1].charset.as_deref(), Some("utf8mb4"));
        assert_eq!(schema.columns[2].charset.as_deref(), Some("latin2"));
        assert_eq!(schema.columns[4].charset.as_deref(), Some("binary"));

        run(
            &mut schemas,
            "alter table shop.t add column price decimal(10,2) unsigned not null default 0 first, drop key k, rename column name to title",
        );
        assert_eq!(
            names(&schemas, "t"),
            ["price", "id", "kind", "title", "doc", "b"]
        );
        assert_eq!(schemas[&TableName::new("shop", "t")].key, [1]);
        run(
            &mut schemas,
            "ALTER TABLE t CHANGE COLUMN doc data longtext AFTER price, MODIFY b varchar(3) FIRST, DROP COLUMN kind, ADD (x int, y int)",
        );
        assert_eq!(
            names(&schemas, "t"),
            ["b", "price", "data", "id", "title", "x", "y"]
        );
        assert_eq!(schemas[&TableName::new("shop", "t")].key, [3]);

        run(&mut schemas, "CREATE TABLE u LIKE t");
        assert_eq!(names(&schemas, "u").len(), 7);
        let events = run(&mut schemas, "RENAME TABLE t TO old.t, u TO t");
        assert_eq!(events.len(), 2);
        assert!(schemas.contains_key(&TableName::new("old", "t")));
        let events = run(&mut schemas, "TRUNCATE TABLE t");
        assert_eq!(events, [TableEvent::Truncated(TableName::new("shop", "t"))]);
        run(&mut schemas, "ALTER TABLE t RENAME TO w, ADD z bit");
        assert_eq!(names(&schemas, "w").len(), 8);
        run(&mut schemas, "DROP TABLE IF EXISTS `w` /* generated */");
        assert!(!schemas.contains_key(&TableName::new("shop", "w")));
        run(&mut schemas, "DROP DATABASE old");
        assert!(schemas.is_empty());
    }

    #[test]
    fn statements_cut_short_are_harmless() {
        let statement = "ALTER TABLE t CHANGE COLUMN a `b` enum('x', 'y') AFTER c, ADD (d int)";
        for length in 0..statement.len() {
            let mut schemas = Schemas::new();
            run(&mut schemas, "CREATE TABLE t (a int, c int)");
            run(&mut schemas, &statement[..length]);
        }
    }
}
