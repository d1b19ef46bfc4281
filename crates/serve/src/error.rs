//! Errors of serving.

use datafusion::error::DataFusionError;

use crate::library_words::plain_words;

/// A query or a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The query is wrong, or failed.
    #[error("{0}")]
    Query(String),
    /// The statement would change something.
    #[error("`{0}` is refused: the warehouse is read here and changed by its project's files only")]
    ReadOnly(String),
    /// Whoever asks may not do it, or not read what it reads.
    #[error("{0}")]
    Refused(String),
    /// Whoever asked does not want the answer any more.
    #[error("canceling statement due to user request")]
    Cancelled,
    /// The task that made an answer ended before it.
    #[error("making the answer was interrupted")]
    Interrupted,
    /// The query took too long.
    #[error("the query was stopped after {0} ms; narrow it down, or raise query_time_ms_max")]
    TimeLimit(u64),
    /// The query wanted more memory than it, or all queries, may have.
    #[error(
        "not enough memory for the query: {0}; narrow it down, or raise query_memory_bytes_max"
    )]
    MemoryLimit(String),
    /// The store failed.
    #[error("{0}")]
    Store(#[from] sluice_store::StoreError),
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The answer could not be written.
    #[error("{0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl From<DataFusionError> for ServeError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(detail) => Self::MemoryLimit(detail.clone()),
            DataFusionError::External(inner) => match inner.downcast_ref() {
                Some(Self::TimeLimit(limit_ms)) => Self::TimeLimit(*limit_ms),
                Some(Self::Cancelled) => Self::Cancelled,
                Some(Self::Refused(problem)) => Self::Refused(problem.clone()),
                _ => Self::Query(root_text(&error)),
            },
            _ => Self::Query(root_text(&error)),
        }
    }
}

/// Words before a text of the library that say where it comes from.
const ORIGINS: [&str; 7] = [
    "Arrow error: ",
    "Execution error: ",
    "External error: ",
    "Cast error: ",
    "Parser error: ",
    "Compute error: ",
    "Invalid argument error: ",
];

/// What an error says at its root, without the rules and parts of the library that it
/// came through, and with what to write instead where that is known.
pub(crate) fn root_text(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::SQL(problem, _) => problem.to_string(),
        root => root.strip_backtrace(),
    };
    let mut rest = text.as_str();
    while let Some(shorter) = ORIGINS.iter().find_map(|origin| rest.strip_prefix(origin)) {
        rest = shorter;
    }
    plain_words(rest)
}

#[cfg(test)]
mod tests {
    use arrow::error::ArrowError;

    use super::*;

    #[test]
    fn the_root_of_an_error_is_told() {
        let cast = ArrowError::CastError("Cannot cast string 'a'".to_owned());
        let cast = DataFusionError::from(cast);
        let planned = DataFusionError::Plan("no such function".to_owned());
        let root = DataFusionError::Execution("cannot take square root".to_owned());
        let root = ArrowError::ComputeError(root.to_string());
        for (error, expected) in [
            (
                cast.context("Optimizer rule 'simplify_expressions' failed"),
                "Cannot cast string 'a'",
            ),
            (
                planned.context("type_coercion").context("again"),
                "Error during planning: no such function",
            ),
            (DataFusionError::from(root), "cannot take square root"),
            (
                DataFusionError::from(ArrowError::DivideByZero),
                "Divide by zero error",
            ),
        ] {
            assert_eq!(root_text(&error), expected);
            assert_eq!(ServeError::from(error).to_string(), expected);
        }
    }
}
