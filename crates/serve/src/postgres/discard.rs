//! DISCARD, DEALLOCATE and UNLISTEN, with which pools of connections make an old one
//! like new.

use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{DiscardObject, Ident, Statement};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::extendedquery::{
    TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
};
use datafusion_postgres::pgwire::messages::response::TransactionStatus;

use super::codes::error;
use super::cursors::{close_all, folded, without_rows};
use super::hook::Hook;
use super::settings::SettingsHook;
use crate::session::SESSION;

/// See the module.
pub(super) struct DiscardHook(pub(super) SettingsHook);

/// The connection keeps no portal any longer.
pub(super) fn forget_portals(portals: &impl PortalStore) {
    portals.clear_portals();
    let _ = SESSION.try_with(|session| session.forget_all(TARGET_TYPE_BYTE_PORTAL));
}

/// Forgets a prepared statement, or all that have a name.
fn deallocate(name: &Ident, client: &dyn HookClient) -> PgWireResult<Response> {
    let is_all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
    let name = folded(name);
    let known = SESSION.try_with(|session| session.names_kept(TARGET_TYPE_BYTE_STATEMENT));
    let mut known = known.unwrap_or_default();
    // The one without a name is not meant.
    known.retain(|known| !known.is_empty() && (is_all || *known == name));
    if known.is_empty() && !is_all {
        // 26000: invalid_sql_statement_name.
        let problem = format!("prepared statement \"{name}\" does not exist");
        return Err(error("26000", problem));
    }
    for name in known {
        HookClient::portal_store(client).rm_statement(&name);
        let _ = SESSION.try_with(|session| session.forget(TARGET_TYPE_BYTE_STATEMENT, &name));
    }
    let tag = if is_all {
        "DEALLOCATE ALL"
    } else {
        "DEALLOCATE"
    };
    Ok(Response::Execution(Tag::new(tag)))
}

impl DiscardHook {
    async fn discard(
        &self,
        object: &DiscardObject,
        client: &mut dyn HookClient,
    ) -> PgWireResult<Response> {
        if *object == DiscardObject::ALL {
            if !matches!(client.transaction_status(), TransactionStatus::Idle) {
                // 25001: active_sql_transaction.
                let problem = "DISCARD ALL cannot run inside a transaction block";
                return Err(error("25001", problem.to_owned()));
            }
            close_all()?;
            deallocate(&Ident::new("all"), &*client)?;
            forget_portals(HookClient::portal_store(client));
            self.0.reset_all(client).await?;
        }
        Ok(Response::Execution(Tag::new(&format!("DISCARD {object}"))))
    }
}

#[async_trait]
impl Hook for DiscardHook {
    async fn answer(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        Some(match statement {
            Statement::Discard { object_type } => self.discard(object_type, client).await,
            Statement::Deallocate { name, .. } => deallocate(name, &*client),
            // Nobody is ever told anything.
            Statement::UNLISTEN { .. } => Ok(Response::Execution(Tag::new("UNLISTEN"))),
            _ => return None,
        })
    }

    fn prepared(
        &self,
        statement: &Statement,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        let is_known = matches!(
            statement,
            Statement::Discard { .. } | Statement::Deallocate { .. } | Statement::UNLISTEN { .. }
        );
        is_known.then(|| Ok(without_rows(DFSchema::empty())))
    }
}
