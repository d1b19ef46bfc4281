//! A server of either kind, and what is done to it.

use std::time::Duration;

use sluice_mysql::net::connection::Connection as MySqlConnection;
use sluice_postgres::net::connection::{Connection as PostgresConnection, Purpose};

use crate::{mysql, postgres};

pub type Texts = Vec<Vec<String>>;

/// Either server.
pub enum Database {
    MySql(mysql::Server),
    Postgres(postgres::Server),
}

/// A connection to either.
pub enum Client {
    MySql(MySqlConnection),
    Postgres(PostgresConnection),
}

/// How to connect.
#[derive(Clone)]
pub enum Place {
    MySql(sluice_mysql::net::connection::Address),
    Postgres(sluice_postgres::net::connection::Address),
}

impl Place {
    pub fn connect(&self) -> Option<Client> {
        Some(match self {
            Self::MySql(address) => {
                let mut client = MySqlConnection::open(address).ok()?;
                client.query("SET NAMES utf8mb4").ok()?;
                client.query("USE shop").ok()?;
                Client::MySql(client)
            }
            Self::Postgres(address) => {
                Client::Postgres(PostgresConnection::open(address, Purpose::Statements).ok()?)
            }
        })
    }
}

impl Client {
    pub fn query(&mut self, sql: &str) -> Result<Texts, String> {
        let rows: Vec<Vec<Option<String>>> = match self {
            Self::MySql(client) => {
                let rows = client.query(sql).map_err(|error| error.to_string())?;
                let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
                let row = |row: Vec<Option<Vec<u8>>>| {
                    row.into_iter().map(|value| value.map(text)).collect()
                };
                rows.into_iter().map(row).collect()
            }
            Self::Postgres(client) => client.query(sql).map_err(|error| error.to_string())?,
        };
        let texts = rows.into_iter().map(|row| {
            let texts = row.into_iter().map(Option::unwrap_or_default);
            texts.collect()
        });
        Ok(texts.collect())
    }
}

impl Database {
    pub fn place(&self) -> Place {
        match self {
            Self::MySql(server) => Place::MySql(server.address.clone()),
            Self::Postgres(server) => Place::Postgres(server.address.clone()),
        }
    }

    pub fn ask(&self, sql: &str) -> Texts {
        for _ in 0..300 {
            if let Some(mut client) = self.place().connect() {
                let found = client.query(sql);
                return found.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not answer");
    }

    pub fn url(&self) -> String {
        match self {
            Self::MySql(server) => format!("mysql://root@127.0.0.1:{}/shop", server.address.port),
            Self::Postgres(server) => {
                format!("postgres://admin@127.0.0.1:{}/shop", server.address.port)
            }
        }
    }

    /// As after a loss of power.
    pub fn crash(&mut self) {
        match self {
            Self::MySql(server) => server.restart(),
            Self::Postgres(server) => server.crash(),
        }
    }

    /// Cuts the connection over which the log is read.
    pub fn cut(&self) {
        match self {
            Self::MySql(_) => {
                for row in self.ask("SHOW PROCESSLIST") {
                    if row[4].starts_with("Binlog Dump") {
                        self.ask(&format!("KILL {}", row[0]));
                    }
                }
            }
            Self::Postgres(_) => {
                self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
            }
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// These tables as a source; `*` stands for all.
    pub fn capture(&self, tables: &[&str]) -> String {
        let (server, schema) = match self {
            Self::MySql(server) => (
                format!(
                    "kind = \"mysql\"\nport = {}\nuser = \"root\"",
                    server.address.port
                ),
                "shop",
            ),
            Self::Postgres(server) => (
                format!(
                    "kind = \"postgres\"\nport = {}\ndatabase = \"shop\"\nuser = \"admin\"\npublications = [\"sluice\"]",
                    server.address.port
                ),
                "public",
            ),
        };
        let tables = tables.iter().map(|table| format!("\"{schema}.{table}\""));
        let tables: Vec<String> = tables.collect();
        format!(
            "{server}\nhost = \"127.0.0.1\"\ntables = [{}]\n",
            tables.join(", ")
        )
    }
}
