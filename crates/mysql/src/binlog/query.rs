//! Statements in the log: beginnings and ends of transactions, and changes of
//! tables.

use crate::ddl::tokens::{Token, tokens};
use crate::input::{BadBytes, Input, name_text};
use crate::schema::TableName;
use crate::value::charset::Charset;
use crate::value::collation::charset_of_collation;
use crate::value::layout::inflate;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The database that was in use.
    pub database: String,
    /// Its text.
    pub text: String,
    /// Number of the server's collation then, if the event says.
    pub server_collation: Option<u16>,
}

/// Numbers of the collations that a statement was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Collations {
    /// What the text itself is in.
    client: u16,
    server: u16,
}

/// What a statement means for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A transaction begins.
    Begin,
    /// It ends.
    Commit,
    /// It is undone.
    Rollback,
    /// A distributed transaction.
    Distributed,
    /// It may change the definition of a table.
    Definition,
    /// It changes rows, and the log does not say which.
    Rows,
    /// Anything else.
    Other,
}

impl Query {
    /// Reads the event's body.
    ///
    /// # Errors
    /// When the bytes are not understood.
    pub fn read(body: &[u8], is_compressed: bool) -> Result<Self, BadBytes> {
        let (query, collations, text) = Self::without_text(body, 0)?;
        let text = match is_compressed {
            true => statement_text(&spread(text)?, collations),
            false => statement_text(text, collations),
        };
        Ok(Self { text, ..query })
    }

    /// Reads the body of an event with a statement that loads a file.
    ///
    /// # Errors
    /// When the bytes are not understood.
    pub fn read_load(body: &[u8]) -> Result<Self, BadBytes> {
        // The file's number, where its name stands in the text, and what is
        // done with rows that are there already.
        const FILE_BYTES: usize = 13;
        let (query, collations, text) = Self::without_text(body, FILE_BYTES)?;
        let text = statement_text(text, collations);
        Ok(Self { text, ..query })
    }

    /// All but the text, what that is in, and its bytes. The part of fixed
    /// length has `more` bytes at its end.
    fn without_text(
        body: &[u8],
        more: usize,
    ) -> Result<(Self, Option<Collations>, &[u8]), BadBytes> {
        const WHAT: &str = "a statement";
        let mut input = Input::new(body);
        input.take(8, WHAT)?;
        let database_length = usize::from(input.u8(WHAT)?);
        input.u16(WHAT)?;
        let status_length = usize::from(input.u16(WHAT)?);
        input.take(more, WHAT)?;
        let collations = collations(input.take(status_length, WHAT)?);
        let database = name_text(input.take(database_length, WHAT)?);
        input.u8(WHAT)?;
        let query = Self {
            database,
            text: String::new(),
            server_collation: collations.map(|collations| collations.server),
        };
        Ok((query, collations, input.rest()))
    }

    /// Tables that it names with their database, and what else is written like
    /// that.
    pub fn named_tables(&self) -> Vec<TableName> {
        let name = |token: &Token| match token {
            Token::Word(name) | Token::Name(name) => Some(name.clone()),
            _ => None,
        };
        let is_number = |name: &str| name.starts_with(|sign: char| sign.is_ascii_digit());
        let tokens = tokens(&self.text);
        let named = tokens.windows(3).filter_map(|words| match words {
            [database, Token::Sign('.'), table] => {
                let (database, table) = (name(database)?, name(table)?);
                (!is_number(&database)).then(|| TableName::new(database, table))
            }
            _ => None,
        });
        named.collect()
    }

    /// What it means.
    pub fn meaning(&self) -> Meaning {
        let text = without_comments(&self.text);
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let mut next = || {
            let word = words.find(|word| !word.is_empty()).unwrap_or("");
            word.get(..word.len().min(16))
                .unwrap_or("")
                .to_ascii_uppercase()
        };
        let (first, second) = (next(), next());
        match (first.as_str(), second.as_str()) {
            ("BEGIN", _) | ("START", "TRANSACTION") => Meaning::Begin,
            ("COMMIT", _) => Meaning::Commit,
            // A savepoint: what was undone is not in the log as rows.
            ("ROLLBACK", "TO") => Meaning::Other,
            ("ROLLBACK", _) => Meaning::Rollback,
            ("XA", _) => Meaning::Distributed,
            ("CREATE" | "ALTER" | "DROP" | "RENAME" | "TRUNCATE", _) => Meaning::Definition,
            ("INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD", _) => Meaning::Rows,
            _ => Meaning::Other,
        }
    }
}

/// A statement is in the character set of the client that made it.
fn statement_text(bytes: &[u8], collations: Option<Collations>) -> String {
    // What the server reads as words and signs is ASCII in all such sets.
    if bytes.is_ascii() {
        return name_text(bytes);
    }
    let set = collations.and_then(|found| charset_of_collation(u64::from(found.client)));
    match set.and_then(Charset::of_name) {
        Some(set) => set.text(bytes),
        None => name_text(bytes),
    }
}

