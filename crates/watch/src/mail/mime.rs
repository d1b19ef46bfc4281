//! The text of a mail: RFC 5322 with MIME (RFC 2045, 2046, 2047).

use chrono::DateTime;
use sluice_core::stable_hash;

use super::Mail;
use crate::base64::{encode, encode_lines};

/// Bytes of an encoded word, so that it has at most 75 characters.
const WORD_BYTES_MAX: usize = 42;

/// Headers and body, with the line ends of the wire.
pub(super) fn rendered(mail: &Mail, from: &str, from_address: &str, to: &[String]) -> String {
    let domain = from_address
        .rsplit_once('@')
        .map_or("sluice", |(_, domain)| domain);
    let date = DateTime::from_timestamp_micros(mail.time_us).unwrap_or_default();
    let mut text = format!(
        "From: {}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{}@{domain}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
        sender(from, from_address),
        to.join(",\r\n "),
        header_text(&mail.subject),
        date.format("%a, %d %b %Y %H:%M:%S +0000"),
        mail.id,
    );
    let plain = part("text/plain; charset=utf-8", "", mail.text.as_bytes());
    let Some(html) = &mail.html else {
        text.push_str(&plain);
        return text;
    };
    let boundary = format!("sluice-{:016x}", stable_hash(mail.id.as_bytes()));
    let mut shown = vec![part("text/html; charset=utf-8", "", html.as_bytes())];
    for image in &mail.parts {
        let headers = format!(
            "Content-ID: <{}>\r\nContent-Disposition: inline; filename=\"{}\"\r\n",
            image.name, image.name
        );
        shown.push(part(&image.content_type, &headers, &image.bytes));
    }
    let shown = multipart("related", &format!("{boundary}-r"), &shown);
    text.push_str(&multipart(
        "alternative",
        &format!("{boundary}-a"),
        &[plain, shown],
    ));
    text
}

fn part(content_type: &str, headers: &str, content: &[u8]) -> String {
    format!(
        "Content-Type: {content_type}\r\n{headers}Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        encode_lines(content)
    )
}

fn multipart(kind: &str, boundary: &str, parts: &[String]) -> String {
    let mut text = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\n");
    for part in parts {
        text.push_str(&format!("--{boundary}\r\n{part}"));
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    text
}

fn sender(from: &str, address: &str) -> String {
    match from.rsplit_once('<') {
        Some((name, _)) if !name.trim().is_empty() => {
            let name = name.trim().trim_matches('"');
            format!("{} <{address}>", header_text_always(name))
        }
        _ => address.to_owned(),
    }
}

/// Text of a header: as it is where that is allowed, in encoded words otherwise.
fn header_text(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| (32..127).contains(&byte));
    match is_plain && !text.contains("=?") && text.len() <= 900 {
        true => text.to_owned(),
        false => header_text_always(text),
    }
}

fn header_text_always(text: &str) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len() + character.len_utf8() > WORD_BYTES_MAX {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", encode(word.as_bytes())))
        .collect();
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::MailPart;

    fn mail() -> Mail {
        Mail {
            to: String::new(),
            subject: "[shop] 订单下降 to 5\r\nBcc: x@y".to_owned(),
            id: "77".to_owned(),
            time_us: 0,
            text: "一".to_owned(),
            html: None,
            parts: Vec::new(),
        }
    }

    #[test]
    fn a_plain_mail_has_ascii_headers_and_cannot_be_given_others() {
        let text = rendered(
            &mail(),
            "Shop <a@shop.example>",
            "a@shop.example",
            &["b@c".into()],
        );
        assert!(text.is_ascii());
        assert!(text.contains("Message-ID: <77@shop.example>\r\n"));
        assert!(text.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"));
        assert!(!text.contains("\nBcc"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 78), "{text}");
        assert!(text.ends_with("\r\n\r\n5LiA\r\n"), "{text}");
    }

    #[test]
    fn images_are_parts_beside_the_html_that_shows_them() {
        let with_image = Mail {
            html: Some("<img src=\"cid:a\">".to_owned()),
            parts: vec![MailPart {
                name: "a".to_owned(),
                content_type: "image/png".to_owned(),
                bytes: vec![1, 2, 3],
            }],
            ..mail()
        };
        let text = rendered(&with_image, "a@b", "a@b", &["b@c".into()]);
        let places = [
            "multipart/alternative",
            "text/plain",
            "multipart/related",
            "text/html",
            "Content-ID: <a>",
            "AQID",
        ]
        .map(|needle| text.find(needle).unwrap());
        assert!(places.is_sorted(), "{text}");
    }
}
