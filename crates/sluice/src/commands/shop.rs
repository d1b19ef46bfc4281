//! `sluice shop`: the demo shop in a database of one's own, as the program of a
//! real shop would write it, for captures to be tried on; or its records in files or
//! sent to a collector.

use std::path::Path;
use std::time::Duration;

use sluice_core::{Clock, SystemClock};
use sluice_mysql::net::connection::{Address, Connection};
use sluice_mysql::net::tls::TlsMode;
use sluice_shop::database::{Dialect, StatementWriter, create_tables};
use sluice_shop::{Message, Shop, ShopOptions, Topic};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::failure::{Doing, Failure};
use crate::report::Reporter;
use crate::shop_records::{Collector, Files};

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;
/// The shop is written in steps of this length of its own time.
const STEP_US: i64 = 60 * SECOND_US;
/// Time between two steps of a shop that goes on live.
const LIVE_STEP: Duration = Duration::from_millis(200);

/// What the person asked for.
#[derive(Debug)]
pub struct ShopCommand<'a> {
    /// `mysql://user:password@host:port/database`, `postgres://…`, `file:DIR`, or
    /// `http://host:port` of a collector.
    pub into: &'a str,
    /// Mean number of messages a second, those of the log counted, which the
    /// database does not have.
    pub rate: f64,
    /// Past hours that are written as fast as the server takes them.
    pub hours: u32,
    /// The same seed gives the same shop.
    pub seed: u64,
    /// Devices that may visit.
    pub devices: u32,
    /// Some members pay in other currencies.
    pub several_currencies: bool,
    /// Go on in real time.
    pub live: bool,
}

/// Writes the shop.
///
/// # Errors
/// When the database or collector does not answer or refuses something, or the
/// tables or files are there already.
pub fn run(options: &ShopCommand<'_>, reporter: Reporter) -> Result<(), Failure> {
    let mut target = Target::open(options.into)?;
    let clock = SystemClock;
    let start_us = clock.now_us() - i64::from(options.hours) * HOUR_US;
    let mut shop_options = ShopOptions {
        messages_per_second: options.rate,
        devices: options.devices,
        several_currencies: options.several_currencies,
        ..ShopOptions::new(options.seed, start_us)
    };
    if matches!(target, Target::Database(..)) {
        // A database has every change once.
        shop_options.duplicate_per_mille = 0;
    }
    let shop = Shop::new(shop_options);
    let mut shop = shop.map_err(|error| Failure::Definitions(error.to_string()))?;
    let mut messages = Vec::new();
    let mut written = Written::default();
    loop {
        let now_us = clock.now_us();
        let until_us = (shop.now_us() + STEP_US).min(now_us);
        shop.advance(until_us, &mut messages);
        target.write(&messages, &mut written)?;
        messages.clear();
        if until_us < now_us {
            continue;
        }
        if !options.live {
            break;
        }
        std::thread::sleep(LIVE_STEP);
    }
    reporter.info(&match target {
        Target::Database(..) => format!(
            "wrote {} transactions of a shop with {} orders",
            written.transactions, written.orders
        ),
        _ => format!("wrote {} records", written.records),
    });
    Ok(())
}

/// How much was written.
#[derive(Debug, Default)]
struct Written {
    transactions: u64,
    orders: usize,
    records: usize,
}

/// Where the shop is written to.
enum Target {
    /// Its tables, without the log of visitors.
    Database(Box<Database>, StatementWriter),
    Files(Files),
    /// A collector's address.
    Collector(Collector, String),
}

impl Target {
    fn open(into: &str) -> Result<Self, Failure> {
        match into.split_once(':') {
            Some(("file", folder)) => Ok(Self::Files(Files::create(Path::new(folder))?)),
            Some(("http", rest)) => {
                let address = rest.trim_matches('/').to_owned();
                Ok(Self::Collector(Collector::new(), address))
            }
            _ => {
                let mut database = Database::open(into)?;
                let tables = create_tables(database.dialect());
                database.run(&tables).map_err(|failure| {
                    Failure::Failed(format!(
                        "{failure}\n  help: the shop makes its tables itself; give it an empty database"
                    ))
                })?;
                let writer = StatementWriter::new(database.dialect());
                Ok(Self::Database(Box::new(database), writer))
            }
        }
    }

