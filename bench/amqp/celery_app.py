# SPDX-License-Identifier: BSD-2-Clause
"""
celery_app - the same work for Celery: a task that looks at its message, and
one that gives back what it got, by rpc://. Acknowledged after the work; as many
messages ahead as the others have.
"""
import os

from celery import Celery

QUEUE = "bench.celery"
PROCESSES = int(os.environ["BENCH_WORKERS"])

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend="rpc://")
app.conf.update(
    task_default_queue=QUEUE, task_serializer="json", result_serializer="json",
    accept_content=["json"], task_acks_late=True,
    # of each process; all of them share one connection
    worker_prefetch_multiplier=max(
        1, int(os.environ["BENCH_PREFETCH"]) // PROCESSES),
    worker_disable_rate_limits=True, worker_hijack_root_logger=False)


@app.task(name="bench.note", ignore_result=True)
def note(text):
    assert text


@app.task(name="bench.echo")
def echo(value):
    return value
