//! Encryption of connections.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};

use super::pem::authorities;

/// Whether a connection is encrypted, and what is asked of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// It is not.
    #[default]
    Off,
    /// It is, with any server.
    Required,
    /// It is, and the server's certificate is checked: against this file of
    /// certificates, or against those that browsers know.
    Verified(Option<String>),
}

/// A connection for `host`; nothing is sent yet.
///
/// # Errors
/// What is wrong with the certificates or with the name.
pub fn connection(mode: &TlsMode, host: &str) -> Result<ClientConnection, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match mode {
        TlsMode::Off | TlsMode::Required => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            .with_no_client_auth(),
        TlsMode::Verified(None) => {
            let roots = RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            };
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        TlsMode::Verified(Some(path)) => builder
            .with_root_certificates(authorities(path)?)
            .with_no_client_auth(),
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())
}

/// The error of a connection; where it is about the server's certificate, in
/// words that say what to do.
pub fn explained(error: io::Error) -> io::Error {
    let inner = error.get_ref();
    let cause = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(reason)) = cause else {
        return error;
    };
    let (what, help) = match reason {
        CertificateError::UnknownIssuer => (
            "is of no authority that is known".to_owned(),
            "name the file with its authority's certificate in `tls_ca`",
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names = match presented.as_slice() {
                [] => "no name".to_owned(),
                names => names.join(", "),
            };
            (
                format!("is for {names}, and not for {}", expected.to_str()),
                "write in `host` a name that the certificate has as a subjectAltName",
            )
        }
        // Without the seconds since then, so that one problem is one warning.
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("has expired".to_owned(), "give the server a new one")
        }
        other => (
            format!("is refused: {other}"),
            "one that vouches for itself is made with `basicConstraints=CA:FALSE` and a subjectAltName",
        ),
    };
    let text = format!("the server's certificate {what}\n  help: {help}");
    io::Error::new(error.kind(), text)
}

/// Takes any certificate: the connection is secret, but the server could be
/// another one. Signatures are checked all the same.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_about_certificates_say_what_to_do_and_others_stay() {
        let said = |reason: CertificateError| {
            let error = rustls::Error::InvalidCertificate(reason);
            explained(io::Error::new(io::ErrorKind::InvalidData, error)).to_string()
        };
        assert_eq!(
            said(CertificateError::UnknownIssuer),
            "the server's certificate is of no authority that is known\n  help: name the file with its authority's certificate in `tls_ca`"
        );
        let expected = ServerName::try_from("db.example").unwrap();
        let for_others = |presented: Vec<String>| {
            said(CertificateError::NotValidForNameContext {
                expected: expected.clone(),
                presented,
            })
        };
        let others = for_others(vec![
            "DnsName(\"a\")".to_owned(),
            "DnsName(\"b\")".to_owned(),
        ]);
        let wanted = "is for DnsName(\"a\"), DnsName(\"b\"), and not for db.example\n";
        assert!(others.contains(wanted), "{others}");
        let nobody = for_others(Vec::new());
        assert!(nobody.contains("is for no name, and not for"), "{nobody}");
        assert!(said(CertificateError::Expired).contains("has expired"));
        assert!(said(CertificateError::BadSignature).contains("BadSignature"));
        let broken = io::Error::new(io::ErrorKind::ConnectionReset, "reset");
        assert_eq!(explained(broken).to_string(), "reset");
        let refused = rustls::Error::HandshakeNotComplete;
        let refused = explained(io::Error::other(refused)).to_string();
        assert_eq!(refused, "handshake not complete");
    }
}
