# SPDX-License-Identifier: BSD-2-Clause
"""
celery_feed - fills Celery's queue, or asks and waits for the answers.

  fill N           persistent messages for bench.note, 50 bytes in its envelope
  ask N            apply_async().get(), one after the other; prints JSON
  kombu QUEUE N    as many requests to somebody else's queue, by Celery's own
                   client library: direct reply-to, one after the other
"""
import json
import os
import socket
import sys
import time
import uuid

import kombu

import celery_app

BODY_BYTES = 50
PATIENCE_S = 60
VALUE = {"n": 12345}


def fill(n):
    app, task = celery_app.app, celery_app.note
    text = "x" * BODY_BYTES
    with app.connection_for_write() as connection:
        producer = kombu.Producer(connection.default_channel)
        app.amqp.queues[celery_app.QUEUE](connection).declare()
        for _ in range(n):
            ident = str(uuid.uuid4())
            message = app.amqp.as_task_v2(
                ident, task.name, args=(text,), ignore_result=True)
            producer.publish(
                message.body, routing_key=celery_app.QUEUE, serializer="json",
                headers=message.headers, delivery_mode=2,
                **message.properties)


def shown(us):
    us.sort()
    print(json.dumps({"n": len(us), "p50_us": us[len(us) // 2],
                      "p99_us": us[len(us) * 99 // 100]}))


def timed(n, once):
    for _ in range(n // 10 + 1):
        once()
    us = []
    for _ in range(n):
        before = time.perf_counter()
        once()
        us.append((time.perf_counter() - before) * 1e6)
    shown(us)


def ask(n):
    timed(n, lambda: celery_app.echo.apply_async((VALUE,)).get(
        timeout=PATIENCE_S))


def by_kombu(queue, n):
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

        timed(n, once)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(int(sys.argv[2]))
    elif sys.argv[1] == "ask":
        ask(int(sys.argv[2]))
    else:
        by_kombu(sys.argv[2], int(sys.argv[3]))
