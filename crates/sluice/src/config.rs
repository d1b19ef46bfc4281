//! `warehouse.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::access::{PersonalText, UserText};
use crate::audit_log::AuditText;
use crate::failure::Failure;
use crate::secret::named_secret;
use crate::traces::TracesText;
use crate::watching::{AlarmsText, MailText};

/// Where the parts of the warehouse run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// All in this process.
    #[default]
    Local,
}

/// The content of `warehouse.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the warehouse.
    pub name: String,
    /// Folder of a project whose files this one adds to.
    pub extends: Option<String>,
    /// Where its parts run.
    #[serde(default)]
    pub profile: Profile,
    /// The business time zone: which day and hour a moment belongs to.
    #[serde(default = "utc")]
    pub time_zone: Spanned<String>,
    /// The currency of reports, for people who read them.
    #[serde(default)]
    pub currency: Option<String>,
    /// The folder that holds the state, from the project's folder.
    #[serde(default = "default_state")]
    pub state: String,
    /// Addresses.
    #[serde(default)]
    pub listen: Listen,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// How long the log keeps what a checkpoint holds.
    #[serde(default)]
    pub log: LogRetention,
    /// Who is told what nobody else owns: a mail address, or a name of
    /// `owners`.
    #[serde(default)]
    pub owner: Option<String>,
    /// Mail addresses of owners by name.
    #[serde(default)]
    pub owners: BTreeMap<String, String>,
    /// The server that mail is given to.
    #[serde(default)]
    pub mail: Option<MailText>,
    /// How people and programs are told of alarms.
    #[serde(default)]
    pub alarms: AlarmsText,
    /// Where the keys of masking are.
    #[serde(default)]
    pub masking: Masking,
    /// Answers to Baidu Sugar BI.
    #[serde(default)]
    pub sugar: SugarAccess,
    /// Who may ask; without any, everybody who reaches the addresses.
    #[serde(default)]
    pub users: BTreeMap<String, UserText>,
    /// Columns that not every role may read.
    #[serde(default)]
    pub personal: Vec<PersonalText>,
    /// What is kept of what was asked.
    #[serde(default)]
    pub audit: AuditText,
    /// Where it is told what epochs, requests and statements took.
    #[serde(default)]
    pub traces: Option<TracesText>,
    /// The project's own settings, put for `${name}` in its files.
    #[serde(default)]
    pub settings: BTreeMap<String, toml::Value>,
}

/// Addresses to listen on; port 0 takes a free one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// The PostgreSQL wire.
    #[serde(default = "default_postgres")]
    pub postgres: Spanned<String>,
    /// The page, the HTTP API and the collector.
    #[serde(default = "default_http")]
    pub http: Spanned<String>,
    /// Listen on addresses of other machines too, although nobody has to say who
    /// they are, or nothing is encrypted.
    #[serde(default)]
    pub insecure: bool,
    /// Encryption of both.
    pub tls: Option<TlsFiles>,
}

/// PEM files of a certificate and of its private key; relative paths start from
/// the project's folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Every limit has a default that fits one small machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most records of one epoch.
    pub epoch_records_max: u64,
    /// Most payload bytes of one epoch.
    pub epoch_bytes_max: usize,
    /// Silence of a source, while others speak, after which it no longer holds
    /// back the windows of views that read them together, in milliseconds;
    /// never if it is not given.
    pub source_idle_after_ms: Option<u64>,
    /// Time between checkpoints, in milliseconds.
    pub checkpoint_interval_ms: u64,
    /// Threads of the engine; 0 takes one for each processor.
    pub worker_threads: usize,
    /// Memory of the engine's state, of the keys of duplicates and of the index
    /// of removable rows, in bytes; what exceeds it is kept on disk. By default
    /// a part of the machine's memory.
    pub state_memory_bytes_max: Option<usize>,
    /// Bytes of state on disk beyond that memory.
    pub state_disk_bytes_max: usize,
    /// Memory of all ad-hoc queries together, in bytes.
    pub query_memory_bytes_max: usize,
    /// Bytes of checkpointed rows of tables and views that stay in memory.
    pub segment_cache_bytes_max: usize,
    /// Requests over HTTP that each user may send in a second; no limit without
    /// it.
    pub requests_per_second_max: Option<f64>,
    /// Wrong secrets that are taken from an address within a minute; 0 for no
    /// limit.
    pub wrong_secrets_per_minute_max: u32,
    /// Time of one ad-hoc query, in milliseconds.
    pub query_time_ms_max: u64,
    /// Bytes of one record.
    pub record_bytes_max: usize,
    /// Bytes of the body of one request to the collector.
    pub request_bytes_max: usize,
    /// Bytes that clients have sent and that are not durable yet; beyond that
    /// they are told to try again.
    pub collect_waiting_bytes_max: usize,
    /// Different values that each domain of `uniq_state` may have.
    pub uniq_ids_max: u32,
}

