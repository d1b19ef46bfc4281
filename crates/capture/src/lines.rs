//! Cuts bytes into lines; in CSV a line break inside quotes is part of the
//! line.

/// The length of the first line with its line break, if it is complete.
pub(crate) fn line_length(bytes: &[u8], quotes: bool) -> Option<usize> {
    if !quotes {
        return bytes
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|end| end + 1);
    }
    let mut inside = false;
    for (index, &byte) in bytes.iter().enumerate() {
        match byte {
            // A doubled quote turns twice and so changes nothing.
            b'"' => inside = !inside,
            b'\n' if !inside => return Some(index + 1),
            _ => {}
        }
    }
    None
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
    fn lines_end_at_breaks_outside_quotes() {
        assert_eq!(line_length(b"a,\"b\nc\"\nd", true), Some(8));
        assert_eq!(line_length(b"a,\"b\nc\"\nd", false), Some(5));
        assert_eq!(line_length(b"a,\"say \"\"x\"\"\"\n", true), Some(14));
        assert_eq!(line_length(b"open \"\n", true), None);
        assert_eq!(without_break(b"x\r\n"), b"x");
    }
}
