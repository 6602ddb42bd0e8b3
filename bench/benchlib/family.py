# SPDX-License-Identifier: BSD-2-Clause
"""
family - what a family of processes costs and bears when it is not only asked.

memory of an idle worker; from the kill of a worker to its replacement's first
answer; the time to 256 workers; and whether a strict client (steady.c) sees a
single failure while the family is scaled, reloaded and recycled.
"""
import json
import signal
import statistics
import subprocess
import time

from . import load, proc, servers
from .process import Unavailable, start_bound

RESPAWN_GAP_MS = 1100   # longer than brood's respawn_young


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * p / 100), len(ordered) - 1)]


def each(env, kinds, measure):
    """name -> measure(kind) for the kinds that there are."""
    out = {}
    for kind in kinds:
        try:
            out[kind.name] = dict(measure(kind), label=kind.label)
        except Unavailable as e:
            out[kind.name] = {"label": kind.label, "left_out": str(e)}
    return out


def weigh(server, choose=statistics.median):
    rows = [proc.memory_kib(pid) for pid in server.pids()]
    return {"workers": len(rows),
            "pss_kib": choose(r[0] for r in rows),
            "private_kib": choose(r[1] for r in rows),
            "rss_kib": choose(r[2] for r in rows)}


def memory(env):
    """Per worker, idle: fresh, and the largest once connections have gone."""
    def measure(kind):
        server = kind(env, env.workers).start()
        seen = {"fresh": weigh(server)}
        for connections in (16, 256):
            load.once(env, server, {"keep_alive": True,
                                    "connections": connections}, 1)
            seen["served_%d" % connections] = weigh(server, max)
        server.stop()
        env.say("  memory of an idle worker  %-10s private %s KiB" % (
            kind.name, ", ".join("%d" % w["private_kib"]
                                 for w in seen.values())))
        return seen
    return each(env, servers.WEIGHED, measure)


def respawn(env, samples):
    def measure(kind):
        server = kind(env, 1).start()
        done = subprocess.run(
            [env.respawn, str(server.pid), str(server.port), servers.PATH,
             str(samples), str(RESPAWN_GAP_MS), kind.titles[0]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=60 + samples * 40)
        log = server.output()
        server.stop()
        if done.returncode != 0:
            raise RuntimeError("respawn of %s: %s%s" % (
                kind.name, done.stderr.decode(), log))
        rows = [line.split() for line in done.stdout.splitlines()]
        ms = [int(row[0]) / 1e3 for row in rows]
        env.say("  kill to answer  %-14s median %.2f ms of %d"
                % (kind.name, statistics.median(ms), len(ms)))
        return {"median_ms": statistics.median(ms),
                "p99_ms": percentile(ms, 99), "min_ms": min(ms),
                "max_ms": max(ms), "samples_ms": ms,
                "connections_lost": sum(int(row[1]) for row in rows)}
    return each(env, servers.KILLED, measure)


def scale(env, count, times):
    """broodctl scale: up to `count` and back to the start, wall time."""
    server = servers.Brood(env, env.workers, max=max(count, env.workers))
    server.start()
    up, down, weight = [], [], None
    for _ in range(times):
        for size, taken in ((count, up), (env.workers, down)):
            code, out, seconds = server.ctl("scale", "rest", str(size))
            there = len(server.pids())
            if code != 0 or there != size:
                raise RuntimeError("scale rest %d: status %d, %d workers, %s"
                                   % (size, code, there, out))
            taken.append(seconds)
            if size == count and weight is None:
                weight = weigh(server)
    server.stop()
    env.say("  scale rest %d: %.3f s" % (count, statistics.median(up)))
    return {"workers": count, "from": env.workers,
            "up_s": statistics.median(up), "up_samples_s": up,
            "down_s": statistics.median(down), "down_samples_s": down,
            "worker_at_full_size": weight}


def steady(env, connections, seconds, max_requests):
    """A strict client through everything an operator may do, for a while."""
    server = servers.Brood(env, env.workers, max=16, min_spare=1,
                           max_requests=max_requests)
    server.start()
    client = start_bound(
        [env.steady, str(server.port), servers.PATH, str(connections)],
        env.client_cpus, stdout=subprocess.PIPE)
    env.clients.append(client)
    end = time.monotonic() + seconds
    ops = (("scale", "rest", "8"), ("reload",), ("scale", "rest", "2"),
           ("reload",), ("scale", "rest", "auto"), ("reload",))
    done, rounds, seen_pids = [], 0, set()
    while rounds == 0 or time.monotonic() < end:
        for op in ops:
            seen_pids.update(server.pids())
            code, out, took = server.ctl(*op)
            done.append({"op": " ".join(op), "status": code,
                         "seconds": round(took, 4)})
            if code != 0:
                done[-1]["says"] = out.strip()[-300:]
        rounds += 1
    client.send_signal(signal.SIGTERM)
    seen = json.loads(client.communicate(timeout=30)[0])
    env.clients.remove(client)
    code, _, _ = server.ctl("status")
    done.append({"op": "status", "status": code})
    seen.update(connections_at_a_time=connections, max_requests=max_requests,
                operations=done,
                operations_failed=sum(1 for o in done if o["status"] != 0),
                workers_seen=len(seen_pids))
    server.stop()
    env.say("  steady: %d requests, %d failed, %d operations, %d failed"
            % (seen["requests"], seen["failed"], len(done),
               seen["operations_failed"]))
    return seen
