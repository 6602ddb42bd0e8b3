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
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import peers  # noqa: E402
import text  # noqa: E402
from benchlib import machine, proc, servers  # noqa: E402
from benchlib.broker import Broker  # noqa: E402
from benchlib.env import Env  # noqa: E402

PARTS = ("drain", "forward", "rpc", "memory")
BYTES = 50
WATCH_MS = 10
# A share of the machine that others may use during a run.
FOREIGN = 0.10
STALLED_S = 60


def options():
    p = argparse.ArgumentParser(
        prog="bench/amqp/run", description="A consumer on RabbitMQ.")
    p.add_argument("--build", required=True, help=argparse.SUPPRESS)
    p.add_argument("--quick", action="store_true",
                   help="a minute, to try the benchmark itself")
    p.add_argument("--only", metavar="PART,...", default=",".join(PARTS),
                   help="of " + ", ".join(PARTS))
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
    p.add_argument("--output", metavar="FOLDER",
                   help="where the results go (../results; quick: the build)")
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    o.parts = [part for part in o.only.split(",") if part]
    if set(o.parts) - set(PARTS):
        p.error("--only: the parts are " + ", ".join(PARTS))
    for key, usual, quick in (
            ("rounds", 5, 1), ("messages", 100000, 20000),
            ("forwarded", 40000, 10000), ("requests", 1000, 200),
            ("memory", 1000000, 50000), ("patience", 1, 0)):
        if getattr(o, key) is None:
            setattr(o, key, quick if o.quick else usual)
    if not o.output:
        o.output = (os.path.join(o.build, "bench") if o.quick else
                    os.path.join(os.path.dirname(HERE), "results"))
    return o


class Bench:
    """The broker, and what all who consume have in common."""

    def __init__(self, env, o):
        self.env, self.o = env, o
        self.prefetch, self.processes = o.prefetch, o.processes
        self.broker = Broker(env).start()
        self.url = self.broker.url
        self.feeder = os.path.join(env.tools, "amqp-feed")

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


class Contender:
    """Somebody's turn in each round: makes him, and fills his queue."""

    def __init__(self, name, label, make, queue="bench.work", ids=False,
                 out=None):
        self.name, self.label, self.make = name, label, make
        self.queue, self.ids, self.out = queue, ids, out

    def fill(self, bench, server, n):
        """So many, or for Celery as many as it takes in that time."""
        if isinstance(server, peers.Celery):
            n = min(n, int(2500 * (bench.o.seconds + 1)))
            server.feed("fill", n)
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
            "foreign_cpu": round(max(busy - broker - server, 0)
                                 / (self.bench.env.cpus * took), 3)}


def counted(bench, contender, n):
    """A process that tells how many are done, and its lines: (when, so many)
    of a queue that shrinks from n, or of the other one, that grows."""
    queue = contender.out or contender.queue
    watch = servers.start_bound(
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
                server.name, done, n, server.output()
                if isinstance(server, peers.Brood) else server.said()))
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


def calm(bench, contender, n):
    """The least disturbed of a few tries."""
    best = None
    for _ in range(bench.o.patience + 1):
        run = drain_once(bench, contender, n)
        if best is None or run["foreign_cpu"] < best["foreign_cpu"]:
            best = run
        if best["foreign_cpu"] <= FOREIGN:
            break
    return best


MEDIANS = ("per_s", "server_us", "broker_us", "busy", "foreign_cpu")


def rounds(bench, contenders, n):
    runs, left_out = {c.name: [] for c in contenders}, {}
    for number in range(bench.o.rounds):
        for c in contenders:
            if c.name in left_out:
                continue
            try:
                run = calm(bench, c, n)
            except servers.Unavailable as e:
                left_out[c.name] = str(e)
                continue
            runs[c.name].append(run)
            bench.env.say("  round %d  %-15s %8.0f/s  %6.1f us + broker "
                          "%6.1f us  foreign %2.0f %%" % (
                              number + 1, c.name, run["per_s"],
                              run["server_us"], run["broker_us"],
                              100 * run["foreign_cpu"]))
    return {"left_out": left_out, "runs": {c.name: {
        "label": c.label, "rounds": runs[c.name],
        "median": {key: statistics.median(r[key] for r in runs[c.name])
                   for key in MEDIANS}}
        for c in contenders if runs[c.name]}}


def wanted(bench, contenders):
    names = bench.o.servers.split(",") if bench.o.servers else None
    return [c for c in contenders if names is None or c.name in names]


