//! Places in a server's write-ahead log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::input::BadBytes;

/// A byte of the write-ahead log (log sequence number), written like the
/// server does: `16/B374D848`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = BadBytes;

    fn from_str(text: &str) -> Result<Self, BadBytes> {
        let bad = || BadBytes::Invalid(format!("`{text}` is no place in a log"));
        let (high, low) = text.split_once('/').ok_or_else(bad)?;
        let part = |digits| u32::from_str_radix(digits, 16).map_err(|_| bad());
        Ok(Self(u64::from(part(high)?) << 32 | u64::from(part(low)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_like_the_server_does() {
        let place: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!(place, Lsn(0x16_b374_d848));
        assert_eq!(place.to_string(), "16/B374D848");
        for bad in ["", "16", "x/1", "1/100000000"] {
            assert!(bad.parse::<Lsn>().is_err(), "{bad}");
        }
    }
}
