//! Certificates and keys in PEM form.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The authorities of a file, whose certificates are understood.
///
/// # Errors
/// What is wrong with the file, which is named.
pub fn authorities(path: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of_file(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("{path}: a certificate in it is not understood: {error}"))?;
    }
    Ok(roots)
}

/// The certificates of a file, at least one.
///
/// # Errors
/// What is wrong with the file, which is named.
pub fn certificates_of_file(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    certificates(&text).map_err(|problem| format!("{path}: {problem}"))
}

/// The certificates of a text, at least one.
///
/// # Errors
/// What is wrong with the text.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| error.to_string())?;
    match found.is_empty() {
        true => Err(
            "it holds no certificate\n  help: a file in PEM form is wanted, which begins with -----BEGIN CERTIFICATE-----".to_owned(),
        ),
        false => Ok(found),
    }
}

/// Looks whether a text holds a private key.
///
/// # Errors
/// What is wrong with the text.
pub fn check_key(text: &str) -> Result<(), String> {
    // The passphrase of such a key is known to who uses it.
    let encrypted = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| text.contains(mark)) {
        return Ok(());
    }
    match PrivateKeyDer::pem_slice_iter(text.as_bytes()).next() {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err(
            "it holds no private key\n  help: a key in PEM form is wanted, which begins with -----BEGIN PRIVATE KEY-----".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(label: &str, content: &str) -> String {
        format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n")
    }

    #[test]
    fn what_is_no_certificate_is_said() {
        let said = |text: &str| certificates(text.as_bytes()).unwrap_err();
        let key = section("PRIVATE KEY", "AAAA");
        for text in ["", "DER", key.as_str()] {
            assert!(said(text).starts_with("it holds no certificate\n"));
        }
        let whole = section("CERTIFICATE", "AAAA");
        assert_eq!(certificates(whole.as_bytes()).unwrap().len(), 1);
        let two = format!("{whole}{key}{whole}");
        assert_eq!(certificates(two.as_bytes()).unwrap().len(), 2);
        let cut = whole
            .trim_end()
            .trim_end_matches("-----END CERTIFICATE-----");
        assert!(certificates(cut.as_bytes()).is_err());
        let said = certificates_of_file("/nowhere/authority.pem").unwrap_err();
        assert!(said.starts_with("/nowhere/authority.pem: "), "{said}");
    }

    #[test]
    fn what_is_no_key_is_said() {
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            assert_eq!(check_key(&section(label, "AAAA")), Ok(()));
        }
        let behind_parameters =
            section("EC PARAMETERS", "AAAA") + &section("EC PRIVATE KEY", "AA==");
        assert_eq!(check_key(&behind_parameters), Ok(()));
        assert_eq!(check_key(&section("ENCRYPTED PRIVATE KEY", "AAAA")), Ok(()));
        let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA";
        assert_eq!(check_key(&section("RSA PRIVATE KEY", headers)), Ok(()));
        for text in ["", "hunter2", section("CERTIFICATE", "AAAA").as_str()] {
            let said = check_key(text).unwrap_err();
            assert!(said.starts_with("it holds no private key\n"), "{said}");
        }
        assert!(check_key(&section("PRIVATE KEY", "!")).is_err());
    }
}
