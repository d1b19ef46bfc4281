"""A loopback Flink cluster of one job manager and one task manager."""

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REST = "http://127.0.0.1:8081"
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 300
JOB_SECONDS = 900


def cpu_seconds(process_id):
    fields = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(process_id):
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


@dataclass
class FlinkCost:
    wall: float
    """Seconds, with the client's submission."""
    job_manager: float
    """Seconds of CPU."""
    task_manager: float
    task_manager_mib: float
    """Peak resident memory of the task manager since the cluster started."""
    memory_mib: float
    """The same of both managers."""


class Cluster:
    """Started by `with`; ends by itself with it."""

    def __init__(self, lib, scratch):
        self.lib = Path(lib)
        self.scratch = Path(scratch) / "flink"
        self.processes = []

    def __enter__(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        (self.scratch / "conf").mkdir(parents=True)
        config = (HERE / "flink" / "config.yaml").read_text()
        config = config.replace("${TMP}", str(self.scratch))
        (self.scratch / "conf" / "config.yaml").write_text(config)
        lines = config.split("all: ", 1)[1].split("\n", 1)[0]
        self.java_options = lines.split()
        self.compile()
        entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        runner = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        self.job_manager = self.start("job-manager", ["-Xmx448m", "-XX:MaxMetaspaceSize=256m"], entry)
        memory = ["-Xmx2875m", "-Xms2875m", "-XX:MaxDirectMemorySize=384m", "-XX:MaxMetaspaceSize=256m"]
        self.task_manager = self.start("task-manager", memory, runner)
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def compile(self):
        classes = self.scratch / "classes"
        classes.mkdir()
        source = HERE / "flink" / "SqlRunner.java"
        subprocess.run(["javac", "-nowarn", "-cp", f"{self.lib}/*", "-d", classes, source], check=True)
        self.jar = self.scratch / "runner.jar"
        subprocess.run(["jar", "cf", self.jar, "-C", classes, "."], check=True)

    def start(self, name, options, main):
        with open(self.scratch / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                ["java", *options, *self.java_options, "-cp", f"{self.lib}/*", main,
                 "--configDir", str(self.scratch / "conf")],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"Flink did not start; see the logs in {self.scratch}")
            try:
                with urllib.request.urlopen(f"{REST}/overview", timeout=2) as answer:
                    if b'"slots-total":2' in answer.read():
                        return
            except OSError:
                pass
            time.sleep(0.3)
        raise RuntimeError(f"Flink was not ready in {START_SECONDS} s; see {self.scratch}")

    def run(self, query, data, parallelism, mini_batch):
        """Runs a query to its end and says what it cost."""
        before = [cpu_seconds(process.pid) for process in self.processes]
        started = time.perf_counter()
        command = [
            "java", *self.java_options, "-cp", f"{self.lib}/*",
            "org.apache.flink.client.cli.CliFrontend", "run", "-p", str(parallelism),
            "-c", "SqlRunner", str(self.jar), str(HERE / "flink" / f"{query}.sql"),
            f"DATA={data}", f"L={parallelism}", "table.dml-sync=true",
            f"parallelism.default={parallelism}",
        ]  # fmt: skip
        if mini_batch:
            command += [
                "table.exec.mini-batch.enabled=true", "table.exec.mini-batch.allow-latency=2 s",
                "table.exec.mini-batch.size=5000",
            ]  # fmt: skip
        environment = {**os.environ, "FLINK_CONF_DIR": str(self.scratch / "conf")}
        done = subprocess.run(
            command, env=environment, timeout=JOB_SECONDS, capture_output=True, text=True
        )
        wall = time.perf_counter() - started
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).splitlines()
            causes = [line for line in lines if line.startswith("Caused by")] or lines[-20:]
            raise RuntimeError("\n".join([f"Flink failed on {query}:", *causes]))
        after = [cpu_seconds(process.pid) for process in self.processes]
        job_manager, task_manager = (late - early for early, late in zip(before, after))
        memory = sum(peak_mib(process.pid) for process in self.processes)
        return FlinkCost(wall, job_manager, task_manager, peak_mib(self.task_manager.pid), memory)
