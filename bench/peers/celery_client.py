# SPDX-License-Identifier: BSD-2-Clause
"""
celery_client - submits to Celery and waits for the results; prints JSON.

  fill N           persistent messages for bench.note, 50 bytes in its envelope
  ask N            one after the other: submit, wait for its result
  bulk N PROCESSES
                   N tasks from so many processes with a connection each, then
                   all their results
  kombu N QUEUE    as many requests to somebody else's queue, by Celery's own
                   client library: direct reply-to, one after the other
"""
import json
import multiprocessing
import os
import socket
import sys
import time
import uuid

import kombu

from celery_app import app, echo, note

BODY_BYTES = 50
PATIENCE_S = 300
VALUE = {"n": 12345}


def fill(n):
    queue = app.conf.task_default_queue
    with app.connection_for_write() as connection:
        producer = kombu.Producer(connection.default_channel)
        app.amqp.queues[queue](connection).declare()
        for _ in range(n):
            ident = str(uuid.uuid4())
            message = app.amqp.as_task_v2(
                ident, note.name, args=("x" * BODY_BYTES,), ignore_result=True)
            producer.publish(
                message.body, routing_key=queue, serializer="json",
                headers=message.headers, delivery_mode=2,
                **message.properties)


def timed(n, once):
    for _ in range(n // 10 + 1):
        once()
    us = []
    for _ in range(n):
        before = time.perf_counter()
        once()
        us.append((time.perf_counter() - before) * 1e6)
    us.sort()
    return {"n": n, "p50_us": us[n // 2], "p99_us": us[n * 99 // 100]}


def ask(n):
    return timed(n, lambda: echo.delay(VALUE).get(timeout=PATIENCE_S))


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


def by_kombu(n, queue):
    answers = []
    with kombu.Connection(os.environ["BENCH_BROKER"]) as connection:
        channel = connection.channel()
        consumer = kombu.Consumer(
            channel, [kombu.Queue("amq.rabbitmq.reply-to", no_declare=True)],
            no_ack=True, accept=["json"],
            callbacks=[lambda body, message: answers.append(body)])
        consumer.consume()
        producer = kombu.Producer(channel)

        def once():
            answers.clear()
            producer.publish(
                VALUE, routing_key=queue, serializer="json", delivery_mode=2,
                reply_to="amq.rabbitmq.reply-to",
                correlation_id=str(uuid.uuid4()))
            while not answers:
                try:
                    connection.drain_events(timeout=PATIENCE_S)
                except socket.timeout:
                    sys.exit("no answer")
            assert answers[0] == VALUE

        return timed(n, once)


def main(what, n, *more):
    n = int(n)
    if what == "fill":
        fill(n)
        return
    print(json.dumps(by_kombu(n, more[0]) if what == "kombu" else
                     bulk(n, int(more[0])) if what == "bulk" else ask(n)))


if __name__ == "__main__":
    main(*sys.argv[1:])