/// The collations among the settings that a statement was made with.
fn collations(status: &[u8]) -> Option<Collations> {
    const WHAT: &str = "the settings of a statement";
    let mut input = Input::new(status);
    loop {
        match input.u8(WHAT).ok()? {
            // Flags, the mode of SQL, what automatic numbers begin with.
            0 | 3 => input.take(4, WHAT).ok()?,
            1 => input.take(8, WHAT).ok()?,
            // The catalog, in either form.
            2 => {
                let length = usize::from(input.u8(WHAT).ok()?);
                input.take(length + 1, WHAT).ok()?
            }
            6 => {
                let length = usize::from(input.u8(WHAT).ok()?);
                input.take(length, WHAT).ok()?
            }
            // Collations of client, connection and server.
            4 => {
                let client = input.u16(WHAT).ok()?;
                input.u16(WHAT).ok()?;
                let server = input.u16(WHAT).ok()?;
                return Some(Collations { client, server });
            }
            _ => return None,
        };
    }
}

/// The statement without comments before it.
pub(crate) fn without_comments(text: &str) -> &str {
    let mut text = text.trim_start();
    loop {
        let rest = if text.starts_with("/*") && !text.starts_with("/*!") {
            text.find("*/").map(|end| &text[end + 2..])
        } else if text.starts_with("-- ") || text.starts_with('#') {
            text.find('\n').map(|end| &text[end + 1..])
        } else {
            return text;
        };
        match rest {
            Some(rest) => text = rest.trim_start(),
            None => return "",
        }
    }
}

/// What MariaDB compressed in the log: a byte that says how many bytes the
/// length has, the length with its highest byte first, and what zlib made.
///
/// # Errors
/// When it is damaged.
pub fn spread(bytes: &[u8]) -> Result<Vec<u8>, BadBytes> {
    let mut input = Input::new(bytes);
    let head = input.u8("a compressed event")?;
    if head & 0xf0 != 0x80 {
        return Err(BadBytes::Invalid(format!(
            "it is compressed in the unknown way {head:#04x}"
        )));
    }
    let length = input.uint_be(usize::from(head & 7).min(4), "a compressed event")?;
    inflate(input.rest(), length, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_name_tables_of_other_databases() {
        let query = Query {
            database: String::new(),
            text: "INSERT INTO shop.`t 1` (a) SELECT x.a + 1.5 FROM `x` /* a.b */ WHERE b = 'c.d'"
                .to_owned(),
            server_collation: None,
        };
        let named = [TableName::new("shop", "t 1"), TableName::new("x", "a")];
        assert_eq!(query.named_tables(), named);
    }

    #[test]
    fn statements_are_in_the_set_of_their_client() {
        let read = |client: u16, text: &[u8]| {
            let mut status = vec![4];
            for collation in [client, 45, 255] {
                status.extend_from_slice(&u16::to_le_bytes(collation));
            }
            let mut body = vec![0; 8];
            body.extend_from_slice(&[0, 0, 0, status.len() as u8, 0]);
            body.extend_from_slice(&status);
            body.push(0);
            body.extend_from_slice(text);
            let query = Query::read(&body, false).unwrap();
            (query.text, query.server_collation)
        };
        assert_eq!(read(45, "é".as_bytes()), ("é".into(), Some(255)));
        assert_eq!(read(8, b"\xe9"), ("é".into(), Some(255)));
        assert_eq!(read(28, b"`\xd5\x5c`"), ("`誠`".into(), Some(255)));
        assert_eq!(read(63, "é".as_bytes()), ("é".into(), Some(255)));
        assert_eq!(read(9_999, "é".as_bytes()), ("é".into(), Some(255)));
    }

    #[test]
    fn statements_have_a_meaning() {
        let meaning = |text: &str| {
            let query = Query {
                database: String::new(),
                text: text.to_owned(),
                server_collation: None,
            };
            query.meaning()
        };
        assert_eq!(meaning("BEGIN"), Meaning::Begin);
        assert_eq!(
            meaning("/* a */ -- b\n create table t(a int)"),
            Meaning::Definition
        );
        assert_eq!(meaning("ROLLBACK TO `x`"), Meaning::Other);
        assert_eq!(meaning("ROLLBACK"), Meaning::Rollback);
        assert_eq!(meaning("insert into t values (1)"), Meaning::Rows);
        assert_eq!(meaning("XA COMMIT 'a'"), Meaning::Distributed);
        assert_eq!(meaning("GRANT ALL ON *.* TO a"), Meaning::Other);
        assert_eq!(meaning("/* never ends"), Meaning::Other);
    }
}
