//! The parts of `warehouse.toml` that say who is told of alarms, and how.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use sluice_watch::{
    HttpPost, MailServer, MailTls, QuietHours, Receiver, WatchOptions, is_reference,
    parse_duration_us, secret,
};

use crate::failure::{Doing, Failure};
use crate::project::Project;

/// `[mail]`: the server that mail is given to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailText {
    server: String,
    port: Option<u16>,
    #[serde(default)]
    tls: TlsText,
    certificates: Option<String>,
    user: Option<String>,
    password: Option<String>,
    from: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TlsText {
    #[default]
    StartTls,
    Implicit,
    Off,
}

/// `[alarms]`: when people are told, and programs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlarmsText {
    /// Alarms are evaluated and shown, and nobody is told.
    pub quiet: bool,
    group_wait: Option<String>,
    repeat_every: Option<String>,
    quiet_hours: Option<String>,
    audits_every: Option<String>,
    webhook: BTreeMap<String, PostText>,
    alertmanager: BTreeMap<String, PostText>,
}

/// A receiver over HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostText {
    url: String,
    authorization: Option<String>,
}

const GROUP_WAIT_US: i64 = 10_000_000;
const REPEAT_US: i64 = 4 * 3_600_000_000;
const AUDITS_US: i64 = 3_600_000_000;

fn wrong(project: &Project, key: &str, value: &str, help: &str) -> Failure {
    let path = project.folder.join("warehouse.toml");
    Failure::Definitions(format!(
        "{}: {key} = \"{value}\" is not understood\n  help: {help}",
        path.display()
    ))
}

fn span(
    project: &Project,
    key: &str,
    value: &Option<String>,
    default_us: i64,
) -> Result<i64, Failure> {
    let Some(text) = value else {
        return Ok(default_us);
    };
    let help = "write a span such as \"10 seconds\"";
    parse_duration_us(text).ok_or_else(|| wrong(project, key, text, help))
}

/// How often the audits are counted for `/metrics`; `None` for never.
///
/// # Errors
/// When it is no span.
pub fn audits_interval(project: &Project) -> Result<Option<Duration>, Failure> {
    let key = "alarms.audits_every";
    let every = &project.config.alarms.audits_every;
    let every_us = span(project, key, every, AUDITS_US)?.unsigned_abs();
    Ok((every_us > 0).then(|| Duration::from_micros(every_us)))
}

/// What alarms need to know of the warehouse.
///
/// # Errors
/// What is wrong in `[alarms]`.
pub fn watch_options(project: &Project, link: Option<String>) -> Result<WatchOptions, Failure> {
    let config = &project.config;
    let alarms = &config.alarms;
    // Said before anything begins.
    audits_interval(project)?;
    let quiet_hours = match &alarms.quiet_hours {
        None => None,
        Some(text) => Some(QuietHours::parse(text).ok_or_else(|| {
            wrong(
                project,
                "alarms.quiet_hours",
                text,
                "write hours such as \"22:00-07:00\"",
            )
        })?),
    };
    Ok(WatchOptions {
        warehouse: config.name.clone(),
        link,
        // Checked when the file was read.
        zone: config.time_zone.get_ref().parse().unwrap_or(chrono_tz::UTC),
        owner: config.owner.clone().unwrap_or_default(),
        group_wait_us: span(
            project,
            "alarms.group_wait",
            &alarms.group_wait,
            GROUP_WAIT_US,
        )?,
        repeat_us: span(
            project,
            "alarms.repeat_every",
            &alarms.repeat_every,
            REPEAT_US,
        )?,
        quiet_hours,
    })
}

