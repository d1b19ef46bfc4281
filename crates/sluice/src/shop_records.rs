//! Where the shop's records go: to a collector over HTTP, as from every other
//! client, or into files.

use std::path::Path;
use std::time::Duration;

use sluice_core::{Disk, DiskFile, OpenMode, RealDisk};
use sluice_shop::{Message, Topic};

use crate::failure::{Doing, Failure};

/// Bytes of one request.
const REQUEST_BYTES: usize = 1 << 20;
/// A body that is not accepted is sent again after this time, so often.
const RETRY_WAIT: Duration = Duration::from_millis(200);
const ATTEMPTS_MAX: u32 = 100;
/// Time of one request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// A client of the collector.
pub struct Collector {
    agent: ureq::Agent,
}

impl Collector {
    /// A client that has not connected yet.
    pub fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_TIME_MAX))
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
        }
    }

    /// Sends records of one topic to the collector at `address`, in requests of a
    /// good size, and waits until they are durable.
    ///
    /// # Errors
    /// When it does not answer for long, or refuses them.
    pub fn send<'m>(
        &self,
        address: &str,
        topic: Topic,
        messages: impl Iterator<Item = &'m Message>,
    ) -> Result<(), Failure> {
        let url = format!("http://{address}/collect/{}", topic.name());
        let mut body = String::new();
        for message in messages {
            body.push_str(&message.payload);
            body.push('\n');
            if body.len() >= REQUEST_BYTES {
                self.post(&url, &body)?;
                body.clear();
            }
        }
        match body.is_empty() {
            true => Ok(()),
            false => self.post(&url, &body),
        }
    }

    /// Sends a body until it is accepted.
    fn post(&self, url: &str, body: &str) -> Result<(), Failure> {
        let what = format!("sending records to {url}");
        for attempt in 1.. {
            let answer = self
                .agent
                .post(url)
                .content_type("application/x-ndjson")
                .send(body);
            let mut problem = match answer {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if is_passing(answer.status().as_u16()) => {
                    format!("the collector answers {}", answer.status())
                }
                Ok(answer) => {
                    let status = answer.status();
                    return Err(Failure::Failed(format!("{what}: {status}")));
                }
                Err(error) => error.to_string(),
            };
            if attempt >= ATTEMPTS_MAX {
                problem.push_str(", again and again");
                return Err(Failure::Failed(format!("{what}: {problem}")));
            }
            std::thread::sleep(RETRY_WAIT);
        }
        Ok(())
    }
}

/// Whether a status asks the client to come again.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 503)
}

/// A file of each topic, one record a line.
pub struct Files {
    files: Vec<(Topic, Box<dyn DiskFile>)>,
}

impl Files {
    /// Makes the files `app_log.ndjson` and `shop_db.ndjson` in the folder.
    ///
    /// # Errors
    /// When they are there already or cannot be made.
    pub fn create(folder: &Path) -> Result<Self, Failure> {
        let what = format!("making files in {}", folder.display());
        RealDisk.create_dir_all(folder).doing(&what)?;
        let mut files = Vec::new();
        for topic in [Topic::ShopDb, Topic::AppLog] {
            let path = folder.join(format!("{}.ndjson", topic.name()));
            if RealDisk.exists(&path) {
                return Err(Failure::Failed(format!(
                    "{} exists already\n  help: give the shop a folder without it",
                    path.display()
                )));
            }
            files.push((topic, RealDisk.open(&path, OpenMode::Create).doing(&what)?));
        }
        Ok(Self { files })
    }

    /// Appends the records.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn append(&mut self, messages: &[Message]) -> Result<(), Failure> {
        for (topic, file) in &mut self.files {
            let mut text = String::new();
            for message in messages.iter().filter(|it| it.topic == *topic) {
                text.push_str(&message.payload);
                text.push('\n');
            }
            if !text.is_empty() {
                file.append(text.as_bytes()).doing("writing the shop")?;
            }
        }
        Ok(())
    }
}
