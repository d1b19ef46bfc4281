//! A server that ends, and a standby of it, which can take over.

use std::process::Command;
use std::time::Duration;

use super::{Server, as_other, free_port, open_folder, programs, run, spawn};

impl Server {
    /// As in a loss of power.
    pub fn quit(&mut self) {
        let signal = ["-QUIT".to_owned(), self.process.id().to_string()];
        assert!(run(Command::new("kill").args(signal)));
        self.process.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.process = spawn(self.folder.path(), self.address.port, &self.settings);
    }

    /// A server that follows this one.
    pub fn standby(&self) -> Self {
        let folder = open_folder();
        let mut copy = as_other(&programs().unwrap().join("pg_basebackup"));
        copy.args(["-R", "--checkpoint=fast", "--no-sync", "-h", "127.0.0.1"]);
        copy.args(["-U", "admin", "-p", &self.address.port.to_string(), "-D"]);
        assert!(run(copy.arg(folder.path().join("data"))), "pg_basebackup");
        let mut address = self.address.clone();
        address.port = free_port();
        let settings = self.settings.clone();
        Self {
            process: spawn(folder.path(), address.port, &settings),
            folder,
            settings,
            address,
        }
    }

    /// Waits until this standby has all that the other server wrote.
    pub fn wait_for_all_of(&self, other: &Self) {
        let end = other.run("SELECT pg_current_wal_lsn()")[0][0]
            .clone()
            .unwrap();
        let has_all = format!("SELECT pg_last_wal_replay_lsn() >= '{end}'::pg_lsn");
        for _ in 0..400 {
            if self.run(&has_all)[0][0].as_deref() == Some("t") {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the standby does not reach {end}");
    }

    /// Brings a slot of another server here, as programs do that care for several.
    /// This one must not run.
    pub fn take_slot(&self, other: &Self, slot: &str) {
        let slots = |server: &Self| server.folder().join("data/pg_replslot");
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(slots(other).join(slot)).arg(slots(self));
        assert!(run(&mut copy), "{slot}");
    }

    /// From here on it takes changes itself.
    pub fn promote(&self) {
        assert_eq!(self.run("SELECT pg_promote()")[0][0].as_deref(), Some("t"));
    }
}
