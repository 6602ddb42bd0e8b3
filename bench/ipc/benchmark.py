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
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from benchlib import machine, proc  # noqa: E402
from benchlib.env import Env  # noqa: E402

TARGETS = ("floor", "redis", "brood", "handler")
LABELS = {"floor": "bare epoll loop", "redis": "Redis", "brood": "brood",
          "handler": "brood, handler"}
MEDIANS = ("per_s", "calm_per_s", "p50_us", "p99_us", "client_cpu_us",
           "server_cpu_us", "foreign_cpu")
# clients, in flight
SHAPES = ((1, 1), (16, 1), (1, 16), (16, 16))
# A share of the machine that others may use during a run.
FOREIGN = 0.10


def options():
    p = argparse.ArgumentParser(
        prog="bench/ipc/run", description="The hub against Redis and a floor.")
    p.add_argument("--build", required=True, help=argparse.SUPPRESS)
    p.add_argument("--quick", action="store_true",
                   help="some seconds, to try the benchmark itself")
    p.add_argument("--rounds", type=int, help="rounds (9; quick: 1)")
    p.add_argument("--seconds", type=float,
                   help="length of a run (1; quick: 0.2)")
    p.add_argument("--patience", type=int, default=3,
                   help="how often a disturbed run is done again (3)")
    p.add_argument("--durability", choices=("process", "full"),
                   default="process", help="of shared data (process)")
    p.add_argument("--realtime", action="store_true",
                   help="servers and clients alike at a real-time priority, "
                   "before all other work on the machine (needs root)")
    p.add_argument("--output", metavar="FOLDER",
                   help="where the results go (../results; quick: the build)")
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    o.rounds = o.rounds or (1 if o.quick else 9)
    o.seconds = o.seconds or (0.2 if o.quick else 1.0)
    if o.quick:
        o.patience = 0
    if not o.output:
        o.output = (os.path.join(o.build, "bench") if o.quick else
                    os.path.join(os.path.dirname(HERE), "results"))
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
    run["foreign_cpu"] = round(max(busy - used, 0) / (env.cpus * took), 3)
    return run


def calm(o, env, *what):
    """The least disturbed of a few tries."""
    best = None
    for _ in range(o.patience + 1):
        run = once(o, env, *what)
        if best is None or run["foreign_cpu"] < best["foreign_cpu"]:
            best = run
        if best["foreign_cpu"] <= FOREIGN:
            break
    return best


def summary(runs, brood):
    out = {key: statistics.median(r[key] for r in runs)
           for key in MEDIANS if key in runs[0]}
    for key in ("per_s", "calm_per_s"):
        out["brood_to_this_" + key] = statistics.median(
            b[key] / max(r[key], 1) for r, b in zip(runs, brood))
    if "p50_us" in runs[0]:
        trips = [b["p50_us"] / max(r["p50_us"], 1e-3)
                 for r, b in zip(runs, brood)]
        out["brood_to_this_p50"] = statistics.median(trips)
        out["brood_to_this_p50_range"] = [min(trips), max(trips)]
    return out


def measure(o, env, targets):
    scenarios = []
    for clients, depth in SHAPES:
        for op in ("get", "set", "incr"):
            # handlers ask one thing at a time
            here = [t for t in targets if depth == 1 or t != "handler"]
            runs = {target: [] for target in here}
            for _ in range(o.rounds):
                for target in here:
                    runs[target].append(
                        calm(o, env, target, op, clients, depth))
            result = {"op": op, "clients": clients, "depth": depth,
                      "targets": {t: {"median": summary(runs[t],
                                                        runs["brood"]),
                                      "rounds": runs[t]} for t in here}}
            scenarios.append(result)
            print(line(result), file=sys.stderr, flush=True)
    return scenarios


def title(s):
    return "%-4s %2d client%s %s" % (
        s["op"], s["clients"], " " if s["clients"] == 1 else "s",
        "one at a time" if s["depth"] == 1 else "%d in flight" % s["depth"])


def line(s):
    return "%s: %s" % (title(s), ", ".join(
        "%s %.0f/s" % (t, s["targets"][t]["median"]["per_s"])
        for t in TARGETS if t in s["targets"]))


