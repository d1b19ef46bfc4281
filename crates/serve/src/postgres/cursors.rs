//! Cursors: DECLARE, FETCH, MOVE and CLOSE, as drivers send them that read a long
//! answer in portions.
//!
//! A cursor reads one snapshot, and lives as long as a query may run.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::common::{DFSchema, ParamValues};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{
    CloseCursor, Declare, DeclareType, FetchDirection, Ident, Statement, Value,
};
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::StreamExt;
use parking_lot::Mutex;
use sluice_syntax::text_of;

use super::codes::{error, of_datafusion};
use super::column_types::fields_of;
use super::cursor_words::is_move;
use super::rows::{encode, options_of};
use crate::session::SESSION;

/// Cursors of a connection.
const CURSORS_MAX: usize = 20;
/// Rows that one FETCH or MOVE may name.
const FETCH_ROWS_MAX: usize = 1 << 20;

/// An answer of which a part was given.
pub(crate) struct Cursor {
    schema: arrow::datatypes::SchemaRef,
    is_held: bool,
    rest: tokio::sync::Mutex<Rest>,
}

struct Rest {
    /// `None` when it has ended.
    stream: Option<SendableRecordBatchStream>,
    /// Rows that were made and not given.
    rows: Option<RecordBatch>,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Cursor")
            .field("is_held", &self.is_held)
            .finish_non_exhaustive()
    }
}

/// The cursors of a connection, by name.
pub(crate) type Cursors = Mutex<BTreeMap<String, Arc<Cursor>>>;

fn with_cursors<T>(work: impl FnOnce(&mut BTreeMap<String, Arc<Cursor>>) -> T) -> PgWireResult<T> {
    let done = SESSION.try_with(|session| work(&mut session.cursors.lock()));
    done.map_err(|_| error("XX000", "a cursor needs a connection".to_owned()))
}

/// A name as PostgreSQL reads it: in lower case where it has no quotes.
pub(super) fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// The cursors that there were at some time.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownCursors(BTreeMap<String, Weak<Cursor>>);

impl KnownCursors {
    /// Those that there are now.
    pub(super) fn now() -> Self {
        let known = with_cursors(|cursors| {
            let known = cursors.iter();
            known
                .map(|(name, cursor)| (name.clone(), Arc::downgrade(cursor)))
                .collect()
        });
        Self(known.unwrap_or_default())
    }
}

impl PartialEq for KnownCursors {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len()
            && pairs
                .all(|((name, one), (other_name, other))| name == other_name && one.ptr_eq(other))
    }
}

/// Closes the cursors that were declared since.
pub(super) fn close_newer(known: &KnownCursors) {
    let is_known = |name: &String, cursor: &Arc<Cursor>| {
        let known = known.0.get(name);
        known.is_some_and(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(cursor)))
    };
    // Without a connection there are none.
    let _ = with_cursors(|cursors| cursors.retain(|name, cursor| is_known(name, cursor)));
}

/// Closes all cursors.
pub(super) fn close_all() -> PgWireResult<()> {
    with_cursors(BTreeMap::clear)
}

fn found(name: &str) -> PgWireResult<Arc<Cursor>> {
    let cursor = with_cursors(|cursors| cursors.get(name).cloned())?;
    // 34000: invalid_cursor_name.
    cursor.ok_or_else(|| error("34000", format!("cursor \"{name}\" does not exist")))
}

/// The columns of a cursor, if there is one of this name.
pub(super) fn fields(name: &str, format: &Format) -> PgWireResult<Option<Vec<FieldInfo>>> {
    let cursor = with_cursors(|cursors| cursors.get(name).cloned())?;
    let fields = cursor.map(|cursor| fields_of(&cursor.schema, format, None));
    fields.transpose()
}

