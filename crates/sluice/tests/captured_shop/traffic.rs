//! What is written into a server: the demo shop, money that moves between accounts, and
//! changes of what the shop wrote.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::asker::MAKE_COPIED_LAST;
use crate::common::sluice;
use crate::database::{Database, Place};
use crate::tables::{Table, tables};

/// Asks for something that changes all the time.
pub const MOVING: &str = "SELECT sum(price) FROM sku_info";

/// See the module.
pub struct Traffic {
    shop: Child,
    writer: JoinHandle<u64>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    /// Makes twenty accounts with a thousand each, and begins; all tables of the server.
    pub fn start(database: &Database) -> (Self, Vec<Table>) {
        let accounts: Vec<String> = (1..=20).map(|id| format!("({id}, 1000)")).collect();
        database.ask("CREATE TABLE account (id INT PRIMARY KEY, cents BIGINT NOT NULL)");
        database.ask(&format!(
            "INSERT INTO account VALUES {}",
            accounts.join(",")
        ));
        for statement in MAKE_COPIED_LAST {
            database.ask(statement);
        }
        let shop = sluice()
            .args(["shop", "--into", &database.url(), "--hours", "12"])
            .args(["--rate", "3", "--devices", "3000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tables = tables(database);
        let stop = Arc::new(AtomicBool::new(false));
        let (of_thread, place) = (stop.clone(), database.place());
        let writer = std::thread::spawn(move || write_until(&of_thread, &place));
        let traffic = Self { shop, writer, stop };
        (traffic, tables)
    }

    /// Ends it; how many transactions there were beside the shop's.
    pub fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let written = self.writer.join().unwrap();
        // It has ended, or the server's end has ended it.
        let _ = self.shop.kill();
        self.shop.wait().unwrap();
        written
    }
}

/// Pseudo-random numbers.
pub struct Random(u64);

impl Random {
    pub fn of(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

/// Moves money and changes what the shop wrote, over connections that may end.
fn write_until(stop: &AtomicBool, place: &Place) -> u64 {
    let mut random = Random::of(0x9e37_79b9_7f4a_7c15);
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let Some(mut client) = place.connect() else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        while !stop.load(Ordering::SeqCst) {
            count += 1;
            let (from, to) = (random.below(20) + 1, random.below(20) + 1);
            let id = random.below(2_000) + 1;
            let change = match random.below(4) {
                0 => format!("UPDATE order_info SET channel = 'é{count}' WHERE id = {id}"),
                1 => format!("DELETE FROM cart_info WHERE id = {id}"),
                2 => format!("UPDATE user_info SET birthday = NULL WHERE id = {id}"),
                _ => format!(
                    "UPDATE sku_info SET price = price + 0.01, operate_time = NULL WHERE id = {}",
                    id % 40
                ),
            };
            let statements = [
                "BEGIN".to_owned(),
                format!("UPDATE account SET cents = cents - 3 WHERE id = {from}"),
                change,
                format!("UPDATE account SET cents = cents + 3 WHERE id = {to}"),
                "COMMIT".to_owned(),
            ];
            if statements.iter().any(|sql| client.query(sql).is_err()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    count
}
