# SPDX-License-Identifier: BSD-2-Clause
"""
report - the results of bench/run as text: every table, then the targets one by
one.
"""
from . import results
from .results import target
from .rounds import FOREIGN

CPU_OF_FLOOR = 1.1
CPU_OF_NGINX = 1.0
RATE_OF_APACHE = 2.0
RESPAWN_MS = 5.0
PRIVATE_KIB = 512
MOMENTS = (("fresh", "fresh"),
           ("served_16", "after 16 connections at a time"),
           ("served_256", "after 256 connections at a time"))


def targets(r):
    rows = []
    for s in r.get("load", []):
        peers = s["servers"]

        def ratio(peer, key):
            return peers[peer]["median"]["brood_to_this_" + key]

        if "floor" in peers:
            x = ratio("floor", "cpu_us_per_request")
            rows.append(target("processor time / the floor's: " + s["title"],
                         "<= %.2f" % CPU_OF_FLOOR, "%.3f" % x,
                         x <= CPU_OF_FLOOR))
        if "nginx" in peers:
            x = ratio("nginx", "cpu_us_per_request")
            rows.append(target("processor time / nginx's: " + s["title"],
                         "<= %.2f" % CPU_OF_NGINX, "%.3f" % x,
                         x <= CPU_OF_NGINX))
        if "apache" in peers:
            x = ratio("apache", "requests_per_s")
            rows.append(target("requests/s / Apache prefork's: " + s["title"],
                         ">= %.1f" % RATE_OF_APACHE, "%.2f" % x,
                         x >= RATE_OF_APACHE))
        failed = sum(p["median"]["failed"] for n, p in peers.items()
                     if n.startswith("brood"))
        rows.append(target("failed requests of brood: " + s["title"], "0",
                     "%d" % failed, failed == 0))
    if "respawn" in r:
        x = r["respawn"]["brood"]["median_ms"]
        rows.append(target("kill -9 to the replacement's answer, median",
                     "< %.0f ms" % RESPAWN_MS, "%.2f ms" % x,
                     x < RESPAWN_MS))
    if "memory" in r:
        for when, label in MOMENTS:
            x = r["memory"]["brood"][when]["private_kib"]
            rows.append(target("private memory of an idle worker, " + label,
                         "<= %d KiB" % PRIVATE_KIB, "%d KiB" % x,
                         x <= PRIVATE_KIB))
    if "steady" in r:
        s = r["steady"]
        rows.append(target("failed requests through scale, reload, recycling",
                     "0 of %d" % s["requests"], "%d" % s["failed"],
                     s["failed"] == 0 and s["operations_failed"] == 0))
    return rows


def _table(head, rows):
    """Columns as wide as they need to be, the first to the left."""
    rows = [[str(x) for x in row] for row in [head] + rows]
    width = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(width[0])]
        cells += [x.rjust(w) for x, w in zip(row[1:], width[1:])]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "-" * (sum(width) + 2 * (len(width) - 1)))
    return "\n".join(lines)


def _load(s):
    rows = []
    for name, p in s["servers"].items():
        m = p["median"]
        rows.append([
            p["label"], p["workers"], "%.0f" % m["requests_per_s"],
            "%.2f" % m["brood_to_this_requests_per_s"],
            "%.2f" % m["p50_ms"], "%.2f" % m["p99_ms"],
            "%.2f" % m["cpu_us_per_request"],
            "%.2f" % m["brood_to_this_cpu_us_per_request"],
            "%.2f-%.2f" % tuple(
                m["brood_to_this_cpu_us_per_request_range"]),
            "%.0f" % (m["server_busy"] * 100),
            "%.0f" % (m["client_busy"] * 100),
            p["answer_bytes"], m["failed"]])
    text = "%s (%d rounds of %d s, medians)\n\n" % (
        s["title"], len(s["servers"]["brood"]["rounds"]), s["seconds"])
    text += _table(["", "workers", "req/s", "brood/it", "p50 ms", "p99 ms",
                    "cpu us/req", "brood/it", "range", "busy", "client",
                    "bytes", "failed"],
                   rows)
    for name, why in s["left_out"].items():
        text += "\n  left out: %s: %s" % (name, why)
    noisy = max(p["median"]["foreign_cpu"] for p in s["servers"].values())
    return "\n".join([text] + results.noisy(noisy, FOREIGN))


