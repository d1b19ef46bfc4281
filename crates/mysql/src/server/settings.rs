//! What a server must be set to, and where its log stands.

use super::ServerError;
use crate::binlog::gtid::GtidSet;
use crate::input::name_text;
use crate::net::connection::{Connection, ConnectionError};
use crate::position::Place;

/// What was found out about a server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) is_mariadb: bool,
    /// MySQL: whether transactions have identities.
    pub(super) has_gtids: bool,
    /// Whether `REPLACE` may leave columns out of the log that it changes.
    pub(super) is_replace_lossy: bool,
}

/// Checks that the server writes down what is needed.
///
/// # Errors
/// The first setting that is wrong, with what to do.
pub(super) fn check(connection: &mut Connection) -> Result<Server, ServerError> {
    let is_mariadb = connection.server_version.contains("MariaDB");
    // Times are moments of UTC, and text is UTF-8.
    connection.query("SET NAMES utf8mb4")?;
    connection.query("SET time_zone = '+00:00'")?;
    let mut value = |name: &str| -> Result<String, ServerError> {
        let rows = connection.query(&format!("SHOW GLOBAL VARIABLES LIKE '{name}'"))?;
        let row = rows.into_iter().next().unwrap_or_default();
        let value = row.into_iter().nth(1).flatten();
        Ok(value.map(|text| name_text(&text)).unwrap_or_default())
    };
    let wrong = |name: &'static str, found: String, wanted: &'static str| {
        Err(ServerError::Setting {
            name,
            found,
            wanted,
        })
    };
    let log_bin = value("log_bin")?;
    if log_bin != "ON" {
        return wrong(
            "log_bin",
            log_bin,
            "ON (in the server's file of settings; it must be started again)",
        );
    }
    let format = value("binlog_format")?;
    if format != "ROW" && !format.is_empty() {
        return wrong("binlog_format", format, "ROW");
    }
    let image = value("binlog_row_image")?;
    if !matches!(image.as_str(), "FULL" | "FULL_NODUP" | "NOBLOB" | "MINIMAL") {
        return wrong("binlog_row_image", image, "FULL, NOBLOB or MINIMAL");
    }
    let options = value("binlog_row_value_options")?;
    if !options.is_empty() {
        return wrong("binlog_row_value_options", options, "'' (nothing)");
    }
    let has_gtids = is_mariadb || value("gtid_mode")? == "ON";
    Ok(Server {
        is_mariadb,
        has_gtids,
        is_replace_lossy: is_mariadb && image == "MINIMAL",
    })
}

/// Bytes of the log behind a place; `None` if the server does not say, or
/// begins behind it.
pub(super) fn bytes_behind(connection: &mut Connection, place: &Place) -> Option<u64> {
    let rows = connection.query("SHOW BINARY LOGS").ok()?;
    let mut behind: Option<u64> = None;
    for row in rows {
        let text = |index: usize| row.get(index)?.as_deref().map(name_text);
        let (file, size): (String, u64) = (text(0)?, text(1)?.parse().ok()?);
        behind = match behind {
            Some(bytes) => Some(bytes + size),
            None if file == place.file => Some(size.saturating_sub(place.offset)),
            None => None,
        };
    }
    behind
}

/// Where the server's log ends.
///
/// # Errors
/// When the user may not ask.
pub(super) fn end_of_log(
    connection: &mut Connection,
    server: &Server,
) -> Result<Place, ServerError> {
    let asked = match connection.query("SHOW MASTER STATUS") {
        // Its name since MySQL 8.4.
        Err(ConnectionError::Server { code: 1064, .. }) => {
            connection.query("SHOW BINARY LOG STATUS")
        }
        other => other,
    };
    let row = asked?.into_iter().next().unwrap_or_default();
    let text = |index: usize| {
        row.get(index)
            .cloned()
            .flatten()
            .map(|text| name_text(&text))
    };
    let (file, offset) = (text(0).unwrap_or_default(), text(1).unwrap_or_default());
    let Ok(offset) = offset.parse() else {
        return Err(ServerError::Setting {
            name: "log_bin",
            found: "OFF".into(),
            wanted: "ON",
        });
    };
    let gtids = match server.is_mariadb {
        true => connection.value(&format!("SELECT BINLOG_GTID_POS('{file}', {offset})"))?,
        false if server.has_gtids => text(4).unwrap_or_default(),
        false => String::new(),
    };
    let gtids: GtidSet = gtids.replace('\n', "").parse()?;
    Ok(Place {
        file,
        offset,
        gtids,
        transactions: 0,
    })
}
