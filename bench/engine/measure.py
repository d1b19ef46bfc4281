"""Sluice and Flink on the same files, in one run: see README.md beside this."""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "online-retail"))

from flink import Cluster  # noqa: E402
from machine import describe, run, spread  # noqa: E402

# What each query reads.
INPUTS = {
    "w1": ["page_log"],
    "w2": ["page_log"],
    "w3": ["order_detail", "sku_info"],
    "w4": ["order_detail", "sku_info"],
    "q0": ["nx_bid"],
    "q1": ["nx_bid"],
    "q2": ["nx_bid"],
    "q3": ["nx_auction", "nx_person"],
    "q4": ["nx_auction", "nx_bid"],
    "q5": ["nx_bid"],
    "q7": ["nx_bid"],
    "q8": ["nx_auction", "nx_person"],
    "q9": ["nx_auction", "nx_bid"],
}
# Flink's standard q7 keeps every bid; as an interval join it does not.
OF_FLINK = {"q7": "q7i"}
# Queries that mini-batch changes: it does not act on filters and windows.
MINI_BATCH = {"w3", "w4", "q3", "q4", "q9"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--python", required=True, help="the Python that has DuckDB")
    parser.add_argument("--flink-lib", default="", help="the folder of Flink's jars")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queries", nargs="+", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--parallelism", type=int, nargs="+", default=[1, 2], help="Flink's, to choose the best of")
    parser.add_argument("--small", type=Path, help="the same input in small: what a job costs by itself")
    parser.add_argument("--check", action="store_true", help="only compare Sluice's answers")
    return parser.parse_args()


def count_lines(folder):
    with open(folder / "part-0.json", "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def load_sluice(given, query, log, data=None):
    state = given.scratch / "state"
    shutil.rmtree(state, ignore_errors=True)
    command = [
        given.sluice, "run", str(HERE / "projects" / query), "--state", str(state),
        "--set", f"input={data or given.data}", "--set", f"log={log}", "--set", "listen.http=127.0.0.1:0",
        "--set", "listen.postgres=127.0.0.1:0", "--until-idle",
    ]  # fmt: skip
    output = given.scratch / "output.log"
    cost = run(command, output)
    said = re.search(r"checkpoint at the end: .* s, ([0-9.]+) s of processors", output.read_text())
    cost.checkpoint_cpu = float(said.group(1))
    return cost


def check(given, query):
    command = [
        given.python, str(HERE / "answers.py"), given.sluice, str(given.scratch / "state"),
        str(given.data), query,
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True)
    return (answer.stdout or answer.stderr).strip().splitlines()[-1]


class OfQuery:
    """What a query cost: Sluice with both logs, and Flink in every way."""

    def __init__(self, given, query):
        self.query = query
        self.events = sum(count_lines(given.data / f"{name}_1") for name in INPUTS[query])
        self.own, self.copied, self.flink = [], [], {}
        self.answer = ""
        self.small_events, self.small = 0, None

    def measure(self, given, cluster):
        ways = [(p, mini) for p in given.parallelism for mini in (False, True)]
        ways = [way for way in ways if not way[1] or self.query in MINI_BATCH]
        name = OF_FLINK.get(self.query, self.query)
        # The first run of a query compiles its code, and each way is tried once.
        if cluster:
            cluster.run(name, given.data, 2, False)
            self.flink = {way: [cluster.run(name, given.data, *way)] for way in ways}
        for number in range(given.runs):
            self.own.append(load_sluice(given, self.query, "source"))
            if number == 0:
                self.answer = check(given, self.query)
                self.copied.append(load_sluice(given, self.query, "copy"))
            if cluster and number > 0:
                way, costs = self.best()
                costs.append(cluster.run(name, given.data, *way))

        if cluster and given.small:
            self.small_events = sum(count_lines(given.small / f"{input}_1") for input in INPUTS[self.query])
            own = load_sluice(given, self.query, "source", given.small)
            self.small = own.cpu, cluster.run(name, given.small, *self.best()[0]).task_manager

    def marginal(self):
        """CPU µs of one event more: without what a job costs by itself."""
        own = statistics.median(cost.cpu for cost in self.own)
        of_flink = statistics.median(cost.task_manager for cost in self.best()[1])
        events = self.events - self.small_events
        return [(all - small) * 1e6 / events for all, small in zip((own, of_flink), self.small)]

    def best(self):
        cost = lambda item: statistics.median(one.task_manager for one in item[1])  # noqa: E731
        return min(self.flink.items(), key=cost)

    def row(self):
        per_event = 1e6 / self.events
        of_own = statistics.median(cost.cpu for cost in self.own) * per_event
        cells = [
            self.query, f"{self.events:,}",
            spread(cost.cpu * per_event for cost in self.own),
            spread((cost.cpu - cost.checkpoint_cpu) * per_event for cost in self.own),
            spread(cost.cpu * per_event for cost in self.copied),
            spread((self.events / cost.wall for cost in self.own), "{:,.0f}"),
            spread((cost.memory_mib for cost in self.own), "{:.0f}"),
        ]  # fmt: skip
        if self.flink:
            (parallelism, mini_batch), costs = self.best()
            of_flink = statistics.median(cost.task_manager for cost in costs) * per_event
            cells += [
                spread(cost.task_manager * per_event for cost in costs),
                f"{parallelism}{' mini-batch' if mini_batch else ''}",
                spread((self.events / cost.wall for cost in costs), "{:,.0f}"),
                spread((cost.task_manager_mib for cost in costs), "{:.0f}"),
                f"{of_flink / of_own:.1f}",
            ]  # fmt: skip
            if self.small:
                own, flink = self.marginal()
                cells[-1] += f" ({own:.2f} and {flink:.2f}: {flink / own:.1f})"
        else:
            cells += ["–"] * 5
        cells.append(spread(cost.others for cost in self.own))
        return "| " + " | ".join(cells) + " |"


def main():
    given = arguments()
    measured = []
    if given.check:
        for query in given.queries:
            load_sluice(given, query, "source")
            print(check(given, query), flush=True)
        return
    print(f"{describe()}\n")
    print("| query | events | Sluice, files as own log: CPU µs an event | without the checkpoint at the end | with the durable log | events/s | peak MiB | Flink: CPU µs an event (task manager) | its best way: parallelism | events/s | peak MiB (task manager) | times cheaper (of one event more) | processors of others |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for query in given.queries:
        of_query = OfQuery(given, query)
        # A cluster of its own, so that the peak of its memory is the query's.
        if given.flink_lib:
            with Cluster(given.flink_lib, given.scratch) as cluster:
                of_query.measure(given, cluster)
        else:
            of_query.measure(given, None)
        measured.append(of_query)
        print(of_query.row(), flush=True)
        print(of_query.answer, file=sys.stderr, flush=True)
    print()
    for of_query in measured:
        print(of_query.answer)
        ways = [
            f"parallelism {parallelism}{', mini-batch' if mini else ''}: {spread(cost.task_manager * 1e6 / of_query.events for cost in costs)}"
            for (parallelism, mini), costs in of_query.flink.items()
        ]
        if ways:
            print(f"  Flink, CPU µs an event: {'; '.join(ways)}")
    if not given.flink_lib:
        print("\nFLINK WAS NOT MEASURED (it could not be installed, or was left out): the figures stand alone.")
    if any("as expected" not in of_query.answer for of_query in measured):
        sys.exit("answers differ")


if __name__ == "__main__":
    main()
