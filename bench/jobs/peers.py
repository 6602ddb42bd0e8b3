# SPDX-License-Identifier: BSD-2-Clause
"""
peers - brood with job routes, and Celery's workers with a RabbitMQ of their
own.
"""
import json
import time

from benchlib import servers
from benchlib.broker import Broker
from benchlib.celery import Celery


class Jobs(servers.Brood):
    """brood; `durability` of jobs is "full" or "process"."""
    titles = ("bench: rest", "bench: task")
    routes = '''
    { method = "POST"; path = "/job"; handler = "hello.echo"; mode = "job"; },
    { method = "GET"; path = "/wait"; handler = "hello.hello";
      mode = "wait"; },
    '''

    @property
    def groups(self):
        return '''tasks = {
  durability = "%s"; max_queued = 4000000; keep_max = 100000;
  workers = { %s };
};
''' % (self.options.get("durability", "full"), servers.pool(self.workers))

    def expected_workers(self):
        return 2 * self.workers

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


class CeleryAlone(Celery):
    """The broker goes with it; `durable`: with publisher confirms, and
    acknowledged after the work."""

    def __init__(self, env, workers, durable):
        super().__init__(env, Broker(env), workers, **({
            "task_acks_late": True,
            "broker_transport_options": {"confirm_publish": True},
        } if durable else {}))
        self.label = "Celery, as durable" if durable else "Celery"

    def start(self):
        self.broker.start()
        super().start()
        # the first result says that it is up
        self.client("ask", 1)
        return self

    def stop(self):
        super().stop()
        self.broker.stop()
