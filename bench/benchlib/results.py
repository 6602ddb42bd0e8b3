# SPDX-License-Identifier: BSD-2-Clause
"""
results - what the results of all benchmarks have in common: the head of the
text, what was left out or broke, the targets, and the files.

A target is what is promised, the figure to compare, and whether it is reached.
Nothing is hidden: what was left out, what failed and what else the machine was
doing is in the text.
"""
import json
import os

from .rounds import FOREIGN


def target(what, limit, measured, reached):
    return {"what": what, "target": limit, "measured": measured,
            "reached": bool(reached)}


def at_least(what, limit, x, digits=2):
    return target(what, ">= %g" % limit, "%.*f" % (digits, x), x >= limit)


def title(name, r):
    return "brood - %s benchmark, %s%s" % (
        name, r["when"],
        " (--quick: too short to conclude from)" if r["quick"] else "")


def machine(r):
    m = r["machine"]
    return "%s, %d processors%s, %d MiB, Linux %s, %s" % (
        m["processor"], m["processors"],
        " (virtual)" if m["hypervisor"] else "", m["memory_mib"],
        m["kernel"], m["system"])


def left_out(names):
    return ["  %s left out: %s" % (name, why) for name, why in names.items()]


def noisy(foreign, limit=2 * FOREIGN):
    """Of the most that others used during a run."""
    return [] if foreign <= limit else [
        "  NOISY: up to %.0f %% of the machine went to neither side"
        % (100 * foreign)]


def end(r, width=58, target_width=9, measured_width=9):
    """What broke, and the targets."""
    out = []
    for part, why in r["broken"].items():
        out += ["BROKEN: %s: %s" % (part, why), ""]
    out += ["to be reached", ""]
    return out + ["  %-*s %-*s %*s  %s" % (
        width, t["what"], target_width, t["target"], measured_width,
        t["measured"], "yes" if t["reached"] else "NO")
        for t in r["targets"]]


def write(folder, name, r, text):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump(r, f, indent=1)
        f.write("\n")
    with open(os.path.join(folder, name + ".txt"), "w") as f:
        f.write(text)
    print(text)
