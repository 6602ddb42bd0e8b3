# SPDX-License-Identifier: BSD-2-Clause
"""
text - the results of bench/ipc as text, and what is to be reached.
"""
from benchlib import results

TARGETS = ("floor", "redis", "brood", "handler")
LABELS = {"floor": "bare epoll loop", "redis": "Redis", "brood": "brood",
          "handler": "brood, handler"}


def title(s):
    return "%-4s %2d client%s %s" % (
        s["op"], s["clients"], " " if s["clients"] == 1 else "s",
        "one at a time" if s["depth"] == 1 else "%d in flight" % s["depth"])


def line(s):
    return "%s: %s" % (title(s), ", ".join(
        "%s %.0f/s" % (t, s["targets"][t]["median"]["per_s"])
        for t in TARGETS if t in s["targets"]))


def targets(r):
    rows = []
    for s in r.get("scenarios", []):
        for target, key, limit in (
                ("floor", "brood_to_this_p50", 1.2),
                ("redis", "brood_to_this_p50", 1.0),
                ("redis", "brood_to_this_calm_per_s", 1.0)):
            one = s["clients"] == 1
            if target not in s["targets"] or (one and s["depth"] > 1) or (
                    one != (key == "brood_to_this_p50")):
                continue
            ratio = s["targets"][target]["median"][key]
            rows.append(results.target(
                "%s: %s, brood to %s" % (
                    title(s), "round trip" if one else "rate",
                    LABELS[target]),
                ("at most %.1f" if one else "at least %.1f") % limit,
                "%.2f" % ratio, ratio <= limit if one else ratio >= limit))
    return rows


def table(s, realtime):
    out = ["%s" % title(s), "",
           "  %-16s %9s %9s %9s %8s %8s %9s %9s %9s %8s" % (
               "", "per s", "calm", "brood/it", "p50 us", "p99 us",
               "brood/it", "client us", "server us", "foreign")]
    for t in TARGETS:
        if t not in s["targets"]:
            continue
        m = s["targets"][t]["median"]
        trip = ("%8.1f %8.1f %9.2f" % (m["p50_us"], m["p99_us"],
                                       m["brood_to_this_p50"])
                if "p50_us" in m else "%8s %8s %9s" % ("", "", ""))
        out.append("  %-16s %9.0f %9.0f %9.2f %s %9.2f %9.2f %7.0f%%" % (
            LABELS[t], m["per_s"], m["calm_per_s"],
            m["brood_to_this_calm_per_s"], trip, m["client_cpu_us"],
            m["server_cpu_us"], 100 * m["foreign_cpu"]))
    if not realtime:
        out += results.noisy(max(
            r["foreign_cpu"] for t in s["targets"].values()
            for r in t["rounds"]))
    return out + [""]


def text(r):
    m = r["machine"]
    out = [results.title("IPC", r), "", results.machine(r),
           "servers on processors %s, clients on %s; brood %s, Redis %s" % (
               m["servers_on"], m["client_on"], m["versions"]["brood"],
               r["redis"]),
           "%d rounds of %g s, medians; keys of 16 bytes, values of 100; "
           "durability \"%s\"; Redis writes nothing to disk" % (
               r["rounds"], r["seconds"], r["durability"])]
    if r["realtime"]:
        out += ["all of them at a real-time priority, as the machine had "
                "other work to do"]
    out += [""]
    for s in r.get("scenarios", []):
        out += table(s, r["realtime"])
    out += ["  calm: the rate of the best tenth of the windows of 20 ms, when "
            "others want the processors",
            "  least; brood/it: of that rate and of p50, the median of the "
            "ratios within a round;",
            "  client us, server us: processor time of a request; foreign: "
            "what neither side used of",
            "  the machine, starting and stopping included. All clients do a "
            "send, a poll and",
            "  a recv for each request, or for all that can be sent at once, "
            "and leave the value where",
            "  it came to; but \"handler\", which asks with brood_get() and "
            "so on, is given a copy.",
            ""]
    return "\n".join(out + results.end(r, 62, 12, 6)) + "\n"
