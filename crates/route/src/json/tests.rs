use std::borrow::Cow;

use serde_json::Value;

use super::*;

fn text_at(text: &str, pointer: &str) -> Option<String> {
    let mut parser = JsonParser::default();
    let json = parser.parse(text).unwrap();
    json.pointer(pointer)?.as_text().map(Cow::into_owned)
}

#[test]
fn values_are_found_and_keep_their_digits() {
    let text = r#" {"a":[1,{"b":"x\ny\ud83d\ude00"},[]],"m":12345678901234567.10,"a/b":{"~":true},"n":null,"e":{}} "#;
    assert_eq!(text_at(text, "/m").unwrap(), "12345678901234567.10");
    assert_eq!(text_at(text, "/a/1/b").unwrap(), "x\ny😀");
    assert_eq!(text_at(text, "/a/0").unwrap(), "1");
    assert_eq!(text_at(text, "/a~1b/~0").unwrap(), "true");
    assert_eq!(
        text_at(text, "/a/1").unwrap(),
        r#"{"b":"x\ny\ud83d\ude00"}"#
    );
    for missing in ["/n", "/a/3", "/a/x", "/m/0", "/b", "/e/a", "m"] {
        assert_eq!(text_at(text, missing), None, "{missing}");
    }
    assert_eq!(text_at(r#"{"a":1,"\u0061":2}"#, "/a").unwrap(), "2");
    let mut parser = JsonParser::default();
    let array = parser.parse("[[1,2],3,{}]").unwrap();
    let elements: Vec<_> = array
        .elements()
        .filter_map(|value| value.as_text())
        .collect();
    assert_eq!(elements, ["[1,2]", "3", "{}"]);
}

#[test]
fn exponents_are_written_out_exactly() {
    for (text, expected) in [
        ("1e3", "1000"),
        ("-1.25E+1", "-12.5"),
        ("1.5e-3", "0.0015"),
        ("0e5", "0"),
        ("0.01e2", "1"),
        ("12.50e0", "12.50"),
        ("1e999", "1e999"),
    ] {
        assert_eq!(text_at(text, "").unwrap(), expected, "{text}");
    }
}

#[test]
fn depth_is_limited() {
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert!(JsonParser::default().parse(&deep).is_ok());
    let deeper = format!("[{deep}]");
    let error = JsonParser::default().parse(&deeper).unwrap_err();
    assert_eq!(
        error.to_string(),
        "arrays and objects nest too deeply at byte 128"
    );
}

/// Everything that serde_json says of a text must be what is said here:
/// random texts, and mutations of valid ones.
#[test]
fn agrees_with_serde_json_on_random_texts() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % limit as u64) as usize
    };
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\\n\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "1",
        "-0",
        "01",
        "2.50",
        "1e2",
        "-",
        ".",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "\"",
        "\\",
        "é",
        "\u{1}",
        "nul",
        "{\"a\":1}",
        "[1,2]",
        "{\"k\":[{\"a\":\"x\"}]}",
    ];
    let mut parser = JsonParser::default();
    let mut valid = 0;
    for _ in 0..200_000 {
        let text: String = (0..next(9)).map(|_| pieces[next(pieces.len())]).collect();
        let expected = serde_json::from_str::<Value>(&text);
        let found = parser.parse(&text);
        // No float holds it, which does not concern us.
        if expected
            .as_ref()
            .is_err_and(|error| error.to_string().contains("out of range"))
        {
            continue;
        }
        assert_eq!(
            found.is_ok(),
            expected.is_ok(),
            "{text:?}: {found:?} {expected:?}"
        );
        let (Ok(found), Ok(expected)) = (found, expected) else {
            continue;
        };
        valid += 1;
        for pointer in ["", "/a", "/k/0/a", "/0", "/1", "/b\n"] {
            let one = found.pointer(pointer);
            let other = expected.pointer(pointer);
            assert_eq!(one.is_some(), other.is_some(), "{text:?} {pointer}");
            if let (Some(one), Some(Value::String(other))) = (one, other) {
                assert_eq!(one.as_text().unwrap(), other.as_str(), "{text:?} {pointer}");
            }
        }
    }
    assert!(valid > 10_000, "{valid}");
}
