//! `current_setting` and `set_config`: SHOW and SET as functions.
//!
//! Functions know no client. What SHOW says is noted with the session before a statement
//! that calls one of them, and what they want to set is noted with it too: it is set once
//! the statement was answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, Volatility};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{Expr, ObjectNamePart, Statement};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use sluice_syntax::Part;

use super::codes::{error, of_function};
use super::functions::fallible_function;
use super::hook::Hook;
use super::setting_values::{
    TIME_ZONE, check_name, checked, default_of, shown_value, unrecognized,
};
use super::settings::{SETTINGS_MAX, SettingsHook};
use crate::session::{self, SESSION};

const CURRENT_SETTING: &str = "current_setting";
const SET_CONFIG: &str = "set_config";
/// A name that SHOW knows, and SHOW ALL leaves out.
const AUTHORIZATION: &str = "session_authorization";

/// What the functions know of a session's settings, and what they want to set.
#[derive(Debug, Default)]
pub(crate) struct NotedSettings {
    /// What SHOW says, by name in lower case; `None` for those who do not ask over the
    /// PostgreSQL wire.
    shown: Option<BTreeMap<String, String>>,
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    name: String,
    value: String,
    is_local: bool,
}

fn with<T>(work: impl FnOnce(&mut NotedSettings) -> T) -> Option<T> {
    let done = SESSION.try_with(|session| work(&mut session.noted_settings.lock()));
    done.ok()
}

/// Registers the functions. `time_zone` is that of whoever wants no other.
pub(super) fn register(context: &SessionContext, time_zone: &str) {
    let time_zone = time_zone.to_owned();
    let current = move |texts: &[Option<String>]| current_setting(texts, &time_zone);
    let functions = [
        fallible_function(
            CURRENT_SETTING,
            &[1, 2],
            Volatility::Stable,
            Arc::new(current),
        ),
        fallible_function(SET_CONFIG, &[3], Volatility::Volatile, Arc::new(set_config)),
    ];
    for function in functions {
        context.register_udf(function);
    }
}

fn is_true(text: &str) -> bool {
    ["true", "t", "yes", "on", "1"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// `current_setting(name)`, and `current_setting(name, true)`, which is NULL for what is
/// not known.
fn current_setting(texts: &[Option<String>], time_zone: &str) -> Result<Option<String>> {
    let (Some(Some(name)), false) = (texts.first(), texts.contains(&None)) else {
        return Ok(None);
    };
    let name = name.to_lowercase();
    let noted = with(|noted| noted.shown.as_ref()?.get(&name).cloned()).flatten();
    let value = noted.or_else(|| match &*name {
        TIME_ZONE => session::time_zone().or_else(|| Some(time_zone.to_owned())),
        other => default_of(other),
    });
    let may_be_missing = matches!(texts, [_, Some(word)] if is_true(word));
    match value {
        None if !may_be_missing => Err(of_function(unrecognized(&name))),
        value => Ok(value),
    }
}

/// `set_config(name, value, is_local)`.
fn set_config(texts: &[Option<String>]) -> Result<Option<String>> {
    let [Some(name), Some(value), is_local] = texts else {
        // 22004: null_value_not_allowed.
        let problem = "set_config takes a name and a value other than NULL; RESET goes back to what held when the client connected";
        return Err(of_function(error("22004", problem.to_owned())));
    };
    let is_local = is_local.as_deref().is_some_and(is_true);
    let set = with(|noted| noted.set(&name.to_lowercase(), value, is_local));
    let set = set.unwrap_or_else(|| Err(not_answered()));
    set.map(Some).map_err(of_function)
}

fn not_answered() -> PgWireError {
    // 0A000: feature_not_supported.
    let problem = "set_config is answered over the PostgreSQL wire alone, where a connection keeps what it sets, and in a SELECT without FROM";
    error("0A000", problem.to_owned())
}

impl NotedSettings {
    /// Notes what is to be set. What SHOW is to say of it then.
    fn set(&mut self, name: &str, value: &str, is_local: bool) -> PgWireResult<String> {
        let Some(shown) = &mut self.shown else {
            return Err(not_answered());
        };
        if self.wanted.len() >= SETTINGS_MAX {
            // 53000: insufficient_resources.
            let problem = format!("a statement sets at most {SETTINGS_MAX} settings");
            return Err(error("53000", problem));
        }
        check_name(name)?;
        let now = shown.get(name).map(String::as_str);
        let value = checked(name, value.to_owned(), now)?;
        let told = shown_value(name, &value);
        shown.insert(name.to_owned(), told.clone());
        self.wanted.push(Wanted {
            name: name.to_owned(),
            value,
            is_local,
        });
        Ok(told)
    }
}

/// Sets what the statement that was answered wants to be set.
///
/// # Errors
/// When a connection keeps no more settings, or the client cannot be told.
pub(super) async fn set_wanted(
    settings: &SettingsHook,
    client: &mut dyn HookClient,
) -> PgWireResult<()> {
    let wanted = with(|noted| std::mem::take(&mut noted.wanted));
    for one in wanted.unwrap_or_default() {
        let assignment = (one.name, Some(one.value));
        settings
            .assign(vec![assignment], one.is_local, client)
            .await?;
    }
    Ok(())
}

/// Sets nothing of what a statement wanted that has failed.
pub(super) fn forget_wanted() {
    with(|noted| noted.wanted.clear());
}

/// Notes what SHOW says for statements that call the functions, and leaves their answers
/// to the hooks behind it.
pub(super) struct SettingFunctionsHook(pub(super) SettingsHook);

impl SettingFunctionsHook {
    fn note<C: ClientInfo + ?Sized>(&self, statement: &Statement, client: &C) {
        if !statement.has_expression(&mut is_call) {
            return;
        }
        let mut shown = self.0.all_shown(client);
        if let Some(user) = self.0.shown(client, AUTHORIZATION) {
            shown.insert(AUTHORIZATION.to_owned(), user);
        }
        with(|noted| noted.shown = Some(shown));
    }
}

/// Whether one of the functions is called.
fn is_call(expr: &Expr) -> bool {
    let Expr::Function(call) = expr else {
        return false;
    };
    let name = call.name.0.last().and_then(ObjectNamePart::as_ident);
    name.is_some_and(|name| {
        [CURRENT_SETTING, SET_CONFIG]
            .iter()
            .any(|known| name.value.eq_ignore_ascii_case(known))
    })
}

#[async_trait]
impl Hook for SettingFunctionsHook {
    async fn answer(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.note(statement, &*client);
        None
    }

    fn prepared(
        &self,
        statement: &Statement,
        client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        self.note(statement, client);
        None
    }
}
