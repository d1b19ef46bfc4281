//! Secrets that `warehouse.toml` names as `env:NAME` or `file:PATH`.

use std::path::Path;

use crate::failure::Failure;
use crate::project::Project;
use crate::watching;

/// The secret that a setting names; relative paths start from the project's
/// `folder`.
///
/// # Errors
/// When the setting is no such name, or nothing is there.
pub fn named_secret(setting: &str, reference: &str, folder: &Path) -> Result<String, Failure> {
    let found = sluice_watch::secret(reference, folder);
    found.map_err(|error| Failure::Definitions(format!("{setting} of warehouse.toml: {error}")))
}

/// Secrets of users, masks, mail, alarms and Sugar BI that are not where `warehouse.toml`
/// names them: what is to be said of each.
///
/// # Errors
/// When one stands in the file itself.
pub fn missing_of_settings(project: &Project) -> Result<Vec<String>, Failure> {
    let config = &project.config;
    let users = config.users.iter();
    let mut named: Vec<(String, &str)> = users
        .map(|(name, user)| (format!("[users.{name}]"), user.secret.as_str()))
        .collect();
    let others = [
        ("the master secret of [masking]", &config.masking.secret),
        (
            "`previous_secret` of [masking]",
            &config.masking.previous_secret,
        ),
        ("`token` of [sugar]", &config.sugar.token),
    ];
    for (setting, reference) in others {
        named.extend(reference.iter().map(|it| (setting.to_owned(), it.as_str())));
    }
    named.extend(watching::secrets(project));
    let mut missing = Vec::new();
    for (setting, reference) in named {
        let Err(problem) = named_secret(&setting, reference, &project.folder) else {
            continue;
        };
        if !sluice_watch::is_reference(reference) {
            return Err(problem);
        }
        missing.push(problem.to_string());
    }
    Ok(missing)
}
