//! `[traces]` of `warehouse.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use ureq::http::{HeaderName, Uri};

use crate::failure::Failure;
use crate::secret::named_secret;

/// Where spans are taken, below the address of the collector.
const PATH: &str = "/v1/traces";

/// See the module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesText {
    /// The collector: OTLP over HTTP, to which `/v1/traces` is added.
    endpoint: Spanned<String>,
    /// What it wants to be sent, such as a token: where each value is, `env:NAME`
    /// or `file:PATH`.
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    /// The share of traces that are kept, from 0 to 1.
    #[serde(default = "all")]
    share: Spanned<f64>,
}

fn all() -> Spanned<f64> {
    Spanned::new(0..0, 1.0)
}

/// A mistake in `[traces]`.
#[derive(Debug)]
pub struct WrongTraces {
    /// Where it is in the file, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

impl TracesText {
    /// Looks for mistakes.
    ///
    /// # Errors
    /// The first one.
    pub fn check(&self) -> Result<(), WrongTraces> {
        if let Some(help) = endpoint_help(self.endpoint.get_ref()) {
            return Err(WrongTraces {
                offset: self.endpoint.span().start,
                // It may hold a secret, and is not repeated.
                message: "`endpoint` of [traces] is no address of a collector".to_owned(),
                help,
            });
        }
        for (name, value) in &self.headers {
            let offset = value.span().start;
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(WrongTraces {
                    offset,
                    message: format!("`{name}` is no name of a header"),
                    help: "write one such as \"Authorization\"",
                });
            }
            let reference = value.get_ref();
            if !reference.starts_with("env:") && !reference.starts_with("file:") {
                return Err(WrongTraces {
                    offset,
                    message: format!("the value of the header `{name}` stands in the file itself"),
                    help: "name where it is: \"env:NAME\" or \"file:PATH\"",
                });
            }
        }
        if !(0.0..=1.0).contains(self.share.get_ref()) {
            return Err(WrongTraces {
                offset: self.share.span().start,
                message: "`share` of [traces] is no share".to_owned(),
                help: "write a number from 0.0, for none, to 1.0, for all",
            });
        }
        Ok(())
    }

    /// Where spans are sent.
    pub(super) fn url(&self) -> String {
        format!("{}{PATH}", self.endpoint.get_ref().trim_end_matches('/'))
    }

    /// The share of traces that are kept.
    pub(super) fn share(&self) -> f64 {
        *self.share.get_ref()
    }

    /// Names and values of headers; relative paths start from the project's `folder`.
    ///
    /// # Errors
    /// When a value is not where it should be.
    pub fn headers(&self, folder: &Path) -> Result<Vec<(String, String)>, Failure> {
        let mut headers = Vec::new();
        for (name, reference) in &self.headers {
            let setting = format!("the header `{name}` of [traces]");
            let value = named_secret(&setting, reference.get_ref(), folder)?;
            headers.push((name.clone(), value));
        }
        Ok(headers)
    }
}

/// What to do about an address that is none.
fn endpoint_help(endpoint: &str) -> Option<&'static str> {
    let help = "write scheme, host and port, such as \"http://127.0.0.1:4318\"";
    let Ok(uri) = endpoint.parse::<Uri>() else {
        return Some(help);
    };
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Some(help);
    };
    if authority.as_str().contains('@') {
        return Some("give user and password as a header: headers.Authorization = \"env:NAME\"");
    }
    if uri.query().is_some() {
        return Some("leave out what stands behind the `?`");
    }
    if uri.path().trim_end_matches('/').ends_with(PATH) {
        return Some("leave out /v1/traces, which is added");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> TracesText {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn all_is_kept_unless_it_is_said() {
        let found = read("endpoint = \"http://127.0.0.1:4318/\"");
        assert!(found.check().is_ok());
        assert_eq!(found.url(), "http://127.0.0.1:4318/v1/traces");
        assert!((found.share() - 1.0).abs() < f64::EPSILON);
        let found = read("endpoint = \"https://traces.example/otlp\"\nshare = 0");
        assert!(found.check().is_ok());
        assert_eq!(found.url(), "https://traces.example/otlp/v1/traces");
        assert!(found.share().abs() < f64::EPSILON);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let endpoint = |value: &str| format!("endpoint = \"{value}\"");
        let right = endpoint("http://a:1");
        for (text, offset, said) in [
            (endpoint("127.0.0.1:4318"), 11, "scheme, host"),
            (endpoint("grpc://a:4317"), 11, "scheme, host"),
            (endpoint(""), 11, "scheme, host"),
            (endpoint("http://li:secret@a"), 11, "as a header"),
            (endpoint("http://a?key=1"), 11, "behind the `?`"),
            (endpoint("http://a/v1/traces"), 11, "which is added"),
            (format!("{right}\nshare = 1.5"), 32, "from 0.0"),
            (format!("{right}\nshare = nan"), 32, "from 0.0"),
            (format!("{right}\nshare = -1"), 32, "from 0.0"),
            (
                format!("{right}\nheaders.a = \"secret\""),
                36,
                "where it is",
            ),
            (
                format!("{right}\nheaders.\"a b\" = \"env:A\""),
                40,
                "such as",
            ),
        ] {
            let wrong = read(&text).check().unwrap_err();
            assert!(wrong.help.contains(said), "{text}: {wrong:?}");
            assert_eq!(wrong.offset, offset, "{text}: {wrong:?}");
            assert!(!wrong.message.contains("secret"), "{wrong:?}");
        }
    }

    #[test]
    fn values_of_headers_are_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let found = read("endpoint = \"http://a\"\nheaders.Authorization = \"file:token\"");
        let missing = found.headers(folder.path()).unwrap_err().to_string();
        assert!(missing.contains("the header `Authorization`"), "{missing}");
        #[expect(clippy::disallowed_methods, reason = "a test writes a secret")]
        std::fs::write(folder.path().join("token"), "Bearer x\n").unwrap();
        let headers = found.headers(folder.path()).unwrap();
        assert_eq!(
            headers,
            [("Authorization".to_owned(), "Bearer x".to_owned())]
        );
    }
}
