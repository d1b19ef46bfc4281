//! The codes (SQLSTATE) of errors, by which clients know what went wrong.

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

use super::planning_codes::{code_of_name, code_of_plan, code_of_words};
use super::value_codes::code_of_value;
use crate::ServeError;
use crate::error::root_text;

/// An error that ends the statement.
pub(super) fn error(code: &str, message: String) -> PgWireError {
    let info = ErrorInfo::new("ERROR".into(), code.into(), message);
    PgWireError::UserError(Box::new(info))
}

/// An error that ends the connection.
pub(super) fn fatal(code: &str, message: String) -> PgWireError {
    let info = ErrorInfo::new("FATAL".into(), code.into(), message);
    PgWireError::UserError(Box::new(info))
}

/// A statement that is larger than one may be.
pub(super) fn too_complex(problem: String) -> PgWireError {
    // 54001: statement_too_complex.
    error("54001", problem)
}

/// An error of the warehouse itself.
pub(super) fn internal(problem: &ServeError) -> PgWireError {
    // XX000: internal_error.
    error("XX000", problem.to_string())
}

/// What is wrong in a function, with the code that clients know it by.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Coded {
    code: String,
    message: String,
}

/// The same as an error of DataFusion, such as functions have.
pub(super) fn of_function(problem: PgWireError) -> DataFusionError {
    let info = ErrorInfo::from(problem);
    DataFusionError::External(Box::new(Coded {
        code: info.code,
        message: info.message,
    }))
}

/// An error of DataFusion.
pub(super) fn of_datafusion(found: &DataFusionError) -> PgWireError {
    let root = found.find_root();
    let text = root_text(found);
    match root {
        DataFusionError::External(inner) => of_external(&**inner, text, root),
        // 53200: out_of_memory.
        DataFusionError::ResourcesExhausted(detail) => error("53200", detail.clone()),
        // 42601: syntax_error.
        DataFusionError::SQL(problem, _) => error("42601", problem.to_string()),
        DataFusionError::SchemaError(problem, _) => {
            error(code_of_name(problem), problem.to_string())
        }
        // 0A000: feature_not_supported.
        DataFusionError::NotImplemented(problem) => {
            error(code_of_words(problem).unwrap_or("0A000"), text)
        }
        DataFusionError::Plan(problem) => error(code_of_plan(problem), text),
        _ => of_value(root, text),
    }
}

fn of_external(
    inner: &(dyn std::error::Error + Send + Sync + 'static),
    text: String,
    root: &DataFusionError,
) -> PgWireError {
    if let Some(problem) = inner.downcast_ref::<Coded>() {
        return error(&problem.code, problem.message.clone());
    }
    match inner.downcast_ref::<ServeError>() {
        // 57014: query_canceled; 42501: insufficient_privilege.
        Some(problem @ (ServeError::Cancelled | ServeError::TimeLimit(_))) => {
            error("57014", problem.to_string())
        }
        Some(ServeError::Refused(problem)) => error("42501", problem.clone()),
        _ => of_value(root, text),
    }
}

/// An error that a value may have made.
fn of_value(root: &DataFusionError, text: String) -> PgWireError {
    let code = code_of_value(root, &text).or_else(|| match root {
        DataFusionError::Execution(problem) | DataFusionError::Internal(problem) => {
            code_of_words(problem)
        }
        _ => None,
    });
    // XX000: internal_error.
    let code = code.unwrap_or("XX000");
    match text.strip_prefix("Arithmetic overflow: ") {
        Some(overflow) => error(code, format!("value out of range: {overflow}")),
        None => error(code, text),
    }
}

/// An error with the code that clients know it by.
pub(super) fn with_code(problem: PgWireError) -> PgWireError {
    let PgWireError::ApiError(inner) = &problem else {
        return problem;
    };
    if let Some(found) = inner.downcast_ref::<DataFusionError>() {
        return of_datafusion(found);
    }
    match inner.downcast_ref::<ParserError>() {
        Some(found) => error("42601", found.to_string()),
        None => problem,
    }
}