def _left_out(peers):
    return "".join("\n  left out: %s: %s" % (r["label"], r["left_out"])
                   for r in peers.values() if "left_out" in r)


def _memory(peers):
    rows = [[r["label"]] + ["%d" % r[when][key] for when, _ in MOMENTS
                            for key in ("private_kib", "pss_kib", "rss_kib")]
            for r in peers.values() if "fresh" in r]
    return ("memory of an idle worker, KiB: %s\n\n" % ", then ".join(
        label for _, label in MOMENTS)
        + _table([""] + ["private", "PSS", "RSS"] * len(MOMENTS), rows)
        + "\n  the median of the fresh workers, the largest of those that "
        "have served" + _left_out(peers))


def _respawn(peers):
    rows = [[r["label"], "%.2f" % r["median_ms"], "%.2f" % r["p99_ms"],
             "%.2f" % r["min_ms"], "%.2f" % r["max_ms"],
             len(r["samples_ms"]), r["connections_lost"]]
            for r in peers.values() if "samples_ms" in r]
    return ("kill -9 of the only worker to its replacement's first answer, "
            "ms\n\n" + _table(["", "median", "p99", "least", "most",
                               "samples", "lost"], rows)
            + "\n  lost: connections that the dying worker took with it"
            + _left_out(peers))


def _scale(r):
    w = r["worker_at_full_size"]
    return ("broodctl scale rest %d, from %d: %.3f s until it returns; "
            "back: %.3f s\n  a worker of %d: private %d KiB, PSS %d KiB" % (
                r["workers"], r["from"], r["up_s"], r["down_s"], r["workers"],
                w["private_kib"], w["pss_kib"]))


def _steady(r):
    ops = {}
    for o in r["operations"]:
        ops.setdefault(o["op"], []).append(o)
    text = ("a strict client through it all: %d connections, %.1f s, "
            "max_requests %d\n\n  requests          %9d\n"
            "  failed            %9d   %s\n"
            "  longest answer    %12.2f ms\n"
            "  connections       %9d   closed with an answer %d, idle %d\n"
            "  workers           %9d   at least\n"
            % (r["connections_at_a_time"], r["seconds"], r["max_requests"],
               r["requests"], r["failed"],
               ", ".join("%s %d" % kv for kv in r["faults"].items()
                         if kv[1]),
               r["longest_ms"], r["connections"],
               r["closed_with_an_answer"], r["closed_idle"],
               r["workers_seen"]))
    for op, runs in ops.items():
        bad = [o for o in runs if o["status"] != 0]
        took = [o["seconds"] for o in runs if "seconds" in o]
        text += "  %-17s %9d times%s%s\n" % (
            op, len(runs),
            ", %.3f s at most" % max(took) if took else "",
            ", %d FAILED: %s" % (len(bad), bad[0].get("says", ""))
            if bad else "")
    return text.rstrip()


def text(r):
    m = r["machine"]
    out = [results.title("REST", r)]
    out.append(
        "%s\nservers on processors %s, the client on %s; %d workers each\n%s"
        % (results.machine(r), m["servers_on"], m["client_on"], r["workers"],
           ", ".join("%s %s" % kv for kv in m["versions"].items())))
    for s in r.get("load", []):
        out.append(_load(s))
    if r.get("load"):
        notes = {p["label"]: p["note"] for s in r["load"]
                 for p in s["servers"].values() if p["note"]}
        out.append("\n".join("  %s: %s" % kv for kv in notes.items())
                   + "\n  cpu: all processes of the server, user and system;"
                   " brood/it: median of the ratios within a round;"
                   "\n  busy, client: % of the processors of the servers and"
                   " of the client that were used; where the client's are"
                   "\n  used up and the server's are not, requests/s tell of"
                   " the client")
    for part, show in (("memory", _memory), ("respawn", _respawn),
                       ("scale", _scale), ("steady", _steady)):
        if part in r:
            out.append(show(r[part]))
    for part, why in r["broken"].items():
        out.append("NOT MEASURED: %s: %s" % (part, why))
    if r["targets"]:
        out.append("targets\n\n" + _table(
            ["", "target", "measured", "reached"],
            [[t["what"], t["target"], t["measured"],
              "yes" if t["reached"] else "NO"] for t in r["targets"]]))
        out.append("%d of %d targets reached" % (
            sum(t["reached"] for t in r["targets"]), len(r["targets"])))
    return "\n\n".join(out) + "\n"
