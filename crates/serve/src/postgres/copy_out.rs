//! `COPY … TO STDOUT`: rows as text, CSV or in PostgreSQL's binary form.
//!
//! Source of the formats: <https://www.postgresql.org/docs/current/sql-copy.html>.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{
    CopyLegacyOption, CopyOption, CopySource, CopyTarget, Ident, Statement,
};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::query::send_execution_response;
use datafusion_postgres::pgwire::api::results::{CopyResponse, Response, Tag};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::future::ready;
use futures::stream::{iter, once};
use futures::{Sink, SinkExt, StreamExt};
use sluice_syntax::text_of;

use super::codes::{error, of_datafusion};
use super::cursors::without_rows;
use super::hook::Hook;
use super::rows::{answer, options_of};
use crate::query_text::asked;

/// What a binary copy begins with: the signature, no flags, no extension.
const BINARY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with, which the library adds.
const BINARY_END: [u8; 2] = [0xff, 0xff];

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Form {
    kind: Kind,
    delimiter: u8,
    null: String,
    has_header: bool,
    quote: u8,
    escape: u8,
    /// Columns whose values are quoted always; all for `None`.
    quoted: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Csv,
    Binary,
}

/// See the module.
pub(super) struct CopyHook;

async fn copy(
    source: &CopySource,
    options: &[CopyOption],
    legacy_options: &[CopyLegacyOption],
    session: &SessionContext,
    format_options: Arc<FormatOptions>,
) -> PgWireResult<Response> {
    let form = form(options, legacy_options)?;
    let query = match source {
        CopySource::Query(query) => text_of(&**query),
        CopySource::Table {
            table_name,
            columns,
        } => {
            let columns: Vec<String> = columns.iter().map(Ident::to_string).collect();
            let columns = match columns.is_empty() {
                true => "*".to_owned(),
                false => columns.join(", "),
            };
            format!("SELECT {columns} FROM {table_name}")
        }
    };
    let frame = asked(session, &query).await;
    let frame = frame.map_err(|problem| of_datafusion(&problem))?;
    let format = match form.kind {
        Kind::Binary => Format::UnifiedBinary,
        Kind::Text | Kind::Csv => Format::UnifiedText,
    };
    let mut rows = answer(frame, &format, format_options).await?;
    let names: Vec<String> = rows
        .row_schema()
        .iter()
        .map(|field| field.name().to_owned())
        .collect();
    let columns = names.len();
    let code = i8::from(form.kind == Kind::Binary);
    let stream = std::mem::replace(rows.data_rows(), futures::stream::empty().boxed());
    if form.kind != Kind::Binary {
        let head = form.has_header.then(|| header(&form, &names));
        let head = iter(head.into_iter().flat_map(no_row).map(Ok));
        let lines = stream.map(move |row| row.map(|row| piece(written(&form, &row, &names))));
        let lines = head.chain(lines);
        return Ok(Response::CopyOut(CopyResponse::new(code, columns, lines)));
    }
    // What comes before the rows is sent with the first: clients look for the
    // signature and a row in one piece.
    let mut head = Some(BINARY_HEAD.to_vec());
    let rows = stream.map(Some).chain(once(ready(None)));
    let pieces = rows.flat_map(move |row| {
        let mut bytes = head.take().unwrap_or_default();
        iter(match row {
            Some(Ok(row)) => {
                bytes.extend(written(&form, &row, &names));
                vec![Ok(piece(bytes))]
            }
            Some(Err(problem)) => vec![Err(problem)],
            None if bytes.is_empty() => Vec::new(),
            None => no_row(bytes).into_iter().map(Ok).collect(),
        })
    });
    Ok(Response::CopyOut(CopyResponse::new(code, columns, pieces)))
}

fn piece(bytes: Vec<u8>) -> CopyData {
    CopyData::new(bytes.into())
}

/// A piece that is no row, behind an empty one that says so.
fn no_row(bytes: Vec<u8>) -> [CopyData; 2] {
    [piece(Vec::new()), piece(bytes)]
}

/// The line with the names of the columns.
fn header(form: &Form, names: &[String]) -> Vec<u8> {
    let form = Form {
        quoted: Some(Vec::new()),
        ..form.clone()
    };
    let fields = names.iter().map(|name| Some(name.as_bytes()));
    line(&form, fields, names)
}

