"""Rows of the shop's own table make tables of the warehouse among 5,000 changes
a second: nothing may be missing in them."""

import threading
import time

from warehouse import Warehouse

TRANSACTIONS_A_SECOND = 100
UPDATES, INSERTS = 24, 25
CHANGES = UPDATES + INSERTS + 1

SOURCES = """
[topic.shop]
unplaced = "drop"

[diversion]
topic = "shop"
table = "warehouse_rule"

[table.parcel_now]
topic = "shop"
when = [{ field = "/table", equals = "parcel" }]
row = "/data"
before = "/old"
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "changed", from = "./changed", type = "int64" },
]
"""
COLUMNS = "id int64, changed int64, total decimal(12,2), status string"
TABLES = """
CREATE TABLE shop.parcel (id BIGINT PRIMARY KEY, changed BIGINT NOT NULL, total DECIMAL(12,2) NOT NULL,
  status VARCHAR(20) NOT NULL);
CREATE TABLE shop.warehouse_rule (sink_table VARCHAR(64) PRIMARY KEY, source_table VARCHAR(64),
  sink_columns TEXT, sink_key VARCHAR(255), snapshot TINYINT);
"""


class Writer(threading.Thread):
    """Transactions of 50 changes; each row says by which one it was changed last."""

    def __init__(self, server, rows):
        super().__init__(daemon=True)
        self.client, self.rows = server.client(), rows
        self.is_over = threading.Event()
        self.begun = 0
        # Of each transaction, when its COMMIT was answered.
        self.committed = []

    def transaction(self, number):
        half = self.rows // 2
        place = 1 + number * UPDATES % (half - UPDATES)
        first = self.rows + (number - 1) * INSERTS + 1
        return (
            "BEGIN;"
            f"UPDATE shop.parcel SET changed = {number}, total = total + 1"
            f" WHERE id BETWEEN {place} AND {place + UPDATES - 1};"
            f"INSERT INTO shop.parcel SELECT seq, {number}, seq % 9973, 'new'"
            f" FROM mysql.seq_{first}_to_{first + INSERTS - 1};"
            f"DELETE FROM shop.parcel WHERE id = {half + number};"
            "COMMIT;"
        )

    def run(self):
        self.began = due = time.monotonic()
        while not self.is_over.is_set():
            self.begun += 1
            self.client.run(self.transaction(self.begun))
            self.committed.append(time.monotonic())
            due += 1 / TRANSACTIONS_A_SECOND
            time.sleep(max(0, due - time.monotonic()))

    def end(self):
        """Changes a second, of those that were asked for."""
        self.is_over.set()
        self.join()
        if self.begun != len(self.committed):
            raise RuntimeError("a transaction failed")
        return len(self.committed) * CHANGES / (self.committed[-1] - self.began)


class Rule:
    """A row of the rules' table, and what became of it."""

    def __init__(self, table, snapshot):
        self.table, self.snapshot = table, snapshot

    def insert(self, client, writer, warehouse):
        """Inserts it and waits until its table answers."""
        self.before = len(writer.committed)
        client.run(
            "INSERT INTO shop.warehouse_rule VALUES"
            f" ('{self.table}', 'parcel', '{COLUMNS}', 'id', {self.snapshot});")
        committed = time.monotonic()
        # Every transaction behind this one began after the rule was committed.
        self.after = writer.begun
        self.behind = 0
        while not self.answers(warehouse.session):
            seen = int(warehouse.session.ask("SELECT max(changed) FROM parcel_now")[0][0])
            if seen < len(writer.committed):
                self.behind = max(self.behind, time.monotonic() - writer.committed[seen])
            if time.monotonic() - committed > 600:
                raise RuntimeError(f"{self.table} does not come: {refused(warehouse.session)}")
            time.sleep(0.01)
        self.waited = time.monotonic() - committed

    def answers(self, session):
        try:
            session.ask(f"SELECT count(*) FROM {self.table}")
            return True
        except RuntimeError:
            return False

    def compare(self, session, of_server):
        """Compares its table with the server's; a difference is the end of the run."""
        found = session.ask(f"SELECT id, changed, total, status FROM {self.table}")
        rows = {row[0]: row[1:] for row in found}
        wrong = [number for number, row in rows.items() if of_server.get(number) != row]
        must = [number for number, row in of_server.items() if self.snapshot or int(row[0]) > self.after]
        missing = [number for number in must if number not in rows]
        if wrong or missing or len(rows) != len(found):
            raise RuntimeError(
                f"{self.table}: {len(wrong)} rows are not the server's ({wrong[:5]}),"
                f" {len(missing)} are missing ({missing[:5]}), {len(found)} in all")
        what = "every row there is"
        if not self.snapshot:
            earlier = sum(int(changed) <= self.before for changed, _, _ in rows.values())
            what = f"every row of {len(must):,} that came after the rule, and {earlier:,} from before it"
        print(f"  snapshot = {self.snapshot}: answered {self.waited:.2f} s after COMMIT, another table at"
              f" most {self.behind:.2f} s behind meanwhile; {len(rows):,} rows: {what}", flush=True)


def refused(session):
    return session.ask("SELECT rule, state, reason FROM sluice_diversion")


def measure(server, scratch, options):
    client, rows = server.client(), options.diverted
    client.run(f"{TABLES} INSERT INTO shop.parcel SELECT seq, 0, seq % 9973, 'old' FROM mysql.seq_1_to_{rows};")
    capture = f"[topic.shop.capture]\n{server.source()}"
    warehouse = Warehouse(scratch, "diversion", f"{SOURCES}\n{capture}")
    writer = Writer(server, rows)
    warehouse.start()
    try:
        warehouse.wait_for("SELECT count(*) FROM parcel_now", rows)
        writer.start()
        end = time.monotonic() + options.seconds
        time.sleep(2)
        rules = [Rule("every_parcel", 1), Rule("later_parcel", 0)]
        for rule in rules:
            rule.insert(client, writer, warehouse)
        time.sleep(max(2, end - time.monotonic()))
        print(f"Rules of diversion at {writer.end():,.0f} changes/s,"
              f" {len(writer.committed) * CHANGES:,} changes of a table of {rows:,} rows:", flush=True)
        of_server = {}
        for line in client.run("SELECT id, changed, total, status FROM shop.parcel;"):
            number, *row = line.split("\t")
            of_server[number] = tuple(row)
        for rule in rules:
            warehouse.wait_for(f"SELECT max(changed) FROM {rule.table}", writer.begun)
            rule.compare(warehouse.session, of_server)
    finally:
        writer.is_over.set()
        warehouse.kill()
