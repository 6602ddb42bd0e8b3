# SPDX-License-Identifier: BSD-2-Clause
"""
benchmark_env - what every part needs to know, and what has to be ended.
"""
import os
import shutil
import sys
import tempfile

from benchlib import proc, servers


class Env:
    def __init__(self, o):
        self.broodd = os.path.join(o.build, "broodd")
        self.broodctl = os.path.join(o.build, "broodctl")
        self.brood_module = os.path.join(o.build, "modules", "hello.so")
        usable = sorted(os.sched_getaffinity(0))
        self.cpus = len(usable)
        self.client_cpus = self.server_cpus = set(usable)
        self.running, self.clients = [], []
        self.temp = tempfile.mkdtemp(prefix="brood-jobs-")
        os.chmod(self.temp, 0o755)  # the servers' user has to get through

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
            servers.kill_and_reap(pid)
        shutil.rmtree(self.temp, ignore_errors=True)