/// How long the log keeps what a checkpoint holds. Without either limit it
/// keeps everything, so that changed definitions can be applied to all of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogRetention {
    /// Keep records of so many days.
    pub retain_days: Option<u32>,
    /// Keep so many bytes a partition.
    pub retain_bytes: Option<u64>,
    /// Bytes of a segment, the unit in which the log is dropped.
    pub segment_bytes_max: u64,
}

/// Where the keys of masking are. Secrets themselves never stand here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Masking {
    /// The master secret, which wraps all other keys: `env:NAME` or
    /// `file:PATH`.
    pub secret: Option<String>,
    /// The one before, while it is changed.
    pub previous_secret: Option<String>,
    /// The folder of the key store, from the project's folder; without it
    /// `keys` in the state.
    pub keys: Option<String>,
}

/// Who may ask as Sugar BI.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SugarAccess {
    /// Where the token is that it sends: `env:NAME` or `file:PATH`. Without it
    /// Sugar BI is not answered.
    pub token: Option<String>,
}

impl SugarAccess {
    /// The token itself; relative paths start from the project's `folder`.
    ///
    /// # Errors
    /// When it cannot be had from where it should be.
    pub fn token(&self, folder: &Path) -> Result<Option<String>, Failure> {
        let token = self.token.as_ref();
        token
            .map(|reference| named_secret("`token` of [sugar]", reference, folder))
            .transpose()
    }
}

impl Default for LogRetention {
    fn default() -> Self {
        Self {
            retain_days: None,
            retain_bytes: None,
            segment_bytes_max: 64 << 20,
        }
    }
}

fn utc() -> Spanned<String> {
    Spanned::new(0..0, "UTC".to_owned())
}

fn default_state() -> String {
    "data".to_owned()
}

fn default_postgres() -> Spanned<String> {
    Spanned::new(0..0, "127.0.0.1:5433".to_owned())
}

fn default_http() -> Spanned<String> {
    Spanned::new(0..0, "127.0.0.1:8080".to_owned())
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            postgres: default_postgres(),
            http: default_http(),
            insecure: false,
            tls: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            epoch_records_max: 65_536,
            source_idle_after_ms: None,
            epoch_bytes_max: 64 << 20,
            checkpoint_interval_ms: 10_000,
            worker_threads: 0,
            state_memory_bytes_max: None,
            state_disk_bytes_max: 256 << 30,
            query_memory_bytes_max: 1 << 30,
            segment_cache_bytes_max: 256 << 20,
            requests_per_second_max: None,
            wrong_secrets_per_minute_max: 20,
            query_time_ms_max: 60_000,
            record_bytes_max: 16 << 20,
            request_bytes_max: 16 << 20,
            collect_waiting_bytes_max: 64 << 20,
            uniq_ids_max: sluice_functions::UNIQ_IDS_MAX,
        }
    }
}

