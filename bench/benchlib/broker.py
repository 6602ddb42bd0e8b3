# SPDX-License-Identifier: BSD-2-Clause
"""
broker - a RabbitMQ of our own, by scripts/with-rabbitmq, which ends it
whatever happens to us.
"""
import os
import subprocess

from .process import Program, Unavailable, start_bound

WITH = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "scripts", "with-rabbitmq")
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class Broker(Program):
    name = label = "RabbitMQ"
    stop_limit_s = 60

    def __init__(self, env):
        super().__init__(env)
        if not os.access(RABBITMQ, os.X_OK):
            raise Unavailable("RabbitMQ is not installed")
        self.url = None

    def start(self):
        """Returns when it is up."""
        self.adopt(start_bound(
            [WITH, "sh", "-c",
             'echo "$BROOD_TEST_BROKER"; exec sleep infinity'],
            self.env.server_cpus, stdout=subprocess.PIPE))
        with self.process.stdout as told:
            self.url = told.readline().decode().strip()
        if not self.url:
            raise RuntimeError("RabbitMQ does not start")
        return self
