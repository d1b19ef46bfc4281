//! The header `traceparent`, by which a client says what its request is a part of
//! (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use axum::http::HeaderMap;
use sluice_core::SpanContext;

const NAME: &str = "traceparent";
/// `00-` + 32 + `-` + 16 + `-` + 2.
const LENGTH: usize = 55;
/// The lowest bit of the flags.
const SAMPLED: u8 = 1;

/// What the client says; `None` where it says nothing, or nothing that is right.
pub(super) fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all(NAME).iter();
    let value = values.next()?;
    // Of two nobody knows which is meant.
    if values.next().is_some() {
        return None;
    }
    read(value.as_bytes())
}

fn read(text: &[u8]) -> Option<SpanContext> {
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let mut fields = known.split(|&byte| byte == b'-');
    let [version]: [u8; 1] = bytes(fields.next()?)?;
    let trace_id: [u8; 16] = bytes(fields.next()?)?;
    let span_id: [u8; 8] = bytes(fields.next()?)?;
    let [flags]: [u8; 1] = bytes(fields.next()?)?;
    // Later versions may say more behind what is known.
    let is_whole = match version {
        0 => rest.is_empty(),
        255 => false,
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    let is_something = trace_id != [0; 16] && span_id != [0; 8];
    (is_whole && is_something && fields.next().is_none()).then_some(SpanContext {
        trace_id,
        span_id,
        is_sampled: flags & SAMPLED != 0,
    })
}

/// The bytes of exactly so many pairs of hexadecimal digits, without capitals.
fn bytes<const COUNT: usize>(text: &[u8]) -> Option<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    if text.len() != 2 * COUNT {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for &symbol in pair {
            *byte = *byte << 4 | digit(symbol)?;
        }
    }
    Some(bytes)
}

fn digit(symbol: u8) -> Option<u8> {
    match symbol {
        b'0'..=b'9' => Some(symbol - b'0'),
        b'a'..=b'f' => Some(symbol - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const RIGHT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_right_one_is_read() {
        let found = read(RIGHT.as_bytes()).unwrap();
        assert_eq!(found.trace_id[..3], [0x0a, 0xf7, 0x65]);
        assert_eq!(found.trace_id[15], 0x9c);
        assert_eq!(
            found.span_id,
            [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
        );
        assert!(found.is_sampled);
        let unsampled = RIGHT.replace("-01", "-02");
        assert!(!read(unsampled.as_bytes()).unwrap().is_sampled);
        let later = RIGHT.replace("00-", "cc-") + "-more";
        assert_eq!(read(later.as_bytes()), Some(found));
    }

    #[test]
    fn what_is_wrong_is_ignored() {
        let wrong = [
            String::new(),
            "00".to_owned(),
            RIGHT[..54].to_owned(),
            format!("{RIGHT}0"),
            format!("{RIGHT}-more"),
            RIGHT.replace("00-", "ff-"),
            RIGHT.replace("00-", "0x-"),
            RIGHT.replace("00-", "cc-") + "more",
            RIGHT.replace("0af7", "0AF7"),
            RIGHT.replace("0af7", "0ag7"),
            RIGHT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            RIGHT.replace("b7ad6b7169203331", &"0".repeat(16)),
            RIGHT.replace("9c-b7", "9-cb7"),
            RIGHT.replace("-01", "_01"),
            "é".repeat(40),
        ];
        for text in wrong {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn of_two_none_is_meant() {
        let mut headers = HeaderMap::new();
        assert_eq!(parent(&headers), None);
        headers.append(NAME, HeaderValue::from_static(RIGHT));
        assert!(parent(&headers).is_some());
        headers.append(NAME, HeaderValue::from_static(RIGHT));
        assert_eq!(parent(&headers), None);
    }
}
