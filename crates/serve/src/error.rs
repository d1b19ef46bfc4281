//! Errors of serving.

/// A query or a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The query is wrong, or failed.
    #[error("{0}")]
    Query(String),
    /// The statement would change something.
    #[error("`{0}` is refused: the warehouse is read here and changed by its project's files only")]
    ReadOnly(String),
    /// The query took too long.
    #[error("the query was stopped after {0} ms; narrow it down, or raise query_time_ms_max")]
    TimeLimit(u64),
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The answer could not be written.
    #[error("{0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl From<datafusion::error::DataFusionError> for ServeError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self::Query(error.strip_backtrace())
    }
}
