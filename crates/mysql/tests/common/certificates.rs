//! Certificates that a test makes.

use std::path::Path;
use std::process::Command;

fn openssl(folder: &Path, words: &str) {
    let mut command = Command::new("openssl");
    command.args(words.split_whitespace()).current_dir(folder);
    let made = command.output().unwrap_or_else(|error| {
        panic!("openssl is needed, scripts/install-test-tools installs it: {error}")
    });
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "openssl {words}: {said}");
}

/// `authority.pem`, and `server.pem` with `server.key` of it for `127.0.0.1`;
/// and `other.pem` of another authority.
pub fn make_certificates(folder: &Path) {
    std::fs::write(folder.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["authority", "other"] {
        let files = format!("-keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}");
        openssl(
            folder,
            &format!("req -x509 {key} {files} -addext basicConstraints=critical,CA:TRUE"),
        );
    }
    openssl(
        folder,
        &format!("req {key} -keyout server.key -out server.csr -subj /CN=server"),
    );
    openssl(
        folder,
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out server.pem -days 2 -extfile extensions",
    );
}
