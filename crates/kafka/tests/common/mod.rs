//! A Kafka broker of the tests' own: Apache Kafka in KRaft mode on free ports,
//! as scripts/install-test-tools installs it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Time for anything that a broker is asked.
pub const ANSWER: Duration = Duration::from_secs(30);

/// The folder of Kafka's jars, or a loud word that the test is skipped.
fn jars() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or(home.join(".cache"), PathBuf::from);
    let folder = match std::env::var_os("SLUICE_KAFKA") {
        Some(folder) => PathBuf::from(folder),
        None => cache.join("sluice/kafka/libs"),
    };
    let has_java = Command::new("java").arg("-version").output().is_ok();
    if has_java && folder.join("kafka_2.13-4.1.0.jar").exists() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: there is no Kafka broker in {} or no java; scripts/install-test-tools installs it",
        folder.display()
    );
    None
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A broker that is stopped when it is dropped.
pub struct Broker {
    process: Child,
    folder: tempfile::TempDir,
    jars: PathBuf,
    /// Port without encryption or signing in.
    pub port: u16,
    /// Port for the listener `SECURE` of `start_with`, if it has one.
    pub secure_port: u16,
}

impl Broker {
    /// `None` where Kafka is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[], |_| Vec::new())
    }

    /// A broker with more settings, which may name files in the folder that is
    /// passed, and arguments of its first formatting. Settings that name
    /// `SECURE` get a listener of that name.
    pub fn start_with(format: &[&str], more: impl Fn(&Path) -> Vec<String>) -> Option<Self> {
        let jars = jars()?;
        let folder = tempfile::tempdir().unwrap();
        let (port, controller, secure_port) = (free_port(), free_port(), free_port());
        let more = more(folder.path());
        let has_secure = more.iter().any(|line| line.contains("SECURE"));
        let secure = match has_secure {
            true => format!(",SECURE://127.0.0.1:{secure_port}"),
            false => String::new(),
        };
        let protocols = match more.iter().find_map(|it| it.strip_prefix("SECURE=")) {
            Some(protocol) => format!(",SECURE:{protocol}"),
            None => String::new(),
        };
        let mut settings = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAIN://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{secure}\n\
             advertised.listeners=PLAIN://127.0.0.1:{port}{secure}\n\
             listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}\n\
             inter.broker.listener.name=PLAIN\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={}\noffsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\ntransaction.state.log.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n\
             log.segment.delete.delay.ms=0\nnum.network.threads=2\nnum.io.threads=2\n",
            folder.path().join("data").display(),
        );
        for line in more.iter().filter(|line| !line.starts_with("SECURE=")) {
            settings.push_str(line);
            settings.push('\n');
        }
        std::fs::write(folder.path().join("server.properties"), settings).unwrap();
        let mut formatting = java(&jars, "kafka.tools.StorageTool");
        formatting.args(["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"]);
        let made = formatting
            .arg(folder.path().join("server.properties"))
            .args(format)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        let mut broker = Self {
            process: run(&jars, folder.path()),
            folder,
            jars,
            port,
            secure_port,
        };
        broker.wait();
        Some(broker)
    }

    /// What clients are told.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn wait(&mut self) {
        for _ in 0..600 {
            let is_open = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            if is_open && self.try_metadata() {
                return;
            }
            let ended = self.process.try_wait().unwrap();
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            assert!(ended.is_none(), "the broker ended: {}", log.unwrap());
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the broker did not come up within a minute");
    }

    fn try_metadata(&self) -> bool {
        let producer = self.producer(&[]);
        let time = Duration::from_secs(2);
        producer.client().fetch_metadata(None, time).is_ok()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = run(&self.jars, self.folder.path());
        self.wait();
    }

    /// Kills it, and starts it again so late that its clients notice.
    pub fn go_away_for_a_moment(&mut self) {
        self.kill();
        std::thread::sleep(Duration::from_millis(700));
        self.start_again();
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        config
    }

    pub fn producer(&self, settings: &[(&str, &str)]) -> BaseProducer {
        let mut config = self.config();
        config.set("linger.ms", "0");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().unwrap()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    pub fn make_topic(&self, name: &str, partitions: i32) {
        self.make_topic_with(name, partitions, &[]);
    }

    pub fn make_topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            topic = topic.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let made = block_on(self.admin().create_topics([&topic], &options)).unwrap();
        made[0].as_ref().unwrap();
    }

    pub fn add_partitions(&self, topic: &str, count: usize) {
        let partitions = NewPartitions::new(topic, count);
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let made = block_on(self.admin().create_partitions([&partitions], &options)).unwrap();
        made[0].as_ref().unwrap();
    }

    pub fn delete_topic(&self, topic: &str) {
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let gone = block_on(self.admin().delete_topics(&[topic], &options)).unwrap();
        gone[0].as_ref().unwrap();
    }

    /// Deletes the records before `offset`; all if it is below 0.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        let offset = match offset {
            0.. => Offset::Offset(offset),
            _ => Offset::End,
        };
        list.add_partition_offset(topic, partition, offset).unwrap();
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let gone = block_on(self.admin().delete_records(&list, &options)).unwrap();
        for element in gone.elements() {
            element.error().unwrap();
        }
    }

    /// Sends one record and waits until it is there.
    pub fn send(&self, topic: &str, partition: i32, key: Option<&str>, value: Option<&[u8]>) {
        let producer = self.producer(&[]);
        queue(&producer, topic, partition, key, value, &[]);
        producer.flush(ANSWER).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Queues one record, waiting while the queue is full.
pub fn queue(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    key: Option<&str>,
    value: Option<&[u8]>,
    headers: &[(&str, &str)],
) {
    let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).partition(partition);
    record.key = key;
    record.payload = value;
    if !headers.is_empty() {
        let made = headers
            .iter()
            .fold(OwnedHeaders::new(), |made, (key, value)| {
                made.insert(Header {
                    key,
                    value: Some(*value),
                })
            });
        record = record.headers(made);
    }
    while let Err((error, refused)) = producer.send(record) {
        let code = error.rdkafka_error_code();
        let is_full = code == Some(rdkafka::error::RDKafkaErrorCode::QueueFull);
        assert!(is_full, "{error}");
        producer.poll(Duration::from_millis(20));
        record = refused;
    }
    producer.poll(Duration::ZERO);
}

/// Ends a transaction once all that was queued is at the broker: commits what is
/// kept, and aborts what is not.
pub fn end_transaction(producer: &BaseProducer, is_kept: bool) {
    producer.flush(ANSWER).unwrap();
    match is_kept {
        true => producer.commit_transaction(ANSWER).unwrap(),
        false => producer.abort_transaction(ANSWER).unwrap(),
    }
}

fn java(jars: &Path, class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg("-cp").arg(jars.join("*")).arg(class);
    command
}

fn run(jars: &Path, folder: &Path) -> Child {
    let log = std::fs::File::create(folder.join("log")).unwrap();
    java(jars, "kafka.Kafka")
        .arg(folder.join("server.properties"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
