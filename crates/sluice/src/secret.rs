//! Secrets that `warehouse.toml` names as `env:NAME` or `file:PATH`.

use std::path::Path;

use crate::failure::Failure;

/// The secret that a setting names; relative paths start from the project's
/// `folder`.
///
/// # Errors
/// When the setting is no such name, or nothing is there.
pub fn named_secret(setting: &str, reference: &str, folder: &Path) -> Result<String, Failure> {
    let found = sluice_watch::secret(reference, folder);
    found.map_err(|error| Failure::Definitions(format!("{setting} of warehouse.toml: {error}")))
}
