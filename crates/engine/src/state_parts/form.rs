//! How a part begins: with the version of its form, and a base with its epoch.

use sluice_core::{CodecError, Epoch, Writer};

use crate::EngineError;

/// Version of the state parts' format: their first byte.
const STATE_VERSION: u8 = 2;

/// The beginning of a part: the version.
pub(crate) fn versioned() -> Writer {
    let mut writer = Writer::new();
    writer.u8(STATE_VERSION);
    writer
}

/// The beginning of a base, whose epoch is known when it is whole.
pub(super) fn begun_base(bytes_about: usize) -> Writer {
    let mut writer = Writer::with_capacity(bytes_about);
    writer.u8(STATE_VERSION);
    writer.u64(0);
    writer
}

/// Writes the epoch into a base where [`begun_base`] left room for it.
pub(super) fn set_base_epoch(base: &mut [u8], epoch: Epoch) {
    if let Some(place) = base.get_mut(1..9) {
        place.copy_from_slice(&epoch.to_le_bytes());
    }
}

/// A part without its version.
pub(crate) fn unversioned<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a [u8], EngineError> {
    match bytes.split_first() {
        Some((&STATE_VERSION, body)) => Ok(body),
        Some((other, _)) => Err(EngineError::State {
            part: name.to_owned(),
            source: CodecError::Invalid(format!(
                "it has format version {other}, this program reads version {STATE_VERSION}"
            )),
        }),
        None => Err(EngineError::Checkpoint(format!("part `{name}` is empty"))),
    }
}
