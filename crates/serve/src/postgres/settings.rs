//! SET, SHOW, RESET and DISCARD: a connection's own settings.
//!
//! DataFusion has one set of settings for everybody, which no client may change:
//! what a client sets is kept with its connection, where SHOW finds it. Only
//! `statement_timeout`, `TimeZone` and those that say how values are written change
//! what statements do.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{DFSchema, ToDFSchema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{
    ContextModifier, DiscardObject, Expr, Reset, Set, Statement,
};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::results::{
    DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag,
};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::messages::startup::ParameterStatus;

use super::codes::error;
use super::cursors::without_rows;
use super::formats::{FORMATS, format_value};
use super::hook::Hook;
use super::sign_in::SERVER_VERSION;
use super::time_zones;
use super::transaction_settings::{self as transaction, Values};
use crate::session::{self, SESSION};

/// Settings that one connection may keep.
const SETTINGS_MAX: usize = 100;
/// Characters of a setting's value.
const VALUE_LENGTH_MAX: usize = 1_000;
/// A connection's settings stand among what else is known of it, under names
/// that begin so.
const PREFIX: &str = "setting.";

/// What SHOW says where a client has set nothing; those that are `true` are told
/// to the client when they change, as PostgreSQL does.
const DEFAULTS: [(&str, &str, bool); 33] = [
    ("application_name", "", true),
    ("bytea_output", "hex", false),
    ("client_encoding", "UTF8", true),
    ("client_min_messages", "notice", false),
    ("datestyle", "ISO, YMD", true),
    ("default_transaction_isolation", "repeatable read", false),
    ("default_transaction_read_only", "on", false),
    ("escape_string_warning", "on", false),
    ("extra_float_digits", "1", false),
    ("idle_in_transaction_session_timeout", "0", false),
    ("in_hot_standby", "off", false),
    ("integer_datetimes", "on", false),
    ("intervalstyle", "postgres", true),
    ("is_superuser", "off", false),
    ("jit", "off", false),
    ("lc_collate", "C", false),
    ("lc_ctype", "C", false),
    ("lc_messages", "C", false),
    ("lc_monetary", "C", false),
    ("lc_numeric", "C", false),
    ("lc_time", "C", false),
    ("lock_timeout", "0", false),
    ("max_identifier_length", "63", false),
    ("max_index_keys", "32", false),
    ("max_prepared_transactions", "0", false),
    ("row_security", "on", false),
    ("search_path", "public", false),
    ("server_encoding", "UTF8", false),
    ("server_version_num", "160006", false),
    ("standard_conforming_strings", "on", false),
    ("transaction_isolation", "repeatable read", false),
    ("transaction_read_only", "on", false),
    ("wal_level", "replica", false),
];

/// `statement_timeout` as the guard reads it: milliseconds, 0 for none.
pub(super) fn statement_timeout_ms<C: ClientInfo + ?Sized>(client: &C) -> u64 {
    let text = client.metadata().get(&key_of(TIMEOUT));
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

const TIMEOUT: &str = "statement_timeout";
const TIME_ZONE: &str = "timezone";

/// The time zone that a client names when it connects: as a parameter, or among
/// its `options`. One that is not known is as none.
pub(super) fn startup_time_zone<'a>(
    parameters: impl Iterator<Item = (&'a String, &'a String)>,
) -> Option<String> {
    let mut named = None;
    let mut option = None;
    for (name, value) in parameters {
        if name.eq_ignore_ascii_case(TIME_ZONE) {
            named = time_zones::known(value);
        }
        if name == "options" {
            let words = value.split_whitespace();
            let mut pairs = words.filter_map(|word| {
                let word = word.trim_start_matches("--").trim_start_matches("-c");
                word.split_once('=')
            });
            let found = pairs.find(|(name, _)| name.eq_ignore_ascii_case(TIME_ZONE));
            option = found.and_then(|(_, value)| time_zones::known(value));
        }
    }
    named.or(option)
}

/// All settings where nobody has set them.
pub(super) fn defaults() -> impl Iterator<Item = (&'static str, &'static str)> {
    let known = DEFAULTS.iter().map(|(name, value, _)| (*name, *value));
    known.chain([("server_version", SERVER_VERSION), (TIMEOUT, "0")])
}

/// What a setting is where nobody has set it; `None` where there is no such one.
pub(super) fn default_of(name: &str) -> Option<String> {
    match name {
        "server_version" => Some(SERVER_VERSION.to_owned()),
        TIMEOUT => Some("0".to_owned()),
        _ => {
            let known = DEFAULTS.iter().find(|(known, _, _)| *known == name);
            known.map(|(_, value, _)| (*value).to_owned())
        }
    }
}

/// Where a setting is kept.
fn key_of(name: &str) -> String {
    match FORMATS.contains(&name) {
        true => name.to_owned(),
        false => format!("{PREFIX}{name}"),
    }
}

