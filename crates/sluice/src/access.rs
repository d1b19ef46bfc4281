//! Who may ask a warehouse: `[users]` and `[[personal]]` of `warehouse.toml`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use sluice_core::SystemClock;
use sluice_engine::{EVALUATION_ERRORS, Program};
use sluice_functions::UNIQ_IDS;
use sluice_serve::{Access, PersonalColumns, Role, Tls, User, WarnOfTls, WrongSecrets};

use crate::dead_letters::DEAD_LETTERS;
use crate::failure::Failure;
use crate::project::Project;
use crate::secret::named_secret;

/// The name under which the program's own commands ask.
pub const LOCAL_USER: &str = "sluice";

/// A user of `[users.NAME]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserText {
    role: String,
    pub(crate) secret: String,
}

/// A rule of `[[personal]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonalText {
    table: String,
    columns: BTreeSet<String>,
    #[serde(default = "admin")]
    role: String,
}

fn admin() -> String {
    "admin".to_owned()
}

fn role(path: &Path, name: &str) -> Result<Role, Failure> {
    Role::parse(name).ok_or_else(|| {
        Failure::Definitions(format!(
            "{}: `{name}` is no role\n  help: use reader, analyst or admin",
            path.display()
        ))
    })
}

/// Whether the addresses may be listened on: others than those of this machine
/// itself only with users and encryption, or with a word that it is meant.
///
/// # Errors
/// Why they may not.
pub fn check_addresses(project: &Project) -> Result<(), Failure> {
    let config = &project.config;
    if config.listen.insecure {
        return Ok(());
    }
    let path = project.folder.join("warehouse.toml");
    for (key, address) in [
        ("listen.http", config.http_address()),
        ("listen.postgres", config.postgres_address()),
    ] {
        if address.ip().is_loopback() {
            continue;
        }
        let problem = |problem: &str, help: &str| {
            Failure::Definitions(format!(
                "{}: {key} = \"{address}\" can be reached by other machines, and {problem}\n  help: {help}, or set listen.insecure = true where you trust all that reach it",
                path.display()
            ))
        };
        if config.users.is_empty() {
            let help = "add [users.NAME] with role and secret, or listen on 127.0.0.1";
            return Err(problem("everybody there could read everything", help));
        }
        if config.listen.tls.is_none() {
            let help = "name certificate and key under [listen.tls], or listen on 127.0.0.1 behind a proxy that encrypts";
            return Err(problem("what goes there is not encrypted", help));
        }
    }
    Ok(())
}

/// The certificate and key of `[listen.tls]`, if there are any.
///
/// # Errors
/// When they cannot be used.
pub fn open_tls(project: &Project, warn: WarnOfTls) -> Result<Option<Tls>, Failure> {
    let Some(files) = &project.config.listen.tls else {
        return Ok(None);
    };
    let path = |file: &Path| project.folder.join(file);
    let tls = Tls::read(path(&files.certificate), path(&files.key), warn);
    tls.map(Some).map_err(|error| {
        let file = project.folder.join("warehouse.toml");
        Failure::Definitions(format!("{}: [listen.tls]: {error}", file.display()))
    })
}

/// The rules of a project, their secrets not read.
///
/// # Errors
/// What is wrong with them.
pub fn check(project: &Project, program: &Program) -> Result<(), Failure> {
    check_addresses(project)?;
    let path = project.folder.join("warehouse.toml");
    let config = &project.config;
    let wrong = |problem: String| Failure::Definitions(format!("{}: {problem}", path.display()));
    for (name, user) in &config.users {
        role(&path, &user.role)?;
        if name == LOCAL_USER || name.is_empty() || name.contains(':') {
            return Err(wrong(format!(
                "`{name}` cannot be the name of a user\n  help: take one without a colon; `{LOCAL_USER}` is what the program's own commands are called"
            )));
        }
        if !user.secret.starts_with("env:") && !user.secret.starts_with("file:") {
            return Err(Failure::Definitions(format!(
                "{}: a secret of [users] stands in the file itself\n  help: name where it is: \"env:NAME\" or \"file:PATH\"",
                path.display()
            )));
        }
    }
    if config.users.is_empty() && !config.personal.is_empty() {
        let problem = "[[personal]] without users hides nothing\n  help: add [users.NAME] with role and secret";
        return Err(wrong(problem.to_owned()));
    }
    for rule in &config.personal {
        role(&path, &rule.role)?;
        let mut collections = program.collections().iter();
        let Some(found) = collections.find(|found| found.name == rule.table) else {
            return Err(wrong(format!(
                "[[personal]] names `{}`, which is no table or materialized view",
                rule.table
            )));
        };
        let is_unknown = |column: &&String| found.schema.column_with_name(column).is_none();
        if let Some(column) = rule.columns.iter().find(is_unknown) {
            return Err(wrong(format!(
                "[[personal]] names the column `{column}`, which `{}` does not have",
                rule.table
            )));
        }
    }
    let rate = config.limits.requests_per_second_max;
    if rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        let problem = "limits.requests_per_second_max is a number above 0";
        return Err(wrong(problem.to_owned()));
    }
    Ok(())
}

