//! Byte strings in a few large pieces of memory, instead of one allocation
//! each: state is millions of short strings.

use sluice_memory::StateVec;

/// Where a byte string lies in its heap.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    chunk: u32,
    offset: u32,
    length: u32,
}

impl Span {
    /// For where a span lies among other bytes.
    pub(crate) fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        let numbers = [self.chunk, self.offset, self.length];
        for (bytes, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// What [`Span::to_bytes`] was made of.
    pub(crate) fn from_bytes(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            chunk: u32::from_le_bytes([a, b, c, d]),
            offset: u32::from_le_bytes([e, f, g, h]),
            length: u32::from_le_bytes([i, j, k, l]),
        }
    }
}

/// Chunks begin small, since most shards hold little, and grow with the heap up
/// to this, so that at most a fifth of a heap is unused.
const CHUNK_BYTES_MIN: usize = 256;
const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// A heap with less waste than this is not worth a compaction.
const WASTE_BYTES_MIN: usize = 16 * 1024;

/// See the module. What is freed stays in place until the owner compacts.
#[derive(Debug, Default)]
pub(crate) struct ByteHeap {
    chunks: Vec<StateVec<u8>>,
    live_bytes: usize,
    dead_bytes: usize,
    allocated_bytes: usize,
}

impl ByteHeap {
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Span {
        if bytes.is_empty() {
            return Span::default();
        }
        let has_room = self
            .chunks
            .last()
            .is_some_and(|chunk| chunk.capacity() - chunk.len() >= bytes.len());
        if !has_room {
            let usual = (self.live_bytes / 4).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
            let chunk = StateVec::with_capacity(usual.max(bytes.len()));
            self.allocated_bytes += chunk.capacity();
            self.chunks.push(chunk);
        }
        let chunk_number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[chunk_number];
        let span = Span {
            chunk: chunk_number as u32,
            offset: chunk.len() as u32,
            length: bytes.len() as u32,
        };
        chunk.extend_from_slice(bytes);
        self.live_bytes += bytes.len();
        span
    }

    pub(crate) fn get(&self, span: Span) -> &[u8] {
        if span.length == 0 {
            return &[];
        }
        let start = span.offset as usize;
        &self.chunks[span.chunk as usize][start..start + span.length as usize]
    }

    /// The span must not be used again.
    pub(crate) fn free(&mut self, span: Span) {
        self.live_bytes -= span.length as usize;
        self.dead_bytes += span.length as usize;
    }

    /// Whether so much was freed that moving the rest to a fresh heap pays.
    pub(crate) fn is_worth_compacting(&self) -> bool {
        self.dead_bytes >= WASTE_BYTES_MIN.max(self.live_bytes)
    }

    /// Moves what `spans` name to a fresh heap, if so much was freed that it is
    /// worth it. `spans` must be all that are in use.
    pub(crate) fn compact<'a>(&mut self, spans: impl Iterator<Item = &'a mut Span>) {
        if !self.is_worth_compacting() {
            return;
        }
        let mut fresh = Self::default();
        for span in spans {
            *span = fresh.add(self.get(*span));
        }
        *self = fresh;
    }

    /// Bytes taken from the machine.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.allocated_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compaction_keeps_what_is_in_use() {
        let mut heap = ByteHeap::default();
        let strings: Vec<Vec<u8>> = (0..5_000_u32)
            .map(|number| number.to_le_bytes().repeat(number as usize % 7))
            .collect();
        let mut spans: Vec<Span> = strings.iter().map(|string| heap.add(string)).collect();
        let before = heap.allocated_bytes();
        for span in &spans[..4_000] {
            heap.free(*span);
        }
        let mut kept = spans.split_off(4_000);
        heap.compact(kept.iter_mut());
        assert!(heap.allocated_bytes() < before / 2);
        for (span, string) in kept.iter().zip(&strings[4_000..]) {
            assert_eq!(heap.get(*span), string);
        }
    }
}
