//! The key store: crashes, damage, rotation, erasing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{Random, masked, masks, secret, tables};
use ring::rand::SystemRandom;
use sluice_core::{Disk, OpenMode, RealDisk};
use sluice_mask::{KeyStore, KeyStoreError, MasterSecret, Opened};

fn open(path: &Path) -> Result<(KeyStore, Opened), KeyStoreError> {
    open_with(path, &secret(), None)
}

fn open_with(
    path: &Path,
    secret: &MasterSecret,
    previous: Option<&MasterSecret>,
) -> Result<(KeyStore, Opened), KeyStoreError> {
    let random = Box::new(SystemRandom::new());
    KeyStore::open(Arc::new(RealDisk), path, secret, previous, random)
}

fn order(user: u32) -> String {
    format!(
        r#"{{"database":"shop","table":"order_info","data":{{"consignee_tel":"13800001111","delivery_address":"street of {user}","user_id":{user}}}}}"#
    )
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\"{name}\":\"")).unwrap();
    rest.split_once('"').unwrap().0
}

fn put(path: &Path, bytes: &[u8]) {
    let mut file = RealDisk.open(path, OpenMode::Create).unwrap();
    file.append(bytes).unwrap();
}

#[test]
fn keys_are_the_same_after_a_restart_and_gone_after_erasing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("persons.keys");
    let (store, opened) = open(&path).unwrap();
    assert!(opened.is_new);
    let store = Arc::new(store);
    let first = masks(&tables(), store.clone());
    let texts: Vec<String> = (0..50).map(|user| masked(&first, &order(user))).collect();
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(3).any(|part| part == b"str"));
    drop(first);

    let (store, opened) = open(&path).unwrap();
    assert_eq!(opened, Opened::default());
    let store = Arc::new(store);
    let second = masks(&tables(), store.clone());
    assert_eq!(masked(&second, &order(3)), texts[3]);
    let address = |user: usize| field(&texts[user], "delivery_address");
    assert_eq!(second.decrypt(address(4)).unwrap(), "street of 4");
    assert!(store.erase(store.person("user", "4"), Some(77)).unwrap());
    assert!(
        !store
            .erase(store.person("user", "nobody"), Some(78))
            .unwrap()
    );
    assert_eq!(second.decrypt(address(4)), None);

    let (store, _) = open(&path).unwrap();
    assert_eq!(store.persons(), 49);
    let erased: Vec<i64> = store
        .erasures()
        .iter()
        .map(|erasure| erasure.time_us)
        .collect();
    assert_eq!(erased, [77, 78]);
    let third = masks(&tables(), Arc::new(store));
    assert_eq!(third.decrypt(address(4)), None);
    assert_eq!(third.decrypt(address(5)).unwrap(), "street of 5");
    // The person comes back: with another key, whose number is new.
    let again = masked(&third, &order(4));
    assert_ne!(field(&again, "delivery_address"), address(4));
    assert_eq!(
        third.decrypt(field(&again, "delivery_address")).unwrap(),
        "street of 4"
    );
    assert_eq!(third.decrypt(address(4)), None);
    assert_eq!(
        field(&again, "consignee_tel"),
        field(&texts[4], "consignee_tel")
    );
}

#[test]
fn a_new_master_secret_changes_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("persons.keys");
    let before = masks(&tables(), Arc::new(open(&path).unwrap().0));
    let text = masked(&before, &order(1));
    drop(before);
    let other = MasterSecret::new(b"another secret of the tests, also long").unwrap();
    let refused = open_with(&path, &other, None).unwrap_err();
    assert!(refused.to_string().contains("previous_secret"), "{refused}");
    let (_, opened) = open_with(&path, &other, Some(&secret())).unwrap();
    assert!(opened.has_new_secret);
    // The old one opens nothing any more, and is needed no more.
    assert!(open(&path).is_err());
    let after = masks(
        &tables(),
        Arc::new(open_with(&path, &other, None).unwrap().0),
    );
    assert_eq!(masked(&after, &order(1)), text);
    assert_eq!(
        after.decrypt(field(&text, "delivery_address")).unwrap(),
        "street of 1"
    );
    assert!(MasterSecret::new(b"short").is_err());
}

#[test]
fn damage_is_an_error_with_file_and_byte_or_costs_the_torn_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("persons.keys");
    let store = masks(&tables(), Arc::new(open(&path).unwrap().0));
    for user in 0..5 {
        masked(&store, &order(user));
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let last = whole.len() - 112;
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        put(&path, &damaged);
        match open(&path) {
            Err(error) => {
                assert!(place < last, "{error}");
                assert!(error.to_string().contains("persons.keys"), "{error}");
            }
            Ok((store, opened)) => {
                assert!(place >= last, "byte {place} of {last}");
                assert_eq!((opened.torn_entries, store.persons()), (1, 4));
            }
        }
    }
    // Torn while it was written: what was durable stays, and can go on.
    for end in last..whole.len() {
        put(&path, &whole[..end]);
        let (store, opened) = open(&path).unwrap();
        assert_eq!(opened.torn_entries, u64::from(end > last));
        let store = masks(&tables(), Arc::new(store));
        let text = masked(&store, &order(9));
        let again = masks(&tables(), Arc::new(open(&path).unwrap().0));
        assert_eq!(
            again.decrypt(field(&text, "delivery_address")).unwrap(),
            "street of 9"
        );
    }
    let mut random = Random(5);
    for _ in 0..2_000 {
        let mut damaged = whole.clone();
        for _ in 0..random.below(8) + 1 {
            let place = random.below(damaged.len());
            damaged[place] = random.next() as u8;
        }
        damaged.truncate(random.below(damaged.len() + 1));
        put(&path, &damaged);
        // An error or a store, never a panic.
        let _ = open(&path);
    }
    let mut other_version = whole.clone();
    other_version[8] = 9;
    put(&path, &other_version);
    let error = open(&path).unwrap_err();
    assert!(
        matches!(
            error,
            KeyStoreError::Version {
                found: 9,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}