impl Config {
    /// Reads `text`, the content of the file `path`, after `overrides` of
    /// `--set` whose names are no settings of the project.
    ///
    /// # Errors
    /// With file, line and column of what is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            problem(path, text, offset, error.message(), "")
        })?;
        let zone = &config.time_zone;
        if zone.get_ref().parse::<chrono_tz::Tz>().is_err() {
            let message = format!("`{}` is no time zone", zone.get_ref());
            let help = "use a name of the IANA list, such as \"Europe/London\" or \"UTC\"";
            return Err(problem(path, text, zone.span().start, &message, help));
        }
        for listen in [&config.listen.postgres, &config.listen.http] {
            if listen.get_ref().parse::<SocketAddr>().is_err() {
                let message = format!("`{}` is no address", listen.get_ref());
                let help =
                    "write address and port, such as \"127.0.0.1:5433\"; port 0 takes a free one";
                return Err(problem(path, text, listen.span().start, &message, help));
            }
        }
        if let Some(traces) = &config.traces {
            let checked = traces.check();
            checked
                .map_err(|wrong| problem(path, text, wrong.offset, &wrong.message, wrong.help))?;
        }
        for (name, value) in &config.settings {
            if value.is_table() || value.as_array().is_some_and(|items| !are_texts(items)) {
                let message =
                    format!("the setting `{name}` is neither a value nor a list of texts");
                let offset = text.find(name.as_str()).unwrap_or(0);
                return Err(problem(
                    path,
                    text,
                    offset,
                    &message,
                    "write text, a number, true/false, or a list of texts",
                ));
            }
        }
        if config.limits.epoch_records_max == 0 || config.limits.epoch_bytes_max == 0 {
            let offset = text.find("epoch_").unwrap_or(0);
            let help = "leave it out for the default";
            return Err(problem(
                path,
                text,
                offset,
                "an epoch cannot be limited to nothing",
                help,
            ));
        }
        Ok(config)
    }

    /// The address of the page, the HTTP API and the collector.
    pub fn http_address(&self) -> SocketAddr {
        let checked = self.listen.http.get_ref().parse();
        checked.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The address of the PostgreSQL wire.
    pub fn postgres_address(&self) -> SocketAddr {
        let checked = self.listen.postgres.get_ref().parse();
        checked.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

/// A setting's value as text. Of a list, what stands between the quotation marks of
/// a list in SQL: `IN ('${name}')`.
pub fn value_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(value_text).collect();
            texts.join("', '")
        }
        other => other.to_string(),
    }
}

/// Whether it is a list of texts, one at least.
fn are_texts(items: &[toml::Value]) -> bool {
    !items.is_empty() && items.iter().all(toml::Value::is_str)
}

/// `text` of warehouse.toml with one key changed by `--set`.
///
/// # Errors
/// When there is no such key, or its value does not fit.
pub fn override_key(path: &Path, text: &str, key: &str, value: &str) -> Result<String, Failure> {
    let unknown = |table: &toml::Table| {
        let known: Vec<String> = table
            .get("settings")
            .and_then(toml::Value::as_table)
            .map(|settings| settings.keys().cloned().collect())
            .unwrap_or_default();
        let message = format!(
            "--set {key}={value}: there is no setting `{key}` in {}\n  help: settings of this project: {}; keys of the file such as `listen.postgres` or `limits.checkpoint_interval_ms` can be set too",
            path.display(),
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            },
        );
        Failure::Definitions(message)
    };
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        problem(path, text, offset, error.message(), "")
    })?;
    let as_text = toml::Value::String(value.to_owned());
    let as_value = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"));
    for candidate in [Some(as_text), as_value].into_iter().flatten() {
        let mut changed = table.clone();
        if !set_key(&mut changed, key, candidate) {
            return Err(unknown(&table));
        }
        let Ok(changed_text) = toml::to_string(&changed) else {
            continue;
        };
        if toml::from_str::<Config>(&changed_text).is_ok() {
            return Ok(changed_text);
        }
    }
    Err(unknown(&table))
}

