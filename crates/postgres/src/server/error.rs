//! Why a server gives nothing, and what to do.

use crate::input::BadBytes;
use crate::lsn::Lsn;
use crate::net::error::ConnectionError;
use crate::pgoutput::decoder::StreamError;
use crate::schema::TableName;

/// Why a server gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The connection, or what the server says.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Something is wrong in the stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Something is not understood.
    #[error("an answer of the server is not understood: {0}")]
    Answer(#[from] BadBytes),
    /// A setting of the server.
    #[error(
        "the server's `{name}` is `{found}`\n  help: set it to {wanted} in postgresql.conf and start the server again, as in docs/postgres.md"
    )]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The server is too old.
    #[error("the server has version {0}\n  help: logical replication needs PostgreSQL 10 or newer")]
    Version(String),
    /// The user may not replicate.
    #[error(
        "user `{user}` may not replicate\n  help: ALTER ROLE {user} REPLICATION (on Amazon RDS: GRANT rds_replication TO {user})"
    )]
    Role {
        /// The user.
        user: String,
    },
    /// The user may not read a table.
    #[error(
        "user `{user}` may not read {table}\n  help: GRANT USAGE ON SCHEMA and GRANT SELECT ON TABLE to the user, or take the table out of the publication"
    )]
    Table {
        /// The user.
        user: String,
        /// The table.
        table: TableName,
    },
    /// The server does not let the user in.
    #[error(
        "user `{user}` is not let in: {message}\n  help: compare `user` and the environment variable of `password` in the topic's capture with the server's role, and pg_hba.conf with this machine's address"
    )]
    SignIn {
        /// The user.
        user: String,
        /// What the server says.
        message: String,
    },
    /// A privilege is missing.
    #[error(
        "user `{user}` lacks a privilege: {message}\n  help: grant what is named; docs/postgres.md has the list"
    )]
    Privilege {
        /// The user.
        user: String,
        /// What the server says.
        message: String,
    },
    /// A publication is missing.
    #[error(
        "database `{database}` has no publication `{name}`\n  help: CREATE PUBLICATION {name} FOR TABLE …, before its tables are written to again: what is written without it cannot be read later; or name others with `publications`"
    )]
    Publication {
        /// Database.
        database: String,
        /// Name.
        name: String,
    },
    /// What is to be read was written while a publication was missing.
    #[error(
        "{message}: it is missing, or was when the changes that come next were written, and these cannot be read\n  help: make it if it is not there. If it is: SELECT pg_drop_replication_slot('{slot}'), and {START_ANEW}"
    )]
    PublicationWasMissing {
        /// What the server says.
        message: String,
        /// The slot.
        slot: String,
    },
    /// All slots are in use.
    #[error(
        "the server has no free replication slot: {message}\n  help: raise `max_replication_slots`, or drop slots that nobody reads: SELECT * FROM pg_replication_slots. A first copy needs one more while it begins"
    )]
    SlotsUsedUp {
        /// What the server says.
        message: String,
    },
    /// All senders are in use.
    #[error(
        "the server has no free sender: {message}\n  help: raise `max_wal_senders`, each reader of changes needs one"
    )]
    SendersUsedUp {
        /// What the server says.
        message: String,
    },
    /// There is a slot of this name that this warehouse did not make.
    #[error(
        "slot `{slot}` exists, and this warehouse did not make it\n  help: if nobody else reads it, SELECT pg_drop_replication_slot('{slot}'); otherwise name another one with `slot`"
    )]
    ForeignSlot {
        /// The slot.
        slot: String,
    },
    /// The slot is of another kind.
    #[error(
        "slot `{slot}` is of plugin `{plugin}` in database `{database}`\n  help: name another one with `slot`"
    )]
    OtherSlot {
        /// The slot.
        slot: String,
        /// Its plugin.
        plugin: String,
        /// Its database.
        database: String,
    },
    /// The slot is gone.
    #[error(
        "slot `{slot}` is gone from the server, and with it the changes since {at}\n  help: {START_ANEW}"
    )]
    SlotGone {
        /// The slot.
        slot: String,
        /// How far it was read.
        at: Lsn,
    },
    /// The slot is not on the server that took over.
    #[error(
        "slot `{slot}` is not on {place}, which took over (timeline {timeline}): what changed there before a new slot begins, behind {at}, cannot be had\n  help: {START_ANEW}. Slots follow to a standby with `sync_replication_slots` of PostgreSQL 17, or by Patroni's `slots`"
    )]
    SlotStayedBehind {
        /// The slot.
        slot: String,
        /// Machine and port.
        place: String,
        /// The branch of the log that the server writes.
        timeline: u32,
        /// How far the slot was read.
        at: Lsn,
    },
    /// The slot was invalidated.
    #[error(
        "the server has thrown away what slot `{slot}` had still to give, from {at} on ({reason})\n  help: SELECT pg_drop_replication_slot('{slot}'), raise `max_slot_wal_keep_size`, and {START_ANEW}"
    )]
    SlotLost {
        /// The slot.
        slot: String,
        /// How far it was read.
        at: Lsn,
        /// What the server says of it.
        reason: String,
    },
    /// The slot was read beyond the warehouse's place.
    #[error(
        "slot `{slot}` was read up to {confirmed}, the warehouse has only what is before {at}: another reader uses the slot, it was made anew on a server that took over, or the state folder is an old copy\n  help: give each warehouse a slot of its own (`slot`); {START_ANEW}"
    )]
    SlotAhead {
        /// The slot.
        slot: String,
        /// How far it was read.
        confirmed: Lsn,
        /// How far the warehouse is.
        at: Lsn,
    },
    /// The server is another one.
    #[error(
        "the server is of cluster {found}, the warehouse's changes are of cluster {known}: places in their logs cannot be compared\n  help: {START_ANEW}"
    )]
    OtherCluster {
        /// Found.
        found: String,
        /// Known.
        known: String,
    },
    /// The server is a standby.
    #[error("{place} is a standby, and changes are read from the primary")]
    Standby {
        /// Machine and port.
        place: String,
    },
    /// The server is one that another has taken the place of.
    #[error(
        "{place} writes timeline {found} of the cluster's log, and timeline {known} was read already: it is an old primary that came back, and nothing is read from it; stop it, or make it a standby of the new one (pg_rewind)"
    )]
    OlderTimeline {
        /// Machine and port.
        place: String,
        /// What it writes.
        found: u32,
        /// What was read.
        known: u32,
    },
    /// The server took over before it had everything.
    #[error(
        "{place} took over at {end} of the log (timeline {timeline}) and lacks what came behind it, and the warehouse has changes up to {at}: other changes take these places now\n  help: {START_ANEW}. A standby has all that others read if it is named in `synchronous_standby_names`"
    )]
    LacksChanges {
        /// Machine and port.
        place: String,
        /// The branch of the log that it writes.
        timeline: u32,
        /// Up to where it has the branch that was read.
        end: Lsn,
        /// How far was read.
        at: Lsn,
    },
    /// The server's log is another one.
    #[error(
        "{place} writes timeline {found}, which did not come out of the log that was read, of timeline {known}: another standby was promoted, or the server was made of a backup\n  help: name the server that goes on with what was read in `host` or `failover`; if there is none, {START_ANEW}"
    )]
    OtherBranch {
        /// Machine and port.
        place: String,
        /// What it writes.
        found: u32,
        /// What was read.
        known: u32,
    },
    /// The server does not say what its log came out of.
    #[error(
        "{place} writes timeline {timeline} and has no history of it: whether it has all that was read cannot be known\n  help: put {timeline:08X}.history, which the server that began the timeline has in pg_wal and in its archive, into its pg_wal; if there is none, {START_ANEW}"
    )]
    NoHistory {
        /// Machine and port.
        place: String,
        /// The branch of the log that it writes.
        timeline: u32,
    },
    /// Another server answers by now.
    #[error("another server answers at {place} by now")]
    ServerChanged {
        /// Machine and port.
        place: String,
    },
    /// A slot waits for transactions that run.
    #[error(
        "slot `{slot}` cannot begin before the transactions that run have ended\n  help: look for long ones: SELECT pid, xact_start, query FROM pg_stat_activity WHERE state <> 'idle' ORDER BY xact_start"
    )]
    SlotWaits {
        /// The slot.
        slot: String,
    },
}

