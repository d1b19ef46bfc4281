//! The answer to one statement, read as clients write it. The library's own reading of
//! text takes each argument of a call for the name of one first, and twice as long for
//! each call around another.

use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use sluice_syntax::QUERIES;

/// The answer of `session` to `sql`, as it is computed when it is read.
///
/// # Errors
/// When it is no statement, or cannot be planned.
pub(crate) async fn asked(session: &SessionContext, sql: &str) -> Result<DataFrame> {
    let statement = read(sql)?;
    let plan = session.state().statement_to_plan(statement).await?;
    session.execute_logical_plan(plan).await
}

fn read(sql: &str) -> Result<Statement> {
    let mut parser = DFParserBuilder::new(sql).with_dialect(&QUERIES).build()?;
    parser.parse_statement()
}
