#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
benchmark - measures, and writes rest.json, rest.txt and rest.svg.

Started by ./run, which builds what this needs. Every process started here
ends with it: servers and clients are bound to us by their parent-death signal,
what a dying master leaves behind is adopted by us (subreaper), and each is
ended by its pid.
"""
import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from benchlib import family, load, machine, plot, proc, report, servers

PARTS = ("load", "memory", "respawn", "scale", "steady")
PR_SET_CHILD_SUBREAPER = 36


class Env:
    """What every part needs to know, and what has to be ended at the end."""

    def __init__(self, options):
        self.here = os.path.dirname(os.path.abspath(__file__))
        build = os.path.abspath(options.build)
        tools = os.path.join(build, "bench")
        self.broodd = os.path.join(build, "broodd")
        self.broodctl = os.path.join(build, "broodctl")
        self.brood_module = os.path.join(build, "modules", "hello.so")
        self.floor = os.path.join(tools, "floor")
        self.respawn = os.path.join(tools, "respawn")
        self.steady = os.path.join(tools, "steady")
        self.wsgi_app = os.path.join(self.here, "peers", "hello.py")
        self.apache_module = os.path.join(tools, ".libs", "mod_hello.so")
        if os.path.exists(self.apache_module):
            with open(os.path.join(tools, "apache-modules")) as f:
                self.apache_modules = f.read().strip()
        else:
            self.apache_module = None
        self.workers = options.workers
        usable = sorted(os.sched_getaffinity(0))
        self.cpus = len(usable)
        self.client_cpus = self.server_cpus = set(usable)
        if options.cpus == "split" and self.cpus > 1:
            half = self.cpus // 2
            self.client_cpus = set(usable[:half])
            self.server_cpus = set(usable[half:])
        self.running, self.clients = [], []
        self.temp = tempfile.mkdtemp(prefix="brood-bench-")
        os.chmod(self.temp, 0o755)  # the servers' user has to get through

    @staticmethod
    def say(text):
        print(text, file=sys.stderr, flush=True)

    def stop_all(self):
        for client in list(self.clients):
            client.kill()
            client.wait()
            self.clients.remove(client)
        for server in list(self.running):
            server.stop()

    def end(self):
        self.stop_all()
        for pid in proc.workers(os.getpid()):
            servers.kill_and_reap(pid)
        shutil.rmtree(self.temp, ignore_errors=True)


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


def interrupted(signo, _frame):
    raise SystemExit(128 + signo)


def main():
    o = options()
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signo, interrupted)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    env = Env(o)
    try:
        results = measure(env, o)
        write(results, o.output, env.say)
    finally:
        for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signo, signal.SIG_IGN)
        env.end()
    return 1 if results["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
