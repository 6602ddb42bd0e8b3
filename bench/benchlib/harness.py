# SPDX-License-Identifier: BSD-2-Clause
"""
harness - a benchmark from its options to its files: the parts that are wanted
are run one after the other, and one that breaks does not take the others along.
"""
import argparse
import os
import subprocess
import time

from . import machine, results
from .process import Unavailable

RESULTS = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "results")
BROKEN = (RuntimeError, OSError, ValueError, Unavailable,
          subprocess.SubprocessError)


def parser(prog, description, quick, parts):
    """What all have; `quick`: how long --quick takes."""
    p = argparse.ArgumentParser(prog=prog, description=description)
    p.add_argument("--build", required=True, help=argparse.SUPPRESS)
    p.add_argument("--quick", action="store_true",
                   help=quick + ", to try the benchmark itself")
    p.add_argument("--output", metavar="FOLDER",
                   help="where the results go (bench/results; quick: the "
                   "build)")
    if len(parts) > 1:
        p.add_argument("--only", metavar="PART,...", default=",".join(parts),
                       help="of " + ", ".join(parts))
    return p


def parse(p, parts, usual):
    """`usual`: option -> its value unless it is given, and with --quick."""
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    wanted = o.only.split(",") if len(parts) > 1 else parts
    if set(wanted) - set(parts) - {""}:
        p.error("--only: the parts are " + ", ".join(parts))
    o.parts = [part for part in parts if part in wanted]
    for key, (value, quick) in usual.items():
        if getattr(o, key) is None:
            setattr(o, key, quick if o.quick else value)
    if not o.output:
        o.output = os.path.join(o.build, "bench") if o.quick else RESULTS
    return o


def run(name, env, o, parts, report, about=(), versions=None):
    """
    `parts`: name -> what measures it; `report` has targets(results) and
    text(results); `about`: options that the results tell; `versions`: more of
    them. Writes the files and returns the results.
    """
    r = {"when": time.strftime("%Y-%m-%d"), "quick": o.quick}
    r.update((key, getattr(o, key)) for key in about)
    r.update(machine=machine.describe(env), broken={})
    r["machine"]["versions"].update(versions or {})
    for part in o.parts:
        env.say("%s:" % part)
        try:
            r[part] = parts[part]()
        except BROKEN as e:
            env.say("%s: %s" % (part, e))
            r["broken"][part] = str(e)
            env.stop_all()
    r["load_after"] = round(os.getloadavg()[0], 2)
    r["targets"] = report.targets(r)
    results.write(o.output, name, r, report.text(r))
    return r


def status(r):
    return 1 if r["broken"] else 0
