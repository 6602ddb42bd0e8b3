#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
benchmark - measures, and writes rest.json, rest.txt and rest.svg.

Started by ./run, which builds what this needs. Every process started here
ends with it.
"""
import argparse
import json
import os
import subprocess
import sys
import time

from benchlib import family, load, machine, plot, report, servers
from benchlib.env import Env

PARTS = ("load", "memory", "respawn", "scale", "steady")


class RestEnv(Env):
    """With the peers' programs."""

    def __init__(self, options):
        super().__init__(options.build, options.cpus == "split")
        self.workers = options.workers
        self.floor = os.path.join(self.tools, "floor")
        self.respawn = os.path.join(self.tools, "respawn")
        self.steady = os.path.join(self.tools, "steady")
        self.wsgi_app = os.path.join(self.here, "peers", "hello.py")
        self.apache_module = os.path.join(self.tools, ".libs", "mod_hello.so")
        if os.path.exists(self.apache_module):
            with open(os.path.join(self.tools, "apache-modules")) as f:
                self.apache_modules = f.read().strip()
        else:
            self.apache_module = None


def options():
    p = argparse.ArgumentParser(
        prog="bench/run", description="The REST benchmark of brood.")
    p.add_argument("--build", required=True, help=argparse.SUPPRESS)
    p.add_argument("--quick", action="store_true",
                   help="about a minute, to try the benchmark itself")
    p.add_argument("--only", metavar="PART,...", default=",".join(PARTS),
                   help="of " + ", ".join(PARTS))
    p.add_argument("--workers", type=int, default=4,
                   help="processes of each server (4)")
    p.add_argument("--rounds", type=int, help="rounds of load (7; quick: 1)")
    p.add_argument("--seconds", type=int,
                   help="length of a run of load (4; quick: 1)")
    p.add_argument("--connections", metavar="N,...",
                   help="connections (16,256; quick: 16)")
    p.add_argument("--samples", type=int,
                   help="workers killed per server (40; quick: 3)")
    p.add_argument("--servers", metavar="NAME,...",
                   help="only these, brood always: " + ", ".join(
                       k.name for k in servers.LOADED + [servers.Uwsgi]))
    p.add_argument("--cpus", choices=("split", "shared"), default="split",
                   help="servers and client on halves of the processors, or "
                   "both on all (split)")
    p.add_argument("--output", metavar="FOLDER",
                   help="where the results go (results/; quick: the build)")
    o = p.parse_args()
    o.parts = [part for part in o.only.split(",") if part]
    if set(o.parts) - set(PARTS):
        p.error("--only: the parts are " + ", ".join(PARTS))
    o.rounds = o.rounds or (1 if o.quick else 7)
    o.seconds = o.seconds or (1 if o.quick else 4)
    o.samples = o.samples or (3 if o.quick else 40)
    o.connections = [int(n) for n in (
        o.connections or ("16" if o.quick else "16,256")).split(",")]
    if o.servers:
        wanted = set(o.servers.split(",")) | {"brood"}
        for group in (servers.LOADED, servers.WEIGHED, servers.KILLED):
            group[:] = [k for k in group if k.name in wanted]
    if not o.output:
        o.output = os.path.join(
            *((o.build, "bench") if o.quick else
              (os.path.dirname(os.path.abspath(__file__)), "results")))
    return o


def measure(env, o):
    results = {"when": time.strftime("%Y-%m-%d"), "quick": o.quick,
               "workers": o.workers, "machine": machine.describe(env),
               "broken": {}}
    parts = {
        "load": lambda: load.run(env, o.connections, o.rounds, o.seconds),
        "memory": lambda: family.memory(env),
        "respawn": lambda: family.respawn(env, o.samples),
        "scale": lambda: family.scale(env, 256, 1 if o.quick else 5),
        "steady": lambda: family.steady(env, 48, 3 if o.quick else 20, 500),
    }
    for part in PARTS:
        if part in o.parts:
            env.say("%s:" % part)
            try:
                results[part] = parts[part]()
            except (RuntimeError, OSError, ValueError,
                    subprocess.SubprocessError) as e:
                env.say("%s: %s" % (part, e))
                results["broken"][part] = str(e)
                env.stop_all()
    results["targets"] = [
        {"what": what, "target": limit, "measured": figure, "reached": ok}
        for what, limit, figure, ok in report.targets(results)]
    return results


def write(results, folder, say):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "rest.json"), "w") as f:
        json.dump(results, f, indent=1)
        f.write("\n")
    text = report.text(results)
    with open(os.path.join(folder, "rest.txt"), "w") as f:
        f.write(text)
    why = plot.draw(results, os.path.join(folder, "rest.svg"))
    if why:
        say("no plot: " + why)
    print(text)


def main():
    o = options()
    with RestEnv(o) as env:
        results = measure(env, o)
        write(results, o.output, env.say)
    return 1 if results["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
