//! Which tables are captured.

use serde::{Deserialize, Serialize};

use crate::schema::TableName;

/// Databases of the servers themselves.
const SYSTEM: [&str; 4] = ["mysql", "information_schema", "performance_schema", "sys"];

/// Names `database.table`, either of which may have `*` for any letters. Empty:
/// all tables but the server's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TableFilter {
    patterns: Vec<(String, String)>,
}

impl TableFilter {
    /// The filter of these names.
    ///
    /// # Errors
    /// The name that has no point between database and table.
    pub fn new(names: &[String]) -> Result<Self, String> {
        let split = |name: &String| match name.split_once('.') {
            Some((database, table)) => Ok((database.to_owned(), table.to_owned())),
            None => Err(name.clone()),
        };
        let patterns = names.iter().map(split).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether a table is captured.
    pub fn takes(&self, name: &TableName) -> bool {
        if self.patterns.is_empty() {
            return !SYSTEM.contains(&name.database.as_str());
        }
        self.patterns
            .iter()
            .any(|(database, table)| fits(database, &name.database) && fits(table, &name.table))
    }

    /// Whether tables of a database can be captured.
    pub fn takes_database(&self, database: &str) -> bool {
        match self.patterns.is_empty() {
            true => !SYSTEM.contains(&database),
            false => self
                .patterns
                .iter()
                .any(|(pattern, _)| fits(pattern, database)),
        }
    }
}

impl TryFrom<Vec<String>> for TableFilter {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        Self::new(&names)
    }
}

impl From<TableFilter> for Vec<String> {
    fn from(filter: TableFilter) -> Self {
        let patterns = filter.patterns.into_iter();
        let names = patterns.map(|(database, table)| format!("{database}.{table}"));
        names.collect()
    }
}

/// Whether a name fits a pattern with `*`.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    // Any of the places at which the rest may begin.
    let places = name
        .char_indices()
        .map(|(index, _)| index)
        .chain([name.len()]);
    places.into_iter().any(|index| fits(rest, &name[index..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_stars_choose_tables() {
        let filter = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            TableFilter::new(&names).unwrap()
        };
        let takes = |names: &[&str], database: &str, table: &str| {
            filter(names).takes(&TableName::new(database, table))
        };
        assert!(takes(&[], "shop", "t") && !takes(&[], "mysql", "user"));
        assert!(takes(&["shop.*"], "shop", "t") && !takes(&["shop.*"], "shop2", "t"));
        assert!(takes(&["*.order_*"], "b", "order_line") && !takes(&["*.order_*"], "b", "orders"));
        assert!(filter(&["a*.x"]).takes_database("ab") && !filter(&["a.x"]).takes_database("ab"));
        assert!(TableFilter::new(&["x".to_owned()]).is_err());
    }
}
