#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
benchmark - the rounds of bench/jobs, and their results as JSON and as text.

Started by ./run. The work is the same everywhere: a handler that gives back
the small JSON it got, its result kept and fetched. All servers have the same
number of worker processes, use all processors, and take turns, one at a time,
round after round; what counts are the medians.

  latency  one client: from the request to the result in its answer
           (Prefer: wait), with the disk and without
  bulk     jobs submitted as fast as they are taken, until the last is done
  answers  many clients that each wait for their results
  wait     mode "wait" against "inline", the same handler, one client
  depth    submitting and running at the same time, with so many queued before
"""
import os
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import peers  # noqa: E402
import text  # noqa: E402
from benchlib import harness, machine, proc, wrk  # noqa: E402
from benchlib.env import Env  # noqa: E402
from benchlib.process import Unavailable  # noqa: E402
from benchlib.rounds import median, medians  # noqa: E402


def options():
    parts = ("latency", "bulk", "wait", "depth", "celery")
    p = harness.parser("bench/jobs/run", "Jobs, against Celery.",
                       "a minute or two", parts)
    p.add_argument("--rounds", type=int, help="rounds (5; quick: 1)")
    p.add_argument("--seconds", type=int, help="of a run (4; quick: 1)")
    p.add_argument("--workers", type=int, default=8,
                   help="task workers, and Celery's (8)")
    p.add_argument("--tasks", type=int,
                   help="for Celery in one run (10000; quick: 500)")
    p.add_argument("--depths", metavar="N,...",
                   help="jobs queued (1000,1000000; quick: 1000,20000)")
    o = harness.parse(p, parts, {
        "rounds": (5, 1), "seconds": (4, 1), "tasks": (10000, 500),
        "depths": ("1000,1000000", "1000,20000")})
    o.depths = [int(n) for n in o.depths.split(",")]
    return o


def start(env, server, path, connections, seconds, prefer=None):
    more = {"script": os.path.join(HERE, "post.lua")} if path == "/job" else {}
    if prefer:
        more["BENCH_PREFER"] = prefer
    return wrk.start(env, server, path, connections, seconds, **more)


def ask(env, *what):
    return wrk.end(env, start(env, *what))


def sync_us(folder, n=300):
    """What the disk takes to have 4 KiB for good: the median."""
    path = os.path.join(folder, "sync")
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    block, us = b"x" * 4096, []
    for i in range(n):
        os.pwrite(fd, block, (i % 64) * 4096)
        before = time.perf_counter()
        os.fdatasync(fd)
        us.append((time.perf_counter() - before) * 1e6)
    os.close(fd)
    os.unlink(path)
    return statistics.median(us)


# ----------------------------------------------------------------- the parts

def latency(env, o):
    """One client; the same jobs, on the disk and in the machine's memory."""
    rows = {"full": [], "process": [], "sync_us": []}
    for _ in range(o.rounds):
        for durability in ("full", "process"):
            server = peers.Jobs(env, o.workers, durability=durability).start()
            ask(env, server, "/job", 1, 1, "wait=30")
            rows[durability].append(
                ask(env, server, "/job", 1, o.seconds, "wait=30"))
            server.stop()
        rows["sync_us"].append(sync_us(env.temp))
    return {
        "full_p50_us": median(rows["full"], "p50_us"),
        "full_p99_us": median(rows["full"], "p99_us"),
        "process_p50_us": median(rows["process"], "p50_us"),
        "process_p99_us": median(rows["process"], "p99_us"),
        "sync_us": statistics.median(rows["sync_us"]),
        "failed": sum(r["failed"] for r in rows["full"] + rows["process"]),
        "rounds": rows}


def bulk(env, o):
    rows = []
    for _ in range(o.rounds):
        server = peers.Jobs(env, o.workers).start()
        began, used = time.monotonic(), proc.cpu_seconds(server.pid)
        row = ask(env, server, "/job", 64, o.seconds)
        drained = server.drain()
        took = time.monotonic() - began
        used = proc.cpu_seconds(server.pid) - used
        row.update(took_s=took, drained_s=drained,
                   submitted_per_s=row["per_s"],
                   done_per_s=row["requests"] / took,
                   cpu_us_per_job=used * 1e6 / max(row["requests"], 1))
        row["answers"] = ask(env, server, "/job", 64, o.seconds, "wait=30")
        server.stop()
        rows.append(row)
        env.say("  bulk: %.0f/s submitted, %.0f/s done" % (
            row["submitted_per_s"], row["done_per_s"]))
    return {
        "submitted_per_s": median(rows, "submitted_per_s"),
        "per_s": median(rows, "done_per_s"),
        "cpu_us_per_job": median(rows, "cpu_us_per_job"),
        "answers_per_s": median([r["answers"] for r in rows], "per_s"),
        "answers_p50_us": median([r["answers"] for r in rows], "p50_us"),
        "failed": sum(r["failed"] + r["answers"]["failed"] for r in rows),
        "rounds": rows}


