//! Capture from databases: files of a binary log, and servers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sluice_capture::SourcePosition;
use sluice_core::{PartitionId, SystemClock, stable_hash};
use sluice_mysql::batch::Batch;
use sluice_mysql::files::BinlogFiles;
use sluice_mysql::filter::TableFilter;
use sluice_mysql::net::connection::Address;
use sluice_mysql::net::tls::TlsMode;
use sluice_mysql::server::{ServerOptions, ServerSource};
use sluice_postgres::server::ServerSource as PostgresSource;
use sluice_route::{CaptureDefinition, CaptureKind, MySqlServer, Tls};

use super::capture_postgres as postgres;
use super::capture_step::{CaptureEnd, Shared, secret};
use super::door::Door;
use super::source_states::{ServerLag, count_data};
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;
use crate::source_connections::check_authorities;

/// How long a thread waits before it looks again at files that had nothing.
const IDLE_WAIT: Duration = Duration::from_millis(5);
/// Rows that are read at a time for the first copy of a table.
const PART_ROWS: usize = 10_000;

/// A database's log as the source of a topic.
#[derive(Debug)]
pub(super) struct DatabaseSource {
    partition: PartitionId,
    source: Kind,
}

#[derive(Debug)]
enum Kind {
    Files(Box<BinlogFiles>),
    Server(Box<ServerSource>),
    Postgres(Box<PostgresSource>),
}

impl DatabaseSource {
    /// The source of a topic; `None` if its capture is of another kind.
    pub(super) fn open(
        project: &Project,
        capture: &CaptureDefinition,
        position: SourcePosition,
    ) -> Result<Option<Self>, Failure> {
        let topic = &capture.topic;
        let what = format!("opening the source of topic `{topic}`");
        let filter = |names: &[String]| {
            let filter = TableFilter::new(names);
            filter.map_err(|name| Failure::Definitions(format!("{what}: `{name}` is no table")))
        };
        let clock = Arc::new(SystemClock);
        let of_database = |position: SourcePosition| position.into_database().unwrap_or_default();
        let source = match &capture.kind {
            CaptureKind::Binlog { path, tables } => {
                let path = project.resolve(path);
                let files = BinlogFiles::open(
                    Path::new(&path),
                    filter(tables)?,
                    of_database(position),
                    clock,
                );
                Kind::Files(Box::new(files.doing(&what)?))
            }
            CaptureKind::MySql(server) => {
                // The server leaves the older one of two readers with one number.
                let server_id = match project.config.alarms.quiet {
                    true => own_server_id(&format!("copy of {topic}")),
                    false => server.server_id.unwrap_or_else(|| own_server_id(topic)),
                };
                let options = ServerOptions {
                    name: topic.clone(),
                    addresses: addresses(project, server)?,
                    filter: filter(&server.tables)?,
                    server_id,
                    copies: server.snapshot,
                    copied_first: rules_table(project, topic),
                    part_rows: PART_ROWS,
                };
                let position = of_database(position);
                Kind::Server(Box::new(ServerSource::new(options, clock, position)))
            }
            CaptureKind::Postgres(server) => {
                let options = postgres::options(project, topic, server, filter(&server.tables)?)?;
                let position = position.into_postgres().unwrap_or_default();
                let source = PostgresSource::new(options, clock, position);
                Kind::Postgres(Box::new(source))
            }
            _ => return Ok(None),
        };
        let partition = PartitionId {
            topic: topic.clone(),
            partition: 0,
        };
        Ok(Some(Self { partition, source }))
    }

    fn trouble(&self) -> Option<&str> {
        match &self.source {
            Kind::Files(_) => None,
            Kind::Server(server) => server.trouble(),
            Kind::Postgres(server) => server.trouble(),
        }
    }

    /// How far it is behind its server.
    fn lag(&self, at_end: bool) -> Option<ServerLag> {
        let seconds = |lag_s: i64| {
            Some(if at_end {
                0
            } else {
                lag_s.max(0).unsigned_abs()
            })
        };
        match &self.source {
            Kind::Files(_) => None,
            Kind::Server(server) => Some(ServerLag {
                seconds: seconds(server.lag_s()),
                bytes: server.bytes_behind(),
                kept_bytes: None,
            }),
            Kind::Postgres(server) => Some(ServerLag {
                seconds: seconds(server.lag_s()),
                bytes: server.bytes_behind(),
                kept_bytes: server.bytes_kept(),
            }),
        }
    }