/// Whether a setting is kept under that name.
pub(super) fn is_setting(key: &str) -> bool {
    key.starts_with(PREFIX) || FORMATS.contains(&key)
}

/// Notes what a client says of `statement_timeout`, and of how it wants values
/// written, when it connects: as a parameter, or among its `options`. What is no
/// such value is as if nothing was said.
pub(super) fn note_startup<C: ClientInfo>(client: &mut C) {
    let metadata = client.metadata();
    let parameters = metadata.iter();
    let mut said: Vec<(String, String)> = parameters
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .collect();
    let options = metadata.get("options").cloned().unwrap_or_default();
    for word in options.split_whitespace() {
        let word = word.trim_start_matches("--").trim_start_matches("-c");
        if let Some((name, value)) = word.split_once('=') {
            said.push((name.to_lowercase(), value.to_owned()));
        }
    }
    client.metadata_mut().retain(|key, _| !is_setting(key));
    for (name, value) in said {
        let value = match name.as_str() {
            TIMEOUT => milliseconds(&value).map(|timeout_ms| timeout_ms.to_string()),
            name if FORMATS.contains(&name) => format_value(name, &value, None),
            _ => None,
        };
        if let Some(value) = value {
            client.metadata_mut().insert(key_of(&name), value);
        }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct SettingsHook {
    /// The business time zone, for whoever wants no other.
    pub(super) time_zone: String,
}

impl SettingsHook {
    /// What SHOW says of a name, in lower case.
    fn shown<C: ClientInfo + ?Sized>(&self, client: &C, name: &str) -> Option<String> {
        let found = client.metadata().get(&key_of(name));
        if let Some(value) = found {
            return Some(match name {
                TIMEOUT => format!("{value}ms"),
                _ => value.clone(),
            });
        }
        let told = match name {
            TIME_ZONE => session::time_zone().or_else(|| Some(self.time_zone.clone())),
            // The client says them when it connects.
            "application_name" => client.metadata().get(name).cloned(),
            "session_authorization" => client.metadata().get("user").cloned(),
            _ => None,
        };
        told.or_else(|| default_of(name))
    }

    fn show(&self, words: &str, client: &dyn HookClient) -> PgWireResult<Response> {
        let name = match words {
            "time zone" => "timezone",
            "transaction isolation level" => "transaction_isolation",
            "session authorization" => "session_authorization",
            other => other,
        };
        match self.shown(client, name) {
            Some(value) => one_text(name, &value),
            // 42704: undefined_object.
            None => Err(error(
                "42704",
                format!("unrecognized configuration parameter \"{name}\""),
            )),
        }
    }
}

impl SettingsHook {
    /// Ends a transaction: what is to hold from now on holds.
    ///
    /// # Errors
    /// When the client cannot be told.
    pub(super) async fn end(
        &self,
        is_committed: bool,
        client: &mut dyn HookClient,
    ) -> PgWireResult<()> {
        let Some(Values {
            settings,
            time_zone,
        }) = transaction::end(is_committed)
        else {
            return Ok(());
        };
        let told = DEFAULTS.iter().filter(|(_, _, is_told)| *is_told);
        let told = told.map(|(name, _, _)| (*name, self.shown(&*client, name)));
        let told: Vec<(&str, Option<String>)> = told.collect();
        client.metadata_mut().retain(|key, _| !is_setting(key));
        client.metadata_mut().extend(settings);
        for (name, before) in told {
            let now = self.shown(&*client, name);
            if let Some(value) = now.filter(|now| Some(now) != before.as_ref()) {
                tell(told_name(name), value, client).await?;
            }
        }
        if time_zone == session::time_zone() {
            return Ok(());
        }
        let _ = SESSION.try_with(|session| session.put_back_time_zone(time_zone));
        let now = session::time_zone().unwrap_or_else(|| self.time_zone.clone());
        tell("TimeZone", now, client).await
    }
}

fn done(tag: &str) -> PgWireResult<Response> {
    Ok(Response::Execution(Tag::new(tag)))
}

fn one_text(name: &str, value: &str) -> PgWireResult<Response> {
    let field = FieldInfo::new(name.to_owned(), None, None, Type::TEXT, FieldFormat::Text);
    let fields = Arc::new(vec![field]);
    let mut encoder = DataRowEncoder::new(fields.clone());
    encoder.encode_field(&Some(value))?;
    let row = Ok(encoder.take_row());
    let rows = futures::stream::once(async move { row });
    let mut response = QueryResponse::new(fields, Box::pin(rows));
    response.set_command_tag("SHOW");
    Ok(Response::Query(response))
}

/// Name and value, `None` for the default, of what a SET sets.
type Assignment = (String, Option<String>);

fn assignments(set: &Set) -> Result<Vec<Assignment>, PgWireError> {
    let found = match set {
        Set::SingleAssignment {
            variable, values, ..
        } => {
            let values: Vec<String> = values.iter().map(text).collect();
            let value = values.join(", ");
            let is_default = value.eq_ignore_ascii_case("default");
            vec![(
                plain_name(&variable.to_string()),
                (!is_default).then_some(value),
            )]
        }
        Set::SetTimeZone { value, .. } => {
            let value = text(value);
            let is_default = ["default", "local"]
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word));
            vec![(TIME_ZONE.to_owned(), (!is_default).then_some(value))]
        }
        Set::SetNames { charset_name, .. } => {
            vec![(
                "client_encoding".to_owned(),
                Some(charset_name.value.clone()),
            )]
        }
        Set::SetNamesDefault {} | Set::SetTransaction { .. } => Vec::new(),
        Set::SetRole {
            role_name: None, ..
        } => Vec::new(),
        Set::SetRole { .. } | Set::SetSessionAuthorization(_) => {
            // 42501: insufficient_privilege.
            let problem = "a connection stays that of the user who signed in";
            return Err(error("42501", problem.to_owned()));
        }
        other => {
            // 42601: syntax_error.
            let problem = format!("`{other}` is not known here");
            return Err(error("42601", problem));
        }
    };
    Ok(found)
}

