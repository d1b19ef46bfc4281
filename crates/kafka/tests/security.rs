//! Signing in and encryption, against a real broker.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes certificates"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::Broker;
use sluice_core::{RecordKind, SystemClock};
use sluice_kafka::options::{
    Include, KafkaOptions, KeyFormat, Sasl, Secret, Start, Tls, ValueFormat,
};
use sluice_kafka::position::KafkaPosition;
use sluice_kafka::source::KafkaSource;
use sluice_kafka::topics::TopicFilter;

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {said}");
}

/// An authority, and a certificate of 127.0.0.1 with its key in one file.
fn make_certificates(folder: &Path) {
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
    );
    openssl(
        folder,
        "req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout broker.key -out broker.csr",
    );
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        folder,
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out broker.pem",
    );
    let key = std::fs::read_to_string(folder.join("broker.key")).unwrap();
    let certificate = std::fs::read_to_string(folder.join("broker.pem")).unwrap();
    std::fs::write(folder.join("both.pem"), key + &certificate).unwrap();
}

fn options(broker: &Broker, mechanism: &str, password: &str, tls: Tls) -> KafkaOptions {
    KafkaOptions {
        name: "shop".into(),
        servers: vec![format!("127.0.0.1:{}", broker.secure_port)],
        topics: TopicFilter::new(&["orders".into()]).unwrap(),
        partitions: Vec::new(),
        group: None,
        is_group_assigned: false,
        start: Start::Earliest,
        accepts_gaps: false,
        own_log: false,
        include: Include::default(),
        format: ValueFormat::Json,
        key_format: KeyFormat::Text,
        registry: None,
        discovery_us: 1_000_000,
        sasl: Some(Sasl {
            mechanism: mechanism.into(),
            user: "li".into(),
            password: Secret(password.into()),
        }),
        tls,
        identity: None,
        properties: Vec::new(),
    }
}

/// The first record, or why there is none.
fn first(options: KafkaOptions) -> Result<String, String> {
    let mut source = KafkaSource::new(options, Arc::new(SystemClock), KafkaPosition::default());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        let batch = source.poll().map_err(|error| error.to_string())?;
        let mut records = batch.records.iter();
        if let Some(record) = records.find(|record| record.kind == RecordKind::Data) {
            return Ok(String::from_utf8_lossy(&record.payload).into_owned());
        }
        if let Some(trouble) = source.trouble() {
            assert!(!trouble.contains("hunter"), "{trouble}");
            return Err(trouble.to_owned());
        }
    }
    panic!("neither a record nor trouble");
}

#[test]
fn scram_and_plain_over_tls() {
    let scram = |mechanism: &str| format!("{mechanism}=[name=li,password=hunter2]");
    let (small, large) = (scram("SCRAM-SHA-256"), scram("SCRAM-SHA-512"));
    let format = ["--add-scram", &small, "--add-scram", &large];
    let mut authority = PathBuf::new();
    let folder = std::cell::RefCell::new(&mut authority);
    let broker = Broker::start_with(&format, |path| {
        make_certificates(path);
        **folder.borrow_mut() = path.join("ca.pem");
        let both = path.join("both.pem");
        let login =
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_li=\"hunter2\";";
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        vec![
            "SECURE=SASL_SSL".to_owned(),
            "listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
                .to_owned(),
            format!("listener.name.secure.plain.sasl.jaas.config={login}"),
            format!("listener.name.secure.scram-sha-256.sasl.jaas.config={scram}"),
            format!("listener.name.secure.scram-sha-512.sasl.jaas.config={scram}"),
            "listener.name.secure.ssl.keystore.type=PEM".to_owned(),
            format!(
                "listener.name.secure.ssl.keystore.location={}",
                both.display()
            ),
        ]
    });
    let Some(broker) = broker else {
        return;
    };
    broker.make_topic("orders", 1);
    broker.send("orders", 0, None, Some(b"{\"id\":1}"));
    let verified = Tls::Verified(Some(authority.display().to_string()));
    let record = Ok("{\"id\":1}".to_owned());
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let found = first(options(&broker, mechanism, "hunter2", verified.clone()));
        assert_eq!(found, record, "{mechanism}");
        let wrong = first(options(&broker, mechanism, "hunter3", verified.clone()));
        let error = wrong.unwrap_err();
        assert!(error.contains("uthentication"), "{mechanism}: {error}");
    }
    let found = first(options(&broker, "PLAIN", "hunter2", Tls::Required));
    assert_eq!(found, record, "encrypted, with any broker");
    let unknown = first(options(&broker, "PLAIN", "hunter2", Tls::Verified(None)));
    let error = unknown.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}
