//! A key with its hash, as long as half a line of the processor's cache.

use crate::byte_heap::{ByteHeap, Span};

/// The longest key that lies here. Longer ones lie in the heap.
const SHORT_MAX: usize = 23;
/// The length of a key that lies in the heap.
const LONG: u8 = u8::MAX;

/// See the module. The default is the empty key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StoredKey {
    hash: u64,
    length: u8,
    /// The key, or where it is.
    bytes: [u8; SHORT_MAX],
}

const _: () = assert!(size_of::<StoredKey>() == 32);

impl StoredKey {
    pub(super) fn new(hash: u64, key: &[u8], heap: &mut ByteHeap) -> Self {
        let mut new = Self {
            hash,
            ..Self::default()
        };
        if key.len() > SHORT_MAX {
            new.set_span(heap.add(key));
        } else {
            new.length = key.len() as u8;
            new.bytes[..key.len()].copy_from_slice(key);
        }
        new
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn is(&self, hash: u64, key: &[u8], heap: &ByteHeap) -> bool {
        self.hash == hash && self.bytes(heap) == key
    }

    pub(super) fn bytes<'a>(&'a self, heap: &'a ByteHeap) -> &'a [u8] {
        match self.span() {
            Some(span) => heap.get(span),
            None => &self.bytes[..usize::from(self.length)],
        }
    }

    /// Where the key lies in the heap, if it does.
    pub(super) fn span(&self) -> Option<Span> {
        let bytes = self.bytes.first_chunk().filter(|_| self.length == LONG);
        bytes.map(|bytes| Span::from_bytes(*bytes))
    }

    fn set_span(&mut self, span: Span) {
        let bytes = span.to_bytes();
        self.length = LONG;
        self.bytes[..bytes.len()].copy_from_slice(&bytes);
    }

    /// Moves the key, if it lies in a heap, to another.
    pub(super) fn move_to(&mut self, from: &ByteHeap, to: &mut ByteHeap) {
        if let Some(span) = self.span() {
            self.set_span(to.add(from.get(span)));
        }
    }
}
