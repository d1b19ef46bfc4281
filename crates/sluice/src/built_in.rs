//! The built-in warehouse, as files of the program.

// `WAREHOUSE_FILES`: what the build script found in `warehouse`, by path and text.
include!(concat!(env!("OUT_DIR"), "/warehouse_files.rs"));

/// Its alarms on the program itself, which fit every warehouse: the others ask tables of
/// the shop.
pub(crate) const ALARMS_OF_THE_PROGRAM: [&str; 10] = [
    "alerts/audit_violated.toml",
    "alerts/checkpoint_old.toml",
    "alerts/dead_letters.toml",
    "alerts/disk_full.toml",
    "alerts/disk_waits.toml",
    "alerts/evaluation_errors.toml",
    "alerts/records_wait.toml",
    "alerts/source_behind.toml",
    "alerts/source_stopped.toml",
    "alerts/state_has_no_room.toml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_of_the_program_ask_its_own_tables() {
        for wanted in ALARMS_OF_THE_PROGRAM {
            let found = WAREHOUSE_FILES.iter().find(|(path, _)| *path == wanted);
            let (_, text) = found.unwrap();
            let tables: Vec<&str> = text.split("FROM ").skip(1).collect();
            assert!(!tables.is_empty(), "{wanted}");
            for table in tables {
                assert!(table.starts_with("sluice_"), "{wanted}: {table:.40}");
            }
        }
    }
}
