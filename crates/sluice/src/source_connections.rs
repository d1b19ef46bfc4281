//! Connections to databases and brokers: whether others can read them on the way, and
//! whether the certificates and keys are there that they are made with.

use std::net::IpAddr;
use std::path::Path;

use sluice_mysql::net::pem;
use sluice_route::{CaptureDefinition, CaptureKind, KafkaCluster, Tls};

use crate::failure::Failure;
use crate::project::Project;
use crate::watching::mail_server_without_login;

/// So many addresses are named in a warning.
const NAMED_MAX: usize = 5;

/// Settings of librdkafka that name files.
const FILE_PROPERTIES: [&str; 5] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// What a capture connects to, and how.
struct Connections<'a> {
    /// Machines, with or without ports.
    places: Vec<&'a str>,
    tls: Tls,
    authorities: Option<&'a str>,
}

impl<'a> Connections<'a> {
    fn of(capture: &'a CaptureDefinition) -> Option<Self> {
        let places = |host: &'a String, failover: &'a Vec<String>| {
            let others = failover.iter().map(String::as_str);
            std::iter::once(host.as_str()).chain(others).collect()
        };
        Some(match &capture.kind {
            CaptureKind::MySql(server) => Self {
                places: places(&server.host, &server.failover),
                tls: server.tls,
                authorities: server.tls_ca.as_deref(),
            },
            CaptureKind::Postgres(server) => Self {
                places: places(&server.host, &server.failover),
                tls: server.tls,
                authorities: server.tls_ca.as_deref(),
            },
            CaptureKind::Kafka(cluster) => Self {
                places: cluster
                    .bootstrap_servers
                    .iter()
                    .map(String::as_str)
                    .collect(),
                tls: cluster.tls,
                authorities: cluster.tls_ca.as_deref(),
            },
            _ => return None,
        })
    }

    /// Places on other machines that are spoken to without encryption.
    fn open_places(&self) -> Vec<&'a str> {
        let mut places = self.places.clone();
        places.retain(|place| self.tls == Tls::Off && !is_this_machine(place));
        places
    }
}

/// Whether a name or number, with or without a port, is this machine's own.
fn is_this_machine(place: &str) -> bool {
    let is_own = |host: &str| {
        let number = host.trim_start_matches('[').trim_end_matches(']');
        let number = number.parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost") || number.is_ok_and(|it| it.is_loopback())
    };
    let before_port = place.rsplit_once(':').map(|(host, _)| host);
    is_own(place) || before_port.is_some_and(is_own)
}

/// Looks whether a file of authorities is asked: who names one takes the server for
/// checked.
///
/// # Errors
/// When it is not.
pub fn check_authorities(tls: Tls, authorities: Option<&str>) -> Result<(), Failure> {
    match authorities {
        Some(path) if tls != Tls::Verified => Err(Failure::Definitions(format!(
            "a source has `tls_ca = \"{path}\"`, which only `tls = \"verified\"` checks the server against\n  help: write that, or leave `tls_ca` out"
        ))),
        _ => Ok(()),
    }
}

/// Looks at the connections of all sources. Gives what is to be told of those that are
/// not encrypted.
///
/// # Errors
/// See [`check_authorities`]; and every file of certificates or keys that cannot be
/// used.
pub fn check(project: &Project) -> Result<Option<String>, Failure> {
    let mut problems = Vec::new();
    for capture in project.sources.captures() {
        let Some(connections) = Connections::of(capture) else {
            continue;
        };
        check_authorities(connections.tls, connections.authorities)?;
        for (key, problem) in wrong_files(project, capture, &connections) {
            let topic = &capture.topic;
            problems.push(format!("the source of topic `{topic}`, `{key}`: {problem}"));
        }
    }
    // Nobody is told by a quiet copy, which may lack the file.
    let mail = mail_server_without_login(project).filter(|_| !project.config.alarms.quiet);
    let certificates = mail.and_then(|server| server.certificates);
    if let Some(problem) = certificates.and_then(|path| pem::authorities(&path).err()) {
        problems.push(format!(
            "[mail] of warehouse.toml, `certificates`: {problem}"
        ));
    }
    match problems.is_empty() {
        true => Ok(unencrypted(project)),
        false => Err(Failure::Definitions(problems.join("\n"))),
    }
}

