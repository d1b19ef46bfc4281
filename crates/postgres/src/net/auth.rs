//! Signing in: SCRAM-SHA-256, MD5, and passwords in clear over TLS.

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};

use super::connection::{Address, needs_tls};
use super::error::ConnectionError;
use crate::input::{BadBytes, Input};

const OK: u32 = 0;
const CLEAR: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// How far signing in has come.
#[derive(Default)]
pub(crate) struct SignIn {
    scram: Option<ScramSha256>,
}

/// What is to be done about the server's message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: the password is right.
    Done,
    /// Wait for more.
    Wait,
    /// Send this.
    Send(Vec<u8>),
}

impl SignIn {
    /// Answers the content of the server's message about signing in.
    pub(crate) fn answer(
        &mut self,
        content: &[u8],
        address: &Address,
        is_encrypted: bool,
    ) -> Result<Answer, ConnectionError> {
        let mut input = Input::new(content, "the sign-in");
        let method = input.u32()?;
        let (user, password) = (&address.user, &address.password);
        if method != OK && method != SASL_FINAL && password.is_empty() {
            return Err(ConnectionError::SignIn(format!(
                "the server wants a password of user `{user}`\n  help: set `password = \"env:NAME\"`"
            )));
        }
        let of_scram = |error: std::io::Error| {
            ConnectionError::SignIn(format!("signing in as `{user}` by SCRAM failed: {error}"))
        };
        match method {
            OK => Ok(Answer::Done),
            CLEAR if !is_encrypted => Err(needs_tls()),
            CLEAR => Ok(Answer::Send(zero_ended(password))),
            MD5 => {
                let salt = input.u32()?.to_be_bytes();
                let hash = md5_hash(user.as_bytes(), password.as_bytes(), salt);
                Ok(Answer::Send(zero_ended(&hash)))
            }
            SASL => {
                let mut offered = Vec::new();
                while let Ok(name) = input.text() {
                    offered.push(name);
                }
                if !offered.iter().any(|name| name == SCRAM_SHA_256) {
                    return Err(unknown(user, &offered.join(", ")));
                }
                let scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                let mut answer = zero_ended(SCRAM_SHA_256);
                answer.extend((scram.message().len() as u32).to_be_bytes());
                answer.extend_from_slice(scram.message());
                self.scram = Some(scram);
                Ok(Answer::Send(answer))
            }
            SASL_CONTINUE | SASL_FINAL => {
                let Some(scram) = &mut self.scram else {
                    return Err(BadBytes::invalid("SCRAM goes on that did not begin").into());
                };
                if method == SASL_FINAL {
                    scram.finish(input.rest()).map_err(of_scram)?;
                    return Ok(Answer::Wait);
                }
                scram.update(input.rest()).map_err(of_scram)?;
                Ok(Answer::Send(scram.message().to_vec()))
            }
            other => Err(unknown(user, &format!("method {other}"))),
        }
    }
}

fn unknown(user: &str, offered: &str) -> ConnectionError {
    ConnectionError::SignIn(format!(
        "the server wants user `{user}` to sign in by {offered}, which is not known\n  help: let `pg_hba.conf` ask for `scram-sha-256`"
    ))
}

/// A text with the zero behind it that the protocol wants.
pub(crate) fn zero_ended(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_answered_or_named() {
        let address = Address {
            user: "u".into(),
            password: "p".into(),
            ..Address::default()
        };
        let answer = |content: &[u8], is_encrypted| {
            SignIn::default().answer(content, &address, is_encrypted)
        };
        assert_eq!(answer(&[0, 0, 0, 0], false).unwrap(), Answer::Done);
        assert!(answer(&[0, 0, 0, 3], false).is_err(), "in clear");
        let sent = Answer::Send(b"p\0".to_vec());
        assert_eq!(answer(&[0, 0, 0, 3], true).unwrap(), sent);
        let Answer::Send(hash) = answer(&[0, 0, 0, 5, 1, 2, 3, 4], false).unwrap() else {
            panic!("nothing is sent");
        };
        assert!(hash.starts_with(b"md5") && hash.len() == 36);
        let unknown = answer(&[0, 0, 0, 7], true).unwrap_err().to_string();
        assert!(unknown.contains("method 7") && unknown.contains("pg_hba.conf"));
        assert!(answer(&[0, 0, 0, 11], true).is_err(), "SCRAM out of turn");
        assert!(answer(&[0, 0], true).is_err());
    }
}
