//! What must be so at the server.

use super::ServerOptions;
use super::catalog::missing_publications;
use super::error::ServerError;
use crate::lsn::Lsn;
use crate::net::connection::{Address, Connection};
use crate::position::PostgresPosition;
use crate::schema::literal;

/// The oldest version with logical replication.
const VERSION_MIN: u32 = 100_000;

/// What is known of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server {
    /// `150018` is 15.18.
    pub(super) version: u32,
}

/// Checks the server.
pub(super) fn check(
    connection: &mut Connection,
    address: &Address,
    options: &ServerOptions,
) -> Result<Server, ServerError> {
    let show = |connection: &mut Connection, name: &str| {
        let value = connection.value(&format!("SHOW {name}"))?;
        Ok::<_, ServerError>(value.unwrap_or_default())
    };
    let version_number = show(connection, "server_version_num")?;
    let version = version_number.parse().unwrap_or(0);
    if version < VERSION_MIN {
        return Err(ServerError::Version(show(connection, "server_version")?));
    }
    let wal_level = show(connection, "wal_level")?;
    if wal_level != "logical" {
        return Err(ServerError::Setting {
            name: "wal_level",
            found: wal_level,
            wanted: "logical",
        });
    }
    for name in ["max_replication_slots", "max_wal_senders"] {
        if show(connection, name)? == "0" {
            return Err(ServerError::Setting {
                name,
                found: "0".into(),
                wanted: "10",
            });
        }
    }
    let may = connection.value(
        "SELECT rolreplication OR rolsuper OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'rds_replication' AND pg_has_role(r.oid, 'USAGE')) FROM pg_roles WHERE rolname = current_user",
    )?;
    if may.as_deref() == Some("f") {
        return Err(ServerError::Role {
            user: address.user.clone(),
        });
    }
    if let Some(name) = missing_publications(connection, &options.publications)?
        .into_iter()
        .next()
    {
        return Err(ServerError::Publication {
            database: address.database.clone(),
            name,
        });
    }
    Ok(Server { version })
}

/// A slot as the server has it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) confirmed: Lsn,
    /// Why it is of no use any more.
    lost: Option<String>,
    plugin: String,
    database: String,
    /// Bytes of the log that are kept for it.
    pub(super) bytes_kept: u64,
    /// Bytes of the log that were not confirmed yet.
    pub(super) bytes_behind: u64,
    /// Bytes until it is lost, if there is a limit.
    pub(super) bytes_left: Option<u64>,
}

/// Looks for a slot.
pub(super) fn slot(
    connection: &mut Connection,
    version: u32,
    name: &str,
) -> Result<Option<Slot>, ServerError> {
    let (status, left) = match version {
        130_000.. => ("wal_status", "safe_wal_size"),
        _ => ("NULL", "NULL"),
    };
    let end =
        "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END";
    let rows = connection.query(&format!(
        "SELECT plugin, database, confirmed_flush_lsn, {status}, {left}, restart_lsn, pg_wal_lsn_diff({end}, restart_lsn), pg_wal_lsn_diff({end}, confirmed_flush_lsn) FROM pg_replication_slots WHERE slot_name = {}",
        literal(name)
    ))?;
    let Some(
        [
            plugin,
            database,
            confirmed,
            status,
            left,
            restart,
            kept,
            behind,
        ],
    ) = rows.first().map(Vec::as_slice)
    else {
        return Ok(None);
    };
    let lost = match (status.as_deref(), restart) {
        (Some("lost"), _) => Some("wal_status = lost".to_owned()),
        (_, None) => Some("restart_lsn is null".to_owned()),
        _ => None,
    };
    let confirmed = confirmed.as_deref().map(str::parse).transpose()?;
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<i64>().ok());
    Ok(Some(Slot {
        confirmed: confirmed.unwrap_or_default(),
        lost,
        plugin: plugin.clone().unwrap_or_default(),
        database: database.clone().unwrap_or_default(),
        bytes_kept: number(kept).map_or(0, |bytes| bytes.max(0) as u64),
        bytes_behind: number(behind).map_or(0, |bytes| bytes.max(0) as u64),
        bytes_left: number(left).map(|bytes| bytes.max(0) as u64),
    }))
}

/// Checks that the slot has everything from the position on.
pub(super) fn check_slot(
    slot: Option<Slot>,
    database: &str,
    position: &PostgresPosition,
) -> Result<Slot, ServerError> {
    let name = position.slot.clone();
    let at = position.lsn;
    let Some(slot) = slot else {
        return Err(ServerError::SlotGone { slot: name, at });
    };
    if slot.plugin != "pgoutput" || slot.database != database {
        return Err(ServerError::OtherSlot {
            slot: name,
            plugin: slot.plugin,
            database: slot.database,
        });
    }
    if let Some(reason) = slot.lost {
        return Err(ServerError::SlotLost {
            slot: name,
            at,
            reason,
        });
    }
    // The server would begin behind the missing part without a word.
    if slot.confirmed > at {
        return Err(ServerError::SlotAhead {
            slot: name,
            confirmed: slot.confirmed,
            at,
        });
    }
    Ok(slot)
}
