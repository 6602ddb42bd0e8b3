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
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import peers  # noqa: E402
import text  # noqa: E402
from benchlib import machine, proc, servers  # noqa: E402
from benchlib.env import Env  # noqa: E402

PARTS = ("latency", "bulk", "wait", "depth", "celery")


def options():
    p = argparse.ArgumentParser(
        prog="bench/jobs/run", description="Jobs, against Celery.")
    p.add_argument("--build", required=True, help=argparse.SUPPRESS)
    p.add_argument("--quick", action="store_true",
                   help="a minute or two, to try the benchmark itself")
    p.add_argument("--only", metavar="PART,...", default=",".join(PARTS),
                   help="of " + ", ".join(PARTS))
    p.add_argument("--rounds", type=int, help="rounds (5; quick: 1)")
    p.add_argument("--seconds", type=int, help="of a run (4; quick: 1)")
    p.add_argument("--workers", type=int, default=8,
                   help="task workers, and Celery's (8)")
    p.add_argument("--tasks", type=int,
                   help="for Celery in one run (10000; quick: 500)")
    p.add_argument("--depths", metavar="N,...",
                   help="jobs queued (1000,1000000; quick: 1000,20000)")
    p.add_argument("--output", metavar="FOLDER",
                   help="where the results go (../results; quick: the build)")
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    o.parts = [part for part in o.only.split(",") if part]
    if set(o.parts) - set(PARTS):
        p.error("--only: the parts are " + ", ".join(PARTS))
    o.rounds = o.rounds or (1 if o.quick else 5)
    o.seconds = o.seconds or (1 if o.quick else 4)
    o.tasks = o.tasks or (500 if o.quick else 10000)
    o.depths = [int(n) for n in (o.depths or (
        "1000,20000" if o.quick else "1000,1000000")).split(",")]
    if not o.output:
        o.output = (os.path.join(o.build, "bench") if o.quick else
                    os.path.join(os.path.dirname(HERE), "results"))
    return o


def wrk_argv(server, path, connections, seconds):
    return [servers.program("wrk"), "-t1", "-c%d" % connections,
            "-d%ds" % seconds, "--timeout", "30s", "-s",
            os.path.join(HERE, "post.lua") if path == "/job" else
            os.path.join(os.path.dirname(HERE), "wrk_report.lua"),
            "http://127.0.0.1:%d%s" % (server.port, path)]