fn plain_name(name: &str) -> String {
    name.replace('"', "").to_lowercase()
}

fn text(value: &Expr) -> String {
    match value {
        Expr::Value(value) => {
            let value = value.clone();
            let as_text = value.to_string();
            value.into_string().unwrap_or(as_text)
        }
        Expr::Identifier(name) => name.value.clone(),
        // `SET TIME ZONE INTERVAL '+08:00' HOUR TO MINUTE`, as the SQL standard has it.
        Expr::Interval(interval) => text(&interval.value),
        other => other.to_string(),
    }
}

/// Tells a client the value of a setting, as PostgreSQL does when it changes.
async fn tell(name: &str, value: String, client: &mut dyn HookClient) -> PgWireResult<()> {
    let status = ParameterStatus::new(name.to_owned(), value);
    client
        .send_message(PgWireBackendMessage::ParameterStatus(status))
        .await
}

/// Whether a SET sets something until the transaction ends.
fn is_local(set: &Set) -> bool {
    match set {
        Set::SingleAssignment { scope, .. } => *scope == Some(ContextModifier::Local),
        Set::SetTimeZone { local, .. } => *local,
        _ => false,
    }
}

/// The value of a setting in the form in which it is kept.
fn checked(name: &str, value: String, now: Option<&str>) -> PgWireResult<String> {
    if value.len() > VALUE_LENGTH_MAX {
        // 22023: invalid_parameter_value.
        let problem = format!("a setting has at most {VALUE_LENGTH_MAX} characters");
        return Err(error("22023", problem));
    }
    let wrong = |help: &str| {
        let problem = format!("invalid value for parameter \"{name}\": \"{value}\"{help}");
        error("22023", problem)
    };
    if name == TIMEOUT {
        let help = "; write milliseconds, or '30s', '5min'";
        let timeout_ms = milliseconds(&value).ok_or_else(|| wrong(help))?;
        return Ok(timeout_ms.to_string());
    }
    if name == "client_encoding" && !is_utf8(&value) {
        let problem = format!("\"{value}\" is not answered; use UTF8");
        return Err(error("22023", problem));
    }
    format_value(name, &value, now).ok_or_else(|| wrong(""))
}

fn told_name(name: &str) -> &str {
    match name {
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        other => other,
    }
}

async fn assign(
    own_time_zone: &str,
    assignments: Vec<Assignment>,
    is_local: bool,
    client: &mut dyn HookClient,
) -> PgWireResult<Response> {
    // What holds until the transaction ends does not without one.
    let is_in_vain = is_local && !transaction::is_begun();
    for (name, value) in assignments {
        if name.starts_with("datafusion.") {
            let problem = format!("`{name}` holds for everybody, and no client sets it");
            return Err(error("42501", problem));
        }
        if name == TIME_ZONE {
            let wanted = match value {
                Some(value) => Some(time_zones::known(&value).ok_or_else(|| {
                    let problem = format!("invalid value for parameter \"TimeZone\": \"{value}\"");
                    error("22023", problem)
                })?),
                None => None,
            };
            if !is_in_vain {
                set_time_zone(wanted, own_time_zone, client).await?;
            }
            if !is_local {
                transaction::keep_time_zone();
            }
            continue;
        }
        let key = key_of(&name);
        let now = client.metadata().get(&key).map(String::as_str);
        let value = value.map(|value| checked(&name, value, now)).transpose()?;
        if is_in_vain {
            continue;
        }
        if !is_local {
            transaction::keep_setting(&key, value.as_deref());
        }
        let Some(value) = value else {
            client.metadata_mut().remove(&key);
            continue;
        };
        let settings = client.metadata().keys();
        let count = settings.filter(|key| is_setting(key)).count();
        if count >= SETTINGS_MAX && !client.metadata().contains_key(&key) {
            // 53000: insufficient_resources.
            let problem = format!("a connection keeps at most {SETTINGS_MAX} settings");
            return Err(error("53000", problem));
        }
        client.metadata_mut().insert(key, value.clone());
        let known = DEFAULTS.iter().find(|(known, _, _)| *known == name);
        if known.is_some_and(|(_, _, is_told)| *is_told) {
            tell(told_name(&name), value, client).await?;
        }
    }
    done("SET")
}

