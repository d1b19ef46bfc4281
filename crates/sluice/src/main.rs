//! `sluice`: a real-time e-commerce data warehouse in one program. This crate
//! only wires; what the program can do is in the crates that it wires.

mod access;
mod address;
mod audit_log;
mod backups;
mod built_in;
mod commands;
mod config;
mod csv_file;
mod dead_letters;
mod demo_shop;
mod diversion;
mod diversion_masks;
mod docs;
mod erasing;
mod exported_csv;
mod exported_rows;
mod extended;
mod failure;
mod gauges;
mod lock;
mod machine_gauges;
mod mask_history;
mod masking;
mod models_control;
mod panel_check;
mod pipeline;
mod project;
mod project_watch;
mod report;
mod running_views;
mod saved_panels;
mod secret;
mod serving;
mod settings;
mod shop_records;
mod source_connections;
mod source_gauges;
mod sql;
mod state_memory;
mod summary;
mod traces;
mod waiting_disk;
mod watching;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::commands::alarms::AlarmsCommand;
use crate::commands::backfill::BackfillOptions;
use crate::commands::backup::BackupOptions;
use crate::commands::batch::BatchOptions;
use crate::commands::dead_letters::DeadLetterOptions;
use crate::commands::demo::DemoOptions;
use crate::commands::report::ReportOptions;
use crate::commands::run::RunOptions;
use crate::commands::shop::{ShopCommand, ShopHappenings};
use crate::commands::sql::{Format, SqlOptions};
use crate::failure::Failure;
use crate::project::Project;
use crate::report::{LogFormat, Reporter};

