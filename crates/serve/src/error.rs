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

impl From<datafusion::error::DataFusionError> for ServeError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        use datafusion::error::DataFusionError;
        match error.find_root() {
            DataFusionError::ResourcesExhausted(detail) => Self::MemoryLimit(detail.clone()),
            DataFusionError::External(inner) => match inner.downcast_ref() {
                Some(Self::TimeLimit(limit_ms)) => Self::TimeLimit(*limit_ms),
                Some(Self::Cancelled) => Self::Cancelled,
                Some(Self::Refused(problem)) => Self::Refused(problem.clone()),
                _ => Self::Query(error.strip_backtrace()),
            },
            _ => Self::Query(error.strip_backtrace()),
        }
    }
}
