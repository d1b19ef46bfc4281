//! The codes (SQLSTATE) of errors, by which clients know what went wrong.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

use crate::ServeError;

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

/// An error of DataFusion.
pub(super) fn of_datafusion(found: &DataFusionError) -> PgWireError {
    match found.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<ServeError>() {
            // 57014: query_canceled; 42501: insufficient_privilege.
            Some(problem @ (ServeError::Cancelled | ServeError::TimeLimit(_))) => {
                error("57014", problem.to_string())
            }
            Some(ServeError::Refused(problem)) => error("42501", problem.clone()),
            _ => error("XX000", found.strip_backtrace()),
        },
        // 22003: numeric_value_out_of_range.
        DataFusionError::ArrowError(inner, _)
            if matches!(&**inner, ArrowError::ArithmeticOverflow(_)) =>
        {
            error("22003", format!("bigint out of range: {inner}"))
        }
        // 53200: out_of_memory.
        DataFusionError::ResourcesExhausted(detail) => error("53200", detail.clone()),
        // 42601: syntax_error.
        DataFusionError::SQL(problem, _) => error("42601", problem.to_string()),
        DataFusionError::Plan(problem) if is_no_table(problem) => {
            // 42P01: undefined_table.
            error("42P01", found.strip_backtrace())
        }
        DataFusionError::SchemaError(problem, _) => {
            // 42703: undefined_column.
            error("42703", problem.to_string())
        }
        // 0A000: feature_not_supported.
        DataFusionError::NotImplemented(_) => error("0A000", found.strip_backtrace()),
        // 42000: syntax_error_or_access_rule_violation.
        DataFusionError::Plan(_) => error("42000", found.strip_backtrace()),
        _ => error("XX000", found.strip_backtrace()),
    }
}

fn is_no_table(problem: &str) -> bool {
    problem.starts_with("table '") && problem.ends_with("' not found")
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
