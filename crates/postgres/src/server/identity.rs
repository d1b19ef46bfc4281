//! Which server answers: its cluster, and the branch of the cluster's log that it
//! writes.
//!
//! A standby that is promoted begins a new branch, a timeline, at the place up to which
//! it has the log of the one before. What was read beyond that place is not in its log,
//! and other changes take those places there: reading on would leave them out. So a
//! server is read only where its history shows that it has all that was read.
//!
//! Format of a history:
//! <https://www.postgresql.org/docs/current/protocol-replication.html> and
//! `src/backend/access/transam/timeline.c` of PostgreSQL.

use super::error::ServerError;
use crate::input::BadBytes;
use crate::lsn::Lsn;
use crate::net::connection::{Address, Connection, ConnectionError};
use crate::position::{PostgresPosition, Timeline};

/// What a server says when it has no file of a timeline's history.
const NO_FILE: &str = "58P01";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Machine and port that were asked, for messages.
    place: String,
    /// Number of the cluster.
    pub(super) cluster: String,
    /// The branch that is written.
    pub(super) timeline: Timeline,
    /// The branches that it came out of, the oldest first; none if the server does not
    /// say, which it always does of one that it began itself.
    before: Vec<Timeline>,
}

/// Changes are read from the server that makes them.
///
/// # Errors
/// When it is a standby.
pub(super) fn check_primary(
    connection: &mut Connection,
    address: &Address,
) -> Result<(), ServerError> {
    let is_standby = connection.value("SELECT pg_is_in_recovery()")?;
    match is_standby.as_deref() {
        Some("t") => Err(ServerError::Standby {
            place: place(address),
        }),
        _ => Ok(()),
    }
}

fn place(address: &Address) -> String {
    format!("{}:{}", address.host, address.port)
}

impl Identity {
    /// Asks over a connection of replication.
    pub(super) fn ask(
        replication: &mut Connection,
        address: &Address,
    ) -> Result<Self, ServerError> {
        let rows = replication.query("IDENTIFY_SYSTEM")?;
        let Some([Some(cluster), Some(number), ..]) = rows.first().map(Vec::as_slice) else {
            return Err(BadBytes::invalid("a server does not say which cluster it is of").into());
        };
        let number: u32 = number
            .parse()
            .map_err(|_| BadBytes::Invalid(format!("`{number}` is no timeline")))?;
        let history = match number {
            1 => String::new(),
            _ => history(replication, number)?,
        };
        Ok(Self::of(place(address), cluster.clone(), number, &history)?)
    }

    /// `history` is the text of the timeline's file.
    fn of(place: String, cluster: String, number: u32, history: &str) -> Result<Self, BadBytes> {
        let mut before = Vec::new();
        let mut begin = Lsn(0);
        for line in history.lines() {
            let mut words = line.split_whitespace();
            let Some(first) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            let unknown = || BadBytes::Invalid(format!("`{line}` is no line of a history"));
            let number: u32 = first.parse().map_err(|_| unknown())?;
            before.push(Timeline { number, begin });
            begin = words.next().ok_or_else(unknown)?.parse()?;
        }
        Ok(Self {
            place,
            cluster,
            timeline: Timeline { number, begin },
            before,
        })
    }

    /// Where reading goes on: the place up to which was read, or an earlier one behind
    /// which nothing was taken and the log is another one now.
    ///
    /// # Errors
    /// When the server lacks something that was read, or may.
    pub(super) fn place_to_go_on(&self, position: &PostgresPosition) -> Result<Lsn, ServerError> {
        if !position.cluster.is_empty() && position.cluster != self.cluster {
            return Err(ServerError::OtherCluster {
                found: self.cluster.clone(),
                known: position.cluster.clone(),
            });
        }
        // Earlier programs did not note it: nothing is known against the server.
        let Some(known) = position.timeline else {
            return Ok(position.lsn);
        };
        if self.timeline.number < known.number {
            return Err(ServerError::OlderTimeline {
                place: self.place.clone(),
                found: self.timeline.number,
                known: known.number,
            });
        }
        if self.before.is_empty() && self.timeline.number > known.number {
            return Err(ServerError::NoHistory {
                place: self.place.clone(),
                timeline: self.timeline.number,
            });
        }
        let Some(end) = self.end_of(known) else {
            return Err(ServerError::OtherBranch {
                place: self.place.clone(),
                found: self.timeline.number,
                known: known.number,
            });
        };
        let taken_before = position.taken_before();
        if taken_before > end {
            return Err(ServerError::LacksChanges {
                place: self.place.clone(),
                timeline: self.timeline.number,
                end,
                at: taken_before,
            });
        }
        Ok(position.lsn.min(end))
    }

