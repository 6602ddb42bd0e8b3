#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
benchmark - the rounds of bench/amqp, and their results as JSON and as text.

Started by ./run. One private RabbitMQ; consumers take turns, one at a time,
round after round, so that a change of the machine's mood hits all of them;
what counts are the medians over the rounds, and of the ratios within a round.

  drain    a queue is filled, then a consumer is started: how fast the queue
           shrinks between its first tenth and its last twentieth
  forward  the same, each message published to another queue: how fast that one
           grows
  rpc      one client: from the request to the answer, one at a time
  memory   of all processes of brood, a million messages long

A run during which others used the machine is done again; what they used all
the same is told.
"""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import peers  # noqa: E402
import text  # noqa: E402
from benchlib import harness, machine, proc, rounds  # noqa: E402
from benchlib.broker import Broker  # noqa: E402
from benchlib.celery import Celery  # noqa: E402
from benchlib.env import Env  # noqa: E402
from benchlib.process import Unavailable, start_bound  # noqa: E402

BYTES = 50
WATCH_MS = 10
STALLED_S = 60


def options():
    parts = ("drain", "forward", "rpc", "memory")
    p = harness.parser("bench/amqp/run", "A consumer on RabbitMQ.",
                       "a minute", parts)
    p.add_argument("--servers", metavar="NAME,...",
                   help="only these: brood, brood-ids, floor-each, "
                   "floor-multiple, floor-forward, floor-answer, celery, "
                   "amqp-consume")
    p.add_argument("--rounds", type=int, help="rounds (5; quick: 1)")
    p.add_argument("--seconds", type=float, default=4.0,
                   help="the longest look at one that is slow (4)")
    p.add_argument("--messages", type=int,
                   help="in the queue (100000; quick: 20000)")
    p.add_argument("--forwarded", type=int,
                   help="the same for forward (40000; quick: 10000)")
    p.add_argument("--requests", type=int, help="of rpc (1000; quick: 200)")
    p.add_argument("--memory", type=int, metavar="MESSAGES",
                   help="1000000; quick: 50000")
    p.add_argument("--prefetch", type=int, default=200, help="of all (200)")
    p.add_argument("--processes", type=int, default=2,
                   help="task workers, and Celery's (2)")
    p.add_argument("--patience", type=int,
                   help="how often a disturbed run is done again (1; quick: 0)")
    o = harness.parse(p, parts, {
        "rounds": (5, 1), "messages": (100000, 20000),
        "forwarded": (40000, 10000), "requests": (1000, 200),
        "memory": (1000000, 50000), "patience": (1, 0)})
    o.bytes = BYTES
    return o


class Bench:
    """The broker, and what all who consume have in common."""

    def __init__(self, env, o):
        self.env, self.o = env, o
        self.prefetch, self.processes = o.prefetch, o.processes
        self.feeder = os.path.join(env.tools, "amqp-feed")
        self._broker = None

    @property
    def broker(self):
        """Another one after a part that broke, which stops all."""
        if self._broker not in self.env.running:
            self._broker = Broker(self.env).start()
        return self._broker

    @property
    def url(self):
        return self.broker.url

    def feed(self, *args):
        done = subprocess.run(
            [self.feeder, self.url] + [str(a) for a in args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=600)
        if done.returncode != 0:
            raise RuntimeError("feed %s: %s" % (args[0],
                                                done.stderr.decode()))
        return done.stdout.decode()

    def count(self, queue):
        return int(self.feed("count", queue))

    def brood(self, **queues):
        return peers.Brood(self.env, 1, url=self.url, prefetch=self.prefetch,
                           processes=self.processes,
                           queues={"bench." + name: handler
                                   for name, handler in queues.items()})

    def wanted(self, name):
        return not self.o.servers or name in self.o.servers.split(",")


class Contender:
    """Somebody's turn in each round: makes him, and fills his queue."""

    def __init__(self, name, label, make, queue="bench.work", ids=False,
                 out=None):
        self.name, self.label, self.make = name, label, make
        self.queue, self.ids, self.out = queue, ids, out

    def fill(self, bench, server, n):
        """So many, or for Celery as many as it takes in that time."""
        if isinstance(server, Celery):
            n = min(n, int(2500 * (bench.o.seconds + 1)))
            server.client("fill", n)
        else:
            n = min(n, 20000) if isinstance(server, peers.AmqpConsume) else n
            bench.feed("fill", self.queue, n, BYTES,
                       "ids" if self.ids else "plain")
        return n