def judge(scenarios):
    """What is to be reached: (what, target, measured, reached)."""
    rows = []
    for s in scenarios:
        for target, key, limit in (
                ("floor", "brood_to_this_p50", 1.2),
                ("redis", "brood_to_this_p50", 1.0),
                ("redis", "brood_to_this_calm_per_s", 1.0)):
            one = s["clients"] == 1
            if target not in s["targets"] or (one and s["depth"] > 1) or (
                    one != (key == "brood_to_this_p50")):
                continue
            ratio = s["targets"][target]["median"][key]
            rows.append({
                "what": "%s: %s, brood to %s" % (
                    title(s), "round trip" if one else "rate",
                    LABELS[target]),
                "target": ("at most %.1f" if one else "at least %.1f") % limit,
                "measured": round(ratio, 3),
                "reached": ratio <= limit if one else ratio >= limit})
    return rows


def table(s, realtime):
    out = ["%s" % title(s), "",
           "  %-16s %9s %9s %9s %8s %8s %9s %9s %9s %8s" % (
               "", "per s", "calm", "brood/it", "p50 us", "p99 us",
               "brood/it", "client us", "server us", "foreign")]
    for t in TARGETS:
        if t not in s["targets"]:
            continue
        m = s["targets"][t]["median"]
        trip = ("%8.1f %8.1f %9.2f" % (m["p50_us"], m["p99_us"],
                                       m["brood_to_this_p50"])
                if "p50_us" in m else "%8s %8s %9s" % ("", "", ""))
        out.append("  %-16s %9.0f %9.0f %9.2f %s %9.2f %9.2f %7.0f%%" % (
            LABELS[t], m["per_s"], m["calm_per_s"],
            m["brood_to_this_calm_per_s"], trip, m["client_cpu_us"],
            m["server_cpu_us"], 100 * m["foreign_cpu"]))
    foreign = max(r["foreign_cpu"] for t in s["targets"].values()
                  for r in t["rounds"])
    if foreign > 2 * FOREIGN and not realtime:
        out.append("  NOISY: up to %.0f %% of the machine went to neither side"
                   % (100 * foreign))
    return out + [""]


def text(r):
    m = r["machine"]
    out = ["brood - IPC benchmark, %s" % r["when"], "",
           "%s, %d processors%s, Linux %s, %s" % (
               m["processor"], m["processors"],
               " (virtual)" if m["hypervisor"] else "", m["kernel"],
               m["system"]),
           "servers on processors %s, clients on %s; brood %s, Redis %s" % (
               m["servers_on"], m["client_on"], m["versions"]["brood"],
               r["redis"]),
           "%d rounds of %g s, medians; keys of 16 bytes, values of 100; "
           "durability \"%s\"; Redis writes nothing to disk" % (
               r["rounds"], r["seconds"], r["durability"])]
    if r["realtime"]:
        out += ["all of them at a real-time priority, as the machine had "
                "other work to do"]
    out += [""]
    for s in r["scenarios"]:
        out += table(s, r["realtime"])
    out += ["  calm: the rate of the best tenth of the windows of 20 ms, when "
            "others want the processors",
            "  least; brood/it: of that rate and of p50, the median of the "
            "ratios within a round;",
            "  client us, server us: processor time of a request; foreign: "
            "what neither side used of",
            "  the machine, starting and stopping included. All clients do a "
            "send, a poll and",
            "  a recv for each request, or for all that can be sent at once, "
            "and leave the value where",
            "  it came to; but \"handler\", which asks with brood_get() and "
            "so on, is given a copy.",
            "", "to be reached", ""]
    out += ["  %-62s %-12s %6.2f  %s" % (
        t["what"], t["target"], t["measured"],
        "yes" if t["reached"] else "NO") for t in r["targets"]]
    return "\n".join(out) + "\n"


def main():
    o = options()
    env = Env(o.build, split=True)
    targets = TARGETS
    redis = "not installed"
    if shutil.which("redis-server"):
        shown = subprocess.run(["redis-server", "--version"],
                               stdout=subprocess.PIPE).stdout.decode()
        redis = shown.partition("v=")[2].split()[0]
    else:
        targets = tuple(t for t in TARGETS if t != "redis")
    results = {"when": time.strftime("%Y-%m-%d"), "quick": o.quick,
               "rounds": o.rounds, "seconds": o.seconds,
               "durability": o.durability, "redis": redis,
               "realtime": o.realtime,
               "machine": machine.describe(env)}
    results["scenarios"] = measure(o, env, targets)
    results["targets"] = judge(results["scenarios"])
    os.makedirs(o.output, exist_ok=True)
    with open(os.path.join(o.output, "ipc.json"), "w") as f:
        json.dump(results, f, indent=1)
        f.write("\n")
    with open(os.path.join(o.output, "ipc.txt"), "w") as f:
        f.write(text(results))
    print(text(results))


if __name__ == "__main__":
    main()
