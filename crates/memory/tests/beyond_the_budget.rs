//! State larger than its budget lies in the file, keeps its content, and takes
//! little memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::status_bytes;
use sluice_memory::{
    OrderedBytes, StateBudget, StateBytes, StateTable, StateVec, install, trim, usage,
};

const MIB: usize = 1 << 20;

fn anonymous_bytes() -> usize {
    status_bytes("RssAnon:")
}

fn mapped_bytes() -> usize {
    status_bytes("RssFile:")
}

/// One test, because the budget is the process's.
#[test]
fn state_beyond_the_budget_is_on_disk_and_right() {
    let before: StateVec<u64> = {
        let mut numbers = StateVec::new();
        numbers.extend(0..100_000);
        numbers
    };
    let folder = tempfile::tempdir().unwrap();
    install(StateBudget {
        folder: folder.path().to_path_buf(),
        memory_bytes_max: 64 * MIB,
        disk_bytes_max: 1024 * MIB,
    })
    .unwrap();
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "the file has no name"
    );

    // Eight arrays that grow in turn, and a table: 512 MiB and more.
    let mut arrays: Vec<StateVec<u64>> = (0..8).map(|_| StateVec::new()).collect();
    let mut table: StateTable<u64> = StateTable::default();
    let hash = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for number in 0..8 * 1024 * 1024_u64 {
        arrays[(number % 8) as usize].push(number);
        if number % 8 == 0 {
            table.insert_unique(hash(number), number, |&number| hash(number));
        }
        if number % 100_000 == 0 {
            trim();
        }
    }
    let used = usage();
    assert!(used.disk_bytes > 32 * MIB as u64, "{used:?}");
    assert!(used.memory_bytes <= 48 * MIB as u64, "{used:?}");
    assert!(!used.is_over());
    trim();
    assert!(mapped_bytes() < (16 + 64 + 64) * MIB, "{}", mapped_bytes());
    assert!(anonymous_bytes() < 80 * MIB, "{}", anonymous_bytes());

    // Read and change everything.
    for (index, array) in arrays.iter_mut().enumerate() {
        for (place, number) in array.iter_mut().enumerate() {
            assert_eq!(*number, (place * 8 + index) as u64);
            *number += 1;
        }
        trim();
    }
    for (index, array) in arrays.iter().enumerate() {
        let sum: u64 = array.iter().sum();
        let count = array.len() as u64;
        assert_eq!(
            sum,
            8 * (count * (count - 1) / 2) + count * (index as u64 + 1)
        );
    }
    for number in (0..8 * 1024 * 1024_u64).step_by(8) {
        assert!(table.find(hash(number), |&other| other == number).is_some());
    }
    assert_eq!(before[99_999], 99_999);

    // What is given back can be taken again, and the disk gets its room back.
    drop(arrays);
    drop(table);
    assert_eq!(usage().disk_bytes, 0);
    let mut large: StateVec<u8> = StateVec::with_capacity(900 * MIB);
    large.resize(900 * MIB, 7);
    trim();
    assert!(usage().disk_bytes >= 900 * MIB as u64);

    // Beyond the disk's limit memory is used, and said to be.
    let second: StateVec<u8> = StateVec::with_capacity(200 * MIB);
    assert!(usage().is_over());
    assert_eq!(usage().disk_bytes, 900 * MIB as u64);
    drop(second);
    assert!(!usage().is_over());
    assert!(large.iter().step_by(4096).all(|&byte| byte == 7));
    large.shrink_to(MIB);
    drop(large);
    assert_eq!(usage().disk_bytes, 0);

    // Ordered maps leave arrays less of the memory, and must not fill it alone.
    let mut rows: Vec<StateBytes> = Vec::new();
    let mut counted = OrderedBytes::default();
    while usage().memory_bytes < 40 * MIB as u64 {
        rows.push(StateBytes::from([7; 1000].as_slice()));
    }
    let array: StateVec<u8> = StateVec::with_capacity(20 * MIB);
    assert!(usage().disk_bytes >= 20 * MIB as u64, "{:?}", usage());
    assert!(!usage().is_over());
    counted.add(16 * MIB);
    assert!(usage().is_over());
    counted.remove(16 * MIB);
    assert!(!usage().is_over());
    counted.add(16 * MIB);
    drop(counted);
    drop(rows);
    drop(array);
    assert_eq!(usage().disk_bytes, 0);
}
