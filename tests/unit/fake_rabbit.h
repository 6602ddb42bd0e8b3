/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_rabbit - a broker of the test's own behind amqp/rabbit.h: it writes down
 * what it is asked, refuses what the test says, and brings the events that the
 * test has put in. Linked instead of rabbit*.c.
 */
#ifndef TEST_UNIT_FAKE_RABBIT_H
#define TEST_UNIT_FAKE_RABBIT_H

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "amqp/rabbit.h"
#include "base/buf.h"
#include "base/why.h"

struct rabbit {
	int fd;
	int number;
};

/* What begins so is refused, or loses the connection (code 0). */
struct fake_refusal {
	const char *what;
	unsigned code;
	const char *text;
};

static struct {
	struct buf log;			/* a line for each thing asked */
	struct fake_refusal refusal[8];
	size_t refusals;
	struct rabbit_count count;
	struct rabbit_event event[64];
	size_t events, taken;
	bool away;			/* nobody listens */
	int opened, open;
	bool found;			/* rabbit_get() finds something */
} fake_rabbit;

static inline void
fake_rabbit_set_up(void)
{
	memset(&fake_rabbit, 0, sizeof(fake_rabbit));
	buf_init(&fake_rabbit.log, 1 << 26);
}

static inline void
fake_rabbit_tear_down(void)
{
	ck_assert_int_eq(fake_rabbit.open, 0);
	buf_release(&fake_rabbit.log);
}

static inline void
fake_rabbit_refuse(const char *what, unsigned code, const char *text)
{
	fake_rabbit.refusal[fake_rabbit.refusals++] =
	    (struct fake_refusal){ what, code, text };
}

/* All that was asked since the last time is this. */
static inline void
fake_rabbit_was_asked(const char *lines)
{
	ck_assert_str_eq(
	    fake_rabbit.log.len > 0 ? fake_rabbit.log.data : "", lines);
	buf_clear(&fake_rabbit.log);
}

static inline void
fake_rabbit_event(const struct rabbit_event *event)
{
	ck_assert_uint_lt(fake_rabbit.events, 64);
	fake_rabbit.event[fake_rabbit.events++] = *event;
}

