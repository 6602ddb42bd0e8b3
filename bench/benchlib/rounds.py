# SPDX-License-Identifier: BSD-2-Clause
"""
rounds - who is measured takes turns, A B C, A B C, ..., so that a change of the
machine's mood hits all of them; what counts are the medians over the rounds,
and of the ratios within a round.

A run is a dict of figures. Its "foreign_cpu" is what others used of the machine
meanwhile; one during which it was much is done again.
"""
import statistics

from .process import Unavailable

# A share of the machine that others may use during a run.
FOREIGN = 0.10


def foreign_cpu(env, took_s, busy_s, used_s):
    """The share of the machine that went to neither side, of a run that took so
    long, the machine's busy seconds and those that both sides used."""
    return round(max(busy_s - used_s, 0) / (env.cpus * took_s), 3)


def calm(patience, once):
    """The least disturbed of a few runs."""
    best = None
    for _ in range(patience + 1):
        run = once()
        if best is None or run["foreign_cpu"] < best["foreign_cpu"]:
            best = run
        if best["foreign_cpu"] <= FOREIGN:
            break
    return best


def take_turns(rounds, names, once):
    """once(name, number of the round): name -> its runs, name -> why there is
    none, or no more."""
    runs, left_out = {}, {}
    for number in range(1, rounds + 1):
        for name in names:
            if name in left_out:
                continue
            try:
                run = once(name, number)
            except Unavailable as e:
                left_out[name] = str(e)
                continue
            runs.setdefault(name, []).append(run)
    return runs, left_out


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def medians(runs, keys):
    return {key: median(runs, key) for key in keys}


def ratios(runs, others, key):
    """Of each run to the other's in the same round."""
    return [run[key] / max(other[key], 1e-9)
            for run, other in zip(runs, others)]