def wrk_start(env, argv, prefer=None):
    environ = dict(os.environ, BENCH_REPORT=os.path.join(
        os.path.dirname(HERE), "wrk_report.lua"))
    if prefer:
        environ["BENCH_PREFER"] = prefer
    client = servers.start_bound(argv, env.client_cpus, env=environ,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
    env.clients.append(client)
    return client


def wrk_end(env, client):
    out = client.communicate(timeout=900)[0].decode()
    env.clients.remove(client)
    line = [l for l in out.splitlines() if l.startswith("JSON ")]
    if not line:
        raise RuntimeError("wrk: " + out)
    seen = json.loads(line[0][5:])
    seen["per_s"] = seen["requests"] / (seen["duration_us"] / 1e6)
    seen["failed"] = sum(seen["errors"].values())
    return seen


def wrk(env, server, path, connections, seconds, prefer=None):
    return wrk_end(env, wrk_start(
        env, wrk_argv(server, path, connections, seconds), prefer))


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
            wrk(env, server, "/job", 1, 1, "wait=30")
            rows[durability].append(
                wrk(env, server, "/job", 1, o.seconds, "wait=30"))
            server.stop()
        rows["sync_us"].append(sync_us(env.temp))
    return {
        "full_p50_us": statistics.median(r["p50_us"] for r in rows["full"]),
        "full_p99_us": statistics.median(r["p99_us"] for r in rows["full"]),
        "process_p50_us": statistics.median(
            r["p50_us"] for r in rows["process"]),
        "process_p99_us": statistics.median(
            r["p99_us"] for r in rows["process"]),
        "sync_us": statistics.median(rows["sync_us"]),
        "failed": sum(r["failed"] for r in rows["full"] + rows["process"]),
        "rounds": rows}


def bulk(env, o):
    rows = []
    for _ in range(o.rounds):
        server = peers.Jobs(env, o.workers).start()
        began, used = time.monotonic(), proc.cpu_seconds(server.pid)
        row = wrk(env, server, "/job", 64, o.seconds)
        drained = server.drain()
        took = time.monotonic() - began
        used = proc.cpu_seconds(server.pid) - used
        row.update(took_s=took, drained_s=drained,
                   submitted_per_s=row["per_s"],
                   done_per_s=row["requests"] / took,
                   cpu_us_per_job=used * 1e6 / max(row["requests"], 1))
        row["answers"] = wrk(env, server, "/job", 64, o.seconds, "wait=30")
        server.stop()
        rows.append(row)
        env.say("  bulk: %.0f/s submitted, %.0f/s done" % (
            row["submitted_per_s"], row["done_per_s"]))
    return {
        "submitted_per_s": statistics.median(
            r["submitted_per_s"] for r in rows),
        "per_s": statistics.median(r["done_per_s"] for r in rows),
        "cpu_us_per_job": statistics.median(r["cpu_us_per_job"] for r in rows),
        "answers_per_s": statistics.median(
            r["answers"]["per_s"] for r in rows),
        "answers_p50_us": statistics.median(
            r["answers"]["p50_us"] for r in rows),
        "failed": sum(r["failed"] + r["answers"]["failed"] for r in rows),
        "rounds": rows}


def wait(env, o):
    server = peers.Jobs(env, o.workers).start()
    wrk(env, server, "/wait", 1, 1)
    rows = []
    for _ in range(max(o.rounds, 3)):
        rows.append({"inline": wrk(env, server, "/hello", 1, o.seconds),
                     "wait": wrk(env, server, "/wait", 1, o.seconds)})
    server.stop()

    def p50(mode):
        return statistics.median(r[mode]["p50_us"] for r in rows)

    return {"inline_p50_us": p50("inline"), "wait_p50_us": p50("wait"),
            "overhead_us": statistics.median(
                r["wait"]["p50_us"] - r["inline"]["p50_us"] for r in rows),
            "failed": sum(r[m]["failed"] for r in rows
                          for m in ("inline", "wait")),
            "rounds": rows}


def fill(env, server, depth):
    """Until so many are queued and nobody takes them."""
    server.scale(0)
    client = wrk_start(env, wrk_argv(server, "/job", 64, 3600))
    while server.left() < depth:
        time.sleep(0.05 if depth > 10000 else 0.002)
    client.send_signal(signal.SIGINT)
    wrk_end(env, client)


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
            row = wrk(env, server, "/job", 64, o.seconds)
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
        out.append({"depth": n, "rounds": rows, "median": {
            key: statistics.median(r[key] for r in rows) for key in rows[0]}})
    return out


def celery(env, o):
    out = []
    for durable in (False, True):
        rows = []
        try:
            for _ in range(max(1, o.rounds // 2)):
                peer = peers.Celery(env, o.workers, durable).start()
                row = peer.submit("latency", max(100, o.tasks // 10))
                row.update({"bulk": peer.submit("bulk", o.tasks, 4)})
                peer.stop()
                rows.append(row)
                env.say("  %s: %.0f us, %.0f/s" % (
                    peer.label, row["p50_us"], row["bulk"]["per_s"]))
        except servers.Unavailable as e:
            out.append({"durable": durable, "left_out": str(e)})
            continue
        out.append({
            "durable": durable, "label": peer.label, "rounds": rows,
            "p50_us": statistics.median(r["p50_us"] for r in rows),
            "p99_us": statistics.median(r["p99_us"] for r in rows),
            "per_s": statistics.median(r["bulk"]["per_s"] for r in rows),
            "submitted_per_s": statistics.median(
                r["bulk"]["submitted_per_s"] for r in rows)})
    return out


def measure(env, o):
    results = {"when": time.strftime("%Y-%m-%d"), "quick": o.quick,
               "rounds": o.rounds, "seconds": o.seconds, "workers": o.workers,
               "tasks": o.tasks, "machine": machine.describe(env),
               "broken": {}}
    results["machine"]["versions"].update(text.versions())
    for part in PARTS:
        if part not in o.parts:
            continue
        env.say("%s:" % part)
        try:
            results[part] = globals()[part](env, o)
        except (RuntimeError, OSError, ValueError,
                subprocess.SubprocessError) as e:
            env.say("%s: %s" % (part, e))
            results["broken"][part] = str(e)
            env.stop_all()
    results["load_after"] = round(os.getloadavg()[0], 2)
    results["targets"] = text.targets(results)
    return results


def main():
    o = options()
    with Env(o.build) as env:
        results = measure(env, o)
        os.makedirs(o.output, exist_ok=True)
        with open(os.path.join(o.output, "jobs.json"), "w") as f:
            json.dump(results, f, indent=1)
            f.write("\n")
        with open(os.path.join(o.output, "jobs.txt"), "w") as f:
            f.write(text.text(results))
        print(text.text(results))
    return 1 if results["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
