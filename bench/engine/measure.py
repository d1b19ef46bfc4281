"""Sluice and Flink on the same files, in one run: see README.md beside this."""

import argparse
import shutil
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
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--python", required=True, help="the Python that has DuckDB")
    parser.add_argument("--flink-lib", default="", help="the folder of Flink's jars")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queries", nargs="+", default=list(INPUTS), choices=list(INPUTS))
    return parser.parse_args()


def count_lines(folder):
    with open(folder / "part-0.json", "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def load_sluice(given, query):
    state = given.scratch / "state"
    shutil.rmtree(state, ignore_errors=True)
    command = [
        given.sluice, "run", str(HERE / "projects" / query), "--state", str(state),
        "--set", f"input={given.data}", "--set", "listen.http=127.0.0.1:0",
        "--set", "listen.postgres=127.0.0.1:0", "--until-idle",
    ]  # fmt: skip
    return run(command, given.scratch / "output.log")


def check(given, query):
    command = [
        given.python, str(HERE / "answers.py"), given.sluice, str(given.scratch / "state"),
        str(given.data), query,
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True)
    return (answer.stdout or answer.stderr).strip().splitlines()[-1]


def main():
    given = arguments()
    events = {query: sum(count_lines(given.data / f"{name}_1") for name in INPUTS[query]) for query in given.queries}
    sluice = {query: [] for query in given.queries}
    rival = {query: [] for query in given.queries}
    answers, refused = {}, {}

    def rounds(cluster):
        # The first of Flink's runs of a query compiles its code.
        for query in given.queries:
            if cluster:
                cluster.run(query, given.data)
        for number in range(given.runs):
            for query in given.queries:
                if query in refused:
                    continue
                try:
                    sluice[query].append(load_sluice(given, query))
                except SystemExit as problem:
                    refused[query] = str(problem).strip().splitlines()[-1]
                    continue
                if number == 0:
                    answers[query] = check(given, query)
                if cluster:
                    rival[query].append(cluster.run(query, given.data))

    if given.flink_lib:
        with Cluster(given.flink_lib, given.scratch) as cluster:
            rounds(cluster)
    else:
        rounds(None)

    print(f"{describe()}\n")
    print("| query | events | Sluice: CPU µs an event | wall s | peak MiB | Flink: task manager, CPU µs an event | with job manager | wall s | peak MiB | processors of others |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for query in given.queries:
        if query in refused:
            print(f"| {query} | {events[query]:,} | not supported: {refused[query]} | | | | | | | |")
            continue
        per_event = 1e6 / events[query]
        cells = [
            query, f"{events[query]:,}",
            spread(cost.cpu * per_event for cost in sluice[query]),
            spread(cost.wall for cost in sluice[query]),
            spread((cost.memory_mib for cost in sluice[query]), "{:.0f}"),
        ]  # fmt: skip
        if rival[query]:
            cells += [
                spread(workers * per_event for _, _, workers, _ in rival[query]),
                spread((workers + boss) * per_event for _, boss, workers, _ in rival[query]),
                spread(wall for wall, *_ in rival[query]),
                spread((memory for *_, memory in rival[query]), "{:.0f}"),
            ]  # fmt: skip
        else:
            cells += ["–"] * 4
        cells.append(spread(cost.others for cost in sluice[query]))
        print("| " + " | ".join(cells) + " |")
    print()
    print("\n".join(answers.values()))
    if not given.flink_lib:
        print("\nFLINK WAS NOT MEASURED (it could not be installed, or was left out): the figures stand alone.")
    if any("as expected" not in answer for answer in answers.values()):
        sys.exit("answers differ")


if __name__ == "__main__":
    main()
