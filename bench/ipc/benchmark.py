#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
benchmark - the rounds of bench/ipc, and their results as JSON and as text.

Started by ./run. A scenario is an operation, a number of clients and of
requests in flight. Each run of the program `ipc` measures one of the three
servers; they take turns, floor redis brood, floor redis brood, …, so that a
change of the machine's mood hits all of them. What counts are the medians over
the rounds, and of the ratios within a round. A run during which others used
the machine is done again, a few times; what they used all the same is told.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import text  # noqa: E402
from benchlib import harness, proc, rounds  # noqa: E402
from benchlib.env import Env  # noqa: E402

MEDIANS = ("per_s", "calm_per_s", "p50_us", "p99_us", "client_cpu_us",
           "server_cpu_us", "foreign_cpu")
# clients, in flight
SHAPES = ((1, 1), (16, 1), (1, 16), (16, 16))


def options():
    parts = ("scenarios",)
    p = harness.parser("bench/ipc/run", "The hub against Redis and a floor.",
                       "some seconds", parts)
    p.add_argument("--rounds", type=int, help="rounds (9; quick: 1)")
    p.add_argument("--seconds", type=float,
                   help="length of a run (1; quick: 0.2)")
    p.add_argument("--patience", type=int,
                   help="how often a disturbed run is done again (3; quick: "
                   "0)")
    p.add_argument("--durability", choices=("process", "full"),
                   default="process", help="of shared data (process)")
    p.add_argument("--realtime", action="store_true",
                   help="servers and clients alike at a real-time priority, "
                   "before all other work on the machine (needs root)")
    o = harness.parse(p, parts, {
        "rounds": (9, 1), "seconds": (1.0, 0.2), "patience": (3, 0)})
    o.redis = "not installed"
    if shutil.which("redis-server"):
        shown = subprocess.run(["redis-server", "--version"],
                               stdout=subprocess.PIPE).stdout.decode()
        o.redis = shown.partition("v=")[2].split()[0]
    return o


def once(o, env, target, op, clients, depth):
    busy = proc.machine_busy_seconds()
    began = time.monotonic()
    out = subprocess.run(
        (["chrt", "-r", "1"] if o.realtime else []) +
        [os.path.join(o.build, "bench", "ipc"), target, op, str(clients),
         str(depth), str(o.seconds), o.durability],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
        timeout=o.seconds + 120).stdout
    took = time.monotonic() - began
    busy = proc.machine_busy_seconds() - busy
    run = json.loads(out)
    used = (run["client_cpu_us"] + run["server_cpu_us"]) * run["done"] / 1e6
    run["foreign_cpu"] = rounds.foreign_cpu(env, took, busy, used)
    return run


def summary(runs, brood):
    out = rounds.medians(runs, [key for key in MEDIANS if key in runs[0]])
    for key in ("per_s", "calm_per_s"):
        out["brood_to_this_" + key] = statistics.median(
            rounds.ratios(brood, runs, key))
    if "p50_us" in runs[0]:
        trips = rounds.ratios(brood, runs, "p50_us")
        out["brood_to_this_p50"] = statistics.median(trips)
        out["brood_to_this_p50_range"] = [min(trips), max(trips)]
    return out


def measure(env, o):
    targets = [t for t in text.TARGETS
               if t != "redis" or o.redis != "not installed"]
    scenarios = []
    for clients, depth in SHAPES:
        for op in ("get", "set", "incr"):
            # handlers ask one thing at a time
            runs, _ = rounds.take_turns(
                o.rounds,
                [t for t in targets if depth == 1 or t != "handler"],
                lambda target, _: rounds.calm(o.patience, lambda: once(
                    o, env, target, op, clients, depth)))
            result = {"op": op, "clients": clients, "depth": depth,
                      "targets": {
                          target: {"median": summary(rows, runs["brood"]),
                                   "rounds": rows}
                          for target, rows in runs.items()}}
            scenarios.append(result)
            env.say(text.line(result))
    return scenarios


def main():
    o = options()
    with Env(o.build, split=True) as env:
        r = harness.run(
            "ipc", env, o, {"scenarios": lambda: measure(env, o)}, text,
            ("rounds", "seconds", "durability", "redis", "realtime"))
    return harness.status(r)


if __name__ == "__main__":
    sys.exit(main())