static inline enum rabbit_result fake_rabbit_ask(unsigned *code,
    struct why *why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline enum rabbit_result
fake_rabbit_ask(unsigned *code, struct why *why, const char *format, ...)
{
	char line[600];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	buf_printf(&fake_rabbit.log, "%s\n", line);
	for (size_t i = 0; i < fake_rabbit.refusals; i++) {
		const struct fake_refusal *refusal = &fake_rabbit.refusal[i];

		if (strncmp(line, refusal->what, strlen(refusal->what)) != 0)
			continue;
		why_set(why, "%s", refusal->text);
		if (code != NULL)
			*code = refusal->code;
		return refusal->code == 0 ? RABBIT_LOST : RABBIT_REFUSED;
	}
	return RABBIT_OK;
}

struct rabbit *
rabbit_open(const struct conf *config, const struct url *url, const char *what,
    void (*alive)(void *ctx), void *ctx, struct why *why)
{
	struct rabbit *rabbit;

	(void)config;
	buf_printf(&fake_rabbit.log, "open %s:%d %s\n", url->host, url->port,
	    what);
	alive(ctx);
	if (fake_rabbit.away) {
		why_set(why, "amqp://%s:%d/: nobody listens", url->host,
		    url->port);
		return NULL;
	}
	rabbit = calloc(1, sizeof(*rabbit));
	rabbit->fd = eventfd(0, EFD_NONBLOCK);
	rabbit->number = ++fake_rabbit.opened;
	fake_rabbit.open++;
	return rabbit;
}

void
rabbit_close(struct rabbit *rabbit)
{
	close(rabbit->fd);
	free(rabbit);
	fake_rabbit.open--;
}

int
rabbit_fd(const struct rabbit *rabbit)
{
	return rabbit->fd;
}

const char *
rabbit_server(const struct rabbit *rabbit)
{
	(void)rabbit;
	return "Fake 1";
}

static inline char *
fake_rabbit_json(const json_t *json)
{
	return json == NULL ? strdup("{}") :
			      json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
}

enum rabbit_result
rabbit_declare_exchange(struct rabbit *rabbit,
    const struct rabbit_exchange *exchange, unsigned *code, struct why *why)
{
	enum rabbit_result result;

	(void)rabbit;
	result = fake_rabbit_ask(code, why, "exchange %s %s%s", exchange->name,
	    exchange->type, exchange->passive ? " passive" : "");
	return result;
}

enum rabbit_result
rabbit_declare_queue(struct rabbit *rabbit, const struct rabbit_queue *queue,
    struct rabbit_count *count, unsigned *code, struct why *why)
{
	char *json = fake_rabbit_json(queue->arguments);
	enum rabbit_result result;

	(void)rabbit;
	if (count != NULL)
		*count = fake_rabbit.count;
	result = fake_rabbit_ask(code, why, "queue %s %s%s", queue->name, json,
	    queue->passive ? " passive" : "");
	free(json);
	return result;
}

enum rabbit_result
rabbit_bind(struct rabbit *rabbit, const char *queue, const char *exchange,
    struct msg_bytes key, bool on, bool wait, unsigned *code, struct why *why)
{
	(void)rabbit;
	return fake_rabbit_ask(code, why, "%s %s %s %.*s%s",
	    on ? "bind" : "unbind", queue, exchange, (int)key.len, key.p,
	    wait ? "" : " nowait");
}

enum rabbit_result
rabbit_consume(struct rabbit *rabbit, const char *queue, const char *tag,
    unsigned prefetch, bool no_ack, unsigned *code, struct why *why)
{
	(void)rabbit;
	(void)no_ack;
	return fake_rabbit_ask(code, why, "consume %s %s %u", queue, tag,
	    prefetch);
}

enum rabbit_result
rabbit_cancel(struct rabbit *rabbit, const char *tag, unsigned *code,
    struct why *why)
{
	(void)rabbit;
	return fake_rabbit_ask(code, why, "cancel %s", tag);
}

enum rabbit_result
rabbit_get(struct rabbit *rabbit, const char *queue, bool *found,
    unsigned *code, struct why *why)
{
	(void)rabbit;
	*found = fake_rabbit.found;
	return fake_rabbit_ask(code, why, "get %s", queue);
}

int
rabbit_ack(struct rabbit *rabbit, uint64_t tag, bool multiple)
{
	(void)rabbit;
	return fake_rabbit_ask(NULL, NULL, "ack %llu%s",
		   (unsigned long long)tag, multiple ? " multiple" : "") ==
		RABBIT_OK ?
	    0 :
	    -1;
}

int
rabbit_reject(struct rabbit *rabbit, uint64_t tag, bool requeue)
{
	(void)rabbit;
	fake_rabbit_ask(NULL, NULL, "reject %llu%s", (unsigned long long)tag,
	    requeue ? " requeue" : "");
	return 0;
}

bool
rabbit_write(struct rabbit *rabbit)
{
	(void)rabbit;
	return true;
}

size_t
rabbit_unwritten(const struct rabbit *rabbit)
{
	(void)rabbit;
	return 0;
}

enum rabbit_event_kind
rabbit_next(struct rabbit *rabbit, struct rabbit_event *event)
{
	(void)rabbit;
	*event = (struct rabbit_event){ .kind = RABBIT_NONE };
	if (fake_rabbit.taken < fake_rabbit.events)
		*event = fake_rabbit.event[fake_rabbit.taken++];
	return event->kind;
}

bool
rabbit_has_more(const struct rabbit *rabbit)
{
	(void)rabbit;
	return fake_rabbit.taken < fake_rabbit.events;
}

#endif
