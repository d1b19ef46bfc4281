//! What the tests of masks share.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ring::rand::SystemRandom;
use sluice_core::{Record, RecordKind, SimulatedDisk};
use sluice_mask::{
    Action, Format, Generalisation, KeyStore, Masks, MasterSecret, PersonField, RecordForm,
    TopicRules,
};

pub fn secret() -> MasterSecret {
    MasterSecret::new(b"a secret of the tests, long enough").unwrap()
}

pub fn keys() -> Arc<KeyStore> {
    let disk = Arc::new(SimulatedDisk::new(1));
    let random = Box::new(SystemRandom::new());
    let opened = KeyStore::open(disk, Path::new("keys/store"), &secret(), None, random);
    Arc::new(opened.unwrap().0)
}

pub fn encrypt(field: &str) -> Action {
    Action::Encrypt(PersonField {
        kind: "user".to_owned(),
        field: field.to_owned(),
    })
}

pub fn columns(list: &[(&str, Action)]) -> Vec<(String, Action)> {
    let owned = |(name, action): &(&str, Action)| ((*name).to_owned(), action.clone());
    list.iter().map(owned).collect()
}

/// Members of the shop, and an order that names one.
pub fn tables() -> TopicRules {
    let user = columns(&[
        ("passwd", Action::Drop),
        ("login_name", Action::Hash),
        ("phone_num", Action::Tokenise(Format::Phone)),
        ("email", Action::Tokenise(Format::Email)),
        ("name", Action::Tokenise(Format::Name)),
        ("nick_name", Action::Truncate(1)),
        ("birthday", Action::Generalise(Generalisation::Year)),
        ("address", encrypt("id")),
    ]);
    let order = columns(&[
        ("consignee_tel", Action::Tokenise(Format::Phone)),
        ("delivery_address", encrypt("user_id")),
    ]);
    TopicRules {
        form: RecordForm::Json,
        fields: Vec::new(),
        tables: BTreeMap::from([
            ("user_info".to_owned(), user),
            ("shop.order_info".to_owned(), order),
        ]),
    }
}

pub fn masks(rules: &TopicRules, keys: Arc<KeyStore>) -> Masks {
    Masks::new([("topic", rules)].into_iter(), keys, 1 << 20)
}

pub fn record(kind: RecordKind, payload: &[u8]) -> Record {
    Record {
        kind,
        payload: Bytes::copy_from_slice(payload),
        capture_time_us: 0,
        position: Bytes::new(),
        transaction: None,
    }
}

/// What becomes of one payload.
pub fn masked(masks: &Masks, payload: &str) -> String {
    let mut records = [record(RecordKind::Data, payload.as_bytes())];
    masks.mask("topic", &mut records).unwrap();
    String::from_utf8(records[0].payload.to_vec()).unwrap()
}

/// A random number generator for tests: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
