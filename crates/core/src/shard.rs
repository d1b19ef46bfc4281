//! The persisted hash and the virtual shards that state is divided into.

/// Number of virtual shards. Part of the on-disk format: state of one shard is
/// checkpointed, spilled and moved between worker threads as a whole.
pub const VIRTUAL_SHARDS: usize = 64;

/// The hash that is written to disk and that decides a row's shard: XXH3 with
/// seed 0, 64 bits. It never changes without a new format version.
#[inline]
pub fn stable_hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// The virtual shard of a hash: its top bits, so that hash tables inside a
/// shard may use the low ones.
pub fn shard_of_hash(hash: u64) -> usize {
    (hash >> (64 - VIRTUAL_SHARDS.trailing_zeros())) as usize
}
