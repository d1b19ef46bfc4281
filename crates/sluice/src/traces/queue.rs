//! Spans that wait to be sent.

use std::sync::mpsc::SyncSender;

use sluice_core::{Clock, Span, SpanContext, SystemClock, TakeSpans};
use sluice_serve::{Metric, Metrics};

use super::ids::Ids;

/// What became of spans.
#[derive(Debug, Clone)]
pub(super) struct QueueCounts {
    /// The collector took them.
    pub(super) sent: Metric,
    /// They were lost: too many waited, or the collector did not take them.
    pub(super) dropped: Metric,
}

impl QueueCounts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            sent: metrics.counter(
                "sluice_trace_spans_sent_total",
                "Spans of traces that the collector took.",
            ),
            dropped: metrics.counter(
                "sluice_trace_spans_dropped_total",
                "Spans of traces that were lost: the collector did not take them, or too many waited for it.",
            ),
        }
    }
}

/// Gives spans their identities, and puts those that ended in a queue.
#[derive(Debug)]
pub(super) struct Queue {
    ids: Ids,
    /// Of 2^64 traces so many are kept.
    kept_below: u128,
    waiting: SyncSender<Span>,
    counts: QueueCounts,
}

impl Queue {
    pub(super) fn new(
        ids: Ids,
        share: f64,
        waiting: SyncSender<Span>,
        counts: QueueCounts,
    ) -> Self {
        Self {
            ids,
            kept_below: (share * 2_f64.powi(64)) as u128,
            waiting,
            counts,
        }
    }
}

impl TakeSpans for Queue {
    fn begin(&self, parent: Option<SpanContext>) -> Option<SpanContext> {
        let context = match parent {
            // Whoever began the trace decided for all of it.
            Some(parent) => SpanContext {
                span_id: self.ids.span(),
                ..parent
            },
            None => {
                let (trace_id, number) = self.ids.trace();
                SpanContext {
                    trace_id,
                    span_id: self.ids.span(),
                    is_sampled: u128::from(number) < self.kept_below,
                }
            }
        };
        context.is_sampled.then_some(context)
    }

    fn now_us(&self) -> i64 {
        SystemClock.now_us()
    }

    fn take(&self, span: Span) {
        if self.waiting.try_send(span).is_err() {
            self.counts.dropped.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    use sluice_core::{SpanKind, Spans};

    use super::*;

    fn queue(share: f64, length: usize) -> (Queue, std::sync::mpsc::Receiver<Span>) {
        let (waiting, spans) = sync_channel(length);
        let counts = QueueCounts::new(&Metrics::default());
        (
            Queue::new(Ids::new().unwrap(), share, waiting, counts),
            spans,
        )
    }

    #[test]
    fn a_share_of_traces_is_kept() {
        for (share, least, most) in [(0.0, 0, 0), (0.25, 2_000, 3_000), (1.0, 10_000, 10_000)] {
            let (queue, _spans) = queue(share, 1);
            let kept = (0..10_000).filter(|_| queue.begin(None).is_some()).count();
            assert!((least..=most).contains(&kept), "{share}: {kept}");
        }
    }

    #[test]
    fn whoever_began_a_trace_decides() {
        let mut parent = SpanContext {
            trace_id: [1; 16],
            span_id: [2; 8],
            is_sampled: true,
        };
        let (queue, _spans) = queue(0.0, 1);
        let found = queue.begin(Some(parent)).unwrap();
        assert_eq!(found.trace_id, parent.trace_id);
        assert_ne!(found.span_id, parent.span_id);
        parent.is_sampled = false;
        assert_eq!(queue.begin(Some(parent)), None);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (queue, received) = queue(1.0, 2);
        let counts = queue.counts.clone();
        let spans = Spans::to(Arc::new(queue));
        for _ in 0..5 {
            drop(spans.begin("epoch", SpanKind::Internal, None));
        }
        assert_eq!(counts.dropped.get(), 3);
        assert_eq!(received.try_iter().count(), 2);
    }
}
