//! Processor time of a record on its way to the log, with and without masks:
//! `cargo run --release --workspace --example cost_of_masks`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement ends where something is wrong"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{columns, keys, masks, record, tables};
use serde_json::Value;
use sluice_core::RecordKind;
use sluice_mask::{Action, Format, RecordForm, TopicRules};

fn fields(list: &[(&str, Action)]) -> TopicRules {
    TopicRules {
        form: RecordForm::Json,
        fields: columns(list),
        tables: Default::default(),
    }
}

/// Processor time of this thread, nanoseconds (Linux).
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn main() {
    let user = r#"{"database":"shop","table":"user_info","type":"insert","ts":1731200000,"xid":17,"xoffset":3,"data":{"id":7,"login_name":"ann7","nick_name":"Annie","passwd":"secret-7","name":"王小明","phone_num":"13800001111","email":"ann@example.org","user_level":"1","birthday":"1990-05-17","gender":"F","create_time":"2024-11-10 01:02:03","address":"广东省深圳市南山区科技路1号"},"old":{"phone_num":"13800001112"}}"#;
    let other = user.replace("user_info", "sku_info");
    let log = r#"{"common":{"ar":"110000","ba":"Xiaomi","ch":"web","is_new":"1","mid":"mid_12345","os":"Android","uid":"1234","vc":"v2.1"},"page":{"during_time":12000,"item":"17","item_type":"sku_id","last_page_id":"home","page_id":"good_detail"},"displays":[{"display_type":"query","item":"1","item_type":"sku_id","order":1,"pos_id":2},{"display_type":"query","item":"2","item_type":"sku_id","order":2,"pos_id":2}],"ts":1731200000000}"#;
    let tables = masks(&tables(), keys());
    let one = masks(&fields(&[("/common/uid", Action::Hash)]), keys());
    let phone = masks(
        &fields(&[("/common/uid", Action::Tokenise(Format::Phone))]),
        keys(),
    );
    let none = sluice_mask::Masks::none();
    for (what, masks, text) in [
        ("log record, no masks", &none, log),
        ("log record, one hash", &one, log),
        ("log record, one token", &phone, log),
        ("change, table without rules", &tables, &other),
        ("change, eight rules", &tables, user),
    ] {
        let records: Vec<_> = (0..20_000)
            .map(|_| record(RecordKind::Data, text.as_bytes()))
            .collect();
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let mut copy = records.clone();
            let start = cpu_ns();
            masks.mask("topic", &mut copy).unwrap();
            best = best.min((cpu_ns() - start) as f64 / copy.len() as f64 / 1e3);
        }
        println!(
            "{what}: {} bytes, {best:.2} µs of processor time a record",
            text.len()
        );
    }
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = cpu_ns();
        for _ in 0..20_000 {
            let tree: Value = serde_json::from_str(user).unwrap();
            assert!(!tree.to_string().is_empty());
        }
        best = best.min((cpu_ns() - start) as f64 / 2e4 / 1e3);
    }
    println!("the change as a tree of values and back: {best:.2} µs of processor time");
}
