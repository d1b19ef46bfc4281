//! Secrets are named in files, never written there: `env:NAME`, `file:PATH`.

use std::path::Path;

use crate::WatchError;

/// Whether a text names where a secret is, rather than being one.
pub fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// The secret that `reference` names; relative paths start from `folder`.
///
/// # Errors
/// When it is no such reference, or nothing is there.
pub fn secret(reference: &str, folder: &Path) -> Result<String, WatchError> {
    if let Some(name) = reference.strip_prefix("env:") {
        return match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(value),
            _ => Err(WatchError::Secret(format!(
                "the environment variable {name}, which holds a secret, is not set\n  help: export {name}=… before the start"
            ))),
        };
    }
    let Some(path) = reference.strip_prefix("file:") else {
        return Err(WatchError::Secret(
            "a secret stands in warehouse.toml itself\n  help: name where it is: \"env:NAME\" or \"file:PATH\"".to_owned(),
        ));
    };
    let path = folder.join(path);
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Ok(_) => Err(WatchError::Secret(format!(
            "{}, which holds a secret, is empty",
            path.display()
        ))),
        Err(error) => Err(WatchError::Secret(format!(
            "{}, which holds a secret: {error}",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_from_where_they_are_named() {
        let folder = Path::new("/nowhere");
        let error = secret("hunter2", folder).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(secret("file:none", folder).is_err());
        assert!(secret("env:SLUICE_NO_SUCH_SECRET", folder).is_err());
    }
}