    /// Where a branch ended that this one came out of; the highest of all places for
    /// this one itself, and `None` for branches that it did not come out of.
    fn end_of(&self, known: Timeline) -> Option<Lsn> {
        let is_known = |of: &Timeline| {
            // Two standbys that were promoted apart have the same number.
            let is_one = known.begin == of.begin || known.begin.min(of.begin) == Lsn(0);
            of.number == known.number && is_one
        };
        if is_known(&self.timeline) {
            return Some(Lsn(u64::MAX));
        }
        let at = self.before.iter().position(is_known)?;
        let next = self.before.get(at + 1).unwrap_or(&self.timeline);
        Some(next.begin)
    }

    /// What is missing where the slot of a position is not there.
    pub(super) fn lacks_slot(&self, position: &PostgresPosition) -> ServerError {
        let (slot, at) = (position.slot.clone(), position.lsn);
        match position.timeline {
            Some(known) if known.number < self.timeline.number => ServerError::SlotStayedBehind {
                slot,
                place: self.place.clone(),
                timeline: self.timeline.number,
                at,
            },
            _ => ServerError::SlotGone { slot, at },
        }
    }

    /// Checks that another connection leads to the same server.
    ///
    /// # Errors
    /// When another one answers there by now.
    pub(super) fn check_again(
        &self,
        replication: &mut Connection,
        address: &Address,
    ) -> Result<(), ServerError> {
        if Self::ask(replication, address)? != *self {
            return Err(ServerError::ServerChanged {
                place: self.place.clone(),
            });
        }
        Ok(())
    }
}

