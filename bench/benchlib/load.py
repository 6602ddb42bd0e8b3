# SPDX-License-Identifier: BSD-2-Clause
"""
load - every server under wrk.

A scenario is a number of connections, kept alive or one a request. All
servers are up at the same time and each run loads one of them, in turns.
"""
import resource
import statistics

from . import proc, servers, wrk
from .process import Unavailable
from .rounds import foreign_cpu, medians, ratios, take_turns


def scenarios(connections):
    return [{"keep_alive": alive, "connections": n}
            for alive in (True, False) for n in connections]


def title(scenario):
    return "%s, %d connections" % (
        "keep-alive" if scenario["keep_alive"]
        else "a connection per request", scenario["connections"])


def _waited_seconds():
    """Processor time of the clients that we have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def once(env, server, scenario, seconds):
    """One run: what wrk says, and the processor time of both sides."""
    busy = proc.machine_busy_seconds()
    before = proc.cpu_seconds(server.pid)
    waited = _waited_seconds()
    client = wrk.start(
        env, server, servers.PATH, scenario["connections"], seconds,
        threads=min(len(env.client_cpus), scenario["connections"]),
        timeout_s=10,
        headers=() if scenario["keep_alive"] else ("Connection: close",))
    try:
        seen = wrk.end(env, client, seconds + 60)
    except RuntimeError as e:
        raise RuntimeError("%s: %s" % (server.name, e))
    after = proc.cpu_seconds(server.pid)
    waited = _waited_seconds() - waited
    busy = proc.machine_busy_seconds() - busy
    used = after - before
    time_s = seen["duration_us"] / 1e6
    n = max(seen["requests"], 1)
    return {
        "requests": seen["requests"],
        "requests_per_s": seen["per_s"],
        "p50_ms": seen["p50_us"] / 1e3,
        "p99_ms": seen["p99_us"] / 1e3,
        "max_ms": seen["max_us"] / 1e3,
        "errors": seen["errors"],
        "failed": seen["failed"],
        "cpu_us_per_request": used * 1e6 / n,
        "system_share": round(proc.system_share(server.pid), 3),
        # of the processors of each side; a client near 1 is the bottleneck
        "server_busy": round(used / time_s / len(env.server_cpus), 3),
        "client_busy": round(waited / time_s / len(env.client_cpus), 3),
        # what neither side used: other work on the machine, and interrupts
        "foreign_cpu": foreign_cpu(env, time_s, busy, used + waited),
    }


MEDIANS = ("requests_per_s", "p50_ms", "p99_ms", "cpu_us_per_request",
           "system_share", "server_busy", "client_busy", "foreign_cpu")


def summary(runs, reference):
    """Medians of a server's runs, and of its ratios to brood's runs."""
    out = medians(runs, MEDIANS)
    out["failed"] = sum(r["failed"] for r in runs)
    for key in ("requests_per_s", "cpu_us_per_request"):
        within = ratios(reference, runs, key)
        out["brood_to_this_" + key] = statistics.median(within)
        out["brood_to_this_" + key + "_range"] = [min(within), max(within)]
    return out


def run_scenario(env, scenario, rounds, seconds):
    up, left_out = {}, {}
    for kind in servers.LOADED:
        try:
            up[kind.name] = kind(env, env.workers,
                                 scenario["connections"]).start()
        except Unavailable as e:
            left_out[kind.name] = str(e)
    for server in up.values():
        once(env, server, scenario, 1)

    def turn(name, number):
        run = once(env, up[name], scenario, seconds)
        env.say("  %-28s round %d  %-14s %9.0f/s %8.2f us%s" % (
            title(scenario), number, name, run["requests_per_s"],
            run["cpu_us_per_request"],
            "  %d FAILED" % run["failed"] if run["failed"] else ""))
        return run

    runs, _ = take_turns(rounds, up, turn)
    result = dict(scenario, title=title(scenario), seconds=seconds,
                  left_out=left_out, servers={})
    for server in up.values():
        result["servers"][server.name] = {
            "label": server.label,
            "note": server.note,
            "keeps_alive": server.keeps_alive,
            "workers": server.expected_workers(),
            "answer_bytes": server.answer_bytes,
            "median": summary(runs[server.name], runs["brood"]),
            "rounds": runs[server.name],
        }
    for server in up.values():
        server.stop()
    return result


def run(env, connections, rounds, seconds):
    return [run_scenario(env, scenario, rounds, seconds)
            for scenario in scenarios(connections)]
