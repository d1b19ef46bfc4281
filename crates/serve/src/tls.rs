//! Encryption of both addresses: a certificate and its key from PEM files, read
//! again when they change, as tools do that renew certificates.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use datafusion_postgres::pgwire::tokio::TlsAcceptor;
use datafusion_postgres::pgwire::tokio::tokio_rustls::rustls;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::Instant;

/// The files are looked at no more often.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// A certificate or a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no certificate or key.
    #[error(
        "{}: {problem}\n  help: listen.tls.certificate is a PEM file with the certificate and those between it and the root, listen.tls.key one with its private key",
        file.display()
    )]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// They do not belong together, or are of a kind that is not known.
    #[error("{} and {} cannot be used together: {problem}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        problem: rustls::Error,
    },
}

/// What tells whether the files have changed: time and length of each.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// Who is told that files were changed and cannot be used.
pub type WarnOfTls = Box<dyn Fn(&str) + Send + Sync>;

struct Current {
    postgres: TlsAcceptor,
    http: TlsAcceptor,
    stamp: Stamp,
    looked_at: Instant,
}

/// See the module.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    warn: WarnOfTls,
    current: Mutex<Current>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a certificate and its key.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn read(certificate: PathBuf, key: PathBuf, warn: WarnOfTls) -> Result<Self, TlsError> {
        let current = read(&certificate, &key)?;
        Ok(Self {
            certificate,
            key,
            warn,
            current: Mutex::new(current),
        })
    }

    /// For a client of the PostgreSQL wire.
    pub(crate) fn postgres(&self) -> TlsAcceptor {
        self.newest(|current| current.postgres.clone())
    }

    /// For a client of HTTP.
    pub(crate) fn http(&self) -> TlsAcceptor {
        self.newest(|current| current.http.clone())
    }

    fn newest(&self, take: impl Fn(&Current) -> TlsAcceptor) -> TlsAcceptor {
        let mut current = self.current.lock();
        if current.looked_at.elapsed() >= LOOK_INTERVAL {
            current.looked_at = Instant::now();
            let stamp = stamp(&self.certificate, &self.key);
            if stamp != current.stamp {
                match read(&self.certificate, &self.key) {
                    Ok(newer) => *current = newer,
                    Err(error) => {
                        // One of the files may be still to come: the old ones
                        // serve until both are there, and are told of once.
                        current.stamp = stamp;
                        (self.warn)(&error.to_string());
                    }
                }
            }
        }
        take(&current)
    }
}

/// Whether a client is on this machine, so that what it sends goes over no
/// network.
pub(crate) fn is_local(client: SocketAddr, own: SocketAddr) -> bool {
    let (client, own) = (client.ip().to_canonical(), own.ip().to_canonical());
    client.is_loopback() || client == own
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|file| {
        let found = fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}

fn read(certificate: &Path, key: &Path) -> Result<Current, TlsError> {
    // Before the files, so that a change while they are read is seen later.
    let stamp = stamp(certificate, key);
    let wrong = |file: &Path, problem: String| TlsError::File {
        file: file.to_owned(),
        problem,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(
            certificate,
            "there is no certificate in it".to_owned(),
        ));
    }
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
    let pair = |problem| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        problem,
    };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(pair)?;
    let acceptor = |protocol: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    };
    Ok(Current {
        postgres: acceptor(b"postgresql"),
        http: acceptor(b"http/1.1"),
        stamp,
        looked_at: Instant::now(),
    })
}
