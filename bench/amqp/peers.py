# SPDX-License-Identifier: BSD-2-Clause
"""
peers - who consumes: brood, the floors, Celery's workers, amqp-consume.

Each takes a durable queue that others have declared and filled, has the same
number of unacknowledged messages, and acknowledges after the work. `processes`
is what its handlers have; the floors and amqp-consume are one by nature.
"""
import json
import os
import shutil
import signal
import subprocess
import sys

from benchlib import proc, servers

HERE = os.path.dirname(os.path.abspath(__file__))
STOP_LIMIT_S = 30


def python():
    """One that has Celery."""
    for path in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([path, "-c", "import celery"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return path
    raise servers.Unavailable("Celery is not installed")


class Brood(servers.Brood):
    """`queues`: name -> handler or ""; the rest is as it comes."""

    def config(self, **changes):
        o = self.options
        shutil.copy(os.path.join(self.env.tools, "bench.so"),
                    self.path("bench.so"))
        queues = ",\n    ".join(
            '{ name = "%s"; passive = true;%s }' % (
                name, ' handler = "%s";' % handler if handler else "")
            for name, handler in o["queues"].items())
        text = super().config(**changes).replace(
            "modules = (", 'modules = ( { name = "bench"; path = '
            '"%s/bench.so"; },' % self.folder)
        return text + '''
tasks = { workers = { start = %d; min_spare = 0; max_spare = 1024;
  max = %d; }; };
amqp = {
  broker = "%s";
  prefetch = %d;
  queues = (
    %s );
};
''' % (o["processes"], o["processes"], o["url"], o["prefetch"], queues)

    def expected_workers(self):
        # REST, tasks, the hub, and who talks to the broker
        return self.workers + self.options["processes"] + 2


class Program:
    """One process of somebody else, or with children of its own."""
    name = label = ""

    def __init__(self, env, bench, queue):
        self.env, self.bench, self.queue = env, bench, queue
        self.process = None

    def argv(self):
        raise NotImplementedError

    def environ(self):
        return dict(os.environ)

    def start(self):
        self.output = open(os.path.join(self.env.temp, self.name + ".out"),
                           "w+b")
        self.process = servers.start_bound(
            self.argv(), self.env.server_cpus, cwd=HERE, env=self.environ(),
            stdout=self.output, stderr=subprocess.STDOUT)
        self.env.running.append(self)
        return self

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")[-2000:]

    def stop(self):
        if self in self.env.running:
            self.env.running.remove(self)
        family = proc.family(self.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        rows = proc.table()
        for pid in family[1:]:
            if pid in rows and int(rows[pid][1]) == os.getpid():
                servers.kill_and_reap(pid)
        self.output.close()


class Floor(Program):
    """`mode` and what comes after it, as floor.c has it."""

    def __init__(self, env, bench, queue, mode, *more):
        super().__init__(env, bench, queue)
        self.name, self.mode, self.more = "floor-" + mode, mode, list(more)

    def argv(self):
        return [os.path.join(self.env.tools, "amqp-floor"), self.bench.url,
                self.mode, self.queue, str(self.bench.prefetch)] + self.more


class AmqpConsume(Program):
    name = label = "amqp-consume"

    def argv(self):
        return [servers.program("amqp-consume"), "-u", self.bench.url, "-q",
                self.queue, "-p", str(self.bench.prefetch),
                servers.program("cat")]


class Celery(Program):
    name, label = "celery", "Celery, prefork"

    def __init__(self, env, bench, queue):
        super().__init__(env, bench, queue)
        self.python = python()

    def argv(self):
        return [self.python, "-m", "celery", "-A", "celery_app", "worker",
                "--pool", "prefork", "-c", str(self.bench.processes), "-l",
                "error", "--without-gossip", "--without-mingle",
                "--without-heartbeat"]

    def environ(self):
        return dict(os.environ, BENCH_BROKER=self.bench.url,
                    BENCH_WORKERS=str(self.bench.processes),
                    BENCH_PREFETCH=str(self.bench.prefetch),
                    PYTHONDONTWRITEBYTECODE="1")

    def feed(self, *args):
        """celery_feed.py: what it prints."""
        done = subprocess.run(
            [self.python, "celery_feed.py"] + [str(a) for a in args],
            cwd=HERE, env=self.environ(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
        if done.returncode != 0:
            raise RuntimeError("celery_feed %s: %s" % (
                args[0], done.stderr.decode()[-1000:]))
        return json.loads(done.stdout) if done.stdout else None