/// So many rows, or all.
fn rows_wanted(direction: &FetchDirection) -> PgWireResult<Option<usize>> {
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(Some(1)),
        FetchDirection::All | FetchDirection::ForwardAll => Ok(None),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => {
            let count = match &limit.value {
                Value::Number(text, _) => text.to_string().parse().ok(),
                _ => None,
            };
            match count {
                Some(count) if count <= FETCH_ROWS_MAX => Ok(Some(count)),
                // 54000: program_limit_exceeded.
                _ => Err(error(
                    "54000",
                    format!(
                        "FETCH takes 0 to {FETCH_ROWS_MAX} rows at a time, not {limit}; fetch them in turns, or use FETCH ALL"
                    ),
                )),
            }
        }
        // 55000: object_not_in_prerequisite_state.
        _ => Err(error("55000", "cursor can only scan forward".to_owned())),
    }
}

/// The next rows of a cursor.
pub(super) async fn fetch(
    name: &str,
    direction: &FetchDirection,
    format: &Format,
    options: Arc<FormatOptions>,
) -> PgWireResult<QueryResponse> {
    let wanted = rows_wanted(direction)?;
    let cursor = found(name)?;
    let fields = fields_of(&cursor.schema, format, Some(options))?;
    let fields = Arc::new(fields);
    let encoded = fields.clone();
    let state = (cursor, wanted);
    // Rows are made as the client takes them.
    let batches = futures::stream::unfold(state, |(cursor, left)| async move {
        if left == Some(0) {
            return None;
        }
        let next = cursor.next(left).await?;
        let left = match &next {
            Ok(rows) => left.map(|left| left - rows.num_rows().min(left)),
            Err(_) => Some(0),
        };
        Some((next, (cursor, left)))
    });
    let rows = batches
        .map(move |rows| match rows {
            Ok(rows) => futures::stream::iter(encode(&encoded, rows)).left_stream(),
            Err(problem) => futures::stream::once(async move { Err(problem) }).right_stream(),
        })
        .flatten();
    let mut response = QueryResponse::new(fields, rows);
    response.set_command_tag("FETCH");
    Ok(response)
}

impl Cursor {
    /// At most so many rows more; `None` at the end.
    async fn next(&self, rows_max: Option<usize>) -> Option<PgWireResult<RecordBatch>> {
        let mut rest = self.rest.lock().await;
        let rows = loop {
            match rest.rows.take() {
                Some(rows) if rows.num_rows() > 0 => break rows,
                _ => {}
            }
            match rest.stream.as_mut()?.next().await {
                Some(Ok(rows)) => rest.rows = Some(rows),
                Some(Err(problem)) => {
                    rest.stream = None;
                    return Some(Err(of_datafusion(&problem)));
                }
                None => {
                    rest.stream = None;
                    return None;
                }
            }
        };
        let count = rows_max.unwrap_or(usize::MAX).min(rows.num_rows());
        if count < rows.num_rows() {
            rest.rows = Some(rows.slice(count, rows.num_rows() - count));
        }
        Some(Ok(rows.slice(0, count)))
    }
}

/// Leaves out the next rows of a cursor.
async fn move_on(name: &str, direction: &FetchDirection) -> PgWireResult<Response> {
    let mut left = rows_wanted(direction)?;
    let cursor = found(name)?;
    let mut moved = 0;
    while left != Some(0) {
        let Some(rows) = cursor.next(left).await else {
            break;
        };
        let count = rows?.num_rows();
        moved += count;
        left = left.map(|left| left - count.min(left));
    }
    Ok(Response::Execution(Tag::new("MOVE").with_rows(moved)))
}

/// Makes a cursor of a plan.
async fn open(
    declared: &Declare,
    plan: LogicalPlan,
    session: &SessionContext,
) -> PgWireResult<Response> {
    let Some(name) = declared.names.first() else {
        return Err(error("42601", "a cursor has a name".to_owned()));
    };
    let name = folded(name);
    let (is_known, count) = with_cursors(|cursors| (cursors.contains_key(&name), cursors.len()))?;
    if is_known {
        // 42P03: duplicate_cursor.
        return Err(error("42P03", format!("cursor \"{name}\" already exists")));
    }
    if count >= CURSORS_MAX {
        let problem = format!("a connection has at most {CURSORS_MAX} cursors; close some");
        return Err(error("53000", problem));
    }
    let frame = session.execute_logical_plan(plan).await;
    let frame = frame.map_err(|problem| of_datafusion(&problem))?;
    let stream = frame.execute_stream().await;
    let stream = stream.map_err(|problem| of_datafusion(&problem))?;
    let cursor = Cursor {
        schema: stream.schema(),
        is_held: declared.hold == Some(true),
        rest: tokio::sync::Mutex::new(Rest {
            stream: Some(stream),
            rows: None,
        }),
    };
    with_cursors(|cursors| cursors.insert(name, Arc::new(cursor)))?;
    Ok(Response::Execution(Tag::new("DECLARE CURSOR")))
}

