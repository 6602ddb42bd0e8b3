# SPDX-License-Identifier: BSD-2-Clause
"""
peers - who consumes: brood, the floors, Celery's workers, amqp-consume.

Each takes a durable queue that others have declared and filled, has the same
number of unacknowledged messages, and acknowledges after the work. `processes`
is what its handlers have; the floors and amqp-consume are one by nature.
"""
import os

from benchlib import servers
from benchlib.celery import Celery
from benchlib.process import Program, program

QUEUE_OF_CELERY = "bench.celery"


class Brood(servers.Brood):
    """`queues`: name -> handler or ""; the rest is as it comes."""
    titles = ("bench: rest", "bench: task", "bench: amqp")

    def modules(self):
        return dict(super().modules(),
                    bench=os.path.join(self.env.tools, "bench.so"))

    @property
    def groups(self):
        o = self.options
        queues = ",\n    ".join(
            '{ name = "%s"; passive = true;%s }' % (
                name, ' handler = "%s";' % handler if handler else "")
            for name, handler in o["queues"].items())
        return '''tasks = { workers = { %s }; };
amqp = {
  broker = "%s";
  prefetch = %d;
  queues = (
    %s );
};
''' % (servers.pool(o["processes"]), o["url"], o["prefetch"], queues)

    def expected_workers(self):
        # and one that talks to the broker
        return self.workers + self.options["processes"] + 1


class Consumer(Program):
    """One process of somebody else."""

    def __init__(self, env, bench, queue):
        super().__init__(env)
        self.bench, self.queue = bench, queue

    def argv(self):
        raise NotImplementedError

    def start(self):
        self.launch(self.argv(), os.path.join(
            self.env.temp, self.name + ".out"))
        return self


class Floor(Consumer):
    """`mode` and what comes after it, as floor.c has it."""

    def __init__(self, env, bench, queue, mode, *more):
        super().__init__(env, bench, queue)
        self.name, self.mode, self.more = "floor-" + mode, mode, list(more)

    def argv(self):
        return [os.path.join(self.env.tools, "amqp-floor"), self.bench.url,
                self.mode, self.queue, str(self.bench.prefetch)] + self.more


class AmqpConsume(Consumer):
    name = label = "amqp-consume"

    def argv(self):
        return [program("amqp-consume"), "-u", self.bench.url, "-q",
                self.queue, "-p", str(self.bench.prefetch), program("cat")]


def celery(bench):
    """Acknowledged after the work; as many messages ahead as the others."""
    return Celery(
        bench.env, bench.broker, bench.processes,
        task_default_queue=QUEUE_OF_CELERY, task_acks_late=True,
        # of each process; all of them share one connection
        worker_prefetch_multiplier=max(1, bench.prefetch // bench.processes),
        worker_disable_rate_limits=True)
