//! `pg_stat_activity`: who is connected.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::error::Result;

use super::super::sign_in::OpenSessions;
use crate::access::Who;
use crate::query_engine::CATALOG;
use crate::session::{self, Session};

/// Name of the table.
pub(super) const ACTIVITY: &str = "pg_stat_activity";
/// What PostgreSQL shows of the statements of others.
const HIDDEN: &str = "<insufficient privilege>";

/// The connections that are open now.
///
/// # Errors
/// When the columns do not fit each other.
pub(super) fn table(sessions: &OpenSessions) -> Result<MemTable> {
    let open = sessions.all();
    let own = session::current();
    let text = |value: &dyn Fn(&Arc<Session>) -> Option<String>| -> ArrayRef {
        Arc::new(
            open.iter()
                .map(|(_, session)| value(session))
                .collect::<StringArray>(),
        )
    };
    let number = |value: &dyn Fn(i32, &Arc<Session>) -> Option<i32>| -> ArrayRef {
        let values = open.iter().map(|(pid, session)| value(*pid, session));
        Arc::new(values.collect::<Int32Array>())
    };
    let said = |said: &'static str| text(&move |_| Some(said.to_owned()));
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let unknown = |data_type: &DataType| new_null_array(data_type, open.len());
    let is_own = |session: &Arc<Session>| Arc::ptr_eq(session, &own);
    // As PostgreSQL does: what others do, and from where, is theirs.
    let address = |session: &Arc<Session>| session.from().filter(|_| is_own(session));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("datid", unknown(&DataType::Int32)),
        ("datname", said(CATALOG)),
        ("pid", number(&|pid, _| Some(pid))),
        ("leader_pid", unknown(&DataType::Int32)),
        ("usesysid", unknown(&DataType::Int32)),
        ("usename", text(&|session| user(session))),
        ("application_name", said("")),
        (
            "client_addr",
            text(&|session| Some(address(session)?.ip().to_string())),
        ),
        ("client_hostname", unknown(&DataType::Utf8)),
        (
            "client_port",
            number(&|_, session| Some(i32::from(address(session)?.port()))),
        ),
        ("backend_start", unknown(&time)),
        ("xact_start", unknown(&time)),
        ("query_start", unknown(&time)),
        ("state_change", unknown(&time)),
        ("wait_event_type", unknown(&DataType::Utf8)),
        ("wait_event", unknown(&DataType::Utf8)),
        (
            "state",
            text(&|session| {
                let is_active = session.asked().is_some();
                let state = if is_active { "active" } else { "idle" };
                is_own(session).then(|| state.to_owned())
            }),
        ),
        ("backend_xid", unknown(&DataType::Utf8)),
        ("backend_xmin", unknown(&DataType::Utf8)),
        ("query_id", unknown(&DataType::Int64)),
        (
            "query",
            text(&|session| match is_own(session) {
                true => session.asked(),
                false => Some(HIDDEN.to_owned()),
            }),
        ),
        ("backend_type", said("client backend")),
    ];
    let fields = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let rows = RecordBatch::try_new(schema.clone(), columns)?;
    MemTable::try_new(schema, vec![vec![rows]])
}

fn user(session: &Session) -> Option<String> {
    match session.who() {
        Who::User { name, .. } => Some(name),
        Who::Unknown | Who::Program => session.claimed(),
    }
}
