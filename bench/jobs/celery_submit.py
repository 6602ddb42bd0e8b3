# SPDX-License-Identifier: BSD-2-Clause
"""
celery_submit - submits to Celery and waits for the results; prints JSON.

  latency N         one after the other: submit, wait for its result
  bulk N PROCESSES  N tasks from so many processes with a connection each, then
                    all their results
"""
import json
import multiprocessing
import sys
import time

from celery_tasks import echo

VALUE = {"n": 12345}
PATIENCE_S = 300


def latency(n):
    for _ in range(min(n, 100)):
        echo.delay(VALUE).get(timeout=PATIENCE_S)
    us = []
    for _ in range(n):
        before = time.perf_counter()
        echo.delay(VALUE).get(timeout=PATIENCE_S)
        us.append((time.perf_counter() - before) * 1e6)
    us.sort()
    return {"n": n, "p50_us": us[n // 2], "p99_us": us[n * 99 // 100]}


def submitter(n, start, told):
    echo.delay(VALUE).get(timeout=PATIENCE_S)
    start.wait()
    results = [echo.delay(VALUE) for _ in range(n)]
    submitted = time.monotonic()
    for result in results:
        result.get(timeout=PATIENCE_S)
    told.put((submitted, time.monotonic()))


def bulk(n, processes):
    start = multiprocessing.Barrier(processes + 1)
    told = multiprocessing.Queue()
    running = [multiprocessing.Process(target=submitter,
                                       args=(n // processes, start, told))
               for _ in range(processes)]
    for process in running:
        process.start()
    start.wait()
    before = time.monotonic()
    ends = [told.get(timeout=PATIENCE_S) for _ in running]
    for process in running:
        process.join()
    n -= n % processes
    submitted = max(end[0] for end in ends) - before
    took = max(end[1] for end in ends) - before
    return {"n": n, "submitted_per_s": n / submitted, "per_s": n / took,
            "took_s": took}


if __name__ == "__main__":
    what = {"latency": latency, "bulk": bulk}[sys.argv[1]]
    print(json.dumps(what(*map(int, sys.argv[2:]))))
