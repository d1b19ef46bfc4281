//! Statements that are prepared: the types of their parameters, and the plan with
//! values in the places of those.
//!
//! A statement with parameters is planned when it is prepared, for their types and
//! those of its columns, and again with each set of values (`parameters.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::error::ArrowError;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_postgres::pgwire::api::query::ExtendedQueryHandler;
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::{ClientInfo, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::{Bind, Parse};
use futures::Sink;
use sluice_syntax::{QUERIES, text_of};

use super::catalog::compatible;
use super::codes::{error, internal, of_datafusion};
use super::extended::Extended;
use super::handlers::Statement;
use super::parameter_values::bound;
use super::parameters::{Bound, Parameters, fill};
use crate::zoned_session::with_types_of_answer;

/// A statement with the types of its parameters, all of which are known.
type Stored = StoredStatement<Statement>;

impl Extended {
    /// A statement without parameters; `None` where there is none.
    pub(super) async fn parsed<C>(
        &self,
        client: &C,
        message: &Parse,
    ) -> PgWireResult<Option<Stored>>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    {
        let stored = StoredStatement::parse(client, message, self.query_parser()).await?;
        Ok(stored.map(|mut stored| {
            stored.parameter_types.clear();
            stored
        }))
    }

    /// A statement that may have parameters.
    pub(super) async fn prepared<C>(
        &self,
        client: &C,
        message: &Parse,
    ) -> PgWireResult<Option<Stored>>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    {
        let statements = Parser::parse_sql(&QUERIES, &message.query);
        let statement = match statements {
            Ok(mut statements) if statements.len() == 1 => statements.remove(0),
            // The library says what is wrong.
            _ => return self.parsed(client, message).await,
        };
        let mut parameters = Parameters::of(&statement, &message.type_oids)?;
        if parameters.is_empty() {
            return self.parsed(client, message).await;
        }
        let described = self
            .described(client, message, &statement, &parameters)
            .await;
        let described = match described {
            Err(problem) if parameters.add_intervals() => {
                let described = self.described(client, message, &statement, &parameters);
                described.await.map_err(|_| problem)?
            }
            other => other?,
        };
        let types = self
            .query_parser()
            .get_parameter_types(&described.statement)?;
        let (_, Some((_, plan))) = described.statement else {
            return Ok(None);
        };
        let names = plan.get_parameter_names();
        let names = names.map_err(|problem| of_datafusion(&problem))?;
        let numbers = names
            .iter()
            .filter_map(|name| name.strip_prefix('$')?.parse().ok());
        let mut numbers: Vec<usize> = numbers.collect();
        numbers.sort_unstable();
        let types = parameters.all_types(numbers.into_iter().zip(types));
        let statement = (message.query.clone(), Some((statement, plan)));
        Ok(Some(StoredStatement::new(described.id, statement, types)))
    }

    /// The plan of a statement of whose parameters only types are known.
    async fn described<C>(
        &self,
        client: &C,
        message: &Parse,
        statement: &ast::Statement,
        parameters: &Parameters,
    ) -> PgWireResult<Stored>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    {
        let text = text_of(&parameters.described(statement)?);
        let message = Parse::new(message.name.clone(), text, Vec::new());
        let stored = self.parsed(client, &message).await?;
        // 42601: syntax_error.
        stored.ok_or_else(|| error("42601", "there is no statement".to_owned()))
    }

    /// A statement with the values of a message in the places of its parameters.
    pub(super) async fn bound(
        &self,
        stored: Arc<Stored>,
        message: &mut Bind,
    ) -> PgWireResult<Arc<Stored>> {
        let (text, Some((statement, _))) = &stored.statement else {
            return Ok(stored);
        };
        if message.parameters.is_empty() {
            return Ok(stored);
        }
        let zone = self.services.time_zone().parse::<Tz>();
        // 22023: invalid_parameter_value.
        let zone = zone.map_err(|problem: ArrowError| error("22023", problem.to_string()))?;
        let values = values_of(&stored.parameter_types, message, &zone)?;
        message.parameters.clear();
        message.parameter_format_codes.clear();
        let mut filled = statement.clone();
        fill(&mut filled, &values)?;
        let query = compatible(query_of(filled)?);
        let query = query.map_err(|problem| PgWireError::ApiError(Box::new(problem)))?;
        let session = self
            .services
            .session()
            .map_err(|problem| internal(&problem))?;
        let state = session.state();
        let query = DataFusionStatement::Statement(Box::new(query));
        let plan = state.statement_to_plan(query).await;
        // The client is told of the types that columns have then.
        let plan = plan.and_then(|plan| with_types_of_answer(plan, &state));
        let plan = plan.map_err(|problem| of_datafusion(&problem))?;
        let statement = (text.clone(), Some((statement.clone(), plan)));
        let stored = StoredStatement::new(stored.id.clone(), statement, Vec::new());
        Ok(Arc::new(stored))
    }
}

/// What is planned of a statement with parameters.
fn query_of(statement: ast::Statement) -> PgWireResult<ast::Statement> {
    let query = match statement {
        ast::Statement::Query(query) => Some(query),
        ast::Statement::Declare { mut stmts } => {
            stmts.pop().and_then(|declared| declared.for_query)
        }
        explain @ ast::Statement::Explain { .. } => return Ok(explain),
        _ => None,
    };
    // 0A000: feature_not_supported.
    let query = query.ok_or_else(|| error("0A000", "only queries take parameters".to_owned()))?;
    Ok(ast::Statement::Query(query))
}

/// The values of a message, by the numbers of their parameters.
fn values_of(
    types: &[Option<Type>],
    message: &Bind,
    zone: &Tz,
) -> PgWireResult<BTreeMap<usize, Bound>> {
    const TEXT: i16 = 0;
    const BINARY: i16 = 1;
    let codes = message.parameter_format_codes.as_slice();
    let values = message.parameters.iter().zip(types).enumerate();
    let values = values.map(|(place, (value, data_type))| {
        let code = match codes {
            [all] => Some(all),
            codes => codes.get(place),
        };
        let is_binary = match code.copied().unwrap_or(TEXT) {
            TEXT => false,
            BINARY => true,
            // 08P01: protocol_violation.
            other => return Err(error("08P01", format!("there is no format {other}"))),
        };
        let text = Type::TEXT;
        let data_type = data_type.as_ref().unwrap_or(&text);
        let value = bound(value.as_deref(), is_binary, data_type, zone)?;
        Ok((place + 1, value))
    });
    values.collect()
}
