#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
benchmark - measures, and writes rest.json, rest.txt and rest.svg.

Started by ./run, which builds what this needs. Every process started here
ends with it.
"""
import os
import sys

from benchlib import family, harness, load, plot, report, servers
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
    p = harness.parser("bench/run", "The REST benchmark of brood.",
                       "about a minute", PARTS)
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
    o = harness.parse(p, PARTS, {
        "rounds": (7, 1), "seconds": (4, 1), "samples": (40, 3),
        "connections": ("16,256", "16")})
    o.connections = [int(n) for n in o.connections.split(",")]
    if o.servers:
        wanted = set(o.servers.split(",")) | {"brood"}
        for group in (servers.LOADED, servers.WEIGHED, servers.KILLED):
            group[:] = [k for k in group if k.name in wanted]
    return o


def main():
    o = options()
    with RestEnv(o) as env:
        r = harness.run("rest", env, o, {
            "load": lambda: load.run(env, o.connections, o.rounds, o.seconds),
            "memory": lambda: family.memory(env),
            "respawn": lambda: family.respawn(env, o.samples),
            "scale": lambda: family.scale(env, 256, 1 if o.quick else 5),
            "steady": lambda: family.steady(
                env, 48, 3 if o.quick else 20, 500)},
            report, ("workers",))
        why = plot.draw(r, os.path.join(o.output, "rest.svg"))
        if why:
            env.say("no plot: " + why)
    return harness.status(r)


if __name__ == "__main__":
    sys.exit(main())