/// What to do when changes are missing.
const START_ANEW: &str = "start with an empty state folder: the tables are copied again";

impl ServerError {
    /// Whether trying again can help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Connection(ConnectionError::Io { .. })
            | Self::SlotWaits { .. }
            // It may be promoted, and another one may be the primary.
            | Self::Standby { .. }
            | Self::OlderTimeline { .. }
            | Self::ServerChanged { .. }
            | Self::SendersUsedUp { .. } => true,
            Self::Connection(ConnectionError::Server(refusal)) => {
                let code = refusal.code.as_str();
                // Broken connections; being stopped, starting, killed; too
                // many connections; a slot that another connection still
                // holds; locks.
                code.starts_with("08")
                    || code.starts_with("57P")
                    || matches!(
                        code,
                        "53300" | "55006" | "55P03" | "40001" | "40P01" | "57014" | "25P03"
                    )
            }
            _ => false,
        }
    }

    /// Errors of the server that say what is to be done.
    pub(super) fn explained(self, user: &str, slot: &str) -> Self {
        let Self::Connection(ConnectionError::Server(refusal)) = self else {
            return self;
        };
        let message = refusal.to_string();
        match refusal.code.as_str() {
            "28P01" | "28000" => Self::SignIn {
                user: user.to_owned(),
                message,
            },
            "42501" => Self::Privilege {
                user: user.to_owned(),
                message,
            },
            // Undefined object: there is no other that the stream asks for.
            "42704" if message.contains("publication") => Self::PublicationWasMissing {
                message,
                slot: slot.to_owned(),
            },
            "53400" => Self::SlotsUsedUp { message },
            "53300" if refusal.message.contains("max_wal_senders") => {
                Self::SendersUsedUp { message }
            }
            _ => ConnectionError::Server(refusal).into(),
        }
    }
}
