# SPDX-License-Identifier: BSD-2-Clause
"""
text - the results of bench/jobs as text, and what is to be reached.
"""
from benchlib import results
from benchlib.results import at_least, target

RATE_OF_CELERY = 10.0
LATENCY_OF_CELERY = 0.1
WAIT_US = 100.0
FLAT = 0.8


def targets(r):
    rows = []
    peers = [p for p in r.get("celery", []) if "left_out" not in p]
    for peer in peers:
        if "bulk" in r:
            ratio = r["bulk"]["per_s"] / peer["per_s"]
            rows.append(at_least("jobs/s / those of " + peer["label"],
                                 RATE_OF_CELERY, ratio, 1))
        if "latency" in r:
            ratio = r["latency"]["process_p50_us"] / peer["p50_us"]
            rows.append(target(
                "latency but for the disk / that of " + peer["label"],
                "<= %.2f" % LATENCY_OF_CELERY, "%.3f" % ratio,
                ratio <= LATENCY_OF_CELERY))
    if "wait" in r:
        us = r["wait"]["overhead_us"]
        rows.append(target('mode "wait" beyond "inline", median',
                           "< %.0f us" % WAIT_US, "%.0f us" % us, us < WAIT_US))
    if len(r.get("depth", [])) > 1:
        few, many = r["depth"][0], r["depth"][-1]
        for key, what in (("submitted_per_s", "submitted"),
                          ("done_per_s", "done")):
            ratio = many["median"][key] / few["median"][key]
            rows.append(at_least("jobs %s/s with %d queued / with %d" % (
                what, many["depth"], few["depth"]), FLAT, ratio))
    failed = sum(r[part]["failed"] for part in ("latency", "bulk", "wait")
                 if part in r)
    failed += sum(row["failed"] for d in r.get("depth", [])
                  for row in d["rounds"])
    rows.append(target("failed requests", "0", "%d" % failed, failed == 0))
    return rows


def _head(r):
    m = r["machine"]
    return [
        results.title("jobs", r), "", results.machine(r),
        "servers and clients on all processors; %d workers each; load %.1f "
        "before, %.1f after" % (r["workers"], m["load_before"],
                                r["load_after"]),
        "brood %s, Celery %s, RabbitMQ %s, wrk %s" % (
            m["versions"]["brood"], m["versions"]["celery"],
            m["versions"]["rabbitmq"], m["versions"]["wrk"]),
        "%d rounds of %d s, medians; Celery: %d tasks" % (
            r["rounds"], r["seconds"], r["tasks"]), ""]


def _celery(r):
    out = []
    for peer in r.get("celery", []):
        if "left_out" in peer:
            out.append("  Celery left out: " + peer["left_out"])
            continue
        out.append("  %-34s %9.0f %9.0f %11.0f %9.0f" % (
            peer["label"], peer["p50_us"], peer["p99_us"],
            peer["submitted_per_s"], peer["per_s"]))
    return out


def _compare(r):
    out = ["from the request to the result, one client; and as many as "
           "possible", "",
           "  %-34s %9s %9s %11s %9s" % ("", "p50 us", "p99 us",
                                         "submitted/s", "done/s")]
    if "latency" in r:
        x, b = r["latency"], r.get("bulk")
        out.append("  %-34s %9.0f %9.0f %s" % (
            "brood, on the disk", x["full_p50_us"], x["full_p99_us"],
            "%11.0f %9.0f" % (b["submitted_per_s"], b["per_s"])
            if b else ""))
        out.append("  %-34s %9.0f %9.0f" % (
            "brood, survives all but a power cut", x["process_p50_us"],
            x["process_p99_us"]))
    out += _celery(r) + [""]
    if "latency" in r:
        out.append("  fdatasync of 4 KiB on this disk: %.0f us; a job takes "
                   "two, one before it is" % r["latency"]["sync_us"])
        out.append("  accepted and one before its result is told")
    if "bulk" in r:
        out.append("  64 clients that wait for their results: %.0f/s, p50 "
                   "%.1f ms; processor time of a job" % (
                       r["bulk"]["answers_per_s"],
                       r["bulk"]["answers_p50_us"] / 1e3))
        out.append("  submitted in bulk, all processes together: %.0f us"
                   % r["bulk"]["cpu_us_per_job"])
    out += ["  Celery: results over rpc://, as it comes; as durable: with "
            "publisher confirms, and",
            "  acknowledged after the work", ""]
    return out


def text(r):
    out = _head(r)
    if "latency" in r or "celery" in r:
        out += _compare(r)
    if "wait" in r:
        w = r["wait"]
        out += ["the same handler in the REST worker and in a task worker, "
                "one client", "",
                "  inline %.0f us, wait %.0f us: %.0f us more" % (
                    w["inline_p50_us"], w["wait_p50_us"], w["overhead_us"]),
                ""]
    if "depth" in r:
        out += ["submitting and running at once, from so many queued on", "",
                "  %9s %11s %9s %9s %9s %11s" % (
                    "queued", "submitted/s", "done/s", "p50 us", "p99 us",
                    "cpu us/job")]
        for d in r["depth"]:
            m = d["median"]
            out.append("  %9d %11.0f %9.0f %9.0f %9.0f %11.1f" % (
                d["depth"], m["submitted_per_s"], m["done_per_s"],
                m["p50_us"], m["p99_us"], m["cpu_us_per_job"]))
        out.append("")
    return "\n".join(out + results.end(r)) + "\n"
