//! Spans: what took how long, as part of what, for whoever follows requests
//! through several programs (<https://opentelemetry.io/docs/concepts/signals/traces/>).
//!
//! Times and identities come from whoever takes the spans. Without anybody who
//! does, beginning and ending a span does nothing: no clock is read.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

/// Which span of which trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace; never all zeros.
    pub trace_id: [u8; 16],
    /// The span within it; never all zeros.
    pub span_id: [u8; 8],
    /// Whether the spans of this trace are kept.
    pub is_sampled: bool,
}

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work of the program itself.
    Internal,
    /// The answer to a client.
    Server,
}

/// What is said of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for Attribute {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Which it is.
    pub context: SpanContext,
    /// The span that it is a part of.
    pub parent: Option<[u8; 8]>,
    /// What was done.
    pub name: Cow<'static, str>,
    /// What it stands for.
    pub kind: SpanKind,
    /// Microseconds since 1970 UTC.
    pub start_us: i64,
    /// Microseconds since 1970 UTC, never before the start.
    pub end_us: i64,
    /// What is said of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Whether it failed.
    pub is_error: bool,
}

/// Takes spans.
pub trait TakeSpans: Debug + Send + Sync {
    /// The identity of a new span below `parent`, or of the first one of a new
    /// trace; `None` where the trace is not kept.
    fn begin(&self, parent: Option<SpanContext>) -> Option<SpanContext>;

    /// Microseconds since 1970 UTC.
    fn now_us(&self) -> i64;

    /// Takes a span that has ended. Must not wait for anything.
    fn take(&self, span: Span);
}

/// Where spans go. Cheap to clone; by default nowhere.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<dyn TakeSpans>>);

impl Spans {
    /// To `taker`.
    pub fn to(taker: Arc<dyn TakeSpans>) -> Self {
        Self(Some(taker))
    }

    /// Begins a span now: below `parent`, or as the first one of a new trace.
    pub fn begin(
        &self,
        name: &'static str,
        kind: SpanKind,
        parent: Option<SpanContext>,
    ) -> OpenSpan {
        let Some(taker) = &self.0 else {
            return OpenSpan(None);
        };
        let Some(context) = taker.begin(parent) else {
            return OpenSpan(None);
        };
        let start_us = taker.now_us();
        let span = Span {
            context,
            parent: parent.map(|parent| parent.span_id),
            name: Cow::Borrowed(name),
            kind,
            start_us,
            end_us: start_us,
            attributes: Vec::new(),
            is_error: false,
        };
        OpenSpan(Some(Box::new(Open {
            taker: taker.clone(),
            span,
        })))
    }

    /// Begins a part of `parent` now; without a parent there is no span.
    pub fn begin_part(&self, name: &'static str, parent: Option<SpanContext>) -> OpenSpan {
        match parent {
            Some(parent) => self.begin(name, SpanKind::Internal, Some(parent)),
            None => OpenSpan(None),
        }
    }
}

#[derive(Debug)]
struct Open {
    taker: Arc<dyn TakeSpans>,
    span: Span,
}

/// A span that ends when it is dropped; by default nobody takes it.
#[derive(Debug, Default)]
pub struct OpenSpan(Option<Box<Open>>);

impl OpenSpan {
    /// Whether anybody takes it; without, nothing need be worked out for it.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Which it is, for what is a part of it; `None` where nobody takes it.
    pub fn context(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|open| open.span.context)
    }

    /// Begins a part of it now.
    pub fn part(&self, name: &'static str) -> Self {
        match &self.0 {
            Some(open) => Spans(Some(open.taker.clone())).begin_part(name, Some(open.span.context)),
            None => Self(None),
        }
    }

    /// Says something of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Attribute>) {
        if let Some(open) = &mut self.0 {
            open.span.attributes.push((key, value.into()));
        }
    }

    /// Gives it another name.
    pub fn rename(&mut self, name: String) {
        if let Some(open) = &mut self.0 {
            open.span.name = Cow::Owned(name);
        }
    }

    /// It began so many microseconds before now.
    pub fn began_before_us(&mut self, time_us: i64) {
        if let Some(open) = &mut self.0 {
            open.span.start_us = open.taker.now_us().saturating_sub(time_us);
        }
    }

    /// It failed.
    pub fn fail(&mut self) {
        if let Some(open) = &mut self.0 {
            open.span.is_error = true;
        }
    }

    /// Nothing was done: nobody hears of it.
    pub fn discard(mut self) {
        self.0 = None;
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else {
            return;
        };
        let Open { taker, mut span } = *open;
        // The machine's clock may have been set back.
        span.end_us = taker.now_us().max(span.start_us);
        taker.take(span);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use parking_lot::Mutex;

    use super::*;
    use crate::clock::{Clock, ManualClock};

    #[derive(Debug, Default)]
    struct Kept {
        clock: ManualClock,
        next: AtomicU8,
        spans: Mutex<Vec<Span>>,
    }

    impl TakeSpans for Kept {
        fn begin(&self, parent: Option<SpanContext>) -> Option<SpanContext> {
            let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
            Some(SpanContext {
                trace_id: parent.map_or([number; 16], |parent| parent.trace_id),
                span_id: [number; 8],
                is_sampled: true,
            })
        }

        fn now_us(&self) -> i64 {
            self.clock.now_us()
        }

        fn take(&self, span: Span) {
            self.spans.lock().push(span);
        }
    }

    #[test]
    fn parts_end_before_the_whole_and_know_it() {
        let kept = Arc::new(Kept::default());
        let spans = Spans::to(kept.clone());
        kept.clock.set_us(100);
        let mut whole = spans.begin("epoch", SpanKind::Internal, None);
        whole.set("records", 3_u64);
        let mut part = whole.part("cut");
        part.fail();
        kept.clock.set_us(150);
        drop(part);
        whole.part("nothing").discard();
        // The clock was set back.
        kept.clock.set_us(20);
        drop(whole);
        let found = kept.spans.lock();
        let [cut, epoch] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((cut.start_us, cut.end_us), (100, 150));
        assert_eq!(cut.parent, Some(epoch.context.span_id));
        assert_eq!(cut.context.trace_id, epoch.context.trace_id);
        assert!(cut.is_error && !epoch.is_error);
        assert_eq!((epoch.start_us, epoch.end_us), (100, 100));
        assert_eq!(epoch.parent, None);
        assert_eq!(epoch.attributes, [("records", Attribute::Number(3))]);
    }

    #[test]
    fn a_span_can_be_told_of_when_it_is_over() {
        let kept = Arc::new(Kept::default());
        kept.clock.set_us(500);
        let mut span = Spans::to(kept.clone()).begin("statement", SpanKind::Server, None);
        span.began_before_us(120);
        span.rename("SELECT".to_owned());
        drop(span);
        let found = kept.spans.lock();
        assert_eq!((found[0].start_us, found[0].end_us), (380, 500));
        assert_eq!(found[0].name, "SELECT");
    }

    #[test]
    fn without_anybody_who_takes_them_there_are_none() {
        let span = Spans::default().begin("epoch", SpanKind::Internal, None);
        assert!(!span.is_kept() && !span.part("cut").is_kept());
        assert_eq!(span.context(), None);
        let kept = Arc::new(Kept::default());
        drop(Spans::to(kept.clone()).begin_part("checkpoint", None));
        assert!(kept.spans.lock().is_empty());
    }
}
