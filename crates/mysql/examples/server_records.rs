//! Prints the records that a server gives, for so many seconds of silence:
//! `server_records HOST PORT USER TABLES [--tls] [--count]`. The password is
//! in the environment variable `MYSQL_PWD`.

use std::io::Write as _;
use std::sync::Arc;

use sluice_core::{Clock as _, RecordKind, SystemClock};
use sluice_mysql::filter::TableFilter;
use sluice_mysql::net::connection::Address;
use sluice_mysql::net::tls::TlsMode;
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::{ServerOptions, ServerSource};

/// Silence after which the program ends.
const SILENCE_US: i64 = 2_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, user, tables, flags @ ..] = arguments.as_slice() else {
        return Err("server_records HOST PORT USER TABLES [--tls] [--count]".into());
    };
    let has = |flag: &str| flags.iter().any(|found| found == flag);
    let address = Address {
        host: host.clone(),
        port: port.parse()?,
        user: user.clone(),
        password: std::env::var("MYSQL_PWD").unwrap_or_default(),
        tls: if has("--tls") {
            TlsMode::Required
        } else {
            TlsMode::Off
        },
    };
    let options = ServerOptions {
        name: "server".into(),
        addresses: vec![address],
        filter: TableFilter::new(std::slice::from_ref(tables))?,
        server_id: 4_711,
        copies: true,
        copied_first: None,
        part_rows: 10_000,
    };
    let clock = Arc::new(SystemClock);
    let mut source = ServerSource::new(options, clock.clone(), DatabasePosition::default());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut count, mut first_us, mut last_us) = (0, 0, clock.now_us());
    loop {
        let batch = source.poll()?;
        for warning in &batch.warnings {
            eprintln!("{warning}");
        }
        let data = batch
            .records
            .iter()
            .filter(|record| record.kind == RecordKind::Data);
        for record in data {
            if count == 0 {
                first_us = clock.now_us();
            }
            count += 1;
            last_us = clock.now_us();
            if !has("--count") {
                out.write_all(&record.payload)?;
                writeln!(out)?;
            }
        }
        if batch.at_end && clock.now_us() - last_us > SILENCE_US {
            eprintln!("{count} records in {} ms", (last_us - first_us) / 1_000);
            return Ok(());
        }
    }
}
