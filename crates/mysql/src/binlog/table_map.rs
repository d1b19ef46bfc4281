//! The event that says which columns the rows behind it have.
//!
//! Format: <https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html>.
//! Names, signs and character sets are there with `binlog_row_metadata = FULL`.

use crate::input::{BadBytes, Input, name_text};
use crate::value::collation::charset_of_collation;
use crate::value::column_type as types;

/// Type of a column as the log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireType {
    /// Number of the type; that of an enumeration or set instead of the text
    /// that it is stored as.
    pub number: u8,
    /// Its metadata: length, precision and scale, …
    pub meta: u16,
}

/// What the optional part of the event says of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMetadata {
    /// Its name.
    pub name: Option<String>,
    /// Whether it is an unsigned number.
    pub unsigned: Option<bool>,
    /// Its character set.
    pub charset: Option<&'static str>,
    /// Number of its collation, if that names no character set that is known.
    pub unknown_collation: Option<u64>,
    /// Values of an enumeration or of a set, in its character set.
    pub values: Option<Vec<Vec<u8>>>,
}

impl ColumnMetadata {
    fn set_collation(&mut self, number: u64) {
        self.charset = charset_of_collation(number);
        self.unknown_collation = self.charset.is_none().then_some(number);
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMap {
    /// Number by which rows name the table.
    pub table_id: u64,
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// Types of the columns.
    pub types: Vec<WireType>,
    /// What else is known of them; always as long as `types`.
    pub columns: Vec<ColumnMetadata>,
    /// Positions of the columns of the primary key, if the event says.
    pub key: Option<Vec<usize>>,
}

/// For which columns the lists of a server have places, beside those for which
/// all have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lists {
    /// Years, in the list of signs: MariaDB, and MySQL since version 9.
    pub with_years: bool,
    /// Geometries, in the list of character sets: MariaDB.
    pub with_geometries: bool,
}

/// Greatest number of columns of a table.
const COLUMNS_MAX: u64 = 4_096;

impl TableMap {
    /// Reads the event's body. `id_bytes` is 6, or 4 for very old servers.
    ///
    /// # Errors
    /// When the bytes are not understood.
    pub fn read(body: &[u8], id_bytes: usize, lists: Lists) -> Result<Self, BadBytes> {
        let mut input = Input::new(body);
        let table_id = input.uint(id_bytes, "a table map")?;
        input.u16("a table map")?;
        let length = usize::from(input.u8("a database's name")?);
        let database = name_text(input.take(length, "a database's name")?);
        input.u8("a database's name")?;
        let length = usize::from(input.u8("a table's name")?);
        let table = name_text(input.take(length, "a table's name")?);
        input.u8("a table's name")?;
        let count = input.lenenc("the number of columns")?;
        if count > COLUMNS_MAX {
            return Err(BadBytes::Invalid(format!(
                "it gives table {database}.{table} {count} columns; {COLUMNS_MAX} are possible"
            )));
        }
        let count = count as usize;
        let numbers = input.take(count, "the types of columns")?;
        let meta = input.lenenc_bytes("the metadata of columns")?;
        let types = read_types(numbers, meta)?;
        input.take(count.div_ceil(8), "which columns may be null")?;
        let mut map = Self {
            table_id,
            database,
            table,
            types,
            columns: vec![ColumnMetadata::default(); count],
            key: None,
        };
        map.read_optional(input, lists)?;
        Ok(map)
    }

