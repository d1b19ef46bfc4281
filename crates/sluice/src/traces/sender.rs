//! The thread that sends spans, in batches. What is not taken is tried again, later
//! each time, and given up after a few tries; nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use sluice_core::{BackOff, Clock, Span, SystemClock};

use super::json::body;
use super::queue::QueueCounts;
use crate::failure::{Doing, Failure};
use crate::report::Reporter;

/// Spans of one request.
const BATCH_SPANS_MAX: usize = 512;
/// A batch is sent after this time, however small it is.
const BATCH_TIME_US: i64 = 1_000_000;
/// How long the collector may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// So often one batch is sent before it is given up.
const TRIES_MAX: u32 = 3;
/// How long the end may take.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);
/// How often the thread looks whether it is to end.
const LOOK_TIME: Duration = Duration::from_millis(100);

/// What the thread needs.
pub(super) struct SenderParts {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) warehouse: String,
    pub(super) spans: Receiver<Span>,
    pub(super) counts: QueueCounts,
    pub(super) reporter: Reporter,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sender {
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Sender {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the machine starts none.
    pub(super) fn start(parts: SenderParts) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let (end, ended) = sync_channel(1);
        let sending = Sending {
            parts,
            stop: stop.clone(),
            agent: agent(),
            back_off: BackOff::default(),
        };
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || sending.run(&end))
            .doing("starting the thread that sends traces")?;
        Ok(Self { stop, ended })
    }

    /// Sends what waits. A thread that a collector keeps waiting is left alone.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.ended.recv_timeout(STOP_TIME_MAX);
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_TIME))
        .http_status_as_error(false)
        .max_redirects(0)
        .build();
    config.into()
}

/// Why a batch was not taken.
enum Untaken {
    /// It may be taken later.
    ForNow(String),
    /// It never will be.
    ForEver(String),
}

struct Sending {
    parts: SenderParts,
    stop: Arc<AtomicBool>,
    agent: ureq::Agent,
    back_off: BackOff,
}

impl Sending {
    fn run(mut self, end: &SyncSender<()>) {
        while !self.is_stopping() {
            let batch = self.next_batch();
            if !batch.is_empty() {
                self.deliver(&batch);
            }
        }
        self.deliver_rest();
        let _ = end.send(());
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// What comes within the time of a batch.
    fn next_batch(&self) -> Vec<Span> {
        let mut batch = Vec::new();
        let mut until_us = i64::MAX;
        while batch.len() < BATCH_SPANS_MAX && !self.is_stopping() {
            match self.parts.spans.recv_timeout(LOOK_TIME) {
                Ok(span) => {
                    if batch.is_empty() {
                        until_us = SystemClock.now_us().saturating_add(BATCH_TIME_US);
                    }
                    batch.push(span);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Nobody is left who could end a span.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_TIME),
            }
            let now_us = SystemClock.now_us();
            // No wait is that long: the clock was set back.
            let clock_went_back = !batch.is_empty() && now_us < until_us - BATCH_TIME_US;
            if now_us >= until_us || clock_went_back {
                break;
            }
        }
        batch
    }

    /// Sends a batch, at the latest with the last try.
    fn deliver(&mut self, batch: &[Span]) {
        let body = body(&self.parts.warehouse, batch).to_string();
        for _ in 0..TRIES_MAX {
            while !self.back_off.is_due(SystemClock.now_us()) {
                if self.is_stopping() {
                    return self.lose(batch);
                }
                std::thread::sleep(LOOK_TIME);
            }
            match self.send(&body) {
                Ok(()) => return self.taken(batch),
                Err(Untaken::ForNow(problem)) => self.trouble(problem),
                Err(Untaken::ForEver(problem)) => {
                    self.trouble(problem);
                    break;
                }
            }
        }
        self.lose(batch);
    }

    /// Sends what waits when the warehouse ends: one try, and no more after one that
    /// fails.
    fn deliver_rest(&mut self) {
        let mut has_failed = self.back_off.trouble().is_some();
        loop {
            let batch: Vec<Span> = self.parts.spans.try_iter().take(BATCH_SPANS_MAX).collect();
            if batch.is_empty() {
                return;
            }
            let body = body(&self.parts.warehouse, &batch).to_string();
            if !has_failed && self.send(&body).is_ok() {
                self.parts.counts.sent.add(batch.len() as u64);
                continue;
            }
            has_failed = true;
            self.lose(&batch);
        }
    }

    fn send(&self, body: &str) -> Result<(), Untaken> {
        let mut request = self
            .agent
            .post(&self.parts.url)
            .header("Content-Type", "application/json");
        for (name, value) in &self.parts.headers {
            request = request.header(name, value);
        }
        let status = match request.send(body) {
            Ok(answer) => answer.status(),
            Err(error) => return Err(Untaken::ForNow(error.to_string())),
        };
        match status.as_u16() {
            200..300 => Ok(()),
            // What OTLP says can be tried again.
            429 | 502..=504 => Err(Untaken::ForNow(format!("it answers {status}"))),
            _ => Err(Untaken::ForEver(format!("it answers {status}"))),
        }
    }

    fn taken(&mut self, batch: &[Span]) {
        self.parts.counts.sent.add(batch.len() as u64);
        if let Some(said) = self.back_off.succeed() {
            self.parts.reporter.info(&format!("traces: {said}"));
        }
    }

    fn lose(&self, batch: &[Span]) {
        self.parts.counts.dropped.add(batch.len() as u64);
    }

    /// Says what is wrong, once.
    fn trouble(&mut self, problem: String) {
        if let Some(said) = self.back_off.fail(SystemClock.now_us(), problem) {
            let url = &self.parts.url;
            let warning = format!(
                "traces cannot be sent to {url}: {said}\n  help: spans are lost and counted in sluice_trace_spans_dropped_total meanwhile; nothing else waits for them"
            );
            self.parts.reporter.warn(&warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use sluice_core::{SpanContext, SpanKind};
    use sluice_serve::Metrics;

    use super::*;

    fn span() -> Span {
        Span {
            context: SpanContext {
                trace_id: [1; 16],
                span_id: [2; 8],
                is_sampled: true,
            },
            parent: None,
            name: "epoch".into(),
            kind: SpanKind::Internal,
            start_us: 1,
            end_us: 2,
            attributes: Vec::new(),
            is_error: false,
        }
    }

    #[test]
    fn the_end_does_not_wait_for_a_collector_that_never_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (waiting, spans) = sync_channel(10);
        let counts = QueueCounts::new(&Metrics::default());
        let parts = SenderParts {
            url: format!("http://{}/v1/traces", listener.local_addr().unwrap()),
            headers: Vec::new(),
            warehouse: "shop".to_owned(),
            spans,
            counts: counts.clone(),
            reporter: Reporter::silent(),
        };
        let sender = Sender::start(parts).unwrap();
        for _ in 0..5 {
            waiting.send(span()).unwrap();
        }
        // A batch is on its way.
        let _on_its_way = listener.accept().unwrap();
        waiting.send(span()).unwrap();
        let begin_us = SystemClock.now_us();
        sender.stop();
        let took_us = SystemClock.now_us() - begin_us;
        let limit_us = i64::try_from(STOP_TIME_MAX.as_micros()).unwrap();
        assert!(took_us < limit_us + 1_500_000, "{took_us}");
        assert_eq!(counts.sent.get(), 0);
    }
}
