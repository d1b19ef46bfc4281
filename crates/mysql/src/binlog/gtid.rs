//! Identities of transactions, and sets of them.
//!
//! MySQL: `uuid:number`, a set is a list of intervals for each server.
//! MariaDB: `domain-server-number`, a position is the last one of each domain.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::input::{BadBytes, Input};

/// Bytes of a set as text that the record of a transaction takes.
pub const TEXT_BYTES_MAX: usize = 250;

/// Identity of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gtid {
    /// Of MySQL.
    MySql {
        /// The server that made it, as text with hyphens.
        server: String,
        /// Its number.
        number: u64,
    },
    /// Of MariaDB.
    MariaDb {
        /// Domain.
        domain: u32,
        /// The server that made it.
        server: u32,
        /// Its number.
        number: u64,
    },
}

impl fmt::Display for Gtid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql { server, number } => write!(formatter, "{server}:{number}"),
            Self::MariaDb {
                domain,
                server,
                number,
            } => write!(formatter, "{domain}-{server}-{number}"),
        }
    }
}

impl FromStr for Gtid {
    type Err = BadBytes;

    fn from_str(text: &str) -> Result<Self, BadBytes> {
        let bad = || BadBytes::Invalid(format!("`{text}` is no GTID"));
        if let Some((server, number)) = text.rsplit_once(':') {
            return Ok(Self::MySql {
                server: server.to_ascii_lowercase(),
                number: number.parse().map_err(|_| bad())?,
            });
        }
        let mut parts = text.split('-');
        let mut next = || parts.next().and_then(|part| part.parse::<u64>().ok());
        let (domain, server, number) = (next(), next(), next());
        let small = |value: Option<u64>| value.and_then(|v| u32::try_from(v).ok()).ok_or_else(bad);
        Ok(Self::MariaDb {
            domain: small(domain)?,
            server: small(server)?,
            number: number.ok_or_else(bad)?,
        })
    }
}

/// The bytes of a server's identity as text.
fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Reads the body of MySQL's GTID event.
///
/// # Errors
/// When it is too short.
pub fn read_mysql_gtid(body: &[u8]) -> Result<Gtid, BadBytes> {
    let mut input = Input::new(body);
    input.u8("a GTID")?;
    let server = uuid_text(input.take(16, "a GTID")?);
    let number = input.u64("a GTID")?;
    Ok(Gtid::MySql { server, number })
}

/// All transactions of a server's history that were read, in either form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GtidSet {
    /// First and last numbers, in order and apart, by server.
    mysql: BTreeMap<String, Vec<(u64, u64)>>,
    /// Server and number, by domain.
    mariadb: BTreeMap<u32, (u32, u64)>,
}

impl GtidSet {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.mysql.is_empty() && self.mariadb.is_empty()
    }

    /// Adds a transaction.
    pub fn add(&mut self, gtid: &Gtid) {
        match gtid {
            Gtid::MySql { server, number } => self.add_interval(server, *number, *number),
            Gtid::MariaDb {
                domain,
                server,
                number,
            } => {
                self.mariadb.insert(*domain, (*server, *number));
            }
        }
    }

    /// Adds all of another set.
    pub fn add_all(&mut self, other: &Self) {
        for (server, intervals) in &other.mysql {
            for &(first, last) in intervals {
                self.add_interval(server, first, last);
            }
        }
        self.mariadb.extend(&other.mariadb);
    }

    fn add_interval(&mut self, server: &str, first: u64, last: u64) {
        let intervals = self.mysql.entry(server.to_owned()).or_default();
        // Nearly always the next number after the last one.
        if let Some(end) = intervals.last_mut()
            && end.1.checked_add(1) == Some(first)
        {
            end.1 = last;
            return;
        }
        intervals.push((first, last));
        intervals.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(intervals.len());
        for &(first, last) in intervals.iter() {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        *intervals = joined;
    }

    /// Whether a transaction is in it.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        match gtid {
            Gtid::MySql { server, number } => self.mysql.get(server).is_some_and(|intervals| {
                let holds = |&(first, last): &(u64, u64)| (first..=last).contains(number);
                intervals.iter().any(holds)
            }),
            Gtid::MariaDb { domain, number, .. } => self
                .mariadb
                .get(domain)
                .is_some_and(|(_, last)| number <= last),
        }
    }

    /// What the record of a transaction of the set says was read: all of the set, so that
    /// transactions without a row that is taken are not asked for once more, of which a
    /// table that joins later would get old rows. Of a set that is too long for it
    /// ([`TEXT_BYTES_MAX`]) the transaction with those beside it.
    pub fn up_to(&self, gtid: &Gtid) -> String {
        let all = self.to_string();
        if all.len() <= TEXT_BYTES_MAX {
            return all;
        }
        let Gtid::MySql { server, number } = gtid else {
            return gtid.to_string();
        };
        let mut intervals = self.mysql.get(server).into_iter().flatten();
        let interval = intervals.find(|(first, last)| (first..=last).contains(&number));
        match interval {
            Some((first, last)) => format!("{server}:{first}-{last}"),
            None => gtid.to_string(),
        }
    }

    /// The bytes of a set of MySQL's, for the request of the log. Last numbers
    /// are exclusive there.
    pub fn encode_mysql(&self) -> Vec<u8> {
        let mut bytes = (self.mysql.len() as u64).to_le_bytes().to_vec();
        for (server, intervals) in &self.mysql {
            let digits: Vec<u8> = server.bytes().filter(u8::is_ascii_hexdigit).collect();
            let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
            bytes.extend(digits.chunks(2).map(|two| match two {
                [high, low] => value(*high) << 4 | value(*low),
                _ => 0,
            }));
            bytes.extend((intervals.len() as u64).to_le_bytes());
            for (first, last) in intervals {
                bytes.extend(first.to_le_bytes());
                bytes.extend(last.saturating_add(1).to_le_bytes());
            }
        }
        bytes
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (server, intervals) in &self.mysql {
            write!(formatter, "{separator}{server}")?;
            for (first, last) in intervals {
                match first == last {
                    true => write!(formatter, ":{first}")?,
                    false => write!(formatter, ":{first}-{last}")?,
                }
            }
            separator = ",";
        }
        for (domain, (server, number)) in &self.mariadb {
            write!(formatter, "{separator}{domain}-{server}-{number}")?;
            separator = ",";
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = BadBytes;

    fn from_str(text: &str) -> Result<Self, BadBytes> {
        let mut set = Self::default();
        let parts = text.split(',').map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            let Some((server, intervals)) = part.split_once(':') else {
                set.add(&part.parse()?);
                continue;
            };
            let server = server.to_ascii_lowercase();
            if server.bytes().filter(u8::is_ascii_hexdigit).count() != 32 || server.len() != 36 {
                return Err(BadBytes::Invalid(format!(
                    "`{part}` is no part of a GTID set"
                )));
            }
            for interval in intervals.split(':') {
                let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
                let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse()) else {
                    return Err(BadBytes::Invalid(format!(
                        "`{part}` is no part of a GTID set that is understood"
                    )));
                };
                set.add_interval(&server, first, last);
            }
        }
        Ok(set)
    }
}

