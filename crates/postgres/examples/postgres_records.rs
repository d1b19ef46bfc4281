//! Prints the records that a PostgreSQL server gives, until it was silent for
//! some seconds: `postgres_records HOST PORT DATABASE USER PUBLICATION SLOT
//! [--tls] [--count]`. The password is in the environment variable
//! `PGPASSWORD`. The slot is made and stays: drop it afterwards.

use std::io::Write as _;
use std::sync::Arc;

use sluice_core::{Clock as _, RecordKind, SystemClock};
use sluice_mysql::filter::TableFilter;
use sluice_mysql::net::tls::TlsMode;
use sluice_postgres::net::connection::Address;
use sluice_postgres::pgoutput::decoder::Wanted;
use sluice_postgres::position::PostgresPosition;
use sluice_postgres::server::{ServerOptions, ServerSource};

/// Silence after which records are counted anew, and after which the program
/// ends.
const PAUSE_US: i64 = 1_000_000;
const SILENCE_US: i64 = 8_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, database, user, publication, slot, flags @ ..] = arguments.as_slice() else {
        return Err(
            "postgres_records HOST PORT DATABASE USER PUBLICATION SLOT [--tls] [--count]".into(),
        );
    };
    let has = |flag: &str| flags.iter().any(|found| found == flag);
    let address = Address {
        host: host.clone(),
        port: port.parse()?,
        database: database.clone(),
        user: user.clone(),
        password: std::env::var("PGPASSWORD").unwrap_or_default(),
        tls: match has("--tls") {
            true => TlsMode::Required,
            false => TlsMode::Off,
        },
    };
    let options = ServerOptions {
        name: "server".into(),
        addresses: vec![address],
        wanted: Wanted {
            database: database.clone(),
            filter: TableFilter::new(&["*.*".to_owned()])?,
            copies: true,
        },
        copied_first: None,
        publications: vec![publication.clone()],
        slot: slot.clone(),
        slot_bytes_warning: 1 << 30,
    };
    let clock = Arc::new(SystemClock);
    let mut source = ServerSource::new(options, clock.clone(), PostgresPosition::default());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut count, mut first_us) = (0, clock.now_us());
    let mut last_us = first_us;
    loop {
        let batch = source.poll()?;
        for line in batch.notes.iter().chain(&batch.warnings) {
            eprintln!("{line}");
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
        let silence_us = clock.now_us() - last_us;
        if batch.at_end && count > 0 && silence_us > PAUSE_US {
            eprintln!("{count} records in {} ms", (last_us - first_us) / 1_000);
            count = 0;
        }
        if batch.at_end && silence_us > SILENCE_US {
            return Ok(());
        }
    }
}
