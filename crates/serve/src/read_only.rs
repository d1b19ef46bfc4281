//! Which statements only read.

use datafusion::sql::sqlparser::ast::{CopyTarget, Statement};

/// The first words of a statement that would change something.
pub(crate) fn refused(statement: &Statement) -> Option<String> {
    let reads = match statement {
        Statement::Query(query) => !query.to_string().contains(" INTO "),
        Statement::Explain { statement, .. } => return refused(statement),
        Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowVariable { .. }
        | Statement::ShowVariables { .. }
        | Statement::ShowStatus { .. }
        | Statement::ShowCreate { .. }
        | Statement::ShowFunctions { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowDatabases { .. }
        | Statement::Set(_)
        | Statement::Reset(_)
        | Statement::Discard { .. }
        | Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. }
        | Statement::Declare { .. }
        | Statement::Fetch { .. }
        | Statement::Close { .. }
        | Statement::Deallocate { .. }
        | Statement::UNLISTEN { .. }
        | Statement::Copy {
            to: true,
            target: CopyTarget::Stdout,
            ..
        } => true,
        _ => false,
    };
    (!reads).then(|| first_words(statement))
}

/// The first words of a statement that would set something where no session
/// outlives a statement: it would hold for everybody.
pub(crate) fn sets(statement: &Statement) -> Option<String> {
    let sets = matches!(
        statement,
        Statement::Set(_) | Statement::Reset(_) | Statement::Discard { .. }
    );
    sets.then(|| first_words(statement))
}

fn first_words(statement: &Statement) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    words.join(" ")
}
