"""A warehouse that runs beside the server that it follows."""

import json
import os
import subprocess
import time

from wire import Session


def cpu_of(process):
    """Processor seconds since its start."""
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Warehouse:
    def __init__(self, scratch, name, sources, models=()):
        self.program = scratch / "sluice"
        self.project, self.state = scratch / f"{name}-project", scratch / f"{name}-state"
        self.said = scratch / f"{name}-said"
        (self.project / "sources").mkdir(parents=True)
        (self.project / "models").mkdir()
        (self.project / "warehouse.toml").write_text('name = "measured"\n')
        (self.project / "sources/shop.toml").write_text(sources)
        for model, text in models:
            (self.project / f"models/{model}.sql").write_text(text)

    def start(self):
        """Starts it, and waits until it answers."""
        self.state.joinpath("address.json").unlink(missing_ok=True)
        self.began = time.monotonic()
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(
                [self.program, "run", self.project, "--state", self.state,
                 "--set", "listen.postgres=127.0.0.1:0", "--set", "listen.http=127.0.0.1:0"],
                stdout=subprocess.DEVNULL, stderr=said)
        while not (self.state / "address.json").exists():
            self.check()
            time.sleep(0.02)
        address = json.loads((self.state / "address.json").read_text())["postgres"]
        host, port = address.rsplit(":", 1)
        self.session = Session(host, int(port))

    def check(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the warehouse ended: {self.said.read_text()}")

    def wait_for(self, sql, wanted):
        """Asks until the answer is this one value; seconds since the start."""
        while self.session.ask(sql) != [(str(wanted),)]:
            self.check()
            time.sleep(0.05)
        return time.monotonic() - self.began

    def stop(self):
        """Ends it as a service manager does: it goes on where it was."""
        self.process.terminate()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()
