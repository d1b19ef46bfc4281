//! Encryption of connections to mail servers.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// `stream` encrypted for `host`, whose certificate is checked against the file
/// `certificates`, or against those that browsers know.
///
/// # Errors
/// What is wrong with the certificates or with the name, in words. The server's
/// own certificate is checked with the first bytes that are sent.
pub(crate) fn encrypted(
    stream: TcpStream,
    host: &str,
    certificates: Option<&str>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let roots = match certificates {
        None => RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        },
        Some(path) => {
            let bad = |error: &dyn std::fmt::Display| format!("{path}: {error}");
            let mut roots = RootCertStore::empty();
            let found = CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| bad(&error))?;
                roots.add(certificate).map_err(|error| bad(&error))?;
            }
            roots
        }
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    Ok(StreamOwned::new(connection, stream))
}