/// What is to be told of connections that are not encrypted, if there are any.
pub fn unencrypted(project: &Project) -> Option<String> {
    let mut open: Vec<String> = Vec::new();
    for capture in project.sources.captures() {
        let Some(connections) = Connections::of(capture) else {
            continue;
        };
        let places = connections.open_places().into_iter();
        open.extend(places.map(|place| format!("{place} (topic `{}`)", capture.topic)));
    }
    warning(&open)
}

/// What is wrong with the files of a source's certificates and keys, by the keys that
/// name them.
fn wrong_files(
    project: &Project,
    capture: &CaptureDefinition,
    connections: &Connections<'_>,
) -> Vec<(String, String)> {
    let authorities = connections.authorities.map(|path| project.resolve(path));
    let mut wrong = Vec::new();
    let CaptureKind::Kafka(cluster) = &capture.kind else {
        let problem = authorities.and_then(|path| pem::authorities(&path).err());
        wrong.extend(problem.map(|problem| ("tls_ca".to_owned(), problem)));
        return wrong;
    };
    // The client of brokers takes a folder of certificates too, and has its own mind
    // about what certificates say.
    let file = authorities.filter(|path| !Path::new(path).is_dir());
    let problem = file.and_then(|path| pem::certificates_of_file(&path).err());
    wrong.extend(problem.map(|problem| ("tls_ca".to_owned(), problem)));
    wrong.extend(wrong_identity(project, cluster));
    for name in FILE_PROPERTIES {
        let Some(path) = cluster.properties.get(name) else {
            continue;
        };
        // Where the client is to look itself, or a secret, names no file.
        if path == "probe" || path.starts_with("env:") || path.starts_with("file:") {
            continue;
        }
        // They are seen from where the program was started.
        if let Err(error) = std::fs::metadata(path) {
            wrong.push((name.to_owned(), format!("{path}: {error}")));
        }
    }
    wrong
}

/// What is wrong with a reader's own certificate and key. Whether they are there at all
/// is looked at with all secrets.
fn wrong_identity(project: &Project, cluster: &KafkaCluster) -> Vec<(String, String)> {
    let is_certificate = |text: &str| pem::certificates(text.as_bytes()).map(|_| ());
    let problem = |reference: &Option<String>, check: &dyn Fn(&str) -> Result<(), String>| {
        let reference = reference.as_deref()?;
        let text = sluice_watch::secret(reference, &project.folder).ok()?;
        let problem = check(&text).err()?;
        Some(match reference.strip_prefix("file:") {
            Some(path) => format!("{}: {problem}", project.resolve(path)),
            None => format!("{reference}: {problem}"),
        })
    };
    let certificate = problem(&cluster.tls_certificate, &is_certificate);
    let key = problem(&cluster.tls_key, &pem::check_key);
    let named = [("tls_certificate", certificate), ("tls_key", key)];
    let wrong = named.into_iter();
    wrong
        .filter_map(|(key, problem)| Some((key.to_owned(), problem?)))
        .collect()
}

fn warning(open: &[String]) -> Option<String> {
    let more = match open.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<&str> = open.iter().map(String::as_str).take(NAMED_MAX).collect();
    (!open.is_empty()).then(|| format!(
        "not encrypted on the way from {}{more}: whoever reaches the network between can read what is captured\n  help: tls = \"verified\" in the topic's capture, unless that network is the shop's own",
        named.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_this_machine_are_known() {
        for place in [
            "localhost",
            "LOCALHOST:9092",
            "127.0.0.1",
            "127.1.2.3:5432",
            "::1",
            "[::1]:9092",
        ] {
            assert!(is_this_machine(place), "{place}");
        }
        for place in [
            "db.example",
            "kafka1:9092",
            "10.0.0.1",
            "10.0.0.1:9092",
            "localhost.example:3306",
            "[2001:db8::1]:9092",
            "2001:db8::1",
        ] {
            assert!(!is_this_machine(place), "{place}");
        }
    }

    #[test]
    fn one_warning_names_a_few() {
        assert_eq!(warning(&[]), None);
        let places: Vec<String> = (1..=7).map(|number| format!("db{number}")).collect();
        let said = warning(&places).unwrap();
        let wanted = "not encrypted on the way from db1, db2, db3, db4, db5 and 2 more: ";
        assert!(said.starts_with(wanted), "{said}");
    }
}
