# SPDX-License-Identifier: BSD-2-Clause
"""wrk - the client of HTTP, whose script ends with a line of JSON."""
import json
import os
import subprocess

from .process import program, start_bound

REPORT = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "wrk_report.lua")


def start(env, server, path, connections, seconds, script=REPORT, threads=1,
          timeout_s=30, headers=(), **environ):
    """`environ`: more of it, for the script."""
    argv = [program("wrk"), "-t%d" % threads, "-c%d" % connections,
            "-d%ds" % seconds, "--timeout", "%ds" % timeout_s, "-s", script]
    for header in headers:
        argv += ["-H", header]
    client = start_bound(
        argv + ["http://127.0.0.1:%d%s" % (server.port, path)],
        env.client_cpus, env=dict(os.environ, BENCH_REPORT=REPORT, **environ),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    env.clients.append(client)
    return client


def end(env, client, limit_s=900):
    """What it says, once it has ended."""
    out = client.communicate(timeout=limit_s)[0].decode()
    env.clients.remove(client)
    line = [l for l in out.splitlines() if l.startswith("JSON ")]
    if client.returncode != 0 or not line:
        raise RuntimeError("wrk: " + out)
    seen = json.loads(line[0][5:])
    seen["per_s"] = seen["requests"] / (seen["duration_us"] / 1e6)
    seen["failed"] = sum(seen["errors"].values())
    return seen