    fn read_optional(&mut self, mut input: Input<'_>, lists: Lists) -> Result<(), BadBytes> {
        const WHAT: &str = "the optional metadata of a table map";
        while !input.is_empty() {
            let field = input.u8(WHAT)?;
            let mut value = Input::new(input.lenenc_bytes(WHAT)?);
            match field {
                1 => {
                    let numbers =
                        self.places(|wire| types::is_numeric(wire.number, lists.with_years));
                    let bits = value.take_rest();
                    for (place, column) in numbers.into_iter().enumerate() {
                        let byte = bits.get(place / 8).copied().unwrap_or(0);
                        let unsigned = byte & (0x80 >> (place % 8)) != 0;
                        self.columns[column].unsigned = Some(unsigned);
                    }
                }
                2 | 10 => {
                    let texts = self.text_places(field == 10, lists);
                    let default = value.lenenc(WHAT)?;
                    for &column in &texts {
                        self.columns[column].set_collation(default);
                    }
                    while !value.is_empty() {
                        let place = value.lenenc(WHAT)?;
                        let collation = value.lenenc(WHAT)?;
                        let place = usize::try_from(place).unwrap_or(usize::MAX);
                        let Some(&column) = texts.get(place) else {
                            return Err(BadBytes::invalid("it names a text column too many"));
                        };
                        self.columns[column].set_collation(collation);
                    }
                }
                3 | 11 => {
                    for column in self.text_places(field == 11, lists) {
                        self.columns[column].set_collation(value.lenenc(WHAT)?);
                    }
                }
                4 => {
                    for column in &mut self.columns {
                        column.name = Some(name_text(value.lenenc_bytes(WHAT)?));
                    }
                }
                5 | 6 => {
                    let number = if field == 5 { types::SET } else { types::ENUM };
                    for column in self.places(|wire| wire.number == number) {
                        let mut values = Vec::new();
                        for _ in 0..value.lenenc(WHAT)? {
                            values.push(value.lenenc_bytes(WHAT)?.to_vec());
                        }
                        self.columns[column].values = Some(values);
                    }
                }
                8 | 9 => {
                    let mut key = Vec::new();
                    while !value.is_empty() {
                        let column = usize::try_from(value.lenenc(WHAT)?).unwrap_or(usize::MAX);
                        if column >= self.types.len() {
                            return Err(BadBytes::invalid("its key has a column too many"));
                        }
                        key.push(column);
                        if field == 9 {
                            value.lenenc(WHAT)?;
                        }
                    }
                    self.key = Some(key);
                }
                // Kinds of geometries, and whether a column is shown.
                _ => {}
            }
        }
        Ok(())
    }

    fn places(&self, is_wanted: impl Fn(&WireType) -> bool) -> Vec<usize> {
        let types = self.types.iter().enumerate();
        let wanted = types.filter(|(_, wire)| is_wanted(wire));
        wanted.map(|(place, _)| place).collect()
    }

    fn text_places(&self, enumerations: bool, lists: Lists) -> Vec<usize> {
        self.places(|wire| match enumerations {
            true => matches!(wire.number, types::ENUM | types::SET),
            false => types::is_text(wire.number, lists.with_geometries),
        })
    }
}

fn read_types(numbers: &[u8], meta: &[u8]) -> Result<Vec<WireType>, BadBytes> {
    const WHAT: &str = "the metadata of columns";
    let mut meta = Input::new(meta);
    let mut wire_types = Vec::with_capacity(numbers.len());
    for &number in numbers {
        wire_types.push(match types::meta_bytes(number) {
            None => {
                return Err(BadBytes::Invalid(format!(
                    "it has a column of the unknown type {number}"
                )));
            }
            Some(0) => WireType { number, meta: 0 },
            Some(1) => WireType {
                number,
                meta: u16::from(meta.u8(WHAT)?),
            },
            Some(_) if number == types::STRING => {
                let (first, second) = (meta.u8(WHAT)?, meta.u8(WHAT)?);
                string_type(first, second)
            }
            Some(_) if matches!(number, types::NEWDECIMAL | types::ENUM | types::SET) => {
                let (first, second) = (meta.u8(WHAT)?, meta.u8(WHAT)?);
                WireType {
                    number,
                    meta: u16::from_be_bytes([first, second]),
                }
            }
            Some(_) => WireType {
                number,
                meta: meta.u16(WHAT)?,
            },
        });
    }
    Ok(wire_types)
}

/// The two bytes of a text hold the real type, and two bits of the length in
/// the places of the type that are always set.
fn string_type(first: u8, second: u8) -> WireType {
    if first & 0x30 != 0x30 && first != 0 {
        let length = u16::from(second) | (u16::from((first & 0x30) ^ 0x30) << 4);
        return WireType {
            number: first | 0x30,
            meta: length,
        };
    }
    let number = if first == 0 { types::STRING } else { first };
    WireType {
        number,
        meta: u16::from(second),
    }
}
