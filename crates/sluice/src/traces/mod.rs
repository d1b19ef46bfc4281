//! Traces: what each epoch, request and statement took, told to a collector of
//! OpenTelemetry (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! Whoever ends a span puts it in a queue and goes on; where that is full, it is
//! lost and counted. A thread takes them from there, batch by batch.

mod ids;
mod json;
mod queue;
mod sender;
mod settings;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use sluice_core::Spans;
use sluice_serve::Metrics;

use self::ids::Ids;
use self::queue::{Queue, QueueCounts};
use self::sender::{Sender, SenderParts};
pub use self::settings::TracesText;
use crate::failure::Failure;
use crate::project::Project;
use crate::report::Reporter;

/// Spans that wait to be sent.
const WAITING_MAX: usize = 8_192;

/// Where spans go, and who sends them.
#[derive(Debug, Default)]
pub struct Traces {
    spans: Spans,
    sender: Option<Sender>,
}

impl Traces {
    /// Begins to send what is put into [`Traces::spans`], where the project says
    /// where to.
    ///
    /// # Errors
    /// When a secret is not where it should be, or the thread cannot be started.
    pub fn start(
        project: &Project,
        metrics: &Metrics,
        reporter: Reporter,
    ) -> Result<Self, Failure> {
        let Some(settings) = &project.config.traces else {
            return Ok(Self::default());
        };
        let counts = QueueCounts::new(metrics);
        let (waiting, spans) = sync_channel(WAITING_MAX);
        let sender = Sender::start(SenderParts {
            url: settings.url(),
            headers: settings.headers(&project.folder)?,
            warehouse: project.config.name.clone(),
            spans,
            counts: counts.clone(),
            reporter,
        })?;
        let queue = Queue::new(Ids::new()?, settings.share(), waiting, counts);
        Ok(Self {
            spans: Spans::to(Arc::new(queue)),
            sender: Some(sender),
        })
    }

    /// Where spans go; nowhere if the project does not say.
    pub fn spans(&self) -> Spans {
        self.spans.clone()
    }

    /// Sends what waits, as far as that is done within two seconds.
    pub fn stop(self) {
        if let Some(sender) = self.sender {
            sender.stop();
        }
    }
}
