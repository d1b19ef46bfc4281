//! `address.json`: where the running process answers.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sluice_core::{Disk, OpenMode, RealDisk};

use crate::failure::{Doing, Failure};

/// What a running warehouse says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its process.
    pub process_id: u32,
    /// Its name, from warehouse.toml.
    pub name: String,
    /// The PostgreSQL wire.
    pub postgres: SocketAddr,
    /// The page, the HTTP API and the collector.
    pub http: SocketAddr,
    /// The secret of the program's own commands, where the warehouse has users.
    /// Whoever may read this folder may read the warehouse.
    #[serde(default)]
    pub secret: Option<String>,
    /// What there is to say of a change of models: how far it is, or why it is
    /// refused.
    #[serde(default)]
    pub models: Option<String>,
}

fn path(state: &Path) -> PathBuf {
    state.join("address.json")
}

/// Writes the addresses; the file is complete or absent.
///
/// # Errors
/// When the disk refuses.
pub fn publish(state: &Path, address: &Address) -> Result<(), Failure> {
    let what = format!("writing {}", path(state).display());
    let text = serde_json::to_vec(address).doing(&what)?;
    let beside = state.join("address.tmp");
    let mode = match address.secret {
        // Private before there is anything in it, so that nobody has it open.
        Some(_) => {
            let _ = std::fs::remove_file(&beside);
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            options.open(&beside).doing(&what)?;
            OpenMode::Append
        }
        None => OpenMode::Create,
    };
    let mut file = RealDisk.open(&beside, mode).doing(&what)?;
    file.append(&text).doing(&what)?;
    drop(file);
    RealDisk.rename(&beside, &path(state)).doing(&what)
}

/// Changes what the running process says of its models.
///
/// # Errors
/// When the disk refuses.
pub fn say_of_models(state: &Path, models: Option<String>) -> Result<(), Failure> {
    let address = find(state)?;
    if address.models == models {
        return Ok(());
    }
    publish(state, &Address { models, ..address })
}

/// Removes the addresses of a process that ends, or of one that was killed.
pub fn withdraw(state: &Path) {
    // A file that is left over does no harm: readers ask the lock first.
    let _ = RealDisk.remove(&path(state));
}

/// The addresses of the process that holds the state.
///
/// # Errors
/// When it has not published them yet.
pub fn find(state: &Path) -> Result<Address, Failure> {
    let unknown = || {
        Failure::Busy(format!(
            "the warehouse in {} is starting, and not answering yet\n  help: try again in a moment",
            state.display()
        ))
    };
    let bytes = RealDisk.read(&path(state)).map_err(|_| unknown())?;
    serde_json::from_slice(&bytes).map_err(|_| unknown())
}
