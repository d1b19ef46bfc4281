"""Sluice and DuckDB on the same files, in one run: see README.md beside this."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from machine import QUIET_PROCESSORS, describe, process_cpu, run_undisturbed, size_mb, spread, wait_for_quiet
from wire import Session

HERE = Path(__file__).resolve().parent
POLL_SECONDS = 0.005
# Between two appended days: longer than Sluice's pause between polls of the
# folder, and no divisor of its checkpoint interval.
PAUSE_SECONDS = 1.3
DEADLINE_SECONDS = 60


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--python", required=True, help="the Python that has DuckDB")
    parser.add_argument("--project", required=True, type=Path)
    parser.add_argument("--data", required=True, type=Path, help="the folder with the CSV files")
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--days", type=int, default=10, help="days appended one by one")
    return parser.parse_args()


def count_lines(path):
    """Data lines of a CSV file: none of this data has a break inside a value."""
    data = path.read_bytes()
    return data.count(b"\n") + (not data.endswith(b"\n")) - 1


class Bench:
    def __init__(self, given):
        self.given = given
        self.models = given.project / "models"
        self.files = sorted(given.data.glob("*.csv"))
        if not self.files:
            sys.exit(f"no CSV files in {given.data}; name their folder with --data, or with SLUICE_DATA the one that holds online-retail")
        self.lines = sum(map(count_lines, self.files))  # also warms the cache
        self.log = given.scratch / "output.log"

    def state(self):
        return self.given.scratch / "sluice"

    def database(self, threads):
        return self.given.scratch / f"duckdb-{threads}.db"

    def load_sluice(self):
        def command():
            return self.sluice_command(self.given.data) + ["--until-idle"]

        return run_undisturbed(command, self.log)

    def sluice_command(self, source):
        shutil.rmtree(self.state(), ignore_errors=True)
        return [
            self.given.sluice, "run", str(self.given.project), "--state", str(self.state()),
            "--set", f"input={source}", "--set", "listen.postgres=127.0.0.1:0",
        ]  # fmt: skip

    def rival_command(self, what, source, threads):
        self.database(threads).unlink(missing_ok=True)
        return [
            self.given.python, str(HERE / "rival.py"), what, str(self.models), str(source),
            str(self.database(threads)), str(threads),
        ]  # fmt: skip

    def load_rival(self, threads):
        def command():
            return self.rival_command("load", self.given.data, threads)

        return run_undisturbed(command, self.log)

    def start_rival(self):
        command = [self.given.python, "-c", "import duckdb; duckdb.connect()"]
        return run_undisturbed(lambda: command, self.log)

    def compare(self, threads):
        command = [
            self.given.python, str(HERE / "compare.py"), self.given.sluice,
            str(self.state()), str(self.database(threads)), str(self.models),
        ]  # fmt: skip
        said = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if said.returncode != 0:
            sys.exit("the answers differ, so that no figure is worth printing")
        return said.stdout.strip()

    def load(self):
        """Both engines from nothing, in an order that turns around every round."""
        engines = {
            "sluice": self.load_sluice,
            "duckdb-1": lambda: self.load_rival(1),
            "duckdb-2": lambda: self.load_rival(2),
            "start": self.start_rival,
        }
        costs = {name: [] for name in engines}
        for number in range(self.given.runs):
            order = list(engines) if number % 2 == 0 else list(reversed(engines))
            for name in order:
                costs[name].append(engines[name]())
            print(f"round {number + 1} of {self.given.runs}: " + ", ".join(
                f"{name} {costs[name][-1].wall:.2f} s" for name in engines), file=sys.stderr)
            if number == 0:
                equal = [self.compare(threads) for threads in (1, 2)]
        self.print_load(costs, equal[0])

    def print_load(self, costs, equal):
        columns = ["sluice", "duckdb-1", "duckdb-2"]

        def row(title, cell):
            print(f"| {title} | " + " | ".join(cell(costs[name]) for name in columns) + " |")

        print(f"\n{self.lines:,} lines in {len(self.files)} files, "
              f"{sum(map(size_mb, self.files)):.1f} MB; {equal}; {self.given.runs} runs, "
              "median (lowest–highest)\n")
        print("| | Sluice, 2 threads | DuckDB, 1 thread | DuckDB, 2 threads |\n|---|---|---|---|")
        row("time, s", lambda runs: spread(x.wall for x in runs))
        row("lines a second", lambda runs: spread((self.lines / x.wall for x in runs), "{:,.0f}"))
        row("CPU, user and system, s", lambda runs: spread(x.cpu for x in runs))
        row("CPU a line, µs", lambda runs: spread((x.cpu / self.lines * 1e6 for x in runs), "{:.1f}"))
        row("peak resident memory, MiB", lambda runs: spread((x.memory_mib for x in runs), "{:,.0f}"))
        sizes = [self.sluice_sizes()] + [f"{size_mb(self.database(n)):.1f}" for n in (1, 2)]
        print("| on disk, MB | " + " | ".join(sizes) + " |")
        row("processors that others kept busy", lambda runs: spread(x.others for x in runs))
        start = costs["start"]
        print(f"\nRuns while others kept more than {QUIET_PROCESSORS} processors busy were repeated, up to three times.")
        print(f"Of DuckDB's figures, the start of Python and of DuckDB are "
              f"{spread(x.wall for x in start)} s and {spread(x.cpu for x in start)} s of CPU, "
              f"{spread((x.memory_mib for x in start), '{:.0f}')} MiB.")
        for threads in (1, 2):
            steps = [json.loads(cost.output) for cost in costs[f"duckdb-{threads}"]]
            parts = ", ".join(f"{step} {spread(x[step] for x in steps)} s" for step in steps[0])
            print(f"DuckDB's own clock, {threads} thread{'s' if threads > 1 else ''}: {parts}.")

    def sluice_sizes(self):
        log, store = size_mb(self.state() / "log"), size_mb(self.state() / "store")
        state = sum(map(size_mb, (self.state() / "store").glob("state-*")))
        return f"{log + store:.1f}: log {log:.1f}, tables {store - state:.1f}, engine's state {state:.1f}"

    def follow(self):
        """The last days, appended one by one to what both hold already."""
        days = self.files[-self.given.days :]
        folder = self.given.scratch / "input"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in self.files[: -len(days)]:
            shutil.copy(file, folder)
        ours, poll_cost = self.follow_sluice(folder, days)
        for file in days:
            (folder / file.name).unlink()
        one_question = self.follow_rival("ask", folder, days)
        theirs = self.follow_rival("follow", folder, days)
        self.print_follow(days, [ours, theirs, one_question], poll_cost, self.compare(2))

    def follow_sluice(self, folder, days):
        with open(self.log, "wb") as out:
            server = subprocess.Popen(self.sluice_command(folder), stdout=out, stderr=out)
        try:
            session = self.connect(server)
            rows = sum(map(count_lines, folder.glob("*.csv")))
            self.wait_for(session, rows)
            time.sleep(PAUSE_SECONDS)
            before = process_cpu(server.pid)
            for _ in range(100):
                session.ask("SELECT rows FROM totals")
            poll_cost = (process_cpu(server.pid) - before) / 100
            costs = []
            for file in days:
                rows += count_lines(file)
                # Written beside, then renamed: the file appears as a whole.
                shutil.copy(file, folder / "next.part")
                time.sleep(PAUSE_SECONDS)
                wait_for_quiet()
                cpu, started = process_cpu(server.pid), time.perf_counter()
                os.rename(folder / "next.part", folder / file.name)
                self.wait_for(session, rows)
                costs.append((time.perf_counter() - started, process_cpu(server.pid) - cpu))
            session.close()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(DEADLINE_SECONDS)
        return costs, poll_cost

    def connect(self, server):
        """A session, as soon as the server says where it answers."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            try:
                address = json.loads((self.state() / "address.json").read_text())
                host, port = address["postgres"].rsplit(":", 1)
                return Session(host, int(port))
            except (FileNotFoundError, json.JSONDecodeError, ConnectionError):
                time.sleep(0.05)
        sys.exit(f"Sluice does not answer:\n{self.log.read_text()}")

    @staticmethod
    def wait_for(session, rows):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while session.ask("SELECT rows FROM totals") != [(str(rows),)]:
            if time.monotonic() > deadline:
                sys.exit(f"the view `totals` does not reach {rows} rows")
            time.sleep(POLL_SECONDS)

    def follow_rival(self, what, folder, days):
        """DuckDB keeps the loaded table, takes the file in and computes again."""
        command = self.rival_command(what, folder, 2)
        rival = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        rival.stdout.readline()
        costs = []
        for file in days:
            time.sleep(PAUSE_SECONDS)
            wait_for_quiet()
            cpu, started = process_cpu(rival.pid), time.perf_counter()
            rival.stdin.write(f"{file}\n")
            if rival.stdout.readline() != "done\n":
                sys.exit("DuckDB stopped while it followed")
            costs.append((time.perf_counter() - started, process_cpu(rival.pid) - cpu))
        rival.stdin.close()
        rival.wait(DEADLINE_SECONDS)
        return costs

    def print_follow(self, days, sides, poll_cost, equal):
        lines = [count_lines(file) for file in days]
        print(f"\nThe last {len(days)} days appended one by one, {spread(lines, '{:,.0f}')} lines each, "
              f"to {self.lines - sum(lines):,} lines that both hold; afterwards {equal}\n")
        print("| one more day | Sluice, following: all views | DuckDB, 2 threads: takes the file in, computes all views again "
              "| DuckDB, 2 threads: takes the file in, answers `totals` alone |\n|---|---|---|---|")
        for title, place in (("until the answer shows it, ms", 0), ("CPU, ms", 1)):
            cells = (spread((x[place] * 1000 for x in side), "{:.0f}") for side in sides)
            print(f"| {title} | " + " | ".join(cells) + " |")
        print(f"\nSluice's CPU includes the questions asked every {POLL_SECONDS * 1000:.0f} ms to see it, "
              f"{poll_cost * 1000:.2f} ms each.")


def main():
    given = arguments()
    bench = Bench(given)
    print(describe())
    print(f"load of the machine before: {' '.join(map(str, os.getloadavg()))}", file=sys.stderr)
    bench.load()
    bench.follow()


if __name__ == "__main__":
    main()
