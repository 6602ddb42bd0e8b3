# SPDX-License-Identifier: BSD-2-Clause
"""
load - every server under wrk, in turn, round after round.

A scenario is a number of connections, kept alive or one a request. All
servers are up at the same time and each run loads one of them, A B C D, A B
C D, …, so that a change of the machine's mood hits all of them; what counts
are the medians over the rounds, and of the ratios within a round.
"""
import json
import os
import resource
import statistics
import subprocess

from . import proc, servers


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


def wrk(env, server, scenario, seconds):
    """One run: what wrk says, and the processor time of both sides."""
    threads = min(len(env.client_cpus), scenario["connections"])
    argv = [servers.program("wrk"), "-t%d" % threads,
            "-c%d" % scenario["connections"], "-d%ds" % seconds,
            "--timeout", "10s",
            "-s", os.path.join(env.here, "wrk_report.lua")]
    if not scenario["keep_alive"]:
        argv += ["-H", "Connection: close"]
    argv.append("http://127.0.0.1:%d%s" % (server.port, servers.PATH))

    busy = proc.machine_busy_seconds()
    before = proc.cpu_seconds(server.pid)
    waited = _waited_seconds()
    client = servers.start_bound(argv, env.client_cpus,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
    env.clients.append(client)
    out = client.communicate(timeout=seconds + 60)[0].decode()
    env.clients.remove(client)
    after = proc.cpu_seconds(server.pid)
    waited = _waited_seconds() - waited
    busy = proc.machine_busy_seconds() - busy

    line = [l for l in out.splitlines() if l.startswith("JSON ")]
    if client.returncode != 0 or not line:
        raise RuntimeError("wrk on %s: %s" % (server.name, out))
    seen = json.loads(line[0][5:])
    used = after - before
    time_s = seen["duration_us"] / 1e6
    n = max(seen["requests"], 1)
    return {
        "requests": seen["requests"],
        "requests_per_s": seen["requests"] / time_s,
        "p50_ms": seen["p50_us"] / 1e3,
        "p99_ms": seen["p99_us"] / 1e3,
        "max_ms": seen["max_us"] / 1e3,
        "errors": seen["errors"],
        "failed": sum(seen["errors"].values()),
        "cpu_us_per_request": used * 1e6 / n,
        "system_share": round(proc.system_share(server.pid), 3),
        # of the processors of each side; a client near 1 is the bottleneck
        "server_busy": round(used / time_s / len(env.server_cpus), 3),
        "client_busy": round(waited / time_s / len(env.client_cpus), 3),
        # what neither side used: other work on the machine, and interrupts
        "foreign_cpu": round(max(busy - used - waited, 0)
                             / (env.cpus * time_s), 3),
    }


MEDIANS = ("requests_per_s", "p50_ms", "p99_ms", "cpu_us_per_request",
           "system_share", "server_busy", "client_busy", "foreign_cpu")


def summary(runs, reference):
    """Medians of a server's runs, and of its ratios to brood's runs."""
    out = {key: statistics.median(r[key] for r in runs) for key in MEDIANS}
    out["failed"] = sum(r["failed"] for r in runs)
    for key in ("requests_per_s", "cpu_us_per_request"):
        ratios = [ref[key] / max(run[key], 1e-9)
                  for run, ref in zip(runs, reference)]
        out["brood_to_this_" + key] = statistics.median(ratios)
        out["brood_to_this_" + key + "_range"] = [min(ratios), max(ratios)]
    return out


def run_scenario(env, scenario, rounds, seconds):
    up, left_out = [], {}
    for kind in servers.LOADED:
        try:
            up.append(kind(env, env.workers,
                           scenario["connections"]).start())
        except servers.Unavailable as e:
            left_out[kind.name] = str(e)
    runs = {server.name: [] for server in up}
    for server in up:
        wrk(env, server, scenario, 1)
    for number in range(rounds):
        for server in up:
            run = wrk(env, server, scenario, seconds)
            runs[server.name].append(run)
            env.say("  %-28s round %d  %-14s %9.0f/s %8.2f us%s" % (
                title(scenario), number + 1, server.name,
                run["requests_per_s"], run["cpu_us_per_request"],
                "  %d FAILED" % run["failed"] if run["failed"] else ""))
    result = dict(scenario, title=title(scenario), seconds=seconds,
                  left_out=left_out, servers={})
    for server in up:
        result["servers"][server.name] = {
            "label": server.label,
            "note": server.note,
            "keeps_alive": server.keeps_alive,
            "workers": server.expected_workers(),
            "answer_bytes": server.answer_bytes,
            "median": summary(runs[server.name], runs["brood"]),
            "rounds": runs[server.name],
        }
    for server in up:
        server.stop()
    return result


def run(env, connections, rounds, seconds):
    return [run_scenario(env, scenario, rounds, seconds)
            for scenario in scenarios(connections)]
