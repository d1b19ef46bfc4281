//! Alarms of a running warehouse: where they are read, whom they ask, and the
//! threads that they run on.

mod alerts;
mod asker;
mod audits;
mod reports;
mod settings;
mod tables;
mod threads;

pub use alerts::{
    add_tables, check_alerts, engine_without_rows, load_alerts, open_reporting, open_watcher,
};
pub use asker::{Asker, answer_of};
pub use reports::load_reports;
pub use settings::{AlarmsText, MailText, audits_interval, mail_server_without_login, secrets};

pub use threads::WatchThreads;
