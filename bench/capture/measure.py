"""See `run`."""

import argparse
import json
import os
import re
import statistics
import subprocess
import threading
import time
from pathlib import Path

from servers import MariaDb, Postgres
from wire import Session

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
    table = "shop.orders" if server.kind == "mysql" else "orders"
    for first in range(0, changes, 10_000):
        statements = [
            f"BEGIN; UPDATE {table} SET total = total + 1 WHERE id BETWEEN {place + 1} AND {place + 10}; COMMIT;"
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
        server.client().run("FLUSH BINARY LOGS;")
        before = set(server.folder.glob("data/binlog.0*"))
        newest = max(before)
        update(server, options.changes)
        server.client().run("FLUSH BINARY LOGS;")
        wall, cpu, _ = run(["mariadb-binlog", "--no-defaults", "--verbose", str(newest)])
        line("mariadb-binlog --verbose", options.changes, wall, cpu)
        wall, cpu, _ = run([f"{scratch}/binlog_records", str(newest)])
        line("Sluice's capture: the same file, as JSON", options.changes, wall, cpu)
        return
    later = threading.Timer(options.rows / 20_000 + 4, update, (server, options.changes))
    later.start()
    _, cpu, said = run(server.capture(scratch))
    later.join()
    found = captured(said)
    line("Sluice's capture: first copy (and its stream's processor time)", *found[0], cpu)
    for count, wall in found[1:]:
        line("Sluice's capture: stream, as it was written", count, wall, cpu)
    server.client().run("SELECT pg_drop_replication_slot('measured');")


def through_the_warehouse(server, scratch, options):
    project, state = scratch / f"{server.kind}-project", scratch / f"{server.kind}-state"
    (project / "sources").mkdir(parents=True)
    (project / "models").mkdir()
    (project / "warehouse.toml").write_text('name = "measured"\n')
    (project / "sources/shop.toml").write_text(f"[topic.shop.capture]\n{server.source()}{TABLE}")
    (project / "models/marked.sql").write_text(MODEL)
    start = time.monotonic()
    sluice = subprocess.Popen(
        [scratch / "sluice", "run", project, "--state", state, "--set", "listen.postgres=127.0.0.1:0",
         "--set", "listen.http=127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (state / "address.json").exists():
            time.sleep(0.02)
        address = json.loads((state / "address.json").read_text())["postgres"]
        host, port = address.rsplit(":", 1)
        session = Session(host, int(port))
        while session.ask("SELECT count(*) FROM orders")[0][0] != str(options.rows):
            time.sleep(0.05)
        wall = time.monotonic() - start
        fields = Path(f"/proc/{sluice.pid}/stat").read_text().rsplit(")", 1)[1].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        line("sluice run: all rows in SQL answers", options.rows, wall, cpu)
        latency(server, session, options)
    finally:
        sluice.kill()
        sluice.wait()


def latency(server, session, options):
    """From COMMIT to the changed number, at 1,000 changes a second."""
    table = "shop.orders" if server.kind == "mysql" else "orders"
    is_over = threading.Event()

    def write():
        client, place, due = server.client(), 10, time.monotonic()
        while not is_over.is_set():
            client.run(f"BEGIN; UPDATE {table} SET status = 'busy', total = total + 1"
                       f" WHERE id BETWEEN {place} AND {place + 9}; COMMIT;")
            place = 10 + place % (options.rows - 40)
            due += 0.01
            time.sleep(max(0, due - time.monotonic()))

    writer = threading.Thread(target=write)
    writer.start()
    client, found, number = server.client(), [], 5_000_000
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        number += 1
        client.run(f"UPDATE {table} SET total = {number} WHERE id = 1;")
        committed = time.monotonic()
        while session.ask("SELECT total FROM marked") != [(f"{number}.00",)]:
            pass
        found.append((time.monotonic() - committed) * 1000)
        time.sleep(0.05)
    is_over.set()
    writer.join()
    found.sort()
    print(f"COMMIT to answer at 1,000 changes/s: median {statistics.median(found):.1f} ms,"
          f" p99 {found[int(len(found) * 0.99)]:.1f} ms, {len(found)} times", flush=True)


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--scratch", type=Path, required=True)
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--changes", type=int, default=500_000)
    words.add_argument("--seconds", type=int, default=60)
    options = words.parse_args()
    for make in (MariaDb, Postgres):
        folder = options.scratch / make.__name__
        folder.mkdir()
        server = make(folder)
        try:
            print(make.__name__)
            server.fill(options.rows)
            beside_the_server_s_programs(server, options.scratch, options)
            through_the_warehouse(server, options.scratch, options)
        finally:
            server.stop()


main()