def drain(bench):
    def floor(mode):
        return lambda b: peers.Floor(b.env, b, "bench.work", mode)

    def brood(b):
        return b.brood(work="bench.note")

    return rounds(bench, wanted(bench, [
        Contender("floor-each", "floor, an ack for each", floor("each")),
        Contender("floor-multiple", "floor, acks of many", floor("multiple")),
        Contender("brood", "brood", brood),
        Contender("brood-ids", "brood, messages with ids", brood, ids=True),
        Contender("amqp-consume", "amqp-consume cat", lambda b:
                  peers.AmqpConsume(b.env, b, "bench.work")),
        Contender("celery", "Celery, prefork, late acks", lambda b:
                  peers.Celery(b.env, b, "bench.celery"), "bench.celery"),
    ]), bench.o.messages)


def forward(bench):
    return rounds(bench, wanted(bench, [
        Contender("floor-forward", "floor", lambda b: peers.Floor(
            b.env, b, "bench.work", "forward", "bench.out"), ids=True,
            out="bench.out"),
        Contender("brood", "brood", lambda b: b.brood(
            work="bench.forward", out=""), ids=True, out="bench.out"),
    ]), bench.o.forwarded)


# --------------------------------------------------------------------- rpc

def rpc_once(bench, name):
    n = bench.o.requests
    queue = "bench.rpc"
    bench.feed("declare", queue)
    if name == "celery":
        server = peers.Celery(bench.env, bench, "bench.celery").start()
        run = server.feed("ask", n)
    elif name == "floor-answer":
        server = peers.Floor(bench.env, bench, queue, "answer").start()
        run = json.loads(bench.feed("ask", queue, n))
    else:
        server = bench.brood(rpc="bench.echo").start()
        run = json.loads(bench.feed("ask", queue, n))
        try:
            client = peers.Celery(bench.env, bench, "")
            run["kombu"] = client.feed("kombu", queue, n)
        except servers.Unavailable:
            pass
    server.stop()
    return run


def rpc(bench):
    runs, left_out = {}, {}
    for number in range(bench.o.rounds):
        for name in ("floor-answer", "brood", "celery"):
            if name in left_out or (bench.o.servers and name not in
                                    bench.o.servers.split(",")):
                continue
            try:
                run = rpc_once(bench, name)
            except servers.Unavailable as e:
                left_out[name] = str(e)
                continue
            runs.setdefault(name, []).append(run)
            if "kombu" in run:
                runs.setdefault("brood-kombu", []).append(run.pop("kombu"))
            bench.env.say("  round %d  %-15s p50 %.0f us, p99 %.0f us" % (
                number + 1, name, run["p50_us"], run["p99_us"]))
    return {"left_out": left_out, "runs": {name: {
        "rounds": rows, "median": {key: statistics.median(
            r[key] for r in rows) for key in ("p50_us", "p99_us")}}
        for name, rows in runs.items()}}


# ------------------------------------------------------------------ memory

def weigh(server):
    """All processes of the family together, KiB, and the store's files."""
    pss = private = rss = 0
    for pid in proc.family(server.pid):
        one = proc.memory_kib(pid)
        pss, private, rss = pss + one[0], private + one[1], rss + one[2]
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


def measure(env, o):
    results = {"when": time.strftime("%Y-%m-%d"), "quick": o.quick,
               "rounds": o.rounds, "prefetch": o.prefetch,
               "processes": o.processes, "bytes": BYTES,
               "messages": o.messages, "forwarded": o.forwarded,
               "requests": o.requests, "machine": machine.describe(env),
               "broken": {}}
    results["machine"]["versions"].update(text.versions())
    bench = Bench(env, o)
    for part in PARTS:
        if part not in o.parts:
            continue
        env.say("%s:" % part)
        try:
            results[part] = globals()[part](bench)
        except (RuntimeError, OSError, ValueError,
                subprocess.SubprocessError) as e:
            env.say("%s: %s" % (part, e))
            results["broken"][part] = str(e)
            env.stop_all()
            bench = Bench(env, o)
    results["load_after"] = round(os.getloadavg()[0], 2)
    results["targets"] = text.targets(results)
    return results


def main():
    o = options()
    with Env(o.build) as env:
        results = measure(env, o)
        os.makedirs(o.output, exist_ok=True)
        with open(os.path.join(o.output, "amqp.json"), "w") as f:
            json.dump(results, f, indent=1)
            f.write("\n")
        with open(os.path.join(o.output, "amqp.txt"), "w") as f:
            f.write(text.text(results))
        print(text.text(results))
    return 1 if results["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
