//! Errors as RFC 9457 describes them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::ServeError;
use crate::access::Role;
use crate::json_rows::write_text;

/// An answer that is an error.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    /// The least role that is answered, where another one would be.
    role_needed: Option<Role>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            status,
            detail,
            role_needed: None,
        }
    }

    /// The same, for whoever wants to say it in words of their own: whoever has at
    /// least `role` is answered.
    pub(crate) fn needing(mut self, role: Role) -> Self {
        self.role_needed = Some(role);
        self
    }

    /// See [`ServeError::Interrupted`].
    pub(crate) fn interrupted() -> Self {
        ServeError::Interrupted.into()
    }

    /// Its HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What was wrong.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<ServeError> for Problem {
    fn from(error: ServeError) -> Self {
        let status = match &error {
            ServeError::Query(_) | ServeError::Cancelled => StatusCode::BAD_REQUEST,
            ServeError::ReadOnly(_) | ServeError::Refused(_) => StatusCode::FORBIDDEN,
            ServeError::TimeLimit(_) => StatusCode::GATEWAY_TIMEOUT,
            ServeError::MemoryLimit(_) => StatusCode::INSUFFICIENT_STORAGE,
            ServeError::Interrupted
            | ServeError::Io(_)
            | ServeError::Arrow(_)
            | ServeError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut body = String::from("{\"type\":\"about:blank\",\"title\":");
        write_text(title, &mut body);
        body.push_str(&format!(",\"status\":{},\"detail\":", self.status.as_u16()));
        write_text(&self.detail, &mut body);
        if let Some(role) = self.role_needed {
            body.push_str(",\"role_needed\":");
            write_text(&role.to_string(), &mut body);
        }
        body.push_str("}\n");
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, content_type, body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let value = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}
