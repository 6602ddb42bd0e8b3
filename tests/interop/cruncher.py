#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The five services of the e-mail cruncher as somebody writes them who knows
nothing of brood: plain pika, durable queues without arguments, prefetch 1,
acknowledged after the work.

    cruncher.py URL upload              a text from standard input
    cruncher.py URL regex               prints "done" after each text
    cruncher.py URL slow [SECONDS]      the same
    cruncher.py URL status DOMAIN       prints each new address
    cruncher.py URL spammer NAME        prints each warning
    cruncher.py URL count               answers RPC
    cruncher.py URL ask QUEUE           asks with standard input, prints the
                                        answer

Each of the services prints "ready" when it consumes, and runs until SIGTERM.
"""

import json
import re
import signal
import sys
import time
import uuid

import pika

ADDRESS = re.compile(
    rb"[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+")
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def say(line):
    print(line, flush=True)


def addresses_in(text):
    return sorted({found.decode("ascii") for found in ADDRESS.findall(text)})


def emails(channel):
    channel.exchange_declare("emails", exchange_type="fanout", durable=True)


def serve(connection, channel, queue, work):
    """Consumes until SIGTERM."""
    def on_message(channel, method, properties, body):
        work(method, properties, body)
        channel.basic_ack(method.delivery_tag)

    def stop(number, frame):
        connection.add_callback_threadsafe(channel.stop_consuming)

    signal.signal(signal.SIGTERM, stop)
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(queue, on_message)
    say("ready")
    channel.start_consuming()


def upload(connection, channel):
    emails(channel)
    channel.basic_publish("emails", "", sys.stdin.buffer.read(), PERSISTENT)


def cruncher(connection, channel, queue, seconds):
    def work(method, properties, body):
        connection.sleep(seconds)
        channel.basic_publish("", "status", json.dumps(addresses_in(body)),
                              PERSISTENT, mandatory=True)
        say("done")

    emails(channel)
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, "emails")
    channel.queue_declare("status", durable=True)
    channel.confirm_delivery()
    serve(connection, channel, queue, work)


def regex(connection, channel):
    cruncher(connection, channel, "regex-cruncher", 0)


def slow(connection, channel, seconds="5"):
    cruncher(connection, channel, "slow-cruncher", float(seconds))


def status(connection, channel, domain):
    known = set()
    warned = set()

    def work(method, properties, body):
        for address in json.loads(body):
            if address not in known:
                known.add(address)
                say(address)
            local, host = address.rsplit("@", 1)
            if host == domain and local not in warned:
                warned.add(local)
                channel.basic_publish("spammer", local, "spam me!", PERSISTENT)

    channel.exchange_declare("spammer", exchange_type="direct", durable=True)
    channel.queue_declare("status", durable=True)
    serve(connection, channel, "status", work)


def spammer(connection, channel, name):
    def work(method, properties, body):
        say("%s: %s" % (method.routing_key, body.decode()))

    channel.exchange_declare("spammer", exchange_type="direct", durable=True)
    channel.queue_declare(name, durable=True)
    channel.queue_bind(name, "spammer", routing_key=name)
    serve(connection, channel, name, work)


def count(connection, channel):
    def work(method, properties, body):
        if (properties.content_type or "").startswith("application/json"):
            body = json.loads(body)["text"].encode()
        channel.basic_publish(
            "", properties.reply_to,
            json.dumps({"count": len(addresses_in(body))}),
            pika.BasicProperties(content_type="application/json",
                                 correlation_id=properties.correlation_id))

    channel.queue_declare("count", passive=True)
    serve(connection, channel, "count", work)


def ask(connection, channel, queue):
    answers = []

    def on_answer(channel, method, properties, body):
        if properties.correlation_id == wanted:
            answers.append(body.decode())

    wanted = str(uuid.uuid4())
    place = channel.queue_declare("", exclusive=True).method.queue
    channel.basic_consume(place, on_answer, auto_ack=True)
    channel.basic_publish("", queue, sys.stdin.buffer.read(),
                          pika.BasicProperties(reply_to=place,
                                               correlation_id=wanted))
    end = time.monotonic() + 60
    while not answers and time.monotonic() < end:
        connection.process_data_events(time_limit=1)
    if not answers:
        sys.exit("no answer")
    say(answers[0])


SERVICES = {"upload": upload, "regex": regex, "slow": slow, "status": status,
            "spammer": spammer, "count": count, "ask": ask}


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in SERVICES:
        sys.exit(__doc__)
    connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
    channel = connection.channel()
    SERVICES[sys.argv[2]](connection, channel, *sys.argv[3:])
    connection.close()


if __name__ == "__main__":
    main()
