//! Records of topics that are their own log, read from the brokers again.
//!
//! A consumer follows one partition from the first place that was asked for, so
//! that places which follow each other cost no further question; a few of them
//! are kept, each with a bounded number of bytes ahead.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use sluice_core::{Clock, Record, undecoded};

use crate::error::{KafkaSourceError, Problem, is_damage, words};
use crate::format::Formats;
use crate::listener::Listener;
use crate::options::{KafkaOptions, KeyFormat, ValueFormat};
use crate::partitions::{ANSWER_TIME, list};
use crate::patience::Patience;
use crate::place::KafkaPlace;
use crate::record::record;

/// Consumers that are kept.
const CONSUMERS_MAX: usize = 16;
/// Bytes that one of them has ahead, in KiB.
const AHEAD_KIB: &str = "2048";
/// Records between two places that are passed over sooner than looked up anew:
/// marks of transactions, and records that were taken back.
const PASSED_MAX: i64 = 10_000;
/// A consumer that was not used for so long is let go.
const UNUSED_US_MAX: i64 = 30_000_000;
/// How long a broker may say nothing before it is asked anew.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long nothing comes behind an end until it is one.
const END_TIME: Duration = Duration::from_secs(1);
/// How long a wait lasts before it is looked whether anybody waits still. Longer
/// times are counted in it, and not by the machine's clock, which may be set.
const WAIT: Duration = Duration::from_millis(50);

/// Why records were not read again.
#[derive(Debug)]
pub enum AgainError {
    /// Nobody waits for them any more.
    Stopped,
    /// Trying again does not help.
    Lost(Box<KafkaSourceError>),
}

/// What the person is told while brokers do not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// They do not.
    Waiting(String),
    /// They do again.
    Answered(String),
}

type Tell = Box<dyn Fn(Told) + Send + Sync>;

/// See the module.
pub struct KafkaAgain {
    options: KafkaOptions,
    clock: Arc<dyn Clock>,
    tell: Tell,
    formats: Mutex<Formats>,
    unused: Mutex<Vec<Follower>>,
}

/// Follows one partition.
struct Follower {
    consumer: BaseConsumer<Listener>,
    listener: Listener,
    topic: String,
    partition: i32,
    /// Offset behind the last record that was taken.
    next: i64,
    used_us: i64,
}

impl Follower {
    /// Whether it comes to `place` by itself, soon.
    fn comes_to(&self, place: &KafkaPlace) -> bool {
        let gap = place.first.saturating_sub(self.next);
        self.partition == place.partition
            && (0..=PASSED_MAX).contains(&gap)
            && self.topic == place.topic
    }
}

impl fmt::Debug for KafkaAgain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KafkaAgain")
            .field("name", &self.options.name)
            .finish_non_exhaustive()
    }
}

/// Why a try did not give the records.
enum Failed {
    Stopped,
    Now(Problem),
    /// They seem gone; brokers that come up may have them yet.
    Gone(String),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Now(problem)
    }
}

impl KafkaAgain {
    /// Reads from the brokers of `options`, and tells who waits.
    pub fn new(options: KafkaOptions, clock: Arc<dyn Clock>, tell: Tell) -> Self {
        Self {
            formats: Mutex::new(Formats::new(&options)),
            options,
            clock,
            tell,
            unused: Mutex::default(),
        }
    }