/// The text of a timeline's history; empty if the server has none.
fn history(replication: &mut Connection, number: u32) -> Result<String, ServerError> {
    // Name and text of the file.
    match replication.query(&format!("TIMELINE_HISTORY {number}")) {
        Ok(rows) => {
            let text = rows
                .into_iter()
                .next()
                .and_then(|row| row.into_iter().nth(1));
            Ok(text.flatten().unwrap_or_default())
        }
        Err(ConnectionError::Server(refusal)) if refusal.code == NO_FILE => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL writes it: each branch ends at a place, and why.
    const HISTORY: &str = "1\t0/400\tno recovery target specified\n\n# a remark\n2\t0/900\tno recovery target specified\n";

    fn server(number: u32, history: &str) -> Identity {
        Identity::of("db2:5432".into(), "7".into(), number, history).unwrap()
    }

    /// A position on a branch that began at `begin`, with its last change before
    /// `changes_end`.
    fn position(timeline: (u32, u64), changes_end: u64, lsn: u64) -> PostgresPosition {
        PostgresPosition {
            cluster: "7".into(),
            slot: "s".into(),
            lsn: Lsn(lsn),
            timeline: Some(Timeline {
                number: timeline.0,
                begin: Lsn(timeline.1),
            }),
            changes_end: Lsn(changes_end),
            ..PostgresPosition::default()
        }
    }

    fn refusal(server: &Identity, position: &PostgresPosition) -> String {
        server.place_to_go_on(position).unwrap_err().to_string()
    }

    #[test]
    fn a_history_says_where_branches_began() {
        let third = server(3, HISTORY);
        let begins = [(1, 0), (2, 0x400)].map(|(number, begin)| Timeline {
            number,
            begin: Lsn(begin),
        });
        assert_eq!(third.before, begins);
        assert_eq!(third.timeline.begin, Lsn(0x900));
        for bad in ["x\t0/400\n", "1\n", "1 400\n"] {
            let read = Identity::of("db2:5432".into(), "7".into(), 2, bad);
            assert!(read.is_err(), "{bad}");
        }
    }

    #[test]
    fn reading_goes_on_where_the_new_branch_has_all_that_was_read() {
        let third = server(3, HISTORY);
        let at = |position| third.place_to_go_on(&position).unwrap();
        assert_eq!(at(position((1, 0), 0x3f0, 0x3f8)), Lsn(0x3f8));
        assert_eq!(at(position((1, 0), 0x400, 0x400)), Lsn(0x400));
        assert_eq!(at(position((2, 0x400), 0x900, 0x900)), Lsn(0x900));
        assert_eq!(at(position((3, 0x900), 0x950, 0x980)), Lsn(0x980));
        // The old server had written more, in which there was nothing to take.
        assert_eq!(at(position((1, 0), 0x3f0, 0x480)), Lsn(0x400));
        // A transaction that was read in part, and is whole before the place.
        let mut part = position((1, 0), 0x300, 0x310);
        (part.rows, part.rows_of) = (2, Lsn(0x3c0));
        assert_eq!(at(part), Lsn(0x310));
        // An earlier program did not note the branch.
        let mut unknown = position((1, 0), 0, 0x9f0);
        unknown.timeline = None;
        assert_eq!(at(unknown), Lsn(0x9f0));
    }

    #[test]
    fn a_server_that_lacks_what_was_read_is_refused() {
        let third = server(3, HISTORY);
        let text = refusal(&third, &position((1, 0), 0x408, 0x480));
        assert!(text.contains("took over at 0/400"), "{text}");
        assert!(text.contains("changes up to 0/408"), "{text}");
        let text = refusal(&third, &position((2, 0x400), 0x901, 0x901));
        assert!(text.contains("took over at 0/900"), "{text}");
        // The transaction that was read in part ended behind the place.
        let mut part = position((1, 0), 0x300, 0x310);
        (part.rows, part.rows_of) = (2, Lsn(0x400));
        assert!(refusal(&third, &part).contains("took over at 0/400"));
        // An earlier program did not say where the last change was.
        let text = refusal(&third, &position((1, 0), 0, 0x480));
        assert!(text.contains("changes up to 0/480"), "{text}");
    }

    #[test]
    fn a_branch_of_its_own_and_an_older_one_are_refused() {
        let at = position((2, 0x500), 0x600, 0x600);
        let apart = "did not come out of the log";
        assert!(refusal(&server(2, "1\t0/400\tno\n"), &at).contains(apart));
        assert!(refusal(&server(3, HISTORY), &at).contains(apart));
        let third = "1\t0/400\tthe second was left out\n";
        assert!(refusal(&server(3, third), &at).contains(apart));
        let old = refusal(&server(1, ""), &at);
        assert!(
            old.contains("timeline 1") && old.contains("timeline 2"),
            "{old}"
        );
        let silent = refusal(&server(3, ""), &at);
        assert!(silent.contains("00000003.history"), "{silent}");
        // So is a slot that did not follow.
        let stayed = server(3, HISTORY).lacks_slot(&position((1, 0), 0x300, 0x300));
        assert!(stayed.to_string().contains("took over (timeline 3)"));
        let gone = server(2, "").lacks_slot(&at);
        assert!(gone.to_string().contains("is gone from the server"));
        // The number alone is known of the branch.
        let same = server(2, "").place_to_go_on(&at).unwrap();
        assert_eq!(same, Lsn(0x600));
        let other = PostgresPosition {
            cluster: "8".into(),
            ..at
        };
        assert!(refusal(&server(2, ""), &other).contains("of cluster 8"));
    }
}
