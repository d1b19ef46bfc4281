//! Numbers about the process and its machine, for `/metrics`: what Linux says in
//! `/proc`, and the disk of the state.

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use sluice_serve::{Metric, Metrics};

/// Clock ticks of `/proc/PID/stat` in a second: `USER_HZ`, which is 100 on every
/// machine that runs Linux.
const TICKS_A_SECOND: u64 = 100;

/// See the module.
#[derive(Debug)]
pub struct MachineGauges {
    state: PathBuf,
    cpu: Metric,
    threads: Metric,
    resident_bytes: Metric,
    disk_free_bytes: Metric,
    disk_size_bytes: Metric,
}

impl MachineGauges {
    /// Registers the numbers; `state` is the folder of the state.
    pub fn new(metrics: &Metrics, state: &Path) -> Self {
        Self {
            state: state.to_path_buf(),
            cpu: metrics.seconds_total(
                "process_cpu_seconds_total",
                "Time of processors that the process used.",
            ),
            threads: metrics.gauge("sluice_threads", "Threads of the process."),
            resident_bytes: metrics.gauge(
                "sluice_resident_memory_bytes",
                "Memory of the process, as the machine counts it.",
            ),
            disk_free_bytes: metrics
                .gauge("sluice_disk_free_bytes", "Room on the disk of the state."),
            disk_size_bytes: metrics
                .gauge("sluice_disk_size_bytes", "Size of the disk of the state."),
        }
    }

    /// Asks the machine. What it does not say stays as it was.
    pub fn update(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(kibibytes) = number_behind(&status, "VmRSS:") {
            self.resident_bytes.set(kibibytes * 1024);
        }
        if let Some(threads) = number_behind(&status, "Threads:") {
            self.threads.set(threads);
        }
        if let Some(cpu_us) = cpu_us() {
            self.cpu.set(cpu_us);
        }
        if let Ok(disk) = statvfs(&self.state) {
            self.disk_free_bytes.set(disk.f_bavail * disk.f_frsize);
            self.disk_size_bytes.set(disk.f_blocks * disk.f_frsize);
        }
    }
}

/// Time of processors that the process used, user and system, in steps of a
/// hundredth of a second.
pub fn cpu_us() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    Some(cpu_ticks(&stat)? * (1_000_000 / TICKS_A_SECOND))
}

fn number_behind(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time. The name of the program, in brackets, may hold blanks.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    // Fields 14 and 15; the first behind the name is field 3.
    let mut fields = behind.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_read() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 900 0 0 0 250 30 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(280));
        assert_eq!(
            number_behind("Name:\tx\nVmRSS:\t  12 kB\n", "VmRSS:"),
            Some(12)
        );
        let metrics = Metrics::default();
        MachineGauges::new(&metrics, Path::new("/")).update();
        let samples = metrics.samples();
        let of = |name: &str| {
            samples
                .iter()
                .find(|sample| sample.name == name)
                .unwrap()
                .value
        };
        assert!(of("sluice_disk_size_bytes") >= of("sluice_disk_free_bytes"));
        assert!(of("sluice_resident_memory_bytes") > 1e6);
    }
}
