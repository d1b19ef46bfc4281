//! A mail server that wants another encryption than `mail.tls` says: the error names the
//! setting that fits.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "this test uses a part of it")]
mod common;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use common::{MailBox, certificate};
use sluice_watch::{Mail, MailServer, MailTls};

fn server(mail_box: &MailBox, tls: MailTls, with_login: bool) -> MailServer {
    MailServer {
        host: "localhost".to_owned(),
        port: mail_box.address.port(),
        tls,
        certificates: Some(certificate().display().to_string()),
        login: with_login.then(|| ("user".to_owned(), "secret".to_owned())),
        from: "sluice@shop.example".to_owned(),
        owners: BTreeMap::new(),
    }
}

fn mail() -> Mail {
    Mail {
        to: "li@shop.example".to_owned(),
        subject: "figures".to_owned(),
        id: "7".to_owned(),
        time_us: 0,
        text: "fine".to_owned(),
        html: None,
        parts: Vec::new(),
    }
}

/// Why the server does not take the mail; it must have got none.
#[track_caller]
fn refusal(mail_box: &MailBox, tls: MailTls, with_login: bool) -> String {
    let error = server(mail_box, tls, with_login).send(&mail()).unwrap_err();
    assert_eq!(mail_box.mails.lock().len(), 0);
    error.to_string()
}

#[track_caller]
fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn a_server_that_demands_starttls_is_told_with_the_setting() {
    let mail_box = MailBox::start();
    let error = refusal(&mail_box, MailTls::Off, false);
    assert_says(&error, &["530 STARTTLS first; ", "mail.tls = \"starttls\""]);
    // Nor does a password go out in the clear.
    let error = refusal(&mail_box, MailTls::Off, true);
    assert_says(
        &error,
        &["mail.tls = \"starttls\"", "or leave user and password out"],
    );
    let error = refusal(&mail_box, MailTls::Implicit, true);
    assert_says(
        &error,
        &[
            "does not encrypt from the first byte",
            "mail.tls = \"starttls\"",
        ],
    );
    // What they say is right.
    let right = server(&mail_box, MailTls::StartTls, true);
    right.send(&mail()).unwrap();
    assert_eq!(mail_box.mails.lock().len(), 1);
}

#[test]
fn a_server_without_starttls_is_told_with_the_settings_that_there_are() {
    let mail_box = MailBox::start();
    mail_box.is_clear.store(true, Ordering::SeqCst);
    let error = refusal(&mail_box, MailTls::StartTls, true);
    assert_says(
        &error,
        &["502 not here; ", "mail.tls = \"implicit\"", "\"off\""],
    );
}
