"""What the machine is, what a child process cost, and what others took meanwhile."""

import os
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    wall: float
    cpu: float
    memory_mib: float
    others: float
    """Processors that the rest of the machine kept busy meanwhile."""
    parts: dict = field(default_factory=dict)
    """Seconds of its steps, where the command says them itself."""


def busy_seconds():
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS


def run(command, log):
    """Runs a command alone and reads its cost from the kernel.

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
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{Path(log).read_text()}")
    cpu = used.ru_utime + used.ru_stime
    return Cost(wall, cpu, used.ru_maxrss / 1024, max(0.0, busy - cpu) / wall)


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
