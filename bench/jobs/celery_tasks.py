# SPDX-License-Identifier: BSD-2-Clause
"""
celery_tasks - the same work for Celery: a task that gives back what it got,
results sent back over RabbitMQ (rpc://), which is what Celery waits for
fastest. BENCH_DURABLE=1: as durable as brood is, with publisher confirms, and
acknowledged after the work; else as Celery comes, persistent messages without
a confirm, acknowledged before the work.
"""
import os

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend="rpc://")
app.conf.update(
    task_serializer="json", result_serializer="json", accept_content=["json"],
    worker_hijack_root_logger=False)
if os.environ.get("BENCH_DURABLE") == "1":
    app.conf.update(task_acks_late=True,
                    broker_transport_options={"confirm_publish": True})


@app.task(name="bench.echo")
def echo(value):
    return value
