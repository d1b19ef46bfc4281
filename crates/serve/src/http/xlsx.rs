//! Workbooks: Office Open XML (ECMA-376) with one sheet, in a ZIP archive whose
//! parts are stored as they are.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Field};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::ServeError;
use crate::panels::{CheckedColumn, Format};

/// Rows of a sheet, its head included.
const ROWS_MAX: usize = 1_048_576;
/// Characters of the name of a sheet.
const SHEET_NAME_MAX: usize = 31;
/// The day 1970-01-01 in the calendar of workbooks.
const UNIX_DAY: i32 = 25_569;

/// A column of the sheet.
#[derive(Debug, Clone)]
pub(super) struct SheetColumn<'a> {
    title: &'a str,
    style: Style,
}

/// Number formats, by their place in `styles.xml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    General = 0,
    Date = 2,
    Money = 3,
    Percent = 4,
    Integer = 5,
}

impl<'a> SheetColumn<'a> {
    pub(super) fn of_field(field: &'a Field) -> Self {
        Self {
            title: field.name(),
            style: match field.data_type() {
                DataType::Date32 => Style::Date,
                _ => Style::General,
            },
        }
    }

    pub(super) fn of_panel(column: &'a CheckedColumn, language: &str) -> Self {
        Self {
            title: column.title.of(language),
            style: match column.format {
                Format::Date => Style::Date,
                Format::Money => Style::Money,
                Format::Percent => Style::Percent,
                Format::Integer => Style::Integer,
                Format::Text | Format::Decimal | Format::Seconds | Format::Time => Style::General,
            },
        }
    }
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const CONTENT_TYPES: &str = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/><Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/><Override PartName=\"/xl/styles.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml\"/></Types>";
const RELATIONS: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>";
const WORKBOOK_RELATIONS: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" Target=\"styles.xml\"/></Relationships>";
/// The styles of [`Style`]; the one of place 1 is the head.
const STYLES: &str = "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><numFmts count=\"1\"><numFmt numFmtId=\"164\" formatCode=\"yyyy\\-mm\\-dd\"/></numFmts><fonts count=\"2\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font><font><b/><sz val=\"11\"/><name val=\"Calibri\"/></font></fonts><fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill></fills><borders count=\"1\"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs><cellXfs count=\"6\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\"/><xf numFmtId=\"0\" fontId=\"1\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyFont=\"1\"/><xf numFmtId=\"164\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/><xf numFmtId=\"4\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/><xf numFmtId=\"10\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/><xf numFmtId=\"3\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/></cellXfs><cellStyles count=\"1\"><cellStyle name=\"Normal\" xfId=\"0\" builtinId=\"0\"/></cellStyles></styleSheet>";

/// A workbook; `None` when it would have more rows or bytes than it may.
pub(super) fn workbook(
    sheet: &str,
    columns: &[SheetColumn<'_>],
    batches: &[RecordBatch],
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, ServeError> {
    let row_count: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if row_count >= ROWS_MAX {
        return Ok(None);
    }
    let mut text = format!(
        "{DECLARATION}<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetViews><sheetView workbookViewId=\"0\"><pane ySplit=\"1\" topLeftCell=\"A2\" activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews><sheetData><row>"
    );
    for column in columns {
        text_cell(column.title, 1, &mut text);
    }
    text.push_str("</row>");
    for batch in batches {
        let options = FormatOptions::new();
        let cells = batch.columns().iter().zip(columns);
        let cells: Vec<Cells<'_>> = cells
            .map(|(array, column)| Cells::new(array, column.style, &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            text.push_str("<row>");
            for column in &cells {
                column.write(row, &mut text);
            }
            text.push_str("</row>");
        }
        if text.len() > bytes_max {
            return Ok(None);
        }
    }
    text.push_str("</sheetData></worksheet>");
    let mut name = String::new();
    let allowed = sheet
        .chars()
        .filter(|letter| !"[]:*?/\\'".contains(*letter));
    escape(&allowed.take(SHEET_NAME_MAX).collect::<String>(), &mut name);
    let book = format!(
        "{DECLARATION}<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"{name}\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
    );
    let with_declaration = |text: &str| format!("{DECLARATION}{text}").into_bytes();
    Ok(Some(archive(&[
        ("[Content_Types].xml", with_declaration(CONTENT_TYPES)),
        ("_rels/.rels", with_declaration(RELATIONS)),
        ("xl/workbook.xml", book.into_bytes()),
        (
            "xl/_rels/workbook.xml.rels",
            with_declaration(WORKBOOK_RELATIONS),
        ),
        ("xl/styles.xml", with_declaration(STYLES)),
        ("xl/worksheets/sheet1.xml", text.into_bytes()),
    ])))
}

/// The cells of one column of one batch.
struct Cells<'a> {
    array: &'a ArrayRef,
    style: Style,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Cells<'a> {
    fn new(
        array: &'a ArrayRef,
        style: Style,
        options: &FormatOptions<'a>,
    ) -> Result<Self, ServeError> {
        Ok(Self {
            array,
            style,
            formatter: ArrayFormatter::try_new(array.as_ref(), options)?,
        })
    }

    fn write(&self, row: usize, text: &mut String) {
        if self.array.is_null(row) {
            text.push_str("<c/>");
            return;
        }
        let style = self.style as u8;
        let shown = || self.formatter.value(row).to_string();
        match self.array.data_type() {
            DataType::Date32 => {
                let day = self.array.as_primitive::<Date32Type>().value(row);
                let serial = day.saturating_add(UNIX_DAY);
                let _ = write!(text, "<c s=\"{}\"><v>{serial}</v></c>", Style::Date as u8);
            }
            DataType::Boolean => {
                let is_true = u8::from(self.array.as_boolean().value(row));
                let _ = write!(text, "<c t=\"b\"><v>{is_true}</v></c>");
            }
            data_type if data_type.is_numeric() => {
                let number = shown();
                match number.parse::<f64>().is_ok_and(f64::is_finite) {
                    true => {
                        let _ = write!(text, "<c s=\"{style}\"><v>{number}</v></c>");
                    }
                    false => text.push_str("<c/>"),
                }
            }
            _ => text_cell(&shown(), 0, text),
        }
    }
}

fn text_cell(content: &str, style: u8, text: &mut String) {
    let _ = write!(
        text,
        "<c t=\"inlineStr\" s=\"{style}\"><is><t xml:space=\"preserve\">"
    );
    escape(content, text);
    text.push_str("</t></is></c>");
}

/// XML has no form for most control characters, so they are left out.
fn escape(content: &str, text: &mut String) {
    for letter in content.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\t' | '\n' | '\r' => text.push(letter),
            control if control < ' ' => {}
            '\u{fffe}' | '\u{ffff}' => {}
            other => text.push(other),
        }
    }
}

/// A ZIP archive (APPNOTE.TXT) of parts that are stored without compression.
/// All have the first moment that the format knows, so that equal answers are
/// equal bytes.
fn archive(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    const FIRST_DAY: u16 = (1 << 5) | 1;
    const UTF8_NAMES: u16 = 1 << 11;
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in parts {
        let offset = bytes.len() as u32;
        let mut fields = Vec::new();
        fields.extend(20_u16.to_le_bytes());
        fields.extend(UTF8_NAMES.to_le_bytes());
        fields.extend(0_u16.to_le_bytes());
        fields.extend(0_u16.to_le_bytes());
        fields.extend(FIRST_DAY.to_le_bytes());
        fields.extend(crc32fast::hash(content).to_le_bytes());
        // Answers have a limit far below 4 GiB.
        fields.extend((content.len() as u32).to_le_bytes());
        fields.extend((content.len() as u32).to_le_bytes());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend(0_u16.to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        bytes.extend(name.as_bytes());
        bytes.extend(content);
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&fields);
        directory.extend([0; 2 + 2 + 2 + 4]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0; 4]);
    bytes.extend((parts.len() as u16).to_le_bytes());
    bytes.extend((parts.len() as u16).to_le_bytes());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}