/// The mail server of the project, if it has one, without user and password.
pub fn mail_server_without_login(project: &Project) -> Option<MailServer> {
    let mail = project.config.mail.as_ref()?;
    let tls = match mail.tls {
        TlsText::StartTls => MailTls::StartTls,
        TlsText::Implicit => MailTls::Implicit,
        TlsText::Off => MailTls::Off,
    };
    let default_port = match tls {
        MailTls::StartTls => 587,
        MailTls::Implicit => 465,
        MailTls::Off => 25,
    };
    let certificates = mail.certificates.as_ref();
    Some(MailServer {
        host: mail.server.clone(),
        port: mail.port.unwrap_or(default_port),
        tls,
        certificates: certificates.map(|path| project.resolve(path)),
        login: None,
        from: mail.from.clone(),
        owners: project.config.owners.clone(),
    })
}

/// The mail server of the project, if it has one.
///
/// # Errors
/// When its password is not where it should be.
pub fn mail_server(project: &Project) -> Result<Option<MailServer>, Failure> {
    let (Some(server), Some(mail)) = (mail_server_without_login(project), &project.config.mail)
    else {
        return Ok(None);
    };
    let login = match (&mail.user, &mail.password) {
        (Some(user), Some(password)) => {
            let password = secret(password, &project.folder).doing("[mail] of warehouse.toml")?;
            Some((user.clone(), password))
        }
        (None, None) => None,
        _ => {
            return Err(Failure::Definitions(
                "[mail] of warehouse.toml has only one of user and password\n  help: give both, or neither".into(),
            ));
        }
    };
    Ok(Some(MailServer { login, ..server }))
}

impl AlarmsText {
    /// The receivers over HTTP, by their kinds.
    fn posts(&self) -> [(&'static str, &BTreeMap<String, PostText>); 2] {
        [
            ("webhook", &self.webhook),
            ("alertmanager", &self.alertmanager),
        ]
    }
}

/// The secrets that `[mail]` and `[alarms]` name, by their settings; none where nobody is
/// told.
pub fn secrets(project: &Project) -> Vec<(String, &str)> {
    let alarms = &project.config.alarms;
    if alarms.quiet {
        return Vec::new();
    }
    let mail = project.config.mail.as_ref();
    let password = mail.and_then(|mail| mail.password.as_deref());
    let mut named: Vec<(String, &str)> = password
        .map(|reference| ("`password` of [mail]".to_owned(), reference))
        .into_iter()
        .collect();
    for (kind, posts) in alarms.posts() {
        for (name, post) in posts {
            let url = Some(&post.url).filter(|url| is_reference(url));
            for reference in url.into_iter().chain(&post.authorization) {
                named.push((format!("[alarms.{kind}.{name}]"), reference));
            }
        }
    }
    named
}

/// Everybody who is told of alarms; nobody where the project is quiet.
///
/// # Errors
/// When a secret is not where it should be.
pub fn receivers(project: &Project) -> Result<Vec<Box<dyn Receiver>>, Failure> {
    let mut receivers: Vec<Box<dyn Receiver>> = Vec::new();
    // A copy may lack the secrets, too.
    if project.config.alarms.quiet {
        return Ok(receivers);
    }
    if let Some(server) = mail_server(project)? {
        receivers.push(Box::new(server));
    }
    let read = |text: &str, what: &str| match is_reference(text) {
        true => secret(text, &project.folder).doing(what),
        false => Ok(text.to_owned()),
    };
    for (kind, posts) in project.config.alarms.posts() {
        for (name, post) in posts {
            let what = format!("[alarms.{kind}.{name}] of warehouse.toml");
            // A webhook's address is often a secret itself.
            let url = read(&post.url, &what)?;
            let authorization = post.authorization.as_ref();
            let authorization = authorization
                .map(|reference| secret(reference, &project.folder).doing(&what))
                .transpose()?;
            let full_name = format!("{kind} {name}");
            receivers.push(Box::new(match kind {
                "webhook" => HttpPost::webhook(full_name, url, authorization),
                _ => HttpPost::alertmanager(full_name, &url, authorization),
            }));
        }
    }
    Ok(receivers)
}