/// Sends rows as they are made. The library counts the line of the names as one, and
/// tells of an error in the middle in a way that breaks the connection.
///
/// # Errors
/// When a row cannot be made, or the connection breaks.
pub(super) async fn send_copy<C>(client: &mut C, copied: CopyResponse) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let formats = copied.column_formats();
    // At most as many columns as an answer has.
    let begin = CopyOutResponse::new(copied.format, copied.columns as i16, formats);
    client
        .feed(PgWireBackendMessage::CopyOutResponse(begin))
        .await?;
    let mut pieces = copied.data_stream;
    let mut rows = 0;
    let mut is_row = true;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if piece.data.is_empty() {
            is_row = false;
            continue;
        }
        rows += usize::from(is_row && piece.data.as_ref() != BINARY_END);
        is_row = true;
        client.feed(PgWireBackendMessage::CopyData(piece)).await?;
    }
    let end = PgWireBackendMessage::CopyDone(CopyDone::new());
    client.feed(end).await?;
    send_execution_response(client, Tag::new("COPY").with_rows(rows)).await
}

fn written(form: &Form, row: &DataRow, names: &[String]) -> Vec<u8> {
    if form.kind == Kind::Binary {
        let mut bytes = Vec::with_capacity(row.data.len() + 2);
        bytes.extend(row.field_count.to_be_bytes());
        bytes.extend_from_slice(&row.data);
        return bytes;
    }
    line(form, fields(&row.data), names)
}

/// The values of a row: each has its length before it, -1 for NULL.
fn fields(mut data: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let Ok(length) = usize::try_from(length) else {
            data = rest;
            return Some(None);
        };
        let (value, rest) = rest.split_at_checked(length)?;
        data = rest;
        Some(Some(value))
    })
}

fn line<'a>(
    form: &Form,
    fields: impl Iterator<Item = Option<&'a [u8]>>,
    names: &[String],
) -> Vec<u8> {
    let mut line = Vec::new();
    for (place, value) in fields.enumerate() {
        if place > 0 {
            line.push(form.delimiter);
        }
        let Some(value) = value else {
            line.extend_from_slice(form.null.as_bytes());
            continue;
        };
        match form.kind {
            Kind::Csv => {
                let is_forced = match (&form.quoted, names.get(place)) {
                    (Some(quoted), Some(name)) => quoted.contains(name),
                    _ => true,
                };
                push_csv(form, value, is_forced, names.len() == 1, &mut line);
            }
            _ => push_text(form, value, &mut line),
        }
    }
    line.push(b'\n');
    line
}

fn push_text(form: &Form, value: &[u8], line: &mut Vec<u8>) {
    for &byte in value {
        let letter = match byte {
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            11 => b'v',
            12 => b'f',
            byte if byte == form.delimiter => byte,
            byte => {
                line.push(byte);
                continue;
            }
        };
        line.extend([b'\\', letter]);
    }
}

fn push_csv(form: &Form, value: &[u8], is_forced: bool, is_only: bool, line: &mut Vec<u8>) {
    let needs = |byte: &u8| {
        *byte == form.delimiter || *byte == form.quote || *byte == b'\n' || *byte == b'\r'
    };
    // A line of `\.` alone would end the data.
    let is_end = is_only && value == b"\\.";
    let is_quoted = is_forced || is_end || value == form.null.as_bytes() || value.iter().any(needs);
    if !is_quoted {
        line.extend_from_slice(value);
        return;
    }
    line.push(form.quote);
    for &byte in value {
        if byte == form.quote || byte == form.escape {
            line.push(form.escape);
        }
        line.push(byte);
    }
    line.push(form.quote);
}