# ---------------------------------------------------------------- draining

class Window:
    """From one look at what is done to another, with the processor times."""

    def __init__(self, bench, server):
        self.bench, self.server, self.at = bench, server, []

    def mark(self, seconds, done):
        self.at.append((
            seconds, done, proc.cpu_seconds(self.bench.broker.pid),
            proc.cpu_seconds(self.server.pid), proc.machine_busy_seconds()))

    def result(self):
        took, done, broker, server, busy = (
            b - a for a, b in zip(*self.at))
        return {
            "messages": done, "seconds": round(took, 3),
            "per_s": done / took,
            "server_us": server * 1e6 / done, "broker_us": broker * 1e6 / done,
            "busy": round(busy / (self.bench.env.cpus * took), 3),
            "foreign_cpu": rounds.foreign_cpu(self.bench.env, took, busy,
                                              broker + server)}


def counted(bench, contender, n):
    """A process that tells how many are done, and its lines: (when, so many)
    of a queue that shrinks from n, or of the other one, that grows."""
    queue = contender.out or contender.queue
    watch = start_bound(
        [bench.feeder, bench.url, "watch", queue, str(WATCH_MS)],
        stdout=subprocess.PIPE)
    bench.env.clients.append(watch)

    def lines():
        for line in watch.stdout:
            at, ready = line.split()
            yield float(at), (int(ready) if contender.out else n - int(ready))

    return watch, lines()