/// The plan of the query that a cursor reads.
async fn planned(declared: &[Declare], session: &SessionContext) -> PgWireResult<LogicalPlan> {
    let [declare] = declared else {
        return Err(error("42601", "declare one cursor at a time".to_owned()));
    };
    let is_cursor = declare.declare_type == Some(DeclareType::Cursor);
    let Some(query) = declare.for_query.as_ref().filter(|_| is_cursor) else {
        return Err(error(
            "42601",
            "DECLARE makes a CURSOR FOR a query".to_owned(),
        ));
    };
    let plan = session
        .state()
        .create_logical_plan(&text_of(&**query))
        .await;
    plan.map_err(|problem| of_datafusion(&problem))
}

fn close(cursor: &CloseCursor) -> PgWireResult<Response> {
    let tag = match cursor {
        CloseCursor::All => {
            close_all()?;
            "CLOSE CURSOR ALL"
        }
        CloseCursor::Specific { name } => {
            let name = folded(name);
            if with_cursors(|cursors| cursors.remove(&name))?.is_none() {
                return Err(error("34000", format!("cursor \"{name}\" does not exist")));
            }
            "CLOSE CURSOR"
        }
    };
    Ok(Response::Execution(Tag::new(tag)))
}

/// See the module.
pub(super) struct CursorHook;

#[async_trait]
impl QueryHook for CursorHook {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        match statement {
            Statement::Declare { stmts } => Some(match planned(stmts, session).await {
                Ok(plan) => open(&stmts[0], plan, session).await,
                Err(problem) => Err(problem),
            }),
            Statement::Fetch {
                name,
                direction,
                into: Some(into),
                ..
            } => Some(match is_move(into) {
                true => move_on(&folded(name), direction).await,
                // 42601: syntax_error.
                false => Err(error("42601", format!("FETCH INTO {into} is not known"))),
            }),
            Statement::Fetch {
                name, direction, ..
            } => {
                let options = options_of(&*client);
                let format = Format::UnifiedText;
                let rows = fetch(&folded(name), direction, &format, options).await;
                Some(rows.map(Response::Query))
            }
            Statement::Close { cursor } => Some(close(cursor)),
            Statement::Commit { .. }
            | Statement::Rollback {
                savepoint: None, ..
            } => {
                let _ = with_cursors(|cursors| cursors.retain(|_, cursor| cursor.is_held));
                None
            }
            _ => None,
        }
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        match statement {
            // For the types of its parameters.
            Statement::Declare { stmts } => Some(planned(stmts, session).await),
            // For its columns.
            Statement::Fetch {
                name, into: None, ..
            } => Some(found(&folded(name)).and_then(|cursor| {
                let schema = DFSchema::try_from(cursor.schema.as_ref().clone());
                let schema = schema.map_err(|problem| of_datafusion(&problem))?;
                Ok(without_rows(schema))
            })),
            Statement::Fetch { .. } | Statement::Close { .. } => {
                Some(Ok(without_rows(DFSchema::empty())))
            }
            _ => None,
        }
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        plan: &LogicalPlan,
        parameters: &ParamValues,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        match statement {
            Statement::Declare { stmts } => {
                let plan = plan.clone().replace_params_with_values(parameters);
                Some(match plan {
                    Ok(plan) => open(&stmts[0], plan, session).await,
                    Err(problem) => Err(of_datafusion(&problem)),
                })
            }
            _ => self.handle_simple_query(statement, session, client).await,
        }
    }
}

/// The plan of a statement that is answered without DataFusion.
pub(super) fn without_rows(schema: DFSchema) -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation {
        produce_one_row: false,
        schema: Arc::new(schema),
    })
}
