# SPDX-License-Identifier: BSD-2-Clause
"""
celery_app - the same work for Celery: a task that looks at its message, and
one that gives back what it got, results sent back over RabbitMQ (rpc://), which
is what Celery waits for fastest. Else as Celery comes, persistent messages
without a confirm, acknowledged before the work, but for the settings in
BENCH_CELERY.
"""
import json
import os

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend="rpc://")
app.conf.update(
    task_serializer="json", result_serializer="json", accept_content=["json"],
    worker_hijack_root_logger=False, **json.loads(os.environ["BENCH_CELERY"]))


@app.task(name="bench.note", ignore_result=True)
def note(text):
    assert text


@app.task(name="bench.echo")
def echo(value):
    return value