/// A real-time e-commerce data warehouse.
#[derive(Debug, Parser)]
#[command(
    name = "sluice",
    version,
    after_help = "Exit codes: 1 something failed, 2 the project or the command line is wrong, 3 the state is in use, 130 stopped before it was ready."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How messages are written to standard error.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a project: every error with file, line and column.
    Check {
        /// The project's folder.
        dir: PathBuf,
        #[command(flatten)]
        settings: SettingsArguments,
        /// Then ask the warehouse, running or stopped, whether its invariants
        /// hold: every view whose name begins with audit_ must be empty.
        #[arg(long)]
        audit: bool,
        /// Where the warehouse lives on disk (default: `state` of warehouse.toml).
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Run a warehouse.
    Run {
        /// The project's folder.
        dir: PathBuf,
        #[command(flatten)]
        settings: SettingsArguments,
        /// Where the warehouse lives on disk (default: `state` of warehouse.toml).
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// End with a summary when the sources are drained.
        #[arg(long)]
        until_idle: bool,
        /// Memory of the state in bytes; what exceeds it is kept on disk (short
        /// for --set limits.state_memory_bytes_max=BYTES).
        #[arg(long, value_name = "BYTES")]
        state_memory: Option<usize>,
        /// Tell nobody, for a copy beside the real one: alarms are evaluated and
        /// shown, but no mail, webhook or report goes out, and nothing is taken
        /// from the real one's group of Kafka (short for --set alarms.quiet=true).
        #[arg(long, conflicts_with = "batch")]
        quiet: bool,
        /// Compute the models once over exported history instead: for each
        /// table a .parquet or .csv file, or a folder of them.
        #[arg(long, value_name = "TABLE=PATH", value_parser = parse_setting, conflicts_with = "until_idle")]
        batch: Vec<(String, String)>,
    },
    /// Ask a warehouse, running or stopped.
    Sql {
        /// The project's folder and a statement; without a statement a prompt,
        /// or the script on standard input.
        #[arg(value_names = ["DIR", "SQL"], num_args = 0..=2)]
        words: Vec<String>,
        #[command(flatten)]
        settings: SettingsArguments,
        /// Where the warehouse lives on disk; the project's folder is then not needed.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// Run the statements of a file.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// How answers are printed.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Say whether a warehouse runs, where it answers and what it holds.
    Status {
        /// The project's folder (default: the current one).
        dir: Option<PathBuf>,
        /// Where the warehouse lives on disk.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Run a live shop: the built-in warehouse, and visitors who fill it.
    Demo {
        /// Where the demo lives on disk.
        #[arg(long, value_name = "DIR", default_value = "sluice-demo")]
        state: PathBuf,
        /// Records a second that the shop sends, on average over a day.
        #[arg(long, value_name = "N", default_value_t = 10.0)]
        rate: f64,
        /// Past days that a new shop begins with.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=60))]
        days: u32,
        /// Seed of a new shop: the same seed gives the same shop.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Forget the shop of before and begin again.
        #[arg(long)]
        fresh: bool,
        /// End when the past is filled.
        #[arg(long)]
        fill_only: bool,
        #[command(flatten)]
        settings: SettingsArguments,
    },
    /// What is wrong with a running warehouse; silences.
    Alarms {
        #[command(subcommand)]
        command: AlarmsCommand,
    },
    /// What a running warehouse could not read, by topic, table and reason; and
    /// trying it again.
    DeadLetters {
        #[command(flatten)]
        options: DeadLetterOptions,
    },
    /// Bring rows of exported .parquet and .csv files to a table of a warehouse,
    /// running or stopped: those of which it has no change. Nothing moves backwards.
    Backfill {
        #[command(flatten)]
        options: BackfillOptions,
    },
    /// A report as it is mailed, of any day.
    Report {
        /// The report; may be left out where the project has only one.
        name: Option<String>,
        /// The project's folder.
        #[arg(long, value_name = "DIR", default_value = ".")]
        project: PathBuf,
        /// A day such as 2024-11-10 (default: yesterday).
        #[arg(long)]
        day: Option<String>,
        /// Where the warehouse lives on disk.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// Write the mail's HTML into a file, instead of its text to the terminal.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Copy the state of a warehouse, running or stopped, into a new folder
    /// below DIR; what is there already from the last time is not copied again.
    Backup {
        /// The project's folder (default: the current one).
        dir: Option<PathBuf>,
        /// Where the warehouse lives on disk; the project's folder is then not needed.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// The folder of backups.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Afterwards remove all but the newest N backups.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        keep: Option<u32>,
    },
    /// Make the state of a warehouse from a backup.
    Restore {
        /// A backup, or a folder of backups, of which the newest is taken.
        backup: PathBuf,
        /// Where the warehouse will live on disk: a new folder.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Write the demo shop into a database of one's own, in transactions, for a
    /// capture to be tried on; or its records into files or to a collector.
    Shop {
        /// An empty database, mysql://user:password@host:3306/name or
        /// postgres://user:password@host:5432/name; file:DIR for a file of each
        /// topic; or http://host:port for the collector of a warehouse.
        #[arg(long, value_name = "URL")]
        into: String,
        /// Messages a second that the shop sends, on average over a day; about a
        /// tenth of them are changes of the database.
        #[arg(long, value_name = "N", default_value_t = 10.0)]
        rate: f64,
        /// Past hours that are written as fast as the server takes them.
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=1_440))]
        hours: u32,
        /// The same seed gives the same shop.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Devices that may visit.
        #[arg(long, value_name = "N", default_value_t = 20_000)]
        devices: u32,
        #[command(flatten)]
        happenings: ShopHappenings,
        /// Then go on in real time until it is stopped.
        #[arg(long)]
        live: bool,
    },
    /// Freeze what is reported of a day or a month; later corrections show
    /// beside it.
    Close {
        /// The project's folder.
        dir: PathBuf,
        /// A day such as 2024-11-10, or a month such as 2024-11.
        period: String,
        /// Make a new version of what is closed already.
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        settings: SettingsArguments,
        /// Where the warehouse lives on disk.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Write what a project's models say of themselves: one Markdown file for
    /// each layer, with columns, meanings and lineage.
    Docs {
        /// The project's folder.
        dir: PathBuf,
        #[command(flatten)]
        settings: SettingsArguments,
        /// Where the files go.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Forget a person: destroy the key of what was encrypted, and compute
    /// everything again without the person's rows.
    Erase {
        /// The project's folder.
        dir: PathBuf,
        /// Who: KIND:ID, such as user:42.
        #[arg(long, value_name = "KIND:ID")]
        person: String,
        #[command(flatten)]
        settings: SettingsArguments,
        /// Where the warehouse lives on disk.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Make a small project to start from.
    Init {
        /// Name of the project, and of its new folder.
        name: PathBuf,
    },
    /// Compute everything again from the log, under today's definitions, and
    /// compare it with what is stored.
    Replay {
        /// The project's folder.
        dir: PathBuf,
        #[command(flatten)]
        settings: SettingsArguments,
        /// Where the warehouse lives on disk.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct SettingsArguments {
    /// Set a setting of warehouse.toml, or one of its keys.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    set: Vec<(String, String)>,
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn main() -> ExitCode {
    sluice_memory::keep_freed_memory();
    let arguments = Arguments::parse();
    let reporter = Reporter::new(arguments.log_format);
    // Models are planned here, which takes more stack than a main thread has.
    let program = std::thread::Builder::new()
        .name("sluice".into())
        .stack_size(sluice_core::PLANNING_STACK_BYTES)
        .spawn(move || dispatch(arguments.command, reporter));
    let outcome = match program.map(std::thread::JoinHandle::join) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Failure::Failed("the program ended abnormally".into())),
        Err(error) => Err(Failure::doing("starting the program's thread", &error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            reporter.error(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(command: Command, reporter: Reporter) -> Result<(), Failure> {
    match command {
        Command::Check {
            dir,
            settings,
            audit,
            state,
        } => {
            let state = state.as_deref();
            let project = commands::check::run(&dir, &settings.set, state, reporter)?;
            match audit {
                true => commands::audit::run(&project.state_folder(state), reporter),
                false => Ok(()),
            }
        }
        Command::Run {
            dir,
            settings,
            state,
            until_idle,
            state_memory,
            quiet,
            batch,
        } => {
            let mut overrides = settings.set;
            overrides.extend(state_memory.map(|bytes| {
                let key = "limits.state_memory_bytes_max".to_owned();
                (key, bytes.to_string())
            }));
            if quiet {
                overrides.push(("alarms.quiet".to_owned(), "true".to_owned()));
            }
            if !batch.is_empty() {
                let inputs = batch.into_iter();
                let inputs = inputs.map(|(table, path)| (table, PathBuf::from(path)));
                let options = BatchOptions {
                    folder: &dir,
                    overrides: &overrides,
                    inputs: &inputs.collect::<Vec<_>>(),
                    state: state.as_deref(),
                };
                return commands::batch::run(&options, reporter);
            }
            let options = RunOptions {
                folder: &dir,
                overrides: &overrides,
                state: state.as_deref(),
                saved_panels: None,
                until_idle,
            };
            commands::run::run(&options, reporter)
        }
        Command::Sql {
            words,
            settings,
            state,
            file,
            format,
        } => {
            let options = SqlOptions {
                words: &words,
                state: state.as_deref(),
                file: file.as_deref(),
                format,
                overrides: &settings.set,
            };
            commands::sql::run(&options, reporter)
        }
        Command::Status { dir, state } => commands::status::run(dir.as_deref(), state.as_deref()),
        Command::Report {
            name,
            project,
            day,
            state,
            out,
        } => commands::report::run(&ReportOptions {
            folder: &project,
            name: name.as_deref(),
            day: day.as_deref(),
            state: state.as_deref(),
            out: out.as_deref(),
        }),
        Command::Alarms { command } => commands::alarms::run(command),
        Command::Backfill { options } => commands::backfill::run(&options, reporter),
        Command::DeadLetters { options } => commands::dead_letters::run(&options),
        Command::Demo {
            state,
            rate,
            days,
            seed,
            fresh,
            fill_only,
            settings,
        } => {
            let options = DemoOptions {
                state: &state,
                overrides: &settings.set,
                rate,
                days,
                seed,
                fresh,
                fill_only,
            };
            commands::demo::run(&options, reporter)
        }
        Command::Backup {
            dir,
            state,
            to,
            keep,
        } => {
            let state = match (state, dir) {
                (Some(state), _) => state,
                (None, dir) => {
                    let dir = dir.unwrap_or_else(|| PathBuf::from("."));
                    Project::load(&dir, &[])?.state_folder(None)
                }
            };
            let options = BackupOptions {
                state: &state,
                to: &to,
                keep: keep.and_then(|keep| usize::try_from(keep).ok()),
            };
            commands::backup::run(&options, reporter)
        }
        Command::Restore { backup, state } => commands::restore::run(&backup, &state, reporter),
        Command::Shop {
            into,
            rate,
            hours,
            seed,
            devices,
            happenings,
            live,
        } => {
            let options = ShopCommand {
                into: &into,
                rate,
                hours,
                seed,
                devices,
                happenings: &happenings,
                live,
            };
            commands::shop::run(&options, reporter)
        }
        Command::Close {
            dir,
            period,
            again,
            settings,
            state,
        } => {
            let project = Project::load(&dir, &settings.set)?;
            let state = project.state_folder(state.as_deref());
            commands::close::run(&state, &period, again, reporter)
        }
        Command::Docs { dir, settings, out } => {
            commands::docs::run(&dir, &settings.set, &out, reporter)
        }
        Command::Erase {
            dir,
            person,
            settings,
            state,
        } => commands::erase::run(&dir, &settings.set, state.as_deref(), &person, reporter),
        Command::Init { name } => commands::init::run(&name, reporter),
        Command::Replay {
            dir,
            settings,
            state,
        } => commands::replay::run(&dir, &settings.set, state.as_deref(), reporter),
    }
}
