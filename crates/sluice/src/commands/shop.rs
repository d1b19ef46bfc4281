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

/// What happens in the shop beyond the plain one.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ShopHappenings {
    /// All that happens in a shop of some years: the options below, with 100 apps of
    /// a thousand without a session and strange rows beside 10 transactions of a
    /// thousand.
    #[arg(long)]
    everything: bool,
    /// Some members pay in other currencies than CNY; the table currency_rate has
    /// the rates of each day.
    #[arg(long)]
    several_currencies: bool,
    /// Goods, products, categories and provinces get other names now and then.
    #[arg(long)]
    renames: bool,
    /// Coupons of orders that come to nothing can be used again.
    #[arg(long)]
    returned_coupons: bool,
    /// Visitors also look at pages beside the way to an order, and apps tell all that
    /// a log may hold, some without an event_id.
    #[arg(long)]
    details: bool,
    /// Requests for money back go through all their steps: agreed to, goods sent back,
    /// money on its way, closed.
    #[arg(long)]
    refund_steps: bool,
    /// Rows of the database have all columns of the contract: also those that no number
    /// needs, and personal ones, of people who do not exist.
    #[arg(long)]
    all_columns: bool,
    /// Devices in a thousand whose app names no session.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1_000))]
    without_sid: Option<u64>,
    /// Transactions of the database in a thousand beside which somebody writes rows
    /// that no rule of the shop allows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1_000))]
    dirty_rows: Option<u64>,
    /// Broken records in a thousand of the log [default: 2].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1_000))]
    dirty: Option<u64>,
    /// Records of the log in a thousand that come up to a minute late [default: 10].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1_000))]
    late: Option<u64>,
    /// Records in a thousand that are sent twice; never into a database [default: 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1_000))]
    repeated: Option<u64>,
}

impl ShopHappenings {
    /// The options of a shop in which this happens too.
    fn apply(&self, plain: ShopOptions) -> ShopOptions {
        let base = match self.everything {
            true => plain.with_everything(),
            false => plain,
        };
        let share = |asked: Option<u64>, default: u64| asked.unwrap_or(default);
        ShopOptions {
            several_currencies: base.several_currencies || self.several_currencies,
            has_renames: base.has_renames || self.renames,
            returns_coupons: base.returns_coupons || self.returned_coupons,
            has_details: base.has_details || self.details,
            has_refund_steps: base.has_refund_steps || self.refund_steps,
            has_all_columns: base.has_all_columns || self.all_columns,
            without_sid_per_mille: share(self.without_sid, base.without_sid_per_mille),
            dirty_changes_per_mille: share(self.dirty_rows, base.dirty_changes_per_mille),
            dirty_per_mille: share(self.dirty, base.dirty_per_mille),
            late_per_mille: share(self.late, base.late_per_mille),
            duplicate_per_mille: share(self.repeated, base.duplicate_per_mille),
            ..base
        }
    }
}

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
    /// What happens in it.
    pub happenings: &'a ShopHappenings,
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
    let mut shop_options = options.happenings.apply(ShopOptions {
        messages_per_second: options.rate,
        devices: options.devices,
        ..ShopOptions::new(options.seed, start_us)
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn happenings_are_those_that_were_asked_for() {
        let plain = ShopOptions::new(1, 0);
        let of = |happenings: ShopHappenings| happenings.apply(plain.clone());
        assert_eq!(of(ShopHappenings::default()), plain);
        let everything = ShopHappenings {
            everything: true,
            ..ShopHappenings::default()
        };
        assert_eq!(of(everything.clone()), plain.clone().with_everything());
        let found = of(ShopHappenings {
            without_sid: Some(0),
            late: Some(500),
            ..everything
        });
        let expected = ShopOptions {
            without_sid_per_mille: 0,
            late_per_mille: 500,
            ..plain.clone().with_everything()
        };
        assert_eq!(found, expected);
        let found = of(ShopHappenings {
            several_currencies: true,
            renames: true,
            returned_coupons: true,
            details: true,
            refund_steps: true,
            all_columns: true,
            without_sid: Some(100),
            dirty_rows: Some(10),
            ..ShopHappenings::default()
        });
        assert_eq!(found, plain.clone().with_everything());
        let found = of(ShopHappenings {
            dirty: Some(7),
            repeated: Some(8),
            ..ShopHappenings::default()
        });
        let expected = (7, 8, plain.late_per_mille);
        let found = (
            found.dirty_per_mille,
            found.duplicate_per_mille,
            found.late_per_mille,
        );
        assert_eq!(found, expected);
    }
}