    /// The records at `place`. Behind `records_max` of them or `bytes_max` of
    /// their payloads it stops, with one that is too many.
    ///
    /// # Errors
    /// When it `is_stopped`, or the records are gone.
    pub fn read(
        &self,
        place: &KafkaPlace,
        (records_max, bytes_max): (usize, u64),
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<Record>, AgainError> {
        self.check_registry(place)?;
        let mut patience = Patience::new();
        let mut is_told = false;
        loop {
            let tried = self.try_to_read(place, (records_max, bytes_max), is_stopped);
            let (problem, wait) = match tried {
                Ok(records) => {
                    if is_told {
                        let name = &self.options.name;
                        let text = format!("{name}: {} can be read again", place.words());
                        (self.tell)(Told::Answered(text));
                    }
                    return Ok(records);
                }
                Err(Failed::Stopped) => return Err(AgainError::Stopped),
                Err(Failed::Now(Problem::Never(error))) => return Err(AgainError::Lost(error)),
                Err(Failed::Now(Problem::Later(problem))) => (problem, patience.after_trouble()),
                Err(Failed::Gone(problem)) => match patience.after_gone() {
                    Some(wait) => (problem, wait),
                    None => return Err(AgainError::Lost(Box::new(self.gone(place, problem)))),
                },
            };
            if !is_told {
                is_told = true;
                let name = &self.options.name;
                let what = place.words();
                let text = format!(
                    "{name}: waiting for {what}, which are their own log: {problem}; trying again"
                );
                (self.tell)(Told::Waiting(text));
            }
            pause(wait, is_stopped)?;
        }
    }

    /// Lets consumers go that are not used.
    pub fn rest(&self) {
        let now_us = self.clock.now_us();
        let is_used = |it: &Follower| now_us.saturating_sub(it.used_us) < UNUSED_US_MAX;
        let mut unused = self.unused.lock();
        let (kept, left) = std::mem::take(&mut *unused).into_iter().partition(is_used);
        *unused = kept;
        // Ending them takes a while.
        drop(unused);
        drop::<Vec<Follower>>(left);
    }

    fn gone(&self, place: &KafkaPlace, problem: String) -> KafkaSourceError {
        KafkaSourceError::LogGone {
            name: self.options.name.clone(),
            place: place.words(),
            problem,
        }
    }

    fn undecoded(&self, place: &KafkaPlace, problem: String) -> KafkaSourceError {
        KafkaSourceError::LogUndecoded {
            name: self.options.name.clone(),
            place: place.words(),
            problem,
        }
    }

    fn check_registry(&self, place: &KafkaPlace) -> Result<(), AgainError> {
        let needs_registry = matches!(
            place.form.value,
            ValueFormat::Avro | ValueFormat::JsonSchema
        ) || matches!(place.form.key, KeyFormat::Avro | KeyFormat::JsonSchema);
        if needs_registry && self.options.registry.is_none() {
            let problem = "no schema registry is named any more".to_owned();
            return Err(AgainError::Lost(Box::new(self.undecoded(place, problem))));
        }
        Ok(())
    }

    fn try_to_read(
        &self,
        place: &KafkaPlace,
        limits: (usize, u64),
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<Record>, Failed> {
        if is_stopped() {
            return Err(Failed::Stopped);
        }
        let found = {
            let mut unused = self.unused.lock();
            let found = unused.iter().position(|it| it.comes_to(place));
            found.map(|at| unused.swap_remove(at))
        };
        let mut follower = match found {
            Some(follower) => follower,
            None => self.follow(place, is_stopped)?,
        };
        let records = self.take(&mut follower, place, limits, is_stopped)?;
        follower.used_us = self.clock.now_us();
        self.unused.lock().push(follower);
        Ok(records)
    }

    /// A consumer that begins at `place`.
    fn follow(
        &self,
        place: &KafkaPlace,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Follower, Failed> {
        let now_us = self.clock.now_us();
        let oldest = {
            let mut unused = self.unused.lock();
            let used = unused.iter().enumerate().map(|(at, it)| (it.used_us, at));
            let oldest = used.min().filter(|_| unused.len() >= CONSUMERS_MAX);
            oldest.map(|(_, at)| unused.swap_remove(at))
        };
        let mut follower = match oldest {
            Some(follower) => follower,
            None => {
                let listener = Listener::default();
                Follower {
                    consumer: self.consumer(&listener)?,
                    listener,
                    topic: String::new(),
                    partition: 0,
                    next: 0,
                    used_us: now_us,
                }
            }
        };
        let (topic, partition) = (&place.topic, place.partition);
        let consumer = &follower.consumer;
        let later = |error: KafkaError| {
            let problem = self.unanswered(&follower.listener, &error);
            Failed::Now(Problem::Later(problem))
        };
        // Only this tells a topic that is gone from a broker that is.
        let metadata = consumer.fetch_metadata(Some(topic.as_str()), ANSWER_TIME);
        let metadata = metadata.map_err(later)?;
        let is_there = metadata.topics().iter().any(|it| {
            let mut partitions = it.partitions().iter();
            it.name() == topic && partitions.any(|it| it.id() == partition)
        });
        if !is_there {
            let problem = "there is no such topic or partition".to_owned();
            return Err(Failed::Gone(problem));
        }
        // Each question may take its whole time.
        if is_stopped() {
            return Err(Failed::Stopped);
        }
        let known = consumer.fetch_watermarks(topic, partition, ANSWER_TIME);
        let (earliest, end) = known.map_err(later)?;
        if earliest > place.first {
            let problem = format!("the earliest offset there is {earliest}");
            return Err(Problem::from(self.gone(place, problem)).into());
        }
        if end <= place.last {
            return Err(Failed::Gone(format!(
                "the partition ends at offset {end}: it was made anew, or brokers lost records"
            )));
        }
        let partition = (topic.clone(), partition);
        let begin = list([(&partition, place.first)])?;
        consumer.assign(&begin).map_err(Problem::from)?;
        (follower.topic, follower.partition) = partition;
        follower.next = place.first;
        Ok(follower)
    }

    fn consumer(&self, listener: &Listener) -> Result<BaseConsumer<Listener>, Problem> {
        let mut config = self.options.config();
        config
            .set("statistics.interval.ms", "0")
            .set("queued.max.messages.kbytes", AHEAD_KIB);
        let made = config.create_with_context(listener.clone());
        made.map_err(|error: KafkaError| {
            Problem::from(KafkaSourceError::Settings {
                name: self.options.name.clone(),
                problem: error.to_string(),
            })
        })
    }

    fn unanswered(&self, listener: &Listener, error: &KafkaError) -> String {
        let reason = listener.take_reason();
        let reason = reason.unwrap_or_else(|| words(error));
        let servers = self.options.servers.join(", ");
        format!("no broker of {servers} answers: {reason}")
    }

    /// Takes the records of `place` from a consumer that comes to it.
    fn take(
        &self,
        follower: &mut Follower,
        place: &KafkaPlace,
        (records_max, bytes_max): (usize, u64),
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<Record>, Failed> {
        let mut records: Vec<Record> = Vec::with_capacity(records_max.min(1 << 16));
        let mut bytes = 0_u64;
        let mut silence = Duration::ZERO;
        let mut is_at_end = false;
        while follower.next <= place.last && records.len() <= records_max && bytes <= bytes_max {
            let message = match follower.consumer.poll(WAIT) {
                Some(Ok(message)) => message,
                // It may have been at the end when it was used last.
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    is_at_end = true;
                    continue;
                }
                Some(Err(error)) => {
                    self.refuse(follower, place, &error)?;
                    continue;
                }
                None => {
                    silence += WAIT;
                    if is_stopped() {
                        return Err(Failed::Stopped);
                    }
                    if is_at_end && silence > END_TIME {
                        let next = follower.next;
                        return Err(Failed::Gone(format!(
                            "from offset {next} on there is no committed record"
                        )));
                    }
                    if silence > SILENCE_TIME_MAX {
                        let error =
                            KafkaError::MessageConsumption(RDKafkaErrorCode::RequestTimedOut);
                        let problem = self.unanswered(&follower.listener, &error);
                        return Err(Problem::Later(problem).into());
                    }
                    continue;
                }
            };
            silence = Duration::ZERO;
            is_at_end = false;
            let offset = message.offset();
            let is_of_it = message.partition() == place.partition
                && offset >= follower.next
                && message.topic() == place.topic;
            if !is_of_it {
                continue;
            }
            follower.next = offset.saturating_add(1);
            if offset < place.first || offset > place.last {
                continue;
            }
            let mut formats = self.formats.lock();
            formats.read_as(place.form);
            let now_us = self.clock.now_us();
            let made = record(&message, &mut formats, place.form.include, now_us);
            let made = made.map_err(Problem::Later)?;
            if let Some((problem, _)) = undecoded(&made.payload) {
                return Err(Problem::from(self.undecoded(place, problem)).into());
            }
            bytes += made.payload.len() as u64;
            records.push(made);
        }
        Ok(records)
    }

    /// What an error of the client means for the records of `place`.
    fn refuse(
        &self,
        follower: &Follower,
        place: &KafkaPlace,
        error: &KafkaError,
    ) -> Result<(), Failed> {
        let code = error.rdkafka_error_code();
        // Its group's coordinator is nobody that is needed.
        if code == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
            return Ok(());
        }
        let reason = follower.listener.take_reason();
        let reason = reason.unwrap_or_else(|| words(error));
        let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        if is_fatal || code.is_some_and(is_damage) {
            return Err(Problem::from(self.gone(place, reason)).into());
        }
        Err(Problem::Later(reason).into())
    }
}

/// Waits, unless it is stopped.
fn pause(time: Duration, is_stopped: &dyn Fn() -> bool) -> Result<(), AgainError> {
    let mut waited = Duration::ZERO;
    while waited < time {
        if is_stopped() {
            return Err(AgainError::Stopped);
        }
        std::thread::park_timeout(WAIT);
        waited += WAIT;
    }
    Ok(())
}
