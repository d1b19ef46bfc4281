//! SET, SHOW and RESET: a connection's own settings.
//!
//! DataFusion has one set of settings for everybody, which no client may change:
//! what a client sets is kept with its connection, where SHOW finds it. Only
//! `statement_timeout`, `TimeZone`, the level of isolation and those that say how
//! values are written change what statements do.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::common::{DFSchema, ToDFSchema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{ContextModifier, Expr, Ident, Reset, Set, Statement};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::results::{
    DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag,
};
use datafusion_postgres::pgwire::api::{ClientInfo, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::messages::startup::ParameterStatus;

use super::codes::error;
use super::cursors::without_rows;
use super::hook::Hook;
use super::isolation::{DEFAULT_LEVEL, Isolation, LEVEL};
use super::savepoints::is_chained;
use super::sent_rows::SHOW;
use super::setting_values::{
    DEFAULTS, TIME_ZONE, check_name, checked, default_of, defaults, is_setting, is_told, key_of,
    name_of, shown_value, told_name, unrecognized,
};
use super::transaction_settings::{self as transaction, Values};
use crate::session::{self, SESSION};

/// Settings that one connection may keep.
pub(super) const SETTINGS_MAX: usize = 100;
/// What `SHOW ALL` names.
const ALL: &str = "all";
/// The columns of its answer.
const ALL_COLUMNS: [&str; 3] = ["name", "setting", "description"];

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct SettingsHook {
    /// The business time zone, for whoever wants no other.
    pub(super) time_zone: String,
}

impl SettingsHook {
    /// What SHOW says of a name, in lower case.
    pub(super) fn shown<C: ClientInfo + ?Sized>(&self, client: &C, name: &str) -> Option<String> {
        if name == LEVEL
            && let Some(level) = transaction::isolation()
        {
            return Some(level.name().to_owned());
        }
        let found = client.metadata().get(&key_of(name));
        if let Some(value) = found {
            return Some(shown_value(name, value));
        }
        let told = match name {
            TIME_ZONE => session::time_zone().or_else(|| Some(self.time_zone.clone())),
            LEVEL => self.shown(client, DEFAULT_LEVEL),
            // The client says them when it connects.
            "application_name" => client.metadata().get(name).cloned(),
            "session_authorization" => client.metadata().get("user").cloned(),
            _ => None,
        };
        told.or_else(|| default_of(name))
    }

    fn show(&self, name: &str, client: &dyn HookClient) -> PgWireResult<Response> {
        if name == ALL {
            return self.show_all(client);
        }
        match self.shown(client, name) {
            Some(value) => texts(&[told_name(name)], &[vec![value]]),
            None => Err(unrecognized(name)),
        }
    }

    /// What SHOW says of all settings that are known, and of those that the client has
    /// made up, by their names in lower case.
    pub(super) fn all_shown<C: ClientInfo + ?Sized>(&self, client: &C) -> BTreeMap<String, String> {
        let mut names = vec![TIME_ZONE];
        names.extend(defaults().map(|(name, _)| name));
        names.extend(client.metadata().keys().filter_map(|key| name_of(key)));
        let shown = names.into_iter();
        let shown = shown.filter_map(|name| Some((name.to_owned(), self.shown(client, name)?)));
        shown.collect()
    }

    fn show_all(&self, client: &dyn HookClient) -> PgWireResult<Response> {
        let shown = self.all_shown(client).into_iter();
        let mut rows: Vec<Vec<String>> = shown
            .map(|(name, value)| vec![told_name(&name).to_owned(), value, String::new()])
            .collect();
        rows.sort();
        texts(&ALL_COLUMNS, &rows)
    }

    /// The level of isolation of a transaction that begins with this statement.
    fn level<C: ClientInfo + ?Sized>(&self, statement: &Statement, client: &C) -> Isolation {
        let named = match statement {
            Statement::StartTransaction { modes, .. } => Isolation::of_modes(modes),
            _ => None,
        };
        let default = || Isolation::named(&self.shown(client, DEFAULT_LEVEL)?);
        named.or_else(default).unwrap_or(Isolation::ReadCommitted)
    }

    /// Makes these values hold, and tells the client of those that have changed.
    ///
    /// # Errors
    /// When the client cannot be told.
    pub(super) async fn hold(
        &self,
        values: Values,
        client: &mut dyn HookClient,
    ) -> PgWireResult<()> {
        let Values {
            settings,
            time_zone,
        } = values;
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
        let _ = SESSION.try_with(|session| session.set_time_zone(time_zone));
        let now = session::time_zone().unwrap_or_else(|| self.time_zone.clone());
        tell(told_name(TIME_ZONE), now, client).await
    }

    /// Ends a transaction: what is to hold from now on holds.
    ///
    /// # Errors
    /// When the client cannot be told.
    pub(super) async fn end(
        &self,
        is_committed: bool,
        client: &mut dyn HookClient,
    ) -> PgWireResult<()> {
        match transaction::end(is_committed) {
            Some(values) => self.hold(values, client).await,
            None => Ok(()),
        }
    }

    /// Goes back to what held when the client connected.
    ///
    /// # Errors
    /// When the client cannot be told.
    pub(super) async fn reset_all(&self, client: &mut dyn HookClient) -> PgWireResult<()> {
        transaction::will_set(&*client);
        let first = Values::first(&*client);
        transaction::keep_all(&first);
        self.hold(first, client).await
    }

    /// The same of one setting.
    async fn reset(
        &self,
        name: &str,
        is_local: bool,
        client: &mut dyn HookClient,
    ) -> PgWireResult<()> {
        transaction::will_set(&*client);
        let mut first = Values::first(&*client);
        let mut values = Values::of(&*client);
        if name == TIME_ZONE {
            values.time_zone = first.time_zone;
            if !is_local {
                transaction::keep_time_zone(values.time_zone.clone());
            }
        } else {
            let key = key_of(name);
            let value = first.settings.remove(&key);
            if !is_local {
                transaction::keep_setting(&key, value.as_deref());
            }
            match value {
                Some(value) => values.settings.insert(key, value),
                None => values.settings.remove(&key),
            };
        }
        self.hold(values, client).await
    }

    /// Sets what these name to their values.
    ///
    /// # Errors
    /// When one is no value of its setting, or the client cannot be told.
    pub(super) async fn assign(
        &self,
        assignments: Vec<Assignment>,
        is_local: bool,
        client: &mut dyn HookClient,
    ) -> PgWireResult<Response> {
        // What holds until the transaction ends does not without one.
        let is_in_vain = is_local && !transaction::is_begun();
        for (name, value) in assignments {
            check_name(&name)?;
            let Some(value) = value else {
                if !is_in_vain {
                    self.reset(&name, is_local, client).await?;
                }
                continue;
            };
            let now = client.metadata().get(&key_of(&name));
            let value = checked(&name, value, now.map(String::as_str))?;
            match name.as_str() {
                _ if is_in_vain => {}
                TIME_ZONE => set_time_zone(value, is_local, client).await?,
                name => set(name, value, is_local, client).await?,
            }
        }
        done("SET")
    }
}

/// Sets the time zone of a connection.
async fn set_time_zone(
    zone: String,
    is_local: bool,
    client: &mut dyn HookClient,
) -> PgWireResult<()> {
    transaction::will_set(&*client);
    let _ = SESSION.try_with(|session| session.set_time_zone(Some(zone.clone())));
    if !is_local {
        transaction::keep_time_zone(Some(zone.clone()));
    }
    tell(told_name(TIME_ZONE), zone, client).await
}

/// Sets something else.
async fn set(
    name: &str,
    value: String,
    is_local: bool,
    client: &mut dyn HookClient,
) -> PgWireResult<()> {
    if name == LEVEL {
        if let Some(level) = Isolation::named(&value) {
            transaction::set_isolation(level, false);
        }
        return Ok(());
    }
    let key = key_of(name);
    let settings = client.metadata().keys();
    let count = settings.filter(|key| is_setting(key)).count();
    if count >= SETTINGS_MAX && !client.metadata().contains_key(&key) {
        // 53000: insufficient_resources.
        let problem = format!("a connection keeps at most {SETTINGS_MAX} settings");
        return Err(error("53000", problem));
    }
    transaction::will_set(&*client);
    if !is_local {
        transaction::keep_setting(&key, Some(&value));
    }
    client.metadata_mut().insert(key, value.clone());
    match is_told(name) {
        true => tell(told_name(name), value, client).await,
        false => Ok(()),
    }
}

fn done(tag: &str) -> PgWireResult<Response> {
    Ok(Response::Execution(Tag::new(tag)))
}

/// Rows of texts.
fn texts(columns: &[&str], rows: &[Vec<String>]) -> PgWireResult<Response> {
    let fields = columns.iter();
    let fields = fields.map(|name| {
        let name = (*name).to_owned();
        FieldInfo::new(name, None, None, Type::TEXT, FieldFormat::Text)
    });
    let fields: Arc<Vec<FieldInfo>> = Arc::new(fields.collect());
    let mut encoder = DataRowEncoder::new(fields.clone());
    let mut encoded = Vec::with_capacity(rows.len());
    for row in rows {
        for value in row {
            encoder.encode_field(&Some(value.as_str()))?;
        }
        encoded.push(Ok(encoder.take_row()));
    }
    let mut response = QueryResponse::new(fields, futures::stream::iter(encoded));
    response.set_command_tag(SHOW);
    Ok(Response::Query(response))
}

/// Name and value, `None` for the default, of what a SET sets.
pub(super) type Assignment = (String, Option<String>);

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
        Set::SetTransaction { modes, session, .. } => {
            let name = if *session { DEFAULT_LEVEL } else { LEVEL };
            let level = Isolation::of_modes(modes);
            let level = level.map(|level| (name.to_owned(), Some(level.name().to_owned())));
            level.into_iter().collect()
        }
        Set::SetNamesDefault {} => Vec::new(),
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

/// What the words of a SHOW name.
fn name_of_words(words: &[Ident]) -> String {
    let words = words.iter().map(|word| word.value.to_lowercase());
    let words: Vec<String> = words.collect();
    match words.join(" ").as_str() {
        "time zone" => TIME_ZONE.to_owned(),
        "transaction isolation level" => LEVEL.to_owned(),
        // `SHOW SESSION AUTHORIZATION`: the parser takes the first word for a scope.
        "authorization" | "session authorization" => "session_authorization".to_owned(),
        // A name in parts, as clients make them up.
        _ => words.join("."),
    }
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

fn show_schema(name: &str) -> Result<DFSchema, DataFusionError> {
    let one = [told_name(name)];
    let columns: &[&str] = if name == ALL { &ALL_COLUMNS } else { &one };
    let fields = columns.iter();
    let fields = fields.map(|column| Field::new(*column, DataType::Utf8, true));
    Arc::new(Schema::new(fields.collect::<Vec<Field>>())).to_dfschema()
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
                    transaction::begin_block(self.level(statement, &*client));
                }
                return None;
            }
            Statement::Commit { .. }
            | Statement::Rollback {
                savepoint: None, ..
            } => {
                let is_committed = matches!(statement, Statement::Commit { .. })
                    && !matches!(status, TransactionStatus::Error);
                let level = transaction::isolation();
                let ended = self.end(is_committed, client).await;
                if let Some(level) = level.filter(|_| is_chained(statement)) {
                    transaction::begin_block(level);
                }
                return ended.err().map(Err);
            }
            Statement::Set(set) => match assignments(set) {
                Ok(assignments) => self.assign(assignments, is_local(set), client).await,
                Err(problem) => Err(problem),
            },
            Statement::Reset(reset) => {
                let name = match &reset.reset {
                    Reset::ALL => None,
                    Reset::ConfigurationParameter(name) => Some(plain_name(&name.to_string())),
                };
                let reset = match &name {
                    None => self.reset_all(client).await,
                    Some(name) => self.reset(name, false, client).await,
                };
                reset.and_then(|()| done("RESET"))
            }
            Statement::ShowVariable { variable } => self.show(&name_of_words(variable), &*client),
            _ => return None,
        })
    }

    fn prepared(
        &self,
        statement: &Statement,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        match statement {
            Statement::Set(_) | Statement::Reset(_) => Some(Ok(without_rows(DFSchema::empty()))),
            Statement::ShowVariable { variable } => Some(
                show_schema(&name_of_words(variable))
                    .map(without_rows)
                    .map_err(|error| PgWireError::ApiError(Box::new(error))),
            ),
            _ => None,
        }
    }
}
