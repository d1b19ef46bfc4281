//! Definitions of columns and keys in `CREATE TABLE` and `ALTER TABLE`.

use super::tokens::{Token, Tokens};
use crate::schema::ColumnSchema;
use crate::value::collation::{charset_of_collation, charset_of_name};

/// Where a column goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Last,
    First,
    After(String),
}

/// A column with what is said of it.
#[derive(Debug, Clone)]
pub(crate) struct ColumnDefinition {
    pub(crate) column: ColumnSchema,
    pub(crate) is_key: bool,
    pub(crate) place: Place,
}

/// The definition behind a column's name.
pub(crate) fn column(name: String, mut tokens: Tokens<'_>) -> Option<ColumnDefinition> {
    let mut type_name = match tokens.next()? {
        Token::Word(word) => word.to_ascii_lowercase(),
        _ => return None,
    };
    let mut charset: Option<String> = None;
    if type_name == "national" {
        charset = Some("utf8mb3".into());
        type_name = tokens.name()?.to_ascii_lowercase();
    }
    let _ = tokens.words(&["varying"]) || tokens.words(&["precision"]);
    if type_name == "long" {
        type_name = match tokens.words(&["varbinary"]) {
            true => "mediumblob".into(),
            false => "mediumtext".into(),
        };
        let _ = tokens.words(&["varchar"]);
    }
    let mut arguments = tokens.parentheses();
    let mut values = Vec::new();
    if let ("enum" | "set", Some(arguments)) = (type_name.as_str(), &mut arguments) {
        while let Some(token) = arguments.next() {
            if let Token::Text(text) | Token::Name(text) = token {
                // The server cuts the spaces at the end.
                values.push(text.trim_end_matches(' ').to_owned());
            }
        }
    }
    let mut found = ColumnDefinition {
        column: ColumnSchema {
            name,
            unsigned: type_name == "serial",
            type_name: String::new(),
            charset: None,
            values,
            default: None,
        },
        is_key: false,
        place: Place::Last,
    };
    while !tokens.is_empty() {
        if tokens.words(&["unsigned"]) || tokens.words(&["zerofill"]) {
            found.column.unsigned = true;
        } else if tokens.words(&["character", "set"]) || tokens.words(&["charset"]) {
            charset = tokens.name().and_then(|name| charset_of_name(&name));
        } else if tokens.words(&["collate"]) {
            let collation = tokens.name()?;
            charset = charset.or_else(|| charset_of_name(&collation));
        } else if tokens.words(&["byte"]) {
            charset = Some("binary".into());
        } else if tokens.words(&["ascii"]) {
            charset = Some("latin1".into());
        } else if tokens.words(&["unicode"]) {
            charset = Some("ucs2".into());
        } else if tokens.words(&["primary"]) {
            found.is_key = true;
        } else if tokens.words(&["first"]) {
            found.place = Place::First;
        } else if tokens.words(&["after"]) {
            found.place = Place::After(tokens.name()?);
        } else if tokens.words(&["comment"]) || tokens.words(&["default"]) {
            // A word that follows is a value.
            tokens.next();
        } else if tokens.parentheses().is_none() {
            tokens.next();
        }
    }
    let (type_name, own_charset) = plain_type(&type_name);
    found.column.charset = own_charset.map(str::to_owned).or(charset);
    found.column.type_name = type_name.to_owned();
    Some(found)
}

/// The type by its usual name, and its character set if it has one of its own.
fn plain_type(name: &str) -> (&str, Option<&'static str>) {
    match name {
        "integer" | "int4" => ("int", None),
        "middleint" | "int3" => ("mediumint", None),
        "bool" | "boolean" | "int1" => ("tinyint", None),
        "int2" => ("smallint", None),
        "int8" | "serial" => ("bigint", None),
        "dec" | "numeric" | "fixed" | "number" => ("decimal", None),
        "real" | "float8" => ("double", None),
        "float4" => ("float", None),
        "character" => ("char", None),
        "varchar2" => ("varchar", None),
        "nchar" => ("char", Some("utf8mb3")),
        "nvarchar" => ("varchar", Some("utf8mb3")),
        "clob" => ("longtext", None),
        "raw" => ("varbinary", Some("binary")),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => {
            (name, Some("binary"))
        }
        "json" => (name, Some("utf8mb4")),
        _ => (name, None),
    }
}

/// The columns of a primary key: names in parentheses, perhaps with lengths.
pub(crate) fn key_columns(mut tokens: Tokens<'_>) -> Option<Vec<String>> {
    loop {
        if let Some(inside) = tokens.parentheses() {
            let parts = inside.split_at_commas();
            return parts.into_iter().map(|mut part| part.name()).collect();
        }
        tokens.next()?;
    }
}

/// Whether what follows in a list of definitions is a key or a check.
pub(crate) fn begins_key(tokens: &Tokens<'_>) -> bool {
    const WORDS: [&str; 10] = [
        "primary",
        "key",
        "index",
        "unique",
        "fulltext",
        "spatial",
        "constraint",
        "foreign",
        "check",
        "period",
    ];
    match tokens.peek() {
        Some(Token::Word(word)) => WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)),
        _ => false,
    }
}

/// Whether a key is the primary one, perhaps with a name before it.
pub(crate) fn is_primary_key(tokens: &Tokens<'_>) -> bool {
    let mut tokens = tokens.clone();
    if tokens.words(&["constraint"]) && !tokens.words(&["primary"]) {
        tokens.next();
        return tokens.words(&["primary"]);
    }
    tokens.words(&["primary"])
}

/// The character set among the options of a table.
pub(crate) fn table_charset(mut tokens: Tokens<'_>) -> Option<String> {
    let (mut charset, mut collation) = (None, None);
    while !tokens.is_empty() {
        let is_charset = tokens.words(&["character", "set"]) || tokens.words(&["charset"]);
        if is_charset || tokens.words(&["collate"]) {
            tokens.sign('=');
            let name = match tokens.next() {
                Some(Token::Word(name) | Token::Name(name) | Token::Text(name)) => name.clone(),
                _ => return charset.or(collation),
            };
            match is_charset {
                true => charset = charset_of_name(&name),
                false => collation = charset_of_name(&name),
            }
        } else {
            tokens.next();
        }
    }
    charset.or(collation)
}

/// The character set of the server's own collation, by its number.
pub(crate) fn server_charset(collation: Option<u16>) -> Option<String> {
    charset_of_collation(u64::from(collation?)).map(str::to_owned)
}
