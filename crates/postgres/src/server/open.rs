//! The connections to a server, and whether it is one from which reading may go on.

use sluice_core::Record;

use super::catalog::Types;
use super::copy::Snapshot;
use super::identity::{Identity, check_primary};
use super::settings::{self, Server};
use super::{ServerError, ServerSource};
use crate::net::connection::{Address, Connection, Purpose};
use crate::pgoutput::decoder::Decoded;
use crate::position::{PostgresPosition, StateStep, Timeline};

/// The connections to a server.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) questions: Connection,
    pub(super) server: Server,
    pub(super) identity: Identity,
    /// For slots, and then for the stream.
    replication: Option<Connection>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) stream: Option<Connection>,
    pub(super) heard_us: i64,
    pub(super) told_us: i64,
    pub(super) types: Types,
}

impl Open {
    /// A connection on which slots are made and the stream begins.
    pub(super) fn take_replication(
        &mut self,
        address: &Address,
    ) -> Result<Connection, ServerError> {
        if let Some(connection) = self.replication.take() {
            return Ok(connection);
        }
        let mut connection = Connection::open(address, Purpose::Replication)?;
        // The name of a server may lead to another one by now.
        self.identity.check_again(&mut connection, address)?;
        Ok(connection)
    }
}

impl ServerSource {
    /// Connects to the server whose turn it is, if everything that was not read yet can
    /// be had there.
    pub(super) fn connect(&mut self, now_us: i64, out: &mut Decoded) -> Result<Open, ServerError> {
        let address = self.address().clone();
        let mut questions = Connection::open(&address, Purpose::Statements)?;
        check_primary(&mut questions, &address)?;
        let server = settings::check(&mut questions, &address, &self.options)?;
        let mut replication = Connection::open(&address, Purpose::Replication)?;
        let identity = Identity::ask(&mut replication, &address)?;
        let known = self.decoder.position();
        let position = PostgresPosition {
            lsn: identity.place_to_go_on(known)?,
            ..known.clone()
        };
        let name = match position.slot.as_str() {
            "" => self.options.slot.clone(),
            known => known.to_owned(),
        };
        let slot = settings::slot(&mut questions, server.version, &name)?;
        if position.lsn.0 > 0 {
            if slot.is_none() {
                return Err(identity.lacks_slot(&position));
            }
            settings::check_slot(slot, &address.database, &position)?;
            if position.lsn < known.lsn {
                let step = StateStep {
                    lsn: Some(position.lsn),
                    is_quiet: true,
                    ..StateStep::default()
                };
                out.records.push(self.decoder.record_state(step, now_us));
            }
        } else if position.slot.is_empty() {
            if slot.is_some() {
                return Err(ServerError::ForeignSlot { slot: name });
            }
            let step = StateStep {
                slot: Some((identity.cluster.clone(), name)),
                timeline: Some(identity.timeline),
                ..StateStep::default()
            };
            out.records.push(self.decoder.record_state(step, now_us));
        }
        let noted = self.timeline_record(identity.timeline, now_us);
        out.records.extend(noted);
        Ok(Open {
            questions,
            server,
            identity,
            replication: Some(replication),
            snapshot: None,
            stream: None,
            heard_us: now_us,
            told_us: 0,
            types: Types::default(),
        })
    }

    /// The record that says which branch of the log is read, if no other does and no
    /// transaction is open.
    pub(super) fn timeline_record(&mut self, timeline: Timeline, now_us: i64) -> Option<Record> {
        let is_noted = self.decoder.position().timeline >= Some(timeline);
        if is_noted || !self.decoder.is_between_transactions() {
            return None;
        }
        let step = StateStep {
            timeline: Some(timeline),
            ..StateStep::default()
        };
        Some(self.decoder.record_state(step, now_us))
    }
}
