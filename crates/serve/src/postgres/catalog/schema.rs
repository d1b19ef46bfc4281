//! The schema `pg_catalog`: the library's, with what it has not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use parking_lot::RwLock;

use super::super::comments::Comments;
use super::super::sign_in::OpenSessions;
use super::activity::{self, ACTIVITY};
use super::identities::Identities;
use super::tables::{Adapted, Surroundings};
use super::views::{is_own, query_of};
use crate::query_engine::CATALOG;
use crate::tables::SnapshotSource;

const DESCRIPTIONS: &str = "pg_description";

/// Puts what is missing into the catalog.
///
/// # Errors
/// When there is no catalog.
pub(in crate::postgres) fn register(
    session: &SessionContext,
    comments: &Comments,
    identities: &Identities,
    source: &SnapshotSource,
    sessions: &Arc<OpenSessions>,
) -> Result<()> {
    let Some(catalog) = session.catalog(CATALOG) else {
        return Ok(());
    };
    if let Some(own) = catalog.schema("pg_catalog") {
        let state = session.state_weak_ref();
        let schema = CatalogSchema {
            own,
            comments: comments.clone(),
            surroundings: Arc::new(Surroundings {
                state: state.clone(),
                identities: identities.clone(),
                source: source.clone(),
            }),
            state,
            sessions: sessions.clone(),
            views: RwLock::default(),
        };
        catalog.register_schema("pg_catalog", Arc::new(schema))?;
    }
    Ok(())
}

/// See the module.
struct CatalogSchema {
    own: Arc<dyn SchemaProvider>,
    comments: Comments,
    surroundings: Arc<Surroundings>,
    /// Not held: it holds this.
    state: Weak<RwLock<SessionState>>,
    sessions: Arc<OpenSessions>,
    /// Views that were planned.
    views: RwLock<BTreeMap<String, Arc<dyn TableProvider>>>,
}

impl fmt::Debug for CatalogSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.own.fmt(formatter)
    }
}

impl CatalogSchema {
    async fn view(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(view) = self.views.read().get(name) {
            return Ok(Some(view.clone()));
        }
        let (Some(query), Some(state)) = (query_of(name), self.state.upgrade()) else {
            return Ok(None);
        };
        let state = state.read().clone();
        let plan = state.create_logical_plan(&query).await?;
        let view: Arc<dyn TableProvider> = Arc::new(ViewTable::new(plan, Some(query)));
        self.views.write().insert(name.to_owned(), view.clone());
        Ok(Some(view))
    }
}

#[async_trait]
impl SchemaProvider for CatalogSchema {
    fn table_names(&self) -> Vec<String> {
        self.own.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let name = name.to_lowercase();
        if name == ACTIVITY {
            return Ok(Some(Arc::new(activity::table(&self.sessions)?)));
        }
        if let Some(view) = self.view(&name).await? {
            return Ok(Some(view));
        }
        let Some(own) = self.own.table(&name).await? else {
            return Ok(None);
        };
        if name == DESCRIPTIONS {
            let rows = self.comments.rows(&own.schema())?;
            let table = MemTable::try_new(own.schema(), vec![vec![rows]])?;
            return Ok(Some(Arc::new(table)));
        }
        let adapted = Adapted::try_new(&name, own, self.surroundings.clone())?;
        Ok(Some(Arc::new(adapted)))
    }

    fn table_exist(&self, name: &str) -> bool {
        is_own(&name.to_lowercase()) || self.own.table_exist(name)
    }
}
