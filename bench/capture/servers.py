"""Servers that end with the run."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Client:
    """A program for statements that stays open; each is answered before the next."""

    def __init__(self, command, echo):
        self.echo = echo
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, sql):
        """The lines of the answers."""
        self.process.stdin.write(f"{sql}\n{self.echo}\n")
        self.process.stdin.flush()
        lines = []
        while line := self.process.stdout.readline():
            if line == "done\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise RuntimeError(f"the server refused: {sql[:200]}")


class MariaDb:
    kind = "mysql"
    table = "shop.orders"
    # Before many transactions of which none is waited for.
    bulk = ""

    def __init__(self, folder):
        self.folder = Path(folder)
        data = f"--datadir={self.folder}/data"
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", "--skip-test-db", data,
             "--auth-root-authentication-method=normal"], check=True, **QUIET)
        self.port = free_port()
        self.process = subprocess.Popen(
            ["mariadbd", "--no-defaults", "--user=root", "--bind-address=127.0.0.1",
             "--server-id=1", "--binlog-format=ROW", "--binlog-row-metadata=FULL",
             "--innodb-buffer-pool-size=1G", "--innodb-flush-log-at-trx-commit=2",
             "--max-binlog-size=1G", f"--port={self.port}", data,
             f"--socket={self.folder}/socket", f"--log-bin={self.folder}/data/binlog"], **QUIET)
        self.login = ["-h127.0.0.1", f"-P{self.port}", "-uroot"]
        while subprocess.run(["mariadb", *self.login, "-e", "SELECT 1"], **QUIET).returncode:
            time.sleep(0.2)
        self.client().run("CREATE DATABASE shop CHARACTER SET utf8mb4;")

    def client(self):
        command = ["mariadb", "--no-defaults", "-nN", *self.login]
        client = Client(command, "SELECT 'done';")
        return client

    def fill(self, rows):
        self.client().run(
            "CREATE TABLE shop.orders (id BIGINT PRIMARY KEY, customer INT NOT NULL, total DECIMAL(12,2) NOT NULL,"
            " status VARCHAR(20), at DATETIME(3), note VARCHAR(200));"
            f"INSERT INTO shop.orders SELECT seq, seq % 9973, seq / 7, ELT(seq % 3 + 1, 'new', 'paid', 'sent'),"
            f" '2026-01-01' + INTERVAL seq SECOND, REPEAT(MD5(seq), 4) FROM mysql.seq_1_to_{rows};")

    def new_log(self):
        """Closes the binary log's file and begins one: its path."""
        self.client().run("FLUSH BINARY LOGS;")
        return max(self.folder.glob("data/binlog.0*"))

    def read_log(self, name):
        """Reads a file of the binary log from the server, as a replica does."""
        return ["mariadb-binlog", "--no-defaults", "--read-from-remote-server", *self.login,
                "--verbose", name]

    def dump(self):
        return ["mariadb-dump", "--no-defaults", *self.login, "--single-transaction", "--quick", "shop"]

    def capture(self, program):
        return [f"{program}/server_records", "127.0.0.1", str(self.port), "root", "shop.*", "--count"]

    def source(self):
        return f'kind = "mysql"\nhost = "127.0.0.1"\nport = {self.port}\nuser = "root"\ntables = ["shop.*"]\n'

    def stop(self):
        self.process.kill()
        self.process.wait()


class Postgres:
    kind = "postgres"
    table = "orders"
    bulk = "SET synchronous_commit = off;"

    def __init__(self, folder):
        self.folder = Path(folder)
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        prefix = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            shutil.chown(self.folder, user.pw_uid, user.pw_gid)
            # So that the server's user comes here.
            for parent in [self.folder, *self.folder.parents]:
                if parent.stat().st_uid == 0 and parent != Path("/"):
                    parent.chmod(parent.stat().st_mode | 0o011)
            prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = str(self.folder / "data")
        subprocess.run([*prefix, programs / "initdb", "-A", "trust", "-U", "admin", "-D", data],
                       check=True, cwd=self.folder, **QUIET)
        self.port = free_port()
        settings = ["listen_addresses=127.0.0.1", "wal_level=logical", "shared_buffers=1GB",
                    f"unix_socket_directories={self.folder}", f"port={self.port}"]
        words = [word for setting in settings for word in ("-c", setting)]
        self.process = subprocess.Popen([*prefix, programs / "postgres", "-D", data, *words],
                                        cwd=self.folder, **QUIET)
        self.login = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "admin"]
        while subprocess.run(["psql", *self.login, "-c", "SELECT 1", "postgres"], **QUIET).returncode:
            time.sleep(0.2)
        subprocess.run(["createdb", *self.login, "shop"], check=True)
        self.client().run("CREATE PUBLICATION sluice FOR ALL TABLES;")

    def client(self):
        return Client(["psql", *self.login, "-qAt", "shop"], "\\echo done")

    def fill(self, rows):
        self.client().run(
            "CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, total numeric(12,2) NOT NULL,"
            " status varchar(20), at timestamp(3), note varchar(200));"
            "INSERT INTO orders SELECT seq, seq % 9973, seq / 7.0, (ARRAY['new','paid','sent'])[seq % 3 + 1],"
            " timestamp '2026-01-01' + seq * interval '1 second', repeat(md5(seq::text), 4)"
            f" FROM generate_series(1, {rows}) seq; ANALYZE;")

    def dump(self):
        return ["pg_dump", *self.login, "shop"]

    def capture(self, program):
        return [f"{program}/postgres_records", "127.0.0.1", str(self.port), "shop", "admin", "sluice",
                "measured", "--count"]

    def source(self):
        return (f'kind = "postgres"\nhost = "127.0.0.1"\nport = {self.port}\ndatabase = "shop"\n'
                'user = "admin"\npublications = ["sluice"]\n')

    def stop(self):
        # Without waiting for clients.
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