def watched(bench, contender, server, n):
    """Starts the consumer of a queue of n; True if it came to its end."""
    o = bench.o
    first, last = max(n // 10, 2 * o.prefetch), n - n // 20
    watch, lines = counted(bench, contender, n)
    window = Window(bench, server)
    server.start()
    began = moved = time.monotonic()
    most = done = 0
    for at, done in lines:
        if at < began:  # while we waited for the start
            continue
        if done > most:
            most, moved = done, at
        if not window.at and done >= first:
            window.mark(at, done)
        elif len(window.at) == 1 and (
                done >= last or at > window.at[0][0] + o.seconds):
            window.mark(at, done)
        # one that is slow is not waited for
        if done >= n or (len(window.at) == 2 and window.at[1][1] < last):
            break
        if at > moved + STALLED_S:
            raise RuntimeError("%s: %d done of %d, and no more: %s" % (
                server.name, done, n, server.output()))
    watch.kill()
    watch.wait()
    watch.stdout.close()
    bench.env.clients.remove(watch)
    if len(window.at) < 2 or window.at[1][1] == window.at[0][1]:
        raise RuntimeError("%s: too quick to measure" % server.name)
    return window.result(), done >= n


def drain_once(bench, contender, n):
    bench.feed("declare", contender.queue)
    bench.feed("declare", "bench.out")
    server = contender.make(bench)
    n = contender.fill(bench, server, n)
    run, ended = watched(bench, contender, server, n)
    server.stop()
    run["filled"] = n
    # what was not acknowledged is back now
    run["left"] = bench.count(contender.queue) if ended else None
    run["forwarded"] = bench.count("bench.out")
    for queue in (contender.queue, "bench.out"):
        bench.feed("declare", queue)
    return run


MEDIANS = ("per_s", "server_us", "broker_us", "busy", "foreign_cpu")


def turns(bench, contenders, n):
    named = {c.name: c for c in contenders if bench.wanted(c.name)}

    def once(name, number):
        run = rounds.calm(bench.o.patience,
                          lambda: drain_once(bench, named[name], n))
        bench.env.say("  round %d  %-15s %8.0f/s  %6.1f us + broker "
                      "%6.1f us  foreign %2.0f %%" % (
                          number, name, run["per_s"], run["server_us"],
                          run["broker_us"], 100 * run["foreign_cpu"]))
        return run

    runs, left_out = rounds.take_turns(bench.o.rounds, named, once)
    return {"left_out": left_out, "runs": {
        name: {"label": named[name].label, "rounds": rows,
               "median": rounds.medians(rows, MEDIANS)}
        for name, rows in runs.items()}}


def drain(bench):
    def floor(mode):
        return lambda b: peers.Floor(b.env, b, "bench.work", mode)

    def brood(b):
        return b.brood(work="bench.note")

    return turns(bench, [
        Contender("floor-each", "floor, an ack for each", floor("each")),
        Contender("floor-multiple", "floor, acks of many", floor("multiple")),
        Contender("brood", "brood", brood),
        Contender("brood-ids", "brood, messages with ids", brood, ids=True),
        Contender("amqp-consume", "amqp-consume cat", lambda b:
                  peers.AmqpConsume(b.env, b, "bench.work")),
        Contender("celery", "Celery, prefork, late acks", peers.celery,
                  peers.QUEUE_OF_CELERY),
    ], bench.o.messages)


def forward(bench):
    return turns(bench, [
        Contender("floor-forward", "floor", lambda b: peers.Floor(
            b.env, b, "bench.work", "forward", "bench.out"), ids=True,
            out="bench.out"),
        Contender("brood", "brood", lambda b: b.brood(
            work="bench.forward", out=""), ids=True, out="bench.out"),
    ], bench.o.forwarded)


# --------------------------------------------------------------------- rpc

def rpc_once(bench, name):
    n = bench.o.requests
    queue = "bench.rpc"
    bench.feed("declare", queue)
    if name == "celery":
        server = peers.celery(bench).start()
        run = server.client("ask", n)
    elif name == "floor-answer":
        server = peers.Floor(bench.env, bench, queue, "answer").start()
        run = json.loads(bench.feed("ask", queue, n))
    else:
        server = bench.brood(rpc="bench.echo").start()
        run = json.loads(bench.feed("ask", queue, n))
        try:
            run["kombu"] = peers.celery(bench).client("kombu", n, queue)
        except Unavailable:
            pass
    server.stop()
    return run


def rpc(bench):
    kombu = []

    def once(name, number):
        run = rpc_once(bench, name)
        if "kombu" in run:
            kombu.append(run.pop("kombu"))
        bench.env.say("  round %d  %-15s p50 %.0f us, p99 %.0f us" % (
            number, name, run["p50_us"], run["p99_us"]))
        return run

    runs, left_out = rounds.take_turns(
        bench.o.rounds, [name for name in ("floor-answer", "brood", "celery")
                         if bench.wanted(name)], once)
    if kombu:
        runs["brood-kombu"] = kombu
    return {"left_out": left_out, "runs": {
        name: {"rounds": rows,
               "median": rounds.medians(rows, ("p50_us", "p99_us"))}
        for name, rows in runs.items()}}


# ------------------------------------------------------------------ memory

def weigh(server):
    """All processes of the family together, KiB, and the store's files."""
    pss, private, rss = proc.family_memory_kib(server.pid)
    state = server.path("state")
    store = sum(os.path.getsize(os.path.join(state, name))
                for name in os.listdir(state))
    return {"pss_kib": pss, "private_kib": private, "rss_kib": rss,
            "store_kib": store // 1024}


def memory(bench):
    """Ten times a tenth, filled while it is drained; weighed in between."""
    step = max(bench.o.memory // 10, 1)
    bench.feed("declare", "bench.work")
    server = bench.brood(work="bench.note").start()
    rows, began = [dict(weigh(server), messages=0)], time.monotonic()
    while rows[-1]["messages"] < bench.o.memory:
        bench.feed("fill", "bench.work", step, BYTES, "ids")
        end = time.monotonic() + STALLED_S + step / 500
        while bench.count("bench.work") > 0:
            if time.monotonic() > end:
                raise RuntimeError("memory: the queue does not get empty")
            time.sleep(0.05)
        rows.append(dict(weigh(server),
                         messages=rows[-1]["messages"] + step))
        bench.env.say("  %8d messages: PSS %d KiB, RSS %d KiB" % (
            rows[-1]["messages"], rows[-1]["pss_kib"], rows[-1]["rss_kib"]))
    took = time.monotonic() - began
    server.stop()
    left = bench.count("bench.work")
    return {"rows": rows, "seconds": round(took, 1), "left": left}


def main():
    o = options()
    with Env(o.build) as env:
        bench = Bench(env, o)
        r = harness.run(
            "amqp", env, o, {
                "drain": lambda: drain(bench),
                "forward": lambda: forward(bench),
                "rpc": lambda: rpc(bench), "memory": lambda: memory(bench)},
            text, ("rounds", "prefetch", "processes", "bytes", "messages",
                   "forwarded", "requests"),
            machine.packages(celery="python3-celery",
                             rabbitmq="rabbitmq-server",
                             librabbitmq="librabbitmq4",
                             **{"amqp-tools": "amqp-tools"}))
    return harness.status(r)


if __name__ == "__main__":
    sys.exit(main())
