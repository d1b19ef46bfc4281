"""What the machine is, what a child process cost, and what others took meanwhile."""

import os
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")

# A run counts as undisturbed while other processes keep no more than this many
# processors busy; a disturbed one is repeated a few times.
QUIET_PROCESSORS = 0.15
QUIET_WAIT_SECONDS = 60
TRIES = 4


@dataclass
class Cost:
    wall: float
    cpu: float
    memory_mib: float
    others: float
    """Processors that the rest of the machine kept busy meanwhile."""
    output: str
    """What it printed."""


def busy_seconds():
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS


def wait_for_quiet():
    """Waits for a second in which the machine does next to nothing."""
    deadline = time.monotonic() + QUIET_WAIT_SECONDS
    while time.monotonic() < deadline:
        busy = busy_seconds()
        time.sleep(1)
        if busy_seconds() - busy <= QUIET_PROCESSORS:
            return


def run_undisturbed(command_of_try, log):
    """The cost of the first undisturbed run, or of the least disturbed one.

    `command_of_try` makes everything ready for one more run and says the command.
    """
    costs = []
    for _ in range(TRIES):
        command = command_of_try()
        wait_for_quiet()
        costs.append(run(command, log))
        if costs[-1].others <= QUIET_PROCESSORS:
            break
    return min(costs, key=lambda cost: cost.others)


def run(command, log):
    """Runs a command and reads its cost from the kernel.

    A child's peak memory counts what its parent held at the fork, so this
    process stays small: rows are compared in one of their own.
    """
    os.sync()
    with open(log, "wb") as out:
        busy, started = busy_seconds(), time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        wall, busy = time.perf_counter() - started, busy_seconds() - busy
    child.returncode = os.waitstatus_to_exitcode(status)
    output = Path(log).read_text()
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{output}")
    cpu = used.ru_utime + used.ru_stime
    return Cost(wall, cpu, used.ru_maxrss / 1024, max(0.0, busy - cpu) / wall, output)


def process_cpu(process_id):
    """Seconds of CPU of a running process so far, to the nanosecond."""
    total = 0
    for thread in Path(f"/proc/{process_id}/task").iterdir():
        total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def size_mb(path):
    path = Path(path)
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def spread(values, form="{:.2f}"):
    """Median, and the range in brackets."""
    values = list(values)
    low, middle, high = (form.format(x) for x in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"


def describe():
    def value(file, name):
        for line in Path(file).read_text().splitlines():
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
        return "?"

    memory = int(value("/proc/meminfo", "MemTotal").split()[0]) / 1024**2
    return (
        f"{value('/proc/cpuinfo', 'model name')}, {os.cpu_count()} processors, "
        f"{memory:.1f} GiB of memory, Linux {platform.release()}"
    )
