"""Measures and compares; see run."""

import argparse
import csv
import datetime
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
QUERY_FILES = ("dashboard.sql", "ad_hoc.sql")
MIB = 1 << 20


def names_of(path):
    lines = path.read_text().splitlines()
    return [line[3:].split(":", 1) for line in lines if line.startswith("-- ")]


def forget(folder):
    """Lets the machine's page cache forget the files of a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(command):
    """Runs a command; its lines of JSON, and the greatest memory it had."""
    output = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in output.stdout]
    _, status, usage = os.wait4(output.pid, 0)
    output.returncode = os.waitstatus_to_exitcode(status)
    if output.returncode != 0:
        sys.exit(f"{command[0]} ended with {output.returncode}")
    return {line["name"]: line["times_ms"] for line in lines}, usage.ru_maxrss / 1024


def values(path):
    def value(text):
        try:
            return float(text)
        except ValueError:
            pass
        # Moments: DuckDB's files have none but UTC, and it writes no offset.
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            return text
        return moment.replace(tzinfo=moment.tzinfo or datetime.timezone.utc)

    with open(path, newline="") as file:
        return [[value(text) for text in row] for row in list(csv.reader(file))[1:]]


def is_same(ours, theirs):
    def close(left, right):
        if isinstance(left, float) and isinstance(right, float):
            return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
        return left == right

    return len(ours) == len(theirs) and all(
        len(left) == len(right) and all(map(close, left, right)) for left, right in zip(ours, theirs)
    )


def size_mib(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MIB


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--asker", required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    parser.add_argument("--cache-mib", type=int, default=3072)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold-runs", type=int, default=2)
    parser.add_argument("--queries", nargs="*", default=[])
    arguments = parser.parse_args()

    if not arguments.state.exists():
        start = time.monotonic()
        command = [arguments.sluice, "run", HERE / "project", "--state", arguments.state]
        for table in ("page_rows", "order_lines"):
            command += ["--batch", f"{table}={arguments.data / table}"]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = time.monotonic() - start
        print(f"loaded in {seconds:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of CPU, "
              f"at most {usage.ru_maxrss / 1024:.0f} MiB of memory", flush=True)
    store = arguments.state / "store"
    print(f"on disk: Sluice {size_mib(store):.0f} MiB, the Parquet files {size_mib(arguments.data):.0f} MiB", flush=True)

    def ask(side, queries, runs, names):
        answers = arguments.scratch / side
        answers.mkdir(exist_ok=True)
        if side == "sluice":
            command = [arguments.asker, store, queries, answers, runs, arguments.cache_mib, *names]
        else:
            command = [arguments.python, HERE / "duck.py", arguments.data, queries, answers, runs, *names]
        return run(command)

    print("query | what | Sluice hot | DuckDB hot | times | Sluice cold | DuckDB cold | times   (ms)")
    ratios, peaks, wrong = {"hot": [], "cold": []}, {"sluice": 0, "duckdb": 0}, []
    for query_file in QUERY_FILES:
        queries = HERE / query_file
        named = [(name, what.strip()) for name, what in names_of(queries)]
        named = [pair for pair in named if not arguments.queries or pair[0] in arguments.queries]
        if not named:
            continue
        names = [name for name, _ in named]
        hot = {}
        for side in ("sluice", "duckdb"):
            # The first answer fills caches.
            times, memory = ask(side, queries, arguments.runs + 1, names)
            hot[side] = {name: statistics.median(of_name[1:]) for name, of_name in times.items()}
            peaks[side] = max(peaks[side], memory)
        for name, what in named:
            answers = [values(arguments.scratch / side / f"{name}.csv") for side in ("sluice", "duckdb")]
            if not is_same(*answers):
                wrong.append(name)
            cold = {"sluice": [], "duckdb": []}
            for _ in range(arguments.cold_runs):
                for side, folder in (("sluice", store), ("duckdb", arguments.data)):
                    forget(folder)
                    times, _ = ask(side, queries, 1, [name])
                    cold[side] += times[name]
            row = [hot["sluice"][name], hot["duckdb"][name]]
            row += [statistics.median(cold[side]) if cold[side] else math.nan for side in ("sluice", "duckdb")]
            ratios["hot"].append(row[0] / row[1])
            ratios["cold"].append(row[2] / row[3])
            print(f"{name} | {what} | {row[0]:.1f} | {row[1]:.1f} | {row[0] / row[1]:.2f} | "
                  f"{row[2]:.1f} | {row[3]:.1f} | {row[2] / row[3]:.2f}", flush=True)
    for kind, found in ratios.items():
        mean = math.exp(statistics.fmean(map(math.log, found)))
        print(f"{kind}: {mean:.2f} times of DuckDB (geometric mean), {max(found):.2f} at most")
    print(f"greatest memory: Sluice {peaks['sluice']:.0f} MiB, DuckDB {peaks['duckdb']:.0f} MiB")
    if wrong:
        sys.exit(f"THE ANSWERS DIFFER: {', '.join(wrong)}")
    print("all answers are the same")


main()
