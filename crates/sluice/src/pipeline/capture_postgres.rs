//! The settings of a PostgreSQL server as a source.

use sluice_mysql::filter::TableFilter;
use sluice_postgres::net::connection::Address;
use sluice_postgres::pgoutput::decoder::Wanted;
use sluice_postgres::server::ServerOptions;
use sluice_route::PostgresServer;

use super::capture_database::{password, rules_table, tls_mode, with_others};
use crate::failure::Failure;
use crate::project::Project;

/// A slot's name has at most 63 letters, of which a first copy adds some.
const SLOT_NAME_BYTES_MAX: usize = 40;

/// What a definition says of a server.
pub(super) fn options(
    project: &Project,
    topic: &str,
    server: &PostgresServer,
    filter: TableFilter,
) -> Result<ServerOptions, Failure> {
    let first = Address {
        host: server.host.clone(),
        port: server.port,
        database: server.database.clone(),
        user: server.user.clone(),
        password: password(server.password.as_deref())?,
        tls: tls_mode(project, server.tls, server.tls_ca.as_deref())?,
    };
    let addresses = with_others(first, &server.failover, |first, host, port| Address {
        host,
        port,
        ..first.clone()
    })?;
    Ok(ServerOptions {
        name: topic.to_owned(),
        addresses,
        wanted: Wanted {
            database: server.database.clone(),
            filter,
            copies: server.snapshot,
        },
        copied_first: rules_table(project, topic),
        publications: server.publications.clone(),
        slot: server.slot.clone().unwrap_or_else(|| own_slot(topic)),
        slot_bytes_warning: server.slot_warning_mib.saturating_mul(1 << 20),
    })
}

/// The slot of a topic that names none.
fn own_slot(topic: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9') => letter,
        _ => '_',
    };
    let letters = topic.chars().map(letter);
    let name = "sluice_".chars().chain(letters);
    name.take(SLOT_NAME_BYTES_MAX).collect()
}
