//! Memory that was freed between blocks in use goes back to the machine, when it
//! is asked for and not too often.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::status_bytes;
use sluice_memory::{give_freed_memory_back, keep_freed_memory, keep_little_freed_memory};

const MIB: usize = 1 << 20;
const SECOND_US: i64 = 1_000_000;

/// Frees 128 blocks of one MiB; what stays in use between them keeps the allocator
/// from giving them back by itself.
fn free_blocks() -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut between = Vec::new();
    for _ in 0..128 {
        blocks.push(vec![1_u8; MIB]);
        between.push(vec![1_u8; 2_048]);
    }
    drop(std::hint::black_box(blocks));
    between
}

/// One test, because the allocator is the process's.
#[test]
fn freed_memory_goes_back_at_most_once_in_ten_seconds() {
    keep_freed_memory();
    let before = status_bytes("RssAnon:");
    let kept = || status_bytes("RssAnon:").saturating_sub(before);
    let mut between = free_blocks();
    assert!(kept() > 100 * MIB, "{}", kept());
    assert!(!give_freed_memory_back(0), "nobody has asked for it");
    assert!(kept() > 100 * MIB, "{}", kept());

    keep_little_freed_memory();
    assert!(give_freed_memory_back(0));
    assert!(kept() < 28 * MIB, "{}", kept());

    between.extend(free_blocks());
    assert!(kept() > 100 * MIB, "{}", kept());
    assert!(!give_freed_memory_back(10 * SECOND_US - 1));
    assert!(kept() > 100 * MIB, "{}", kept());
    assert!(give_freed_memory_back(10 * SECOND_US));
    assert!(kept() < 28 * MIB, "{}", kept());
    assert!(between.iter().flatten().all(|&byte| byte == 1));

    // A clock that was set back does not hold it up for long.
    assert!(give_freed_memory_back(-100 * SECOND_US));
}
