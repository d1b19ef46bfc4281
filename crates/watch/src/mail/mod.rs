//! Mail: to the owners of what is wrong, and the morning report.

mod mime;
mod other_encryption;
mod smtp;

use std::collections::BTreeMap;

use self::mime::rendered;
use self::smtp::Session;
use crate::message;
use crate::receiver::{Notification, Receiver, SendError};

/// Whether the connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MailTls {
    /// It begins plain and must be encrypted before anything is said: port 587.
    #[default]
    StartTls,
    /// From the first byte: port 465.
    Implicit,
    /// Not at all; nobody can sign in then.
    Off,
}

/// Where mail goes.
#[derive(Clone)]
pub struct MailServer {
    /// Name or number of its machine.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Encryption.
    pub tls: MailTls,
    /// File of certificates that the server's is checked against, instead of
    /// those that browsers know.
    pub certificates: Option<String>,
    /// User and password, where it asks for them.
    pub login: Option<(String, String)>,
    /// Who sends: `name@example.com`, or `Name <name@example.com>`.
    pub from: String,
    /// Addresses of owners that are no addresses themselves.
    pub owners: BTreeMap<String, String>,
}

impl std::fmt::Debug for MailServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MailServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// A part of a mail that its HTML shows: an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailPart {
    /// Shown by `<img src="cid:NAME">`.
    pub name: String,
    /// Such as `image/png`.
    pub content_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Owners or addresses, separated by commas.
    pub to: String,
    /// In one line.
    pub subject: String,
    /// The same for the same mail.
    pub id: String,
    /// When it was written, in microseconds since 1970 UTC.
    pub time_us: i64,
    /// For everybody.
    pub text: String,
    /// For those who can show it.
    pub html: Option<String>,
    /// What the HTML shows.
    pub parts: Vec<MailPart>,
}

impl MailServer {
    /// Addresses of an owner.
    ///
    /// # Errors
    /// When it has none, in words.
    pub fn addresses(&self, owner: &str) -> Result<Vec<String>, String> {
        let known = self.owners.get(owner).map_or(owner, String::as_str);
        let mut addresses = Vec::new();
        for word in known.split(',') {
            let word = word.trim();
            let word = self.owners.get(word).map_or(word, String::as_str);
            addresses.push(address_of(word)?);
        }
        Ok(addresses)
    }

    /// Delivers a mail to the server.
    ///
    /// # Errors
    /// When it was not taken.
    pub fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let to = self.addresses(&mail.to).map_err(SendError::Refused)?;
        let from = address_of(&self.from).map_err(SendError::Unreachable)?;
        let content = rendered(mail, &self.from, &from, &to);
        let mut session = Session::open(self, &from).map_err(SendError::Unreachable)?;
        session.send(&from, &to, &content)?;
        session.quit();
        Ok(())
    }
}

/// The address in `name@example.com` or `Name <name@example.com>`.
fn address_of(text: &str) -> Result<String, String> {
    let address = match text.rsplit_once('<') {
        Some((_, rest)) => rest.trim_end().trim_end_matches('>'),
        None => text,
    };
    let address = address.trim();
    let is_plain = address
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b'"'));
    let parts = address.split_once('@');
    match parts {
        Some((name, domain))
            if is_plain
                && !name.is_empty()
                && !domain.is_empty()
                && !text.chars().any(char::is_control) =>
        {
            Ok(address.to_owned())
        }
        _ => Err(format!(
            "`{text}` is no mail address; write one, or add it under [owners] in warehouse.toml"
        )),
    }
}

impl Receiver for MailServer {
    fn name(&self) -> &str {
        "mail"
    }

    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let mail = Mail {
            to: notification.owner.clone(),
            subject: message::subject(notification),
            id: notification.id.clone(),
            time_us: notification.time_us,
            text: message::body(notification),
            html: None,
            parts: Vec::new(),
        };
        Self::send(self, &mail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_addresses_or_names_of_them() {
        let server = MailServer {
            host: String::new(),
            port: 25,
            tls: MailTls::Off,
            certificates: None,
            login: None,
            from: "a@b".to_owned(),
            owners: BTreeMap::from([("sales".to_owned(), "Li <li@shop.example>".to_owned())]),
        };
        assert_eq!(
            server.addresses("sales, ops@shop.example").unwrap(),
            ["li@shop.example", "ops@shop.example"]
        );
        assert!(server.addresses("nobody").is_err());
        assert!(server.addresses("a@b\r\nRCPT TO:<x@y>").is_err());
    }
}
