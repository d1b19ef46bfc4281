//! What to set when a mail server wants another encryption than `mail.tls` says.

use std::io;

use super::MailTls;

/// The server refuses STARTTLS.
pub(super) const WITHOUT_STARTTLS: &str = "it is asked for STARTTLS; if it never offers that, set mail.tls = \"implicit\" where it encrypts from the first byte (port 465), or \"off\" where nothing is to be encrypted";
/// The server demands encryption of a connection in the clear.
pub(super) const DEMANDED: &str =
    "it demands encryption: set mail.tls = \"starttls\" instead of \"off\"";
/// A password is to go over a connection in the clear.
pub(super) const FOR_PASSWORD: &str = "a password is not sent without encryption: set mail.tls = \"starttls\" (port 587) or \"implicit\" (port 465), or leave user and password out";
const NOT_FROM_THE_FIRST_BYTE: &str = "it does not encrypt from the first byte: set mail.tls = \"starttls\" (port 587) instead of \"implicit\"";
const SILENT: &str = "it says nothing in the clear: set mail.tls = \"implicit\" if it encrypts from the first byte (port 465)";

/// Why no greeting can be read, if that is because of the encryption.
pub(super) fn meant_by(tls: MailTls, error: &io::Error) -> Option<&'static str> {
    let of_encryption = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let is_clear = matches!(of_encryption, Some(rustls::Error::InvalidMessage(_)));
    // Which of the two a time that is over is depends on the system.
    let is_silent = matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    );
    match tls {
        MailTls::Implicit => is_clear.then_some(NOT_FROM_THE_FIRST_BYTE),
        MailTls::StartTls | MailTls::Off => is_silent.then_some(SILENT),
    }
}

/// Whether an answer on a connection in the clear says that it must be encrypted
/// (RFC 3207, 4: code 530). The same code may ask for a user.
pub(super) fn is_demanded(code: u16, text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    code == 530 && text.contains("TLS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_clear_text_mean_another_encryption() {
        let silent = io::Error::from(io::ErrorKind::WouldBlock);
        for tls in [MailTls::StartTls, MailTls::Off] {
            assert!(meant_by(tls, &silent).is_some_and(|advice| advice.contains("\"implicit\"")));
        }
        assert_eq!(meant_by(MailTls::Implicit, &silent), None);
        let invalid = rustls::InvalidMessage::InvalidContentType;
        let clear = io::Error::other(rustls::Error::InvalidMessage(invalid));
        let advice = meant_by(MailTls::Implicit, &clear);
        assert!(advice.is_some_and(|advice| advice.contains("\"starttls\"")));
        let closed = io::Error::other("it closed the connection");
        assert_eq!(meant_by(MailTls::Implicit, &closed), None);
        assert_eq!(meant_by(MailTls::StartTls, &closed), None);
    }

    #[test]
    fn a_demand_for_encryption_is_none_for_a_user() {
        assert!(is_demanded(
            530,
            "530 5.7.0 Must issue a STARTTLS command first"
        ));
        assert!(!is_demanded(530, "530 5.7.0 Authentication required"));
        assert!(!is_demanded(550, "550 no STARTTLS, no such user"));
    }
}
