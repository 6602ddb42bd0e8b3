# SPDX-License-Identifier: BSD-2-Clause
"""
broker - a RabbitMQ of our own, by scripts/with-rabbitmq, which ends it
whatever happens to us.
"""
import os
import signal
import subprocess

from . import servers

WITH = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "scripts", "with-rabbitmq")
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
STOP_LIMIT_S = 60


class Broker:
    name = label = "RabbitMQ"

    def __init__(self, env):
        if not os.access(RABBITMQ, os.X_OK):
            raise servers.Unavailable("RabbitMQ is not installed")
        self.env = env
        self.process = None
        self.url = None

    def start(self):
        """Returns when it is up."""
        self.process = servers.start_bound(
            [WITH, "sh", "-c",
             'echo "$BROOD_TEST_BROKER"; exec sleep infinity'],
            self.env.server_cpus, stdout=subprocess.PIPE)
        self.env.running.append(self)
        self.url = self.process.stdout.readline().decode().strip()
        if not self.url:
            raise RuntimeError("RabbitMQ does not start")
        return self

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self in self.env.running:
            self.env.running.remove(self)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
