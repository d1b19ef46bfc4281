//! Cuts bytes into lines; in CSV a line break inside a quoted field is part of
//! the line.

use memchr::{memchr, memchr2};

/// Where the first line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// After so many bytes, line break included.
    At(usize),
    /// Not within these bytes.
    Open {
        /// A quoted field has begun and not ended.
        in_quotes: bool,
    },
}

/// Finds the end of the first line. `csv_delimiter` makes it a CSV line: as in
/// `csv-core`, which takes the lines apart later, a quote opens a quoted field
/// only as the field's first byte; elsewhere it is text (`5" nail`).
pub(crate) fn line_end(bytes: &[u8], csv_delimiter: Option<u8>) -> LineEnd {
    const OPEN: LineEnd = LineEnd::Open { in_quotes: false };
    let Some(delimiter) = csv_delimiter else {
        return memchr(b'\n', bytes).map_or(OPEN, |end| LineEnd::At(end + 1));
    };
    let mut from = 0;
    loop {
        let Some(found) = memchr2(b'\n', b'"', &bytes[from..]) else {
            return OPEN;
        };
        let at = from + found;
        if bytes[at] == b'\n' {
            return LineEnd::At(at + 1);
        }
        from = at + 1;
        let opens_field = at == 0 || bytes[at - 1] == delimiter;
        if !opens_field {
            continue;
        }
        // To the quote that is not doubled.
        loop {
            let Some(found) = memchr(b'"', &bytes[from..]) else {
                return LineEnd::Open { in_quotes: true };
            };
            from += found + 1;
            if bytes.get(from) != Some(&b'"') {
                break;
            }
            from += 1;
        }
    }
}

/// The line without its line break.
pub(crate) fn without_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_breaks_outside_quoted_fields() {
        let csv = Some(b',');
        assert_eq!(line_end(b"a,\"b\nc\"\nd", csv), LineEnd::At(8));
        assert_eq!(line_end(b"a,\"b\nc\"\nd", None), LineEnd::At(5));
        assert_eq!(line_end(b"a,\"say \"\"x\"\"\"\n", csv), LineEnd::At(14));
        assert_eq!(
            line_end(b"\"open\n", csv),
            LineEnd::Open { in_quotes: true }
        );
        assert_eq!(without_break(b"x\r\n"), b"x");
    }

    #[test]
    fn a_quote_inside_a_field_is_text() {
        assert_eq!(line_end(b"5\" nail,1\n6,2\n", Some(b',')), LineEnd::At(10));
        assert_eq!(line_end(b"a;\"b\n\"\n", Some(b';')), LineEnd::At(7));
        assert_eq!(line_end(b"a;\"b\n\"\n", Some(b',')), LineEnd::At(5));
    }

    /// What cuts lines here and what takes them apart later must agree, or a
    /// line would lose its end without anyone noticing.
    #[test]
    fn lines_end_where_csv_core_ends_records() {
        let mut random = 1_u64;
        for _ in 0..200_000 {
            let mut text = Vec::new();
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let mut bits = random >> 8;
            // Not an empty line: csv-core passes over those.
            text.push(b'x');
            text.push(b',');
            for _ in 0..16 {
                text.push(b"a,\"\n"[(bits % 4) as usize]);
                bits /= 4;
            }
            let mut reader = csv_core::ReaderBuilder::new()
                .terminator(csv_core::Terminator::Any(b'\n'))
                .build();
            let (result, read, ..) = reader.read_record(&text, &mut [0; 64], &mut [0; 64]);
            match line_end(&text, Some(b',')) {
                LineEnd::At(end) => {
                    assert_eq!(result, csv_core::ReadRecordResult::Record);
                    assert_eq!(read, end, "{:?}", String::from_utf8_lossy(&text));
                }
                LineEnd::Open { .. } => {
                    assert_eq!(result, csv_core::ReadRecordResult::InputEmpty);
                }
            }
        }
    }
}
