# SPDX-License-Identifier: BSD-2-Clause
"""
text - the results of bench/amqp as text, and what is to be reached.
"""
import statistics

from benchlib import results, rounds
from benchlib.results import target

RATE_OF_FLOOR = 0.8
FORWARD_OF_FLOOR = 0.6
RATE_OF_CELERY = 20.0
RPC_OF_CELERY = 0.5
# Memory after all messages to that after a half, when what is bounded (what is
# remembered of the last 200,000, the store's cache) is full.
FLAT = 1.05


def ratio(part, name, other, key="per_s"):
    """The median of `name` to `other` within a round; None without one."""
    runs = part["runs"]
    if name not in runs or other not in runs:
        return None
    return statistics.median(rounds.ratios(
        runs[name]["rounds"], runs[other]["rounds"], key))


def _least(what, x, limit, digits=2):
    return [] if x is None else [results.at_least(what, limit, x, digits)]


def _unlost(r):
    """Messages that came back, and those that were forwarded but once."""
    rows = []
    left = [run["left"] for part in ("drain", "forward") if part in r
            for name, peer in r[part]["runs"].items()
            if name.startswith("brood")
            for run in peer["rounds"] if run["left"] is not None]
    if "memory" in r:
        left.append(r["memory"]["left"])
    if left:
        rows.append(target("messages brood did not acknowledge, of all runs",
                         "0", "%d" % sum(left), sum(left) == 0))
    if "forward" in r and "brood" in r["forward"]["runs"]:
        wrong = sum(abs(run["filled"] - run["forwarded"])
                    for run in r["forward"]["runs"]["brood"]["rounds"]
                    if run["left"] is not None)
        rows.append(target("messages brood forwarded not at all, or twice", "0",
                         "%d" % wrong, wrong == 0))
    return rows


def targets(r):
    rows = []
    if "drain" in r:
        d = r["drain"]
        for name, what in (("brood", ""), ("brood-ids", ", with ids")):
            rows += _least("rate / the floor's, an ack for each" + what,
                           ratio(d, name, "floor-each"), RATE_OF_FLOOR)
        rows += _least("rate / the floor's, acks of many",
                       ratio(d, "brood", "floor-multiple"), RATE_OF_FLOOR)
        rows += _least("rate / that of Celery's workers",
                       ratio(d, "brood", "celery"), RATE_OF_CELERY, 1)
    if "forward" in r:
        rows += _least("one published for each, rate / the floor's",
                       ratio(r["forward"], "brood", "floor-forward"),
                       FORWARD_OF_FLOOR)
    if "rpc" in r:
        for name, what in (("brood", "a C client"),
                           ("brood-kombu", "Celery's client library")):
            x = ratio(r["rpc"], name, "celery", "p50_us")
            if x is not None:
                rows.append(target(
                    "request and answer / Celery's, median, " + what,
                    "< %g" % RPC_OF_CELERY, "%.3f" % x, x < RPC_OF_CELERY))
    if "memory" in r:
        m = r["memory"]["rows"]
        early = m[(len(m) - 1) // 2]
        for key in ("pss", "rss"):
            x = m[-1][key + "_kib"] / early[key + "_kib"]
            rows.append(target("%s after %d messages / after %d" % (
                key.upper(), m[-1]["messages"], early["messages"]),
                "<= %g" % FLAT, "%.3f" % x, x <= FLAT))
    return rows + _unlost(r)


def _head(r):
    m = r["machine"]
    return [
        results.title("AMQP", r), "", results.machine(r),
        "broker and consumers on all processors; load %.1f before, %.1f after"
        % (m["load_before"], r["load_after"]),
        "brood %s, RabbitMQ %s, rabbitmq-c %s, Celery %s, amqp-tools %s" % (
            m["versions"]["brood"], m["versions"]["rabbitmq"],
            m["versions"]["librabbitmq"], m["versions"]["celery"],
            m["versions"]["amqp-tools"]),
        "%d rounds, medians; persistent messages of %d bytes in a durable "
        "classic queue," % (r["rounds"], r["bytes"]),
        "%d unacknowledged at a time for all, acknowledged after the work; "
        "%d task workers and as" % (r["prefetch"], r["processes"]),
        "many processes of Celery's, as there are processors", ""]


def _rates(part, reference):
    out = ["  %-28s %9s %9s %9s %9s %8s %8s" % (
        "", "per s", "to floor", "own us", "broker us", "busy", "foreign")]
    for name, peer in part["runs"].items():
        m = peer["median"]
        x = ratio(part, name, reference)
        out.append("  %-28s %9.0f %9s %9.1f %9.1f %7.0f%% %7.0f%%" % (
            peer["label"], m["per_s"], "" if x is None else "%.3f" % x,
            m["server_us"], m["broker_us"], 100 * m["busy"],
            100 * m["foreign_cpu"]))
    out += results.left_out(part["left_out"])
    worst = max((run["foreign_cpu"] for peer in part["runs"].values()
                 for run in peer["rounds"]), default=0)
    return out + results.noisy(worst) + [""]


def _rpc(part):
    labels = {"floor-answer": "floor, one process that answers",
              "brood": "brood",
              "brood-kombu": "brood, asked by Celery's library",
              "celery": "Celery, apply_async().get()"}
    out = ["request and answer, one at a time", "",
           "  %-34s %9s %9s" % ("", "p50 us", "p99 us")]
    for name, label in labels.items():
        if name in part["runs"]:
            m = part["runs"][name]["median"]
            out.append("  %-34s %9.0f %9.0f" % (label, m["p50_us"],
                                                m["p99_us"]))
    return out + results.left_out(part["left_out"]) + [""]


def _memory(part):
    out = ["all processes of brood together, a queue filled and drained "
           "(%.0f s)" % part["seconds"], "",
           "  %10s %9s %12s %9s %11s" % (
               "messages", "PSS KiB", "private KiB", "RSS KiB", "store KiB")]
    for row in part["rows"]:
        out.append("  %10d %9d %12d %9d %11d" % (
            row["messages"], row["pss_kib"], row["private_kib"],
            row["rss_kib"], row["store_kib"]))
    return out + [""]


def text(r):
    out = _head(r)
    if "drain" in r:
        out += ["a queue of %d, drained" % r["messages"], ""]
        out += _rates(r["drain"], "floor-each")
    if "forward" in r:
        out += ["a queue of %d, each published to another queue, with "
                "confirms, before its ack" % r["forwarded"], ""]
        out += _rates(r["forward"], "floor-forward")
    if "drain" in r or "forward" in r:
        out += ["  to floor: the median of the ratios within a round; own us, "
                "broker us: processor",
                "  time of a message, all processes and threads of each side; "
                "busy: of the machine;",
                "  foreign: what neither side used of it, the feeder "
                "included. Slow ones are looked at",
                "  for some seconds, and the rest of their queue is thrown "
                "away.", ""]
    if "rpc" in r:
        out += _rpc(r["rpc"])
    if "memory" in r:
        out += _memory(r["memory"])
    return "\n".join(out + results.end(r)) + "\n"
