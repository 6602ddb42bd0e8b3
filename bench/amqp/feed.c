/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * feed - the other side of a consumer that is measured: fills a queue, tells
 * how full it is, asks and waits for the answer.
 *
 *   feed URL declare QUEUE          durable, without arguments; empties it
 *   feed URL fill QUEUE N BYTES ids|plain
 *                                   persistent messages; ends when the broker
 *                                   has confirmed all of them
 *   feed URL watch QUEUE MS         "SECONDS READY" every so often, until it
 *                                   is killed
 *   feed URL count QUEUE            prints how many are ready
 *   feed URL ask QUEUE N            N requests, one at a time; prints JSON
 *
 * Times are of the monotonic clock. What is ready is neither delivered nor
 * acknowledged: with a consumer at its prefetch, it shrinks at the rate of the
 * acks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "link.h"

#define BODY_MAX 65536
/* Published and not confirmed. */
#define WINDOW 4096

static const struct timeval at_once;

static uint32_t
ready(amqp_connection_state_t link, const char *queue)
{
	const amqp_queue_declare_ok_t *ok = amqp_queue_declare(link, CHANNEL,
	    amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);

	need_reply(amqp_get_rpc_reply(link), queue);
	return ok->message_count;
}

static void
declare(amqp_connection_state_t link, const char *queue)
{
	amqp_queue_declare(link, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0,
	    amqp_empty_table);
	need_reply(amqp_get_rpc_reply(link), queue);
	amqp_queue_purge(link, CHANNEL, amqp_cstring_bytes(queue));
	need_reply(amqp_get_rpc_reply(link), queue);
}

/* False: none has come. */
static bool
confirmed(amqp_connection_state_t link, struct confirms *confirms, bool wait)
{
	amqp_frame_t frame;
	int status;

	amqp_maybe_release_buffers(link);
	status = wait ? amqp_simple_wait_frame(link, &frame) :
			amqp_simple_wait_frame_noblock(link, &frame, &at_once);
	if (!wait && status == AMQP_STATUS_TIMEOUT)
		return false;
	need(status, "wait for confirms");
	if (frame.frame_type != AMQP_FRAME_METHOD ||
	    frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
		die("not a confirm");
	confirms_on_ack(confirms, frame.payload.method.decoded);
	return true;
}

static void
fill(amqp_connection_state_t link, const char *queue, unsigned long n,
    unsigned long size, bool ids)
{
	amqp_basic_properties_t properties = { 0 };
	unsigned long long began = (unsigned long long)now_ns();
	struct confirms confirms;
	char body[BODY_MAX], id[64];
	unsigned long i;

	if (size > sizeof(body))
		die("too large");
	memset(body, 'x', sizeof(body));
	confirms_init(&confirms, WINDOW);
	link_confirms(link);
	properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG |
	    (ids ? AMQP_BASIC_MESSAGE_ID_FLAG : 0);
	properties.delivery_mode = 2;
	for (i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "%016llx-%08lx", began, i);
		properties.message_id = amqp_cstring_bytes(id);
		need(amqp_basic_publish(link, CHANNEL, amqp_empty_bytes,
			 amqp_cstring_bytes(queue), 0, 0, &properties,
			 (amqp_bytes_t){ size, body }),
		    "publish");
		while (i + 1 - confirms.settled >= WINDOW)
			confirmed(link, &confirms, true);
		while (i % 64 == 0 && confirmed(link, &confirms, false))
			;
	}
	while (confirms.settled < n)
		confirmed(link, &confirms, true);
	free(confirms.seen);
}

static void
watch(amqp_connection_state_t link, const char *queue, unsigned long ms)
{
	int64_t before, after;
	uint32_t n;

	for (;;) {
		before = now_ns();
		n = ready(link, queue);
		after = now_ns();
		printf("%.6f %u\n", (double)(before + after) / 2e9, n);
		fflush(stdout);
		amqp_maybe_release_buffers(link);
		usleep((useconds_t)ms * 1000);
	}
}

static int
ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double
ask_once(amqp_connection_state_t link, const char *queue, unsigned long i)
{
	amqp_basic_properties_t properties = { 0 };
	amqp_envelope_t envelope;
	char id[32];
	int64_t before;

	snprintf(id, sizeof(id), "%lu", i);
	properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG |
	    AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
	    AMQP_BASIC_CONTENT_TYPE_FLAG;
	properties.delivery_mode = 2;
	properties.reply_to = amqp_cstring_bytes("amq.rabbitmq.reply-to");
	properties.correlation_id = amqp_cstring_bytes(id);
	properties.content_type = amqp_cstring_bytes("application/json");
	before = now_ns();
	need(amqp_basic_publish(link, CHANNEL, amqp_empty_bytes,
		 amqp_cstring_bytes(queue), 0, 0, &properties,
		 amqp_cstring_bytes("{\"n\": 12345}")),
	    "publish");
	do {
		need_reply(amqp_consume_message(link, &envelope, NULL, 0),
		    "wait for the answer");
		amqp_maybe_release_buffers(link);
		if (envelope.message.properties.correlation_id.len ==
			strlen(id) &&
		    memcmp(envelope.message.properties.correlation_id.bytes, id,
			strlen(id)) == 0)
			break;
		amqp_destroy_envelope(&envelope);
	} while (true);
	amqp_destroy_envelope(&envelope);
	return (double)(now_ns() - before) / 1e3;
}

static void
ask(amqp_connection_state_t link, const char *queue, unsigned long n)
{
	double *us = calloc(n, sizeof(*us));
	unsigned long i;

	if (us == NULL || n == 0)
		die("no memory");
	amqp_basic_consume(link, CHANNEL,
	    amqp_cstring_bytes("amq.rabbitmq.reply-to"), amqp_empty_bytes, 0, 1,
	    0, amqp_empty_table);
	need_reply(amqp_get_rpc_reply(link), "reply-to");
	for (i = 0; i < n / 10 + 1; i++)
		ask_once(link, queue, i);
	for (i = 0; i < n; i++)
		us[i] = ask_once(link, queue, n + i);
	qsort(us, n, sizeof(*us), ascending);
	printf("{\"n\": %lu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", n,
	    us[n / 2], us[n * 99 / 100]);
	free(us);
}

int
main(int argc, char **argv)
{
	amqp_connection_state_t link;
	const char *what = argc > 3 ? argv[2] : "";

	if (argc < 4)
		die("feed URL declare|fill|watch|count|ask QUEUE …");
	link = link_open(argv[1]);
	if (strcmp(what, "declare") == 0)
		declare(link, argv[3]);
	else if (strcmp(what, "fill") == 0 && argc == 7)
		fill(link, argv[3], number(argv[4]), number(argv[5]),
		    strcmp(argv[6], "ids") == 0);
	else if (strcmp(what, "watch") == 0 && argc == 5)
		watch(link, argv[3], number(argv[4]));
	else if (strcmp(what, "count") == 0)
		printf("%u\n", ready(link, argv[3]));
	else if (strcmp(what, "ask") == 0 && argc == 5)
		ask(link, argv[3], number(argv[4]));
	else
		die("what is %s?", what);
	amqp_connection_close(link, AMQP_REPLY_SUCCESS);
	amqp_destroy_connection(link);
	return 0;
}
