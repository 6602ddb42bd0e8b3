# SPDX-License-Identifier: BSD-2-Clause
"""
peers - brood with job routes, and a private RabbitMQ with Celery's workers.

Each keeps its files in a folder of its own under the run's private temp folder
and listens on free ports of 127.0.0.1. Erlang's port mapper goes into the
background by itself: it is ours by adoption, and ended with everything else.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from benchlib import proc, servers

RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
HERE = os.path.dirname(os.path.abspath(__file__))


class Jobs(servers.Brood):
    """brood; `durability` of jobs is "full" or "process"."""
    name = label = "brood"

    def config(self, **changes):
        text = super().config(**changes)
        routes = '''
    { method = "POST"; path = "/job"; handler = "hello.echo"; mode = "job"; },
    { method = "GET"; path = "/wait"; handler = "hello.hello";
      mode = "wait"; },
'''
        text = text.replace("routes = (", "routes = (" + routes)
        return text + '''
tasks = {
  durability = "%s"; max_queued = 4000000; keep_max = 100000;
  workers = { start = %d; min_spare = 0; max_spare = 1024; max = %d; };
};
''' % (self.options.get("durability", "full"), self.workers, self.workers)

    def expected_workers(self):
        return 2 * self.workers + 1

    def hub(self):
        """What `broodctl hub` says."""
        status, out, _ = self.ctl("--json", "hub")
        if status != 0:
            raise RuntimeError("broodctl hub: " + out)
        return json.loads(out)["data"]

    def left(self):
        """Jobs that are not done."""
        work = self.hub()["work"]
        return work["queued"] + work["waiting"] + work["running"]

    def scale(self, n):
        status, out, _ = self.ctl("scale", "task", str(n))
        if status != 0:
            raise RuntimeError("broodctl scale: " + out)

    def drain(self, limit_s=600):
        """Seconds until no job is left."""
        before = time.monotonic()
        while self.left() > 0:
            if time.monotonic() > before + limit_s:
                raise RuntimeError("jobs are left: %d" % self.left())
            time.sleep(0.01)
        return time.monotonic() - before


def python():
    """One that has Celery."""
    for path in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([path, "-c", "import celery"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return path
    raise servers.Unavailable("Celery is not installed")


class Celery:
    """A broker and the workers; `durable`: with confirms and late acks."""
    name = "celery"

    def __init__(self, env, workers, durable):
        self.env, self.workers, self.durable = env, workers, durable
        self.label = "Celery, as durable" if durable else "Celery"
        self.python = python()
        if not os.access(RABBITMQ, os.X_OK):
            raise servers.Unavailable("RabbitMQ is not installed")
        self.processes = []
        self.ports = [servers.free_port() for _ in range(3)]
        self.folder = os.path.join(env.temp, "celery-%d" % self.ports[0])
        os.mkdir(self.folder, 0o755)
        for name in ("home", "mnesia", "log"):
            os.mkdir(self.path(name))
        for name, text in (("plugins", "[]."), ("env", ""), ("rabbit", "")):
            with open(self.path(name), "w") as f:
                f.write(text)
        self.environ = dict(
            os.environ, HOME=self.path("home"),
            RABBITMQ_NODENAME="bench%d@localhost" % self.ports[0],
            RABBITMQ_MNESIA_BASE=self.path("mnesia"),
            RABBITMQ_LOG_BASE=self.path("log"),
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self.ports[0]),
            RABBITMQ_DIST_PORT=str(self.ports[1]),
            ERL_EPMD_PORT=str(self.ports[2]),
            ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_ENABLED_PLUGINS_FILE=self.path("plugins"),
            RABBITMQ_CONF_ENV_FILE=self.path("env"),
            RABBITMQ_CONFIG_FILE=self.path("rabbit"),
            BENCH_BROKER="amqp://guest:guest@127.0.0.1:%d//" % self.ports[0],
            BENCH_DURABLE="1" if durable else "0",
            PYTHONDONTWRITEBYTECODE="1")

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, name, argv):
        with open(self.path(name + ".out"), "wb") as out:
            process = servers.start_bound(
                argv, self.env.server_cpus, cwd=HERE, env=self.environ,
                stdout=out, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def start(self):
        self.env.running.append(self)
        broker = self.run("broker", [RABBITMQ])
        limit = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.ports[0]),
                                         1).close()
                break
            except OSError:
                pass
            if broker.poll() is not None or time.monotonic() > limit:
                raise RuntimeError("RabbitMQ does not start: %s"
                                   % self.output("broker"))
            time.sleep(0.1)
        self.run("worker", [
            self.python, "-m", "celery", "-A", "celery_tasks", "worker",
            "--pool", "prefork", "-c", str(self.workers), "-l", "error",
            "--without-gossip", "--without-mingle", "--without-heartbeat"])
        # the first result says that it is up
        self.submit("latency", 1)
        return self

    def output(self, name):
        with open(self.path(name + ".out"), errors="replace") as f:
            return f.read()[-2000:]

    def submit(self, *args):
        done = subprocess.run(
            [self.python, "celery_submit.py"] + [str(a) for a in args],
            cwd=HERE, env=self.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=900)
        if done.returncode != 0:
            raise RuntimeError("celery_submit: %s %s" % (
                done.stderr.decode()[-1000:], self.output("worker")))
        return json.loads(done.stdout)

    def stop(self):
        """The workers first; then what the broker left behind."""
        for process in reversed(self.processes):
            family = proc.family(process.pid)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            rows = proc.table()
            for pid in family[1:]:
                if pid in rows and int(rows[pid][1]) == os.getpid():
                    servers.kill_and_reap(pid)
        self.processes = []
        for pid in proc.workers(os.getpid()):
            servers.kill_and_reap(pid)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.env.running.remove(self)
