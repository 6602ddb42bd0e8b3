/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link - connecting, and what every program of bench/amqp says on the way.
 */
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "link.h"

#define FRAME_MAX 131072

void
die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void
need(int status, const char *what)
{
	if (status != AMQP_STATUS_OK)
		die("%s: %s", what, amqp_error_string2(status));
}

void
need_reply(amqp_rpc_reply_t reply, const char *what)
{
	if (reply.reply_type == AMQP_RESPONSE_NORMAL)
		return;
	if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
		die("%s: %s", what, amqp_error_string2(reply.library_error));
	die("%s: the broker says no: %s", what,
	    amqp_method_name(reply.reply.id));
}

amqp_connection_state_t
link_open(const char *url)
{
	amqp_connection_state_t link = amqp_new_connection();
	struct amqp_connection_info info;
	char *copy = strdup(url);
	amqp_socket_t *socket;

	if (link == NULL || copy == NULL)
		die("no memory");
	amqp_default_connection_info(&info);
	need(amqp_parse_url(copy, &info), url);
	socket = amqp_tcp_socket_new(link);
	if (socket == NULL)
		die("no memory");
	need(amqp_socket_open(socket, info.host, info.port), "connect");
	need_reply(amqp_login(link, info.vhost, 0, FRAME_MAX, 0,
		       AMQP_SASL_METHOD_PLAIN, info.user, info.password),
	    "log in");
	amqp_channel_open(link, CHANNEL);
	need_reply(amqp_get_rpc_reply(link), "open a channel");
	free(copy);
	return link;
}

void
link_consume(amqp_connection_state_t link, const char *queue, unsigned prefetch)
{
	amqp_basic_qos(link, CHANNEL, 0, (uint16_t)prefetch, 0);
	need_reply(amqp_get_rpc_reply(link), "prefetch");
	amqp_basic_consume(link, CHANNEL, amqp_cstring_bytes(queue),
	    amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
	need_reply(amqp_get_rpc_reply(link), queue);
}

void
link_confirms(amqp_connection_state_t link)
{
	amqp_confirm_select(link, CHANNEL);
	need_reply(amqp_get_rpc_reply(link), "confirms");
}

void
confirms_init(struct confirms *confirms, unsigned window)
{
	confirms->settled = 0;
	confirms->size = window + 2;
	confirms->seen = calloc(confirms->size, sizeof(bool));
	if (confirms->seen == NULL)
		die("no memory");
}

void
confirms_on_ack(struct confirms *confirms, const amqp_basic_ack_t *ack)
{
	uint64_t n = ack->delivery_tag;

	if (n <= confirms->settled || n - confirms->settled >= confirms->size)
		die("a confirm of what was not published");
	if (ack->multiple)
		n = confirms->settled + 1;
	for (; n <= ack->delivery_tag; n++)
		confirms->seen[n % confirms->size] = true;
	while (confirms->seen[(confirms->settled + 1) % confirms->size])
		confirms->seen[++confirms->settled % confirms->size] = false;
}

int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

unsigned long
number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		die("not a number: %s", text);
	return value;
}
