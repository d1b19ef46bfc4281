//! Sends the rows of an answer as they are made. The library counts those of SHOW, which
//! PostgreSQL does not.

use std::fmt::Debug;

use datafusion_postgres::pgwire::api::query::send_execution_response;
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Tag};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::data::RowDescription;
use datafusion_postgres::pgwire::messages::extendedquery::PortalSuspended;
use futures::{Sink, SinkExt, StreamExt};

/// What the answer to SHOW ends with.
pub(super) const SHOW: &str = "SHOW";

/// Sends the columns of an answer; those of a prepared statement are asked for apart.
///
/// # Errors
/// When the connection breaks.
pub(super) async fn send_columns<C>(client: &mut C, columns: &[FieldInfo]) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let columns = RowDescription::new(columns.iter().map(Into::into).collect());
    client
        .feed(PgWireBackendMessage::RowDescription(columns))
        .await?;
    Ok(())
}

/// Sends rows of an answer, at most so many, 0 for all. Whether there may be more.
///
/// # Errors
/// When a row cannot be made, or the connection breaks.
pub(super) async fn send_rows<C>(
    client: &mut C,
    answer: &mut QueryResponse,
    rows_max: usize,
) -> PgWireResult<bool>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let mut rows = 0;
    while rows_max == 0 || rows < rows_max {
        let Some(row) = answer.data_rows().next().await else {
            let tag = tag(answer.command_tag(), rows);
            send_execution_response(client, tag).await?;
            return Ok(false);
        };
        client.feed(PgWireBackendMessage::DataRow(row?)).await?;
        rows += 1;
    }
    let suspended = PgWireBackendMessage::PortalSuspended(PortalSuspended::new());
    client.feed(suspended).await?;
    Ok(true)
}

fn tag(command: &str, rows: usize) -> Tag {
    let tag = Tag::new(command);
    match command {
        SHOW => tag,
        _ => tag.with_rows(rows),
    }
}
