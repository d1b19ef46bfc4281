//! The last value that a column had for a key, for `missing = "last"`.

use std::collections::BTreeMap;

use sluice_core::{CodecError, Reader, Writer};

use crate::cell::Cell;

/// Keys kept for one column of one partition; beyond that the key that was
/// first seen longest ago is forgotten.
const KEYS_MAX: usize = 1_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LastValues {
    /// Value and sequence number by key.
    values: BTreeMap<Box<[u8]>, (Cell<'static>, u64)>,
    /// Keys in the order in which they were first seen.
    order: BTreeMap<u64, Box<[u8]>>,
    next: u64,
    changed: bool,
}

impl LastValues {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Cell<'static>> {
        self.values.get(key).map(|(value, _)| value)
    }

    pub(crate) fn set(&mut self, key: &[u8], value: Cell<'static>) {
        self.changed = true;
        if let Some((known, _)) = self.values.get_mut(key) {
            *known = value;
            return;
        }
        self.values.insert(key.into(), (value, self.next));
        self.order.insert(self.next, key.into());
        self.next += 1;
        if self.values.len() > KEYS_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.values.remove(&oldest);
        }
    }

    /// The values, if they changed since the last call.
    pub(crate) fn save(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut writer = Writer::new();
        writer.u64(self.order.len() as u64);
        for key in self.order.values() {
            writer.bytes(key);
            let value = self.values.get(key).map_or(&Cell::Null, |(value, _)| value);
            value.write(&mut writer);
        }
        Some(writer.finish())
    }

    pub(crate) fn load(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut values = Self::default();
        let mut reader = Reader::new(bytes);
        for _ in 0..reader.u64()? {
            let key = reader.bytes()?;
            values.set(key, Cell::read(&mut reader)?);
        }
        values.changed = false;
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_a_restart() {
        let mut values = LastValues::default();
        values.set(b"a", Cell::Integer(1));
        values.set(b"b", Cell::Text("x".into()));
        values.set(b"a", Cell::Decimal(-7));
        let saved = values.save().unwrap();
        assert!(values.save().is_none(), "nothing changed since");
        let restored = LastValues::load(&saved).unwrap();
        assert_eq!(restored.get(b"a"), Some(&Cell::Decimal(-7)));
        assert_eq!(restored.get(b"b"), Some(&Cell::Text("x".into())));
        assert_eq!(restored.get(b"c"), None);
        for length in 0..saved.len() {
            assert!(LastValues::load(&saved[..length]).is_err(), "{length}");
        }
    }
}
