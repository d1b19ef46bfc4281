//! CSV lines: what is masked, and what is sealed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Random, columns, encrypt, keys, masks, record};
use sluice_core::RecordKind;
use sluice_mask::{Action, Format, Masks, RecordForm, SEALED, TopicRules};

fn rules() -> TopicRules {
    TopicRules {
        form: RecordForm::Csv { delimiter: b',' },
        fields: columns(&[
            ("Phone", Action::Tokenise(Format::Phone)),
            ("note", Action::Drop),
            ("address", encrypt("id")),
        ]),
        tables: Default::default(),
    }
}

fn lines(masks: &Masks, header: &str, lines: &[&[u8]]) -> Vec<String> {
    let mut records = vec![record(RecordKind::CsvHeader, header.as_bytes())];
    records.extend(lines.iter().map(|line| record(RecordKind::Data, line)));
    masks.mask("topic", &mut records).unwrap();
    let text = |record: &sluice_core::Record| String::from_utf8(record.payload.to_vec()).unwrap();
    records.iter().map(text).collect()
}

#[test]
fn columns_are_found_by_their_names() {
    let masks = masks(&rules(), keys());
    let given: [&[u8]; 3] = [
        b"7,  x ,13800001111,\"hello, you\",Elm 3",
        b"8,\"y\",,,\"a \"\"b\"\",\nc\"",
        b"9,z,call me,n,",
    ];
    let got = lines(&masks, "id,other, phone ,note,Address", &given);
    assert_eq!(got[0], "id,other, phone ,note,Address");
    assert!(
        got[1].starts_with("7,  x ,1") && !got[1].contains("13800001111"),
        "{}",
        got[1]
    );
    let fields: Vec<&str> = got[1].split(',').collect();
    assert_eq!((fields.len(), fields[3]), (5, ""));
    assert_eq!(masks.decrypt(fields[4]).unwrap(), "Elm 3");
    let (before, address) = got[2].rsplit_once(',').unwrap();
    assert_eq!(before, "8,\"y\",,");
    assert_eq!(masks.decrypt(address).unwrap(), "a \"b\",\nc");
    assert!(
        !got[3].contains("call") && got[3].ends_with(",,"),
        "{}",
        got[3]
    );
}

#[test]
fn lines_that_fit_no_header_are_sealed() {
    let masks = masks(&rules(), keys());
    let header = "id,phone,note,address";
    let odd: [&[u8]; 7] = [
        b"1,13800001111",
        b"1,2,3,4,13800001111",
        b"1,\"13800001111",
        b"1,\"1380000\"1111,3,4",
        b"1,13800001111\r,3,4",
        b"\xef\xbb\xbf1,13800001111,3,4",
        b"1,13800001111,\xff,4",
    ];
    for line in &lines(&masks, header, &odd)[1..] {
        assert!(line.starts_with(SEALED) && !line.contains("1380"), "{line}");
    }
    // A first line that is no header may be data.
    for line in lines(&masks, "1,13800001111,x,y", &[b"2,13800001112,x,y"]) {
        assert!(line.starts_with(SEALED) && !line.contains("1380"), "{line}");
    }
}

/// What passes has the fields that the reader of lines will find.
#[test]
fn lines_are_split_as_csv_core_splits_them() {
    let masks = masks(&rules(), keys());
    let mut random = Random(3);
    let mut passed = 0;
    for _ in 0..100_000 {
        let line: String = (0..random.below(14) + 1)
            .map(|_| ["a", ",", ",", "\"", "\r", "\n", "é", "1", " "][random.below(9)])
            .collect();
        let got = lines(&masks, "a,phone,note,address,id", &[line.as_bytes()]).remove(1);
        if got.starts_with(SEALED) {
            continue;
        }
        passed += 1;
        let split = |line: &str| {
            let mut reader = csv_core::Reader::new();
            let (mut out, mut ends) = ([0; 999], [0; 32]);
            let mut input = line.as_bytes().to_vec();
            input.push(b'\n');
            let (_, _, _, count) = reader.read_record(&input, &mut out, &mut ends);
            let mut start = 0;
            let mut fields = Vec::new();
            for &end in &ends[..count] {
                fields.push(String::from_utf8(out[start..end].to_vec()).unwrap());
                start = end;
            }
            fields
        };
        let (before, after) = (split(&line), split(&got));
        assert_eq!((before.len(), after.len()), (5, 5), "{line:?} {got:?}");
        assert_eq!(
            (&before[0], &before[4]),
            (&after[0], &after[4]),
            "{line:?} {got:?}"
        );
        assert_eq!(after[2], "");
        let is_masked = before[1] != after[1] || before[1].is_empty();
        assert!(is_masked, "{line:?} {got:?}");
    }
    assert!(passed > 300, "{passed}");
}
