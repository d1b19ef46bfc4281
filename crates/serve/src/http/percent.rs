//! Percent-encoding (RFC 3986), undone.

/// What a `+` means: itself in a path, a space in the parameters of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    Plus,
    Space,
}

pub(super) fn decode(text: &str, plus: Plus) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escaped = after
            .get(..2)
            .filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match escaped {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None if byte == b'+' && plus == Plus::Space => bytes.push(b' '),
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_escapes_are_undone() {
        assert_eq!(decode("a%20b%2C%C3%A9", Plus::Plus), "a b,é");
        assert_eq!(decode("1+1%", Plus::Plus), "1+1%");
        assert_eq!(decode("1+1%2", Plus::Space), "1 1%2");
        assert_eq!(decode("%+1%zz%2525", Plus::Plus), "%+1%zz%25");
    }
}