impl TryFrom<String> for GtidSet {
    type Error = BadBytes;

    fn try_from(text: String) -> Result<Self, BadBytes> {
        text.parse()
    }
}

impl From<GtidSet> for String {
    fn from(set: GtidSet) -> Self {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_both_kinds_are_read_grown_and_written() {
        const SERVER: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let mut set: GtidSet = format!("{SERVER}:1-5:9").parse().unwrap();
        let gtid = |number| Gtid::MySql {
            server: SERVER.to_owned(),
            number,
        };
        set.add(&gtid(7));
        assert_eq!(set.to_string(), format!("{SERVER}:1-5:7:9"));
        set.add(&gtid(6));
        set.add(&gtid(8));
        set.add(&gtid(10));
        assert_eq!(set.to_string(), format!("{SERVER}:1-10"));
        assert!(set.contains(&gtid(10)) && !set.contains(&gtid(11)));
        let bytes = set.encode_mysql();
        assert_eq!(bytes.len(), 8 + 16 + 8 + 16);
        assert_eq!(&bytes[8..12], [0x3e, 0x11, 0xfa, 0x47]);
        assert_eq!(bytes[40], 11, "ends are exclusive");

        let mut set: GtidSet = "0-1-100, 5-2-7".parse().unwrap();
        set.add(&"0-3-101".parse().unwrap());
        assert_eq!(set.to_string(), "0-3-101,5-2-7");
        assert!("".parse::<GtidSet>().unwrap().is_empty());
        for bad in ["x", "1-2", "zz:1", "0-1-x"] {
            assert!(bad.parse::<GtidSet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_record_of_a_transaction_says_what_was_read_before_it() {
        let server = |letter: char| {
            format!(
                "{0}-{1}-{1}-{1}-{2}",
                letter.to_string().repeat(8),
                letter.to_string().repeat(4),
                letter.to_string().repeat(12)
            )
        };
        let gtid = |letter: char, number| Gtid::MySql {
            server: server(letter),
            number,
        };
        let mut set: GtidSet = format!("{}:1-5", server('a')).parse().unwrap();
        for number in 6..=9 {
            set.add(&gtid('a', number));
        }
        assert_eq!(set.up_to(&gtid('a', 9)), format!("{}:1-9", server('a')));
        for letter in 'b'..='f' {
            set.add(&gtid(letter, 1));
        }
        set.add(&gtid('a', 12));
        set.add(&gtid('a', 13));
        // Too long a set: those beside it.
        assert!(set.to_string().len() <= TEXT_BYTES_MAX);
        assert_eq!(set.up_to(&gtid('a', 13)), set.to_string());
        set.add(&gtid('0', 1));
        assert!(set.to_string().len() > TEXT_BYTES_MAX);
        let found = set.up_to(&gtid('a', 13));
        assert_eq!(found, format!("{}:12-13", server('a')));
        let position: GtidSet = found.parse().unwrap();
        assert!(position.contains(&gtid('a', 12)));
        let mariadb: Gtid = "0-1-9".parse().unwrap();
        let mut set = GtidSet::default();
        set.add(&mariadb);
        assert_eq!(set.up_to(&mariadb), "0-1-9");
    }
}
