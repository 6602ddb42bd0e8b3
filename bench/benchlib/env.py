# SPDX-License-Identifier: BSD-2-Clause
"""
env - what every part of a benchmark needs to know, and what it has to end.

The programs of a build, the processors of both sides, a private temp folder,
and the processes that were started: `with env:` ends them with the run, however
that ends. Servers and clients are bound to us by their parent-death signal,
what a dying master leaves behind is adopted by us (subreaper), and each is
ended by its pid.
"""
import ctypes
import os
import shutil
import signal
import sys
import tempfile

from . import proc, process

PR_SET_CHILD_SUBREAPER = 36
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _interrupted(signo, _frame):
    raise SystemExit(128 + signo)


class Env:
    def __init__(self, build, split=False):
        """`split`: servers and clients on halves of the processors."""
        build = os.path.abspath(build)
        self.here = os.path.dirname(os.path.dirname(
            os.path.abspath(__file__)))
        self.broodd = os.path.join(build, "broodd")
        self.broodctl = os.path.join(build, "broodctl")
        self.brood_module = os.path.join(build, "modules", "hello.so")
        self.tools = os.path.join(build, "bench")
        usable = sorted(os.sched_getaffinity(0))
        self.cpus = len(usable)
        self.client_cpus = self.server_cpus = set(usable)
        if split and self.cpus > 1:
            half = self.cpus // 2
            self.client_cpus = set(usable[:half])
            self.server_cpus = set(usable[half:])
        self.running, self.clients = [], []
        self._temp = None

    @property
    def temp(self):
        """Made when it is first wanted."""
        if self._temp is None:
            self._temp = tempfile.mkdtemp(prefix="brood-bench-")
            os.chmod(self._temp, 0o755)  # the servers' user has to get through
        return self._temp

    @staticmethod
    def say(text):
        print(text, file=sys.stderr, flush=True)

    def stop_all(self):
        for client in list(self.clients):
            client.kill()
            client.wait()
            self.clients.remove(client)
        for server in list(self.running):
            server.stop()

    def end(self):
        self.stop_all()
        for pid in proc.workers(os.getpid()):
            process.kill_and_reap(pid)
        if self._temp is not None:
            shutil.rmtree(self._temp, ignore_errors=True)

    def __enter__(self):
        for signo in ENDS:
            signal.signal(signo, _interrupted)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        return self

    def __exit__(self, *_):
        for signo in ENDS:
            signal.signal(signo, signal.SIG_IGN)
        self.end()