def wait(env, o):
    server = peers.Jobs(env, o.workers).start()
    ask(env, server, "/wait", 1, 1)
    rows = []
    for _ in range(max(o.rounds, 3)):
        rows.append({"inline": ask(env, server, "/hello", 1, o.seconds),
                     "wait": ask(env, server, "/wait", 1, o.seconds)})
    server.stop()
    return {"inline_p50_us": median([r["inline"] for r in rows], "p50_us"),
            "wait_p50_us": median([r["wait"] for r in rows], "p50_us"),
            "overhead_us": statistics.median(
                r["wait"]["p50_us"] - r["inline"]["p50_us"] for r in rows),
            "failed": sum(r[m]["failed"] for r in rows
                          for m in ("inline", "wait")),
            "rounds": rows}


def fill(env, server, depth):
    """Until so many are queued and nobody takes them."""
    server.scale(0)
    client = start(env, server, "/job", 64, 3600)
    while server.left() < depth:
        time.sleep(0.05 if depth > 10000 else 0.002)
    client.send_signal(signal.SIGINT)
    wrk.end(env, client)


def depth(env, o):
    """Submitting and running at once, beginning with so many queued."""
    out = []
    for n in o.depths:
        rows = []
        for _ in range(o.rounds if n < 100000 else min(o.rounds, 3)):
            server = peers.Jobs(env, o.workers).start()
            fill(env, server, n)
            before = server.left()
            server.scale(o.workers)
            used = proc.cpu_seconds(server.pid)
            row = ask(env, server, "/job", 64, o.seconds)
            left = server.left()
            used = proc.cpu_seconds(server.pid) - used
            done = before + row["requests"] - left
            took = row["duration_us"] / 1e6
            rows.append({
                "queued": before, "submitted_per_s": row["per_s"],
                "done_per_s": done / took, "p50_us": row["p50_us"],
                "p99_us": row["p99_us"], "failed": row["failed"],
                "cpu_us_per_job": used * 1e6 / max(
                    (done + row["requests"]) / 2, 1)})
            # a million more are not waited for
            server.scale(0)
            server.stop()
            env.say("  depth %d: %.0f/s submitted, %.0f/s done" % (
                n, rows[-1]["submitted_per_s"], rows[-1]["done_per_s"]))
        out.append({"depth": n, "rounds": rows,
                    "median": medians(rows, rows[0])})
    return out


def celery(env, o):
    out = []
    for durable in (False, True):
        rows = []
        try:
            for _ in range(max(1, o.rounds // 2)):
                peer = peers.CeleryAlone(env, o.workers, durable).start()
                row = peer.client("ask", max(100, o.tasks // 10))
                row.update({"bulk": peer.client("bulk", o.tasks, 4)})
                peer.stop()
                rows.append(row)
                env.say("  %s: %.0f us, %.0f/s" % (
                    peer.label, row["p50_us"], row["bulk"]["per_s"]))
        except Unavailable as e:
            out.append({"durable": durable, "left_out": str(e)})
            continue
        out.append({
            "durable": durable, "label": peer.label, "rounds": rows,
            **medians(rows, ("p50_us", "p99_us")),
            **medians([r["bulk"] for r in rows],
                      ("per_s", "submitted_per_s"))})
    return out


def main():
    o = options()
    with Env(o.build) as env:
        parts = {part.__name__: lambda part=part: part(env, o)
                 for part in (latency, bulk, wait, depth, celery)}
        r = harness.run(
            "jobs", env, o, parts, text,
            ("rounds", "seconds", "workers", "tasks"),
            machine.packages(celery="python3-celery",
                             rabbitmq="rabbitmq-server"))
    return harness.status(r)


if __name__ == "__main__":
    sys.exit(main())
