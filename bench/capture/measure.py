"""See `run`."""

import argparse
import os
import re
import statistics
import subprocess
import threading
import time
from decimal import Decimal
from pathlib import Path

import diversion
from servers import MariaDb, Postgres
from warehouse import Warehouse, cpu_of

TABLE = """
[table.orders]
topic = "shop"
when = [{ field = "/table", equals = "orders" }]
row = "/data"
before = "/old"
unchanged = "/unchanged"
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "customer", from = "./customer", type = "int64" },
  { name = "total", from = "./total", type = "decimal(12,2)" },
  { name = "status", from = "./status", type = "string" },
  { name = "at", from = "./at", type = "timestamp", format = "%Y-%m-%d %H:%M:%S%.f", time_zone = "UTC" },
  { name = "note", from = "./note", type = "string" },
]
"""
MODEL = "CREATE MATERIALIZED VIEW marked AS SELECT max(total) AS total FROM orders WHERE id = 1"


def run(command):
    """Wall seconds, processor seconds, and what it said."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command}: {said}")
    return time.monotonic() - start, used.ru_utime + used.ru_stime, said


def line(what, count, wall, cpu):
    print(f"{what:<44} {count:>9} {wall:>8.2f} s {count / wall:>10.0f} /s {cpu:>7.2f} s processor", flush=True)


def captured(said):
    """Records and seconds of the capture programs."""
    found = re.findall(r"(\d+) records in (\d+) ms", said)
    return [(int(count), max(int(ms), 1) / 1000) for count, ms in found]


def update(server, changes):
    """Changes of rows, ten a transaction."""
    client = server.client()
    client.run(server.bulk)
    for first in range(0, changes, 10_000):
        statements = [
            f"BEGIN; UPDATE {server.table} SET total = total + 1 WHERE id BETWEEN {place + 1} AND {place + 10}; COMMIT;"
            for place in range(first, min(first + 10_000, changes), 10)
        ]
        client.run("\n".join(statements))


def beside_the_server_s_programs(server, scratch, options):
    wall, cpu, _ = run(server.dump())
    line(server.dump()[0], options.rows, wall, cpu)
    if server.kind == "mysql":
        _, cpu, said = run(server.capture(scratch))
        [(count, wall)] = captured(said)
        line("Sluice's capture: first copy", count, wall, cpu)
        log = server.new_log()
        update(server, options.changes)
        server.new_log()
        wall, cpu, _ = run(["mariadb-binlog", "--no-defaults", "--verbose", str(log)])
        line("mariadb-binlog --verbose", options.changes, wall, cpu)
        wall, cpu, _ = run([f"{scratch}/binlog_records", str(log)])
        line("Sluice's capture: the same file, as JSON", options.changes, wall, cpu)
        return
    followed(server, scratch, options)
    server.client().run("SELECT pg_drop_replication_slot('measured');")


def followed(server, scratch, options):
    """The first copy, and then changes as they are written."""
    process = subprocess.Popen(server.capture(scratch), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    said, of_copy = "", None
    for words in process.stderr:
        said += words
        if of_copy is None and captured(said):
            of_copy = cpu_of(process)
            line("Sluice's capture: first copy", *captured(said)[0], of_copy)
            update(server, options.changes)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    found = captured(said)[1:]
    if process.returncode or sum(count for count, _ in found) != options.changes:
        raise RuntimeError(f"{server.capture(scratch)}: {said}")
    wall = sum(wall for _, wall in found)
    line("Sluice's capture: stream, as it was written", options.changes, wall,
         used.ru_utime + used.ru_stime - of_copy)


def through_the_warehouse(server, scratch, options):
    sources = f"[topic.shop.capture]\n{server.source()}{TABLE}"
    warehouse = Warehouse(scratch, server.kind, sources, [("marked", MODEL)])
    warehouse.start()
    try:
        wall = warehouse.wait_for("SELECT count(*) FROM orders", options.rows)
        line("sluice run: all rows in SQL answers", options.rows, wall, cpu_of(warehouse.process))
        latency(server, warehouse, options)
        catching_up(server, warehouse, options)
    finally:
        warehouse.kill()


def catching_up(server, warehouse, options):
    """What was changed while the warehouse stood still: from its start to SQL answers."""
    warehouse.stop()
    log = server.new_log() if server.kind == "mysql" else None
    update(server, options.changes)
    mark = 9_000_000
    server.client().run(f"UPDATE {server.table} SET total = {mark} WHERE id = 1;")
    if log:
        server.new_log()
        wall, cpu, _ = run(server.read_log(log.name))
        line("mariadb-binlog --verbose, from the server", options.changes, wall, cpu)
    warehouse.start()
    wall = warehouse.wait_for("SELECT total FROM marked", f"{mark}.00")
    line("sluice run: the same changes in SQL answers", options.changes, wall, cpu_of(warehouse.process))
    sums = "SELECT count(*), sum(total) FROM"
    [of_server] = server.client().run(f"{sums} {server.table};")
    found = [Decimal(value) for value in warehouse.session.ask(f"{sums} orders")[0]]
    if found != [Decimal(value) for value in re.split(r"[\t|]", of_server)]:
        raise RuntimeError(f"the warehouse has {found}, the server {of_server}")


def latency(server, warehouse, options):
    """From COMMIT to the changed number, at 1,000 changes a second."""
    is_over = threading.Event()
    changes = 0

    def write():
        nonlocal changes
        client, place, due = server.client(), 10, time.monotonic()
        while not is_over.is_set():
            client.run(f"BEGIN; UPDATE {server.table} SET status = 'busy', total = total + 1"
                       f" WHERE id BETWEEN {place} AND {place + 9}; COMMIT;")
            changes += 10
            place = 10 + place % (options.rows - 40)
            due += 0.01
            time.sleep(max(0, due - time.monotonic()))

    writer = threading.Thread(target=write)
    client, found, number = server.client(), [], 5_000_000
    began = time.monotonic()
    writer.start()
    while time.monotonic() < began + options.seconds:
        number += 1
        client.run(f"UPDATE {server.table} SET total = {number} WHERE id = 1;")
        committed = time.monotonic()
        while warehouse.session.ask("SELECT total FROM marked") != [(f"{number}.00",)]:
            pass
        found.append((time.monotonic() - committed) * 1000)
        time.sleep(0.05)
    reached = changes / (time.monotonic() - began)
    is_over.set()
    writer.join()
    found.sort()
    print(f"COMMIT to answer at {reached:,.0f} changes/s: median {statistics.median(found):.1f} ms,"
          f" p99 {found[int(len(found) * 0.99)]:.1f} ms, {len(found)} times", flush=True)


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--scratch", type=Path, required=True)
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--changes", type=int, default=500_000)
    words.add_argument("--seconds", type=int, default=60)
    words.add_argument("--diverted", type=int, default=200_000, metavar="ROWS")
    options = words.parse_args()
    if options.changes > options.rows:
        words.error("--changes are of rows that differ: at most --rows")
    for make in (MariaDb, Postgres):
        folder = options.scratch / make.__name__
        folder.mkdir()
        server = make(folder)
        try:
            print(make.__name__)
            server.fill(options.rows)
            beside_the_server_s_programs(server, options.scratch, options)
            through_the_warehouse(server, options.scratch, options)
            if make is MariaDb:
                diversion.measure(server, options.scratch, options)
        finally:
            server.stop()


main()
