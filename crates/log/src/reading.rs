//! How somebody reads the log who does not read it as everybody does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::source_range::SourceReader;

/// Where records of a topic lie whose source is its own log.
#[derive(Debug, Clone)]
pub enum SourcePlace {
    /// In files of this folder.
    Folder(PathBuf),
    /// Where this reader finds them.
    Reader(Arc<dyn SourceReader>),
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Ends the waiting for sources once it is set, as the log's own flag does.
    pub stop: Arc<AtomicBool>,
    /// Where records lie, by topic. Of other topics they lie where the log was
    /// told.
    pub places: BTreeMap<String, SourcePlace>,
}

/// What one call that reads has to know of sources.
pub(crate) struct Way<'a> {
    /// Whether nobody waits for them any more.
    pub(crate) is_stopped: &'a dyn Fn() -> bool,
    /// Where the records lie, if not where the partition was told.
    pub(crate) place: Option<&'a SourcePlace>,
}