    fn poll(&mut self) -> Result<Batch, Failure> {
        let what = format!("reading the source of topic `{}`", self.partition.topic);
        match &mut self.source {
            Kind::Files(files) => files.poll().doing(&what),
            Kind::Server(server) => server.poll().doing(&what),
            Kind::Postgres(server) => server.poll().doing(&what),
        }
    }
}

/// The table with the rules of diversion, if it is in a topic: what they mask, they mask
/// in all copies.
pub(super) fn rules_table(project: &Project, topic: &str) -> Option<String> {
    let diversion = project.sources.diversion();
    let diversion = diversion.filter(|diversion| diversion.topic == topic);
    diversion.map(|diversion| diversion.table.clone())
}

/// A number that hardly another replica has.
fn own_server_id(topic: &str) -> u32 {
    let hash = stable_hash(topic.as_bytes()) as u32;
    0x5000_0000 | (hash & 0x0fff_ffff)
}

/// A password that stands in the environment.
pub(super) fn password(name: Option<&str>) -> Result<String, Failure> {
    let name = name.and_then(|name| name.strip_prefix("env:"));
    Ok(name.map(secret).transpose()?.unwrap_or_default())
}

/// What is asked of a connection. The file of authorities is seen from the
/// project's folder.
pub(super) fn tls_mode(
    project: &Project,
    tls: Tls,
    authorities: Option<&str>,
) -> Result<TlsMode, Failure> {
    check_authorities(tls, authorities)?;
    Ok(match tls {
        Tls::Off => TlsMode::Off,
        Tls::Required => TlsMode::Required,
        Tls::Verified => TlsMode::Verified(authorities.map(|path| project.resolve(path))),
    })
}

/// A server, and those that may take its place: `at` gives the first one at another
/// machine and port.
pub(super) fn with_others<A>(
    first: A,
    others: &[String],
    at: impl Fn(&A, String, u16) -> A,
) -> Result<Vec<A>, Failure> {
    let mut addresses = Vec::with_capacity(1 + others.len());
    for other in others {
        let (host, port) = other_place(other)?;
        addresses.push(at(&first, host, port));
    }
    addresses.insert(0, first);
    Ok(addresses)
}

/// Machine and port of a server that may take another one's place.
fn other_place(text: &str) -> Result<(String, u16), Failure> {
    let place = text.rsplit_once(':');
    let place = place.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    let unknown = || Failure::Definitions(format!("`{text}` in `failover` is no `host:port`"));
    place.ok_or_else(unknown)
}

/// The server and those that may take its place.
fn addresses(project: &Project, server: &MySqlServer) -> Result<Vec<Address>, Failure> {
    let password = password(server.password.as_deref())?;
    let first = Address {
        host: server.host.clone(),
        port: server.port,
        user: server.user.clone(),
        password,
        tls: tls_mode(project, server.tls, server.tls_ca.as_deref())?,
    };
    with_others(first, &server.failover, |first, host, port| Address {
        host,
        port,
        ..first.clone()
    })
}

/// Follows one database.
pub(super) fn follow_database(
    shared: &Shared,
    log: &Door,
    mut source: DatabaseSource,
    reporter: Reporter,
) -> Result<(), CaptureEnd> {
    while !shared.is_stopping() {
        if shared.is_paused() {
            std::thread::park_timeout(IDLE_WAIT);
            continue;
        }
        let mut batch = match source.poll() {
            Ok(batch) => batch,
            Err(failure) => {
                return Err(CaptureEnd::Refused(source.partition.topic, failure));
            }
        };
        for note in &batch.notes {
            reporter.info(note);
        }
        for warning in &batch.warnings {
            reporter.warn(warning);
        }
        let (count, bytes) = count_data(&batch.records);
        let topic = &source.partition.topic;
        let trouble = source.trouble();
        shared
            .states
            .note(topic, count, bytes, batch.at_end, trouble);
        for copied in batch.copies.drain(..) {
            shared.states.note_copy(topic, copied);
        }
        if let Some(lag) = source.lag(batch.at_end && trouble.is_none()) {
            shared.states.note_lag(topic, lag);
        }
        if !batch.records.is_empty() {
            log.append(&source.partition, &mut batch.records)
                .and_then(|()| log.sync())
                .doing("appending to the log")?;
            shared.tell_records();
        }
        if batch.at_end {
            shared.tell_idle();
            // A server is waited for by reading from it.
            if matches!(source.source, Kind::Files(_)) || batch.records.is_empty() {
                std::thread::park_timeout(IDLE_WAIT);
            }
        }
    }
    Ok(())
}
