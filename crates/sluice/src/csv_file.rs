//! The bytes of a CSV file, with an eye on its quotes. One that is not closed goes
//! on to the next quote, in another record, or to the file's end, and who reads
//! records takes all of that for a value.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What some programs write before the first byte.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why no more bytes are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All were given that may be.
    UsedUp,
    /// The file ends inside the quote that opens in this line.
    OpenQuote {
        /// The line.
        line: u64,
    },
    /// A quote opens, and text stands right behind the next one, some lines on:
    /// that one was to open another quote.
    TextBehindQuote {
        /// The line in which the first one opens.
        line: u64,
        /// The line of the next one.
        next_line: u64,
    },
}

/// Where in a field a byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Begin,
    Text,
    Quoted,
    /// Behind a quote that closes one, unless another follows.
    Closed,
}

/// What was seen of quotes.
#[derive(Debug)]
struct Quotes {
    place: Place,
    line: u64,
    /// The line in which the last one opened.
    opened: u64,
}

impl Quotes {
    /// Looks at what follows.
    fn look(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        for &byte in bytes {
            self.place = match (self.place, byte) {
                (Place::Quoted, b'"') => Place::Closed,
                (Place::Quoted, _) | (Place::Closed, b'"') => Place::Quoted,
                (Place::Begin, b'"') => {
                    self.opened = self.line;
                    Place::Quoted
                }
                (_, b',' | b'\n' | b'\r') => Place::Begin,
                (Place::Closed, _) if self.opened < self.line => {
                    return Err(Stop::TextBehindQuote {
                        line: self.opened,
                        next_line: self.line,
                    });
                }
                _ => Place::Text,
            };
            self.line += u64::from(byte == b'\n');
        }
        Ok(())
    }

    /// The file ends.
    fn end(&self) -> Result<(), Stop> {
        match self.place {
            Place::Quoted => Err(Stop::OpenQuote { line: self.opened }),
            _ => Ok(()),
        }
    }
}

/// See the module. Fields are separated by commas.
#[derive(Debug)]
pub struct CsvFile {
    file: File,
    quotes: Quotes,
    /// Bytes that were given.
    given: u64,
    /// So many are given, and what one call adds to them.
    given_max: u64,
    stop: Option<Stop>,
}

impl CsvFile {
    /// Opens a file, of which nothing is given yet.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            quotes: Quotes {
                place: Place::Begin,
                line: 1,
                opened: 1,
            },
            given: 0,
            given_max: 0,
            stop: None,
        })
    }

    /// Gives so many bytes, counted from the file's first one.
    pub fn give_up_to(&mut self, given_max: u64) {
        self.given_max = given_max;
    }

    /// Why nothing more is given, if it is so.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    fn next_bytes(&mut self, buffer: &mut [u8]) -> io::Result<Result<usize, Stop>> {
        if self.given >= self.given_max {
            return Ok(Err(Stop::UsedUp));
        }
        let count = self.file.read(buffer)?;
        let bytes = &buffer[..count];
        let looked = match (count, self.given) {
            (0, _) => self.quotes.end(),
            (_, 0) => {
                let text = bytes.strip_prefix(BYTE_ORDER_MARK);
                self.quotes.look(text.unwrap_or(bytes))
            }
            _ => self.quotes.look(bytes),
        };
        self.given += count as u64;
        Ok(looked.map(|()| count))
    }
}

impl Read for CsvFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.next_bytes(buffer)? {
            Ok(count) => Ok(count),
            Err(stop) => {
                self.stop = Some(stop);
                Err(io::Error::other("the file is not read further"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(parts: &[&str]) -> Result<(), Stop> {
        let mut quotes = Quotes {
            place: Place::Begin,
            line: 1,
            opened: 1,
        };
        for part in parts {
            quotes.look(part.as_bytes())?;
        }
        quotes.end()
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_from_one_that_is() {
        for text in [
            "",
            "a,b\n1,2",
            "\"a\",\"b\"\r\n\"\",\"1 \"\"2\"\"\"\r\n",
            "\"a\nb\",1\n\"\n\"\n",
            "a\"b,c\" d\"\n\"",
            "\"a\" ,b\n",
        ] {
            let is_open = text.ends_with("\n\"");
            let looked = look(&[text]);
            assert_eq!(looked.is_err(), is_open, "{text:?}: {looked:?}");
            let (one, two) = text.split_at(text.len() / 2);
            assert_eq!(look(&[one, two]), looked, "{text:?}");
        }
        let open = |line| Err(Stop::OpenQuote { line });
        assert_eq!(look(&["a,b\n1,\"2\n3,4\n5,\"\"\n"]), open(2));
        let behind = |line, next_line| Err(Stop::TextBehindQuote { line, next_line });
        assert_eq!(look(&["a\n\"b\n\"c", "\"\n\"d\"\n"]), behind(2, 3));
        assert_eq!(look(&["a,\"b\n", "c,d\ne,\"f\"\n"]), behind(1, 3));
    }
}