fn form(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> PgWireResult<Form> {
    // 22023: invalid_parameter_value.
    let wrong = |problem: String| error("22023", problem);
    let mut kind = Kind::Text;
    for option in options {
        if let CopyOption::Format(name) = option {
            kind = match name.value.to_lowercase().as_str() {
                "text" => Kind::Text,
                "csv" => Kind::Csv,
                "binary" => Kind::Binary,
                other => return Err(wrong(format!("COPY format \"{other}\" not recognized"))),
            };
        }
    }
    for option in legacy {
        match option {
            CopyLegacyOption::Csv(_) => kind = Kind::Csv,
            CopyLegacyOption::Binary => kind = Kind::Binary,
            _ => {}
        }
    }
    let mut form = Form {
        kind,
        delimiter: if kind == Kind::Csv { b',' } else { b'\t' },
        null: if kind == Kind::Csv { "" } else { "\\N" }.to_owned(),
        has_header: false,
        quote: b'"',
        escape: b'"',
        quoted: Some(Vec::new()),
    };
    let byte = |letter: char| {
        let byte = u8::try_from(letter).ok().filter(u8::is_ascii);
        let fits = byte.filter(|byte| !matches!(byte, b'\n' | b'\r'));
        fits.ok_or_else(|| {
            wrong("COPY takes one ASCII character as delimiter, quote and escape".to_owned())
        })
    };
    let mut escape = None;
    for option in options {
        match option {
            CopyOption::Format(_) => {}
            CopyOption::Delimiter(letter) => form.delimiter = byte(*letter)?,
            CopyOption::Null(text) => form.null.clone_from(text),
            CopyOption::Header(has_header) => form.has_header = *has_header,
            CopyOption::Quote(letter) => form.quote = byte(*letter)?,
            CopyOption::Escape(letter) => escape = Some(byte(*letter)?),
            CopyOption::ForceQuote(columns) => {
                let names = columns.iter().map(|column| column.value.clone());
                form.quoted = Some(names.collect());
            }
            CopyOption::Encoding(name) if super::setting_values::is_utf8(name) => {}
            other => return Err(wrong(format!("COPY TO does not take {other}"))),
        }
    }
    for option in legacy {
        match option {
            CopyLegacyOption::Binary => {}
            CopyLegacyOption::Delimiter(letter) => form.delimiter = byte(*letter)?,
            CopyLegacyOption::Null(text) => form.null.clone_from(text),
            CopyLegacyOption::Header => form.has_header = true,
            CopyLegacyOption::Csv(options) => {
                use datafusion::sql::sqlparser::ast::CopyLegacyCsvOption as Csv;
                for option in options {
                    match option {
                        Csv::Header => form.has_header = true,
                        Csv::Quote(letter) => form.quote = byte(*letter)?,
                        Csv::Escape(letter) => escape = Some(byte(*letter)?),
                        Csv::ForceQuote(columns) => {
                            let names = columns.iter().map(|column| column.value.clone());
                            form.quoted = Some(names.collect());
                        }
                        other => return Err(wrong(format!("COPY TO does not take {other}"))),
                    }
                }
            }
            other => return Err(wrong(format!("COPY TO does not take {other}"))),
        }
    }
    form.escape = escape.unwrap_or(form.quote);
    if form.kind == Kind::Csv && form.delimiter == form.quote {
        return Err(wrong(
            "COPY needs a delimiter other than the quote".to_owned(),
        ));
    }
    Ok(form)
}

#[async_trait]
impl Hook for CopyHook {
    async fn answer(
        &self,
        statement: &Statement,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let Statement::Copy {
            source,
            to: true,
            target: CopyTarget::Stdout,
            options,
            legacy_options,
            ..
        } = statement
        else {
            return None;
        };
        let format_options = options_of(&*client);
        Some(copy(source, options, legacy_options, session, format_options).await)
    }

    fn prepared(
        &self,
        statement: &Statement,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        matches!(statement, Statement::Copy { .. }).then(|| Ok(without_rows(DFSchema::empty())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(options: &[CopyOption], values: &[Option<&str>]) -> String {
        let form = form(options, &[]).unwrap();
        let names: Vec<String> = (0..values.len()).map(|place| format!("c{place}")).collect();
        let fields = values.iter().map(|value| value.map(str::as_bytes));
        String::from_utf8(line(&form, fields, &names)).unwrap()
    }

    #[test]
    fn lines_are_as_postgresql_writes_them() {
        let values = [Some("a\tb\\c\nd"), None, Some(""), Some("x,\"y\"")];
        assert_eq!(written(&[], &values), "a\\tb\\\\c\\nd\t\\N\t\tx,\"y\"\n");
        let csv = CopyOption::Format(Ident::new("csv"));
        assert_eq!(
            written(std::slice::from_ref(&csv), &values),
            "\"a\tb\\c\nd\",,\"\",\"x,\"\"y\"\"\"\n"
        );
        assert_eq!(
            written(std::slice::from_ref(&csv), &[Some("\\.")]),
            "\"\\.\"\n"
        );
        let options = [
            csv,
            CopyOption::Delimiter(';'),
            CopyOption::Null("-".into()),
        ];
        assert_eq!(
            written(&options, &[Some("a,b"), None, Some("-")]),
            "a,b;-;\"-\"\n"
        );
        assert!(form(&[CopyOption::Delimiter('é')], &[]).is_err());
    }

    #[test]
    fn values_are_found_in_a_row() {
        let mut data = 1_i32.to_be_bytes().to_vec();
        data.push(b'a');
        data.extend((-1_i32).to_be_bytes());
        data.extend(0_i32.to_be_bytes());
        let found: Vec<_> = fields(&data).collect();
        assert_eq!(found, [Some(&b"a"[..]), None, Some(&b""[..])]);
    }
}
