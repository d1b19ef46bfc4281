//! The users of the warehouse as clients find them in `pg_roles`.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::{
    PgCatalogContextProvider, Role as CatalogRole,
};

use crate::access::Access;

/// Whom tables belong to.
pub(super) const OWNER: &str = "sluice";

/// See the module. The library's own provider behind an `Arc` calls itself
/// without end.
#[derive(Debug, Clone)]
pub(super) struct Roles(pub(super) Arc<Access>);

#[async_trait]
impl PgCatalogContextProvider for Roles {
    async fn roles(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.names().map(str::to_owned).collect();
        if !names.iter().any(|name| name == OWNER) {
            names.push(OWNER.to_owned());
        }
        names
    }

    async fn role(&self, name: &str) -> Option<CatalogRole> {
        Some(CatalogRole {
            name: name.to_owned(),
            is_superuser: false,
            can_login: name != OWNER || self.0.user(name).is_some(),
            can_create_db: false,
            can_create_role: false,
            can_create_user: false,
            can_replication: false,
            grants: Vec::new(),
            inherited_roles: Vec::new(),
        })
    }
}