/// Sets a dotted key; false where a part of it is no table. Names of the
/// project's own settings come first and must exist.
fn set_key(table: &mut toml::Table, key: &str, value: toml::Value) -> bool {
    if let Some(settings) = table
        .get_mut("settings")
        .and_then(toml::Value::as_table_mut)
        && let Some(setting) = settings.get_mut(key)
    {
        *setting = value;
        return true;
    }
    if key.starts_with("settings.") {
        return false;
    }
    let mut parts: Vec<&str> = key.split('.').collect();
    let Some(last) = parts.pop() else {
        return false;
    };
    let mut current = table;
    for part in parts {
        let next = current
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        match next.as_table_mut() {
            Some(next) => current = next,
            None => return false,
        }
    }
    current.insert(last.to_owned(), value);
    true
}

fn problem(path: &Path, text: &str, offset: usize, message: &str, help: &str) -> Failure {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |position| position + 1);
    let column = before[line_start..].chars().count() + 1;
    let mut report = format!("{}:{line}:{column}: {message}", path.display());
    if !help.is_empty() {
        report.push_str("\n  help: ");
        report.push_str(help);
    }
    Failure::Definitions(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"shop\"\n\n[settings]\ninput = \"data\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("w.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        let error = parse("name = \"a\"\n[limits]\nepoch_record_max = 3\n").unwrap_err();
        assert!(
            error.starts_with("w.toml:3:1: unknown field `epoch_record_max`"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_time_zone_or_address_is_refused_with_its_place() {
        let error = parse("name = \"a\"\ntime_zone = \"London\"\n").unwrap_err();
        assert!(
            error.starts_with("w.toml:2:13: `London` is no time zone"),
            "{error}"
        );
        let error = parse("name = \"a\"\nlisten.postgres = \"5433\"\n").unwrap_err();
        assert!(
            error.starts_with("w.toml:2:19: `5433` is no address"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_address_for_traces_is_refused_with_its_place() {
        let error = parse("name = \"a\"\n[traces]\nendpoint = \"collector\"\n").unwrap_err();
        assert!(
            error.starts_with("w.toml:3:12: `endpoint` of [traces] is no address"),
            "{error}"
        );
        assert!(
            error.contains("help: write scheme, host and port"),
            "{error}"
        );
    }

    #[test]
    fn a_setting_is_a_value_or_a_list_of_texts() {
        let text = |settings: &str| format!("name = \"a\"\n[settings]\n{settings}\n");
        let config = parse(&text(
            "one = \"0705\"\nmany = [\"0705\", \"0706\"]\nnumber = 3",
        ))
        .unwrap();
        let value = |name: &str| value_text(&config.settings[name]);
        assert_eq!(value("one"), "0705");
        assert_eq!(value("many"), "0705', '0706");
        assert_eq!(value("number"), "3");
        for wrong in ["codes = []", "codes = [1, 2]", "codes = { a = 1 }"] {
            let error = parse(&text(wrong)).unwrap_err();
            assert!(
                error.starts_with("w.toml:3:1: the setting `codes` is neither"),
                "{error}"
            );
        }
    }

    #[test]
    fn set_changes_settings_and_keys_of_the_file_but_invents_none() {
        let path = Path::new("w.toml");
        let text = override_key(path, TEXT, "input", "else/where").unwrap();
        assert_eq!(
            parse(&text).unwrap().settings["input"].as_str(),
            Some("else/where")
        );
        let text = override_key(path, TEXT, "limits.checkpoint_interval_ms", "250").unwrap();
        assert_eq!(parse(&text).unwrap().limits.checkpoint_interval_ms, 250);
        let text = override_key(path, TEXT, "listen.postgres", "127.0.0.1:0").unwrap();
        assert_eq!(parse(&text).unwrap().postgres_address().port(), 0);
        let error = override_key(path, TEXT, "inptu", "x")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no setting `inptu`") && error.contains("input"),
            "{error}"
        );
    }
}