    fn write(&mut self, messages: &[Message], written: &mut Written) -> Result<(), Failure> {
        written.records += messages.len();
        match self {
            Self::Files(files) => files.append(messages),
            Self::Collector(collector, address) => {
                for topic in [Topic::ShopDb, Topic::AppLog] {
                    let of_topic = messages.iter().filter(|it| it.topic == topic);
                    collector.send(address, topic, of_topic)?;
                }
                Ok(())
            }
            Self::Database(database, writer) => {
                let mut transactions = Vec::new();
                for message in messages {
                    let added = writer.add(message, &mut transactions);
                    added.doing("reading a change of the shop")?;
                }
                writer.flush(&mut transactions);
                for statements in transactions {
                    written.transactions += 1;
                    written.orders += statements.iter().filter(|it| makes_order(it)).count();
                    database.transaction(&statements)?;
                }
                Ok(())
            }
        }
    }
}

/// Whether a statement adds an order, also one of a tester, which the shop's
/// books leave out.
fn makes_order(statement: &str) -> bool {
    let table = statement.strip_prefix("INSERT INTO ");
    table.is_some_and(|rest| {
        rest.trim_start_matches(['`', '"'])
            .starts_with("order_info")
    })
}

/// A database that takes statements.
enum Database {
    MySql(Box<Connection>),
    PostgreSql(Box<Runtime>, Client),
}

impl Database {
    fn open(url: &str) -> Result<Self, Failure> {
        match url.split_once("://") {
            Some(("mysql" | "mariadb", rest)) => open_mysql(rest),
            Some(("postgres" | "postgresql", _)) => open_postgres(url),
            _ => Err(Failure::Definitions(format!(
                "`{url}` names no database, folder or collector\n  help: write mysql://user:password@host:3306/database, postgres://user:password@host:5432/database, file:DIR, or http://host:port"
            ))),
        }
    }

    fn dialect(&self) -> Dialect {
        match self {
            Self::MySql(_) => Dialect::MySql,
            Self::PostgreSql(..) => Dialect::PostgreSql,
        }
    }

    fn run(&mut self, statements: &[String]) -> Result<(), Failure> {
        const WHAT: &str = "writing the shop";
        match self {
            Self::MySql(connection) => {
                for statement in statements {
                    connection.query(statement).doing(WHAT)?;
                }
            }
            Self::PostgreSql(runtime, client) => {
                let all = statements.join(";\n");
                let done = runtime.block_on(client.batch_execute(&all));
                done.map_err(|error| match error.as_db_error() {
                    Some(said) => Failure::Failed(format!("{WHAT}: {}", said.message())),
                    None => Failure::doing(WHAT, &error),
                })?;
            }
        }
        Ok(())
    }

    fn transaction(&mut self, statements: &[String]) -> Result<(), Failure> {
        let mut all = Vec::with_capacity(statements.len() + 2);
        all.push("BEGIN".to_owned());
        all.extend_from_slice(statements);
        all.push("COMMIT".to_owned());
        self.run(&all)
    }
}

/// `user:password@host:port/database`, all but host and database optional.
fn open_mysql(rest: &str) -> Result<Database, Failure> {
    let (who, place) = rest.rsplit_once('@').unwrap_or(("root", rest));
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let parts = place.split_once('/');
    let Some((server, database)) = parts.filter(|(_, name)| !name.is_empty()) else {
        return Err(Failure::Definitions(format!(
            "mysql://{place} names no database\n  help: write mysql://user:password@host:3306/database"
        )));
    };
    let (host, port) = server.rsplit_once(':').unwrap_or((server, "3306"));
    let port = port.parse().map_err(|_| {
        Failure::Definitions(format!("`{port}` is no port\n  help: write host:3306"))
    })?;
    let address = Address {
        host: host.to_owned(),
        port,
        user: user.to_owned(),
        password: password.to_owned(),
        tls: TlsMode::Off,
    };
    let mut connection = Connection::open(&address).doing("connecting to the database")?;
    for statement in [
        "SET NAMES utf8mb4".to_owned(),
        format!("CREATE DATABASE IF NOT EXISTS `{database}`"),
        format!("USE `{database}`"),
    ] {
        connection
            .query(&statement)
            .doing("choosing the database")?;
    }
    Ok(Database::MySql(Box::new(connection)))
}

fn open_postgres(url: &str) -> Result<Database, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .doing("starting threads")?;
    let what = "connecting to the database";
    let connecting = async { tokio_postgres::connect(url, NoTls).await };
    let (client, connection) = runtime.block_on(connecting).doing(what)?;
    // It ends with the client; its error is also the statement's.
    runtime.spawn(async {
        let _ = connection.await;
    });
    Ok(Database::PostgreSql(Box::new(runtime), client))
}