/// Tables of the warehouse itself that repeat values of records: their rules
/// where there are any personal columns.
const COPIES: [(&str, &[&str]); 3] = [
    (DEAD_LETTERS, &["payload", "detail"]),
    (EVALUATION_ERRORS, &["row", "message"]),
    (UNIQ_IDS, &["value"]),
];

/// The rules of a project, and the secret of the program's own commands where
/// there are users.
///
/// # Errors
/// When a secret is not where it should be.
pub fn open(project: &Project, program: &Program) -> Result<(Access, Option<String>), Failure> {
    check(project, program)?;
    let path = project.folder.join("warehouse.toml");
    let mut users = Vec::new();
    for (name, user) in &project.config.users {
        let what = format!("[users.{name}] of warehouse.toml");
        let secret = named_secret(&format!("[users.{name}]"), &user.secret, &project.folder)?;
        let mut known = users.iter();
        if let Some(other) = known.find(|other: &&User| other.secret == secret) {
            return Err(Failure::Definitions(format!(
                "{what} has the same secret as [users.{}], so that a token does not say who asks\n  help: give each user a secret of its own",
                other.name
            )));
        }
        users.push(User {
            name: name.clone(),
            role: role(&path, &user.role)?,
            secret,
        });
    }
    let mut own_secret = None;
    if !users.is_empty() {
        let made = new_secret()?;
        users.push(User {
            name: LOCAL_USER.to_owned(),
            role: Role::Admin,
            secret: made.clone(),
        });
        own_secret = Some(made);
    }
    let mut personal = Vec::new();
    for rule in &project.config.personal {
        personal.push(PersonalColumns {
            table: rule.table.clone(),
            columns: rule.columns.clone(),
            role: role(&path, &rule.role)?,
        });
    }
    inherit(&mut personal, program);
    if !personal.is_empty() {
        personal.extend(COPIES.map(|(table, columns)| PersonalColumns {
            table: table.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            role: Role::Admin,
        }));
    }
    let wrong = project.config.limits.wrong_secrets_per_minute_max;
    let wrong = WrongSecrets::new((wrong > 0).then_some(wrong), Arc::new(SystemClock));
    let access = Access::new(users, personal).with_limit(wrong, LOCAL_USER);
    Ok((access, own_secret))
}

/// Gives columns of materialized views the rules of the columns that they take
/// their values from, where they have none of their own.
fn inherit(personal: &mut Vec<PersonalColumns>, program: &Program) {
    // Views come after what they read, however they are named.
    for _ in 0..program.shapes().len() {
        let mut found: Vec<PersonalColumns> = Vec::new();
        for (view, shape) in program.shapes() {
            for (field, origins) in shape.schema.fields().iter().zip(&shape.origins) {
                if rule_of(personal, view, field.name()).is_some() {
                    continue;
                }
                let roles = origins.iter();
                let roles = roles.filter_map(|(table, column)| rule_of(personal, table, column));
                if let Some(role) = roles.max() {
                    found.push(PersonalColumns {
                        table: view.clone(),
                        columns: BTreeSet::from([field.name().clone()]),
                        role,
                    });
                }
            }
        }
        if found.is_empty() {
            return;
        }
        personal.extend(found);
    }
}

fn rule_of(personal: &[PersonalColumns], table: &str, column: &str) -> Option<Role> {
    let mut rules = personal.iter();
    let rule = rules.find(|rule| rule.table == table && rule.columns.contains(column));
    rule.map(|rule| rule.role)
}

fn new_secret() -> Result<String, Failure> {
    let mut bytes = [0_u8; 24];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Failure::Failed("the machine gives no random numbers".into()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