/// Sets the time zone of a connection; `None` for that in which it began.
async fn set_time_zone(
    wanted: Option<String>,
    own_time_zone: &str,
    client: &mut dyn HookClient,
) -> PgWireResult<()> {
    let _ = SESSION.try_with(|session| session.set_time_zone(wanted));
    let now = session::time_zone().unwrap_or_else(|| own_time_zone.to_owned());
    tell("TimeZone", now, client).await
}

pub(super) fn is_utf8(name: &str) -> bool {
    ["utf8", "utf-8", "unicode"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Milliseconds of PostgreSQL's text of a time: a number of milliseconds, or one
/// with a unit.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let count: u64 = digits.trim().parse().ok()?;
    let unit_us: u64 = match text.get(digits.len()..)? {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    let whole_us = count.checked_mul(unit_us)?;
    Some(whole_us.div_ceil(1_000))
}

fn show_schema() -> Result<DFSchema, DataFusionError> {
    use arrow::datatypes::{DataType, Field, Schema};
    Arc::new(Schema::new(vec![Field::new("show", DataType::Utf8, true)])).to_dfschema()
}

#[async_trait]
impl Hook for SettingsHook {
    async fn answer(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let status = client.transaction_status();
        Some(match statement {
            Statement::StartTransaction { .. } => {
                if matches!(status, TransactionStatus::Idle) {
                    transaction::begin(&*client);
                }
                return None;
            }
            Statement::Commit { .. }
            | Statement::Rollback {
                savepoint: None, ..
            } => {
                let is_committed = matches!(statement, Statement::Commit { .. })
                    && !matches!(status, TransactionStatus::Error);
                let ended = self.end(is_committed, client).await;
                return ended.err().map(Err);
            }
            Statement::Set(set) => match assignments(set) {
                Ok(assignments) => {
                    assign(&self.time_zone, assignments, is_local(set), client).await
                }
                Err(problem) => Err(problem),
            },
            Statement::Reset(reset) => {
                let one = match &reset.reset {
                    Reset::ALL => None,
                    Reset::ConfigurationParameter(name) => Some(plain_name(&name.to_string())),
                };
                match &one {
                    None => {
                        client.metadata_mut().retain(|key, _| !is_setting(key));
                        transaction::keep_no_setting();
                    }
                    Some(name) => {
                        client.metadata_mut().remove(&key_of(name));
                        transaction::keep_setting(&key_of(name), None);
                    }
                }
                if one.is_none_or(|name| name == TIME_ZONE) {
                    if let Err(problem) = set_time_zone(None, &self.time_zone, client).await {
                        return Some(Err(problem));
                    }
                    transaction::keep_time_zone();
                }
                done("RESET")
            }
            Statement::Discard { object_type } => {
                if *object_type == DiscardObject::ALL {
                    client.metadata_mut().retain(|key, _| !is_setting(key));
                    transaction::keep_no_setting();
                    HookClient::portal_store(client).clear_portals();
                    if let Err(problem) = set_time_zone(None, &self.time_zone, client).await {
                        return Some(Err(problem));
                    }
                    transaction::keep_time_zone();
                }
                done(&format!("DISCARD {object_type}"))
            }
            Statement::ShowVariable { variable } => {
                let words = variable.iter().map(|word| word.value.to_lowercase());
                let words: Vec<String> = words.collect();
                self.show(&words.join(" "), &*client)
            }
            _ => return None,
        })
    }

    fn prepared(
        &self,
        statement: &Statement,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        match statement {
            Statement::Set(_) | Statement::Reset(_) | Statement::Discard { .. } => {
                Some(Ok(without_rows(DFSchema::empty())))
            }
            Statement::ShowVariable { .. } => Some(
                show_schema()
                    .map(without_rows)
                    .map_err(|error| PgWireError::ApiError(Box::new(error))),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("500", Some(500)),
            ("500ms", Some(500)),
            ("1500us", Some(2)),
            ("30s", Some(30_000)),
            ("5min", Some(300_000)),
            ("2 h", Some(7_200_000)),
            ("0", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999d", None),
            ("999999999999999d", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
