# SPDX-License-Identifier: BSD-2-Clause
"""
celery - Celery's prefork workers on a broker, and what asks them, which are
programs of their own: peers/celery_app.py, peers/celery_client.py.
"""
import json
import os
import subprocess
import sys

from .process import Program, Unavailable

PEERS = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "peers")
LIMIT_S = 900


def python():
    """One that has Celery."""
    for path in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([path, "-c", "import celery"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return path
    raise Unavailable("Celery is not installed")


class Celery(Program):
    """`broker` has its url by the start; `settings`: the app's."""
    name, label = "celery", "Celery, prefork"

    def __init__(self, env, broker, processes, **settings):
        super().__init__(env)
        self.broker, self.processes = broker, processes
        self.settings = settings
        self.python = python()

    def environ(self):
        return dict(os.environ, BENCH_BROKER=self.broker.url,
                    BENCH_CELERY=json.dumps(self.settings),
                    PYTHONDONTWRITEBYTECODE="1")

    def start(self):
        self.launch(
            [self.python, "-m", "celery", "-A", "celery_app", "worker",
             "--pool", "prefork", "-c", str(self.processes), "-l", "error",
             "--without-gossip", "--without-mingle", "--without-heartbeat"],
            os.path.join(self.env.temp, "celery.out"), cwd=PEERS,
            env=self.environ())
        return self

    def client(self, *args):
        """celery_client.py: what it prints."""
        done = subprocess.run(
            [self.python, "celery_client.py"] + [str(a) for a in args],
            cwd=PEERS, env=self.environ(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S)
        if done.returncode != 0:
            raise RuntimeError("celery_client %s: %s %s" % (
                args[0], done.stderr.decode()[-1000:], self.output()))
        return json.loads(done.stdout) if done.stdout else None
