//! Route: from records to typed rows, or to dead letters.
//!
//! `sources/*.toml` says which topics there are and which tables are made of
//! their records. A record that cannot be parsed, typed or placed becomes a
//! [`sluice_core::DeadLetter`] and stops nothing.

mod cell;
mod definition;
mod fields;
mod router;
mod time;

pub use definition::{
    CaptureDefinition, CaptureKind, DefinitionError, FileFormat, SourceFile, Sources, parse_sources,
};
pub use router::{RouteError, Routed, Router};
