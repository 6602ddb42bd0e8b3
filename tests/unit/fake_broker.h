/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_broker - the other end of a struct rabbit: a process that plays a
 * broker, one connection, by a script of the test's.
 *
 * It speaks with the same frames and methods (a struct rabbit of its own), and
 * ends when its script does; a check that fails in it makes the test fail when
 * fake_end() waits for it.
 */
#ifndef TESTS_UNIT_FAKE_BROKER_H
#define TESTS_UNIT_FAKE_BROKER_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "amqp/rabbit_impl.h"
#include "base/clock.h"
#include "core/conf.h"
#include "run_suite.h"

static struct conf *conf;
static struct url url;
static struct why why;
static pid_t fake;

#define FAKE_REQUIRE(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: in the fake broker: %s\n", \
			    __FILE__, __LINE__, #condition); \
			_exit(1); \
		} \
	} while (0)

static void
fake_set_up(void)
{
	conf = conf_defaults();
	url = (struct url){ .port = 0, .host = "127.0.0.1", .vhost = "/" };
	fake = 0;
}

/* The script's process; its socket is closed when it returns. */
static void
fake_start(void (*script)(struct rabbit *broker))
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	url.port = ntohs(in.sin_port);
	fake = fork();
	ck_assert_int_ge(fake, 0);
	if (fake == 0) {
		struct rabbit *broker = rabbit_new(conf);

		alarm(60);
		broker->net.fd = accept(fd, NULL, NULL);
		FAKE_REQUIRE(broker->net.fd >= 0);
		script(broker);
		rabbit_free(broker);
		conf_free(conf);
		close(fd);
		_exit(0);
	}
	close(fd);
}

static void
fake_end(void)
{
	int status;

	ck_assert_int_eq(waitpid(fake, &status, 0), fake);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "the fake broker ended with 0x%x", status);
	fake = 0;
}

static void
fake_tear_down(void)
{
	if (fake > 0) {
		kill(fake, SIGKILL);
		waitpid(fake, NULL, 0);
	}
	conf_free(conf);
}

/* ---------------------------------------------------------- in the script */

static inline void
fake_flush(struct rabbit *broker)
{
	while (rabbit_unwritten(broker) > 0) {
		struct pollfd pfd = { broker->net.fd, POLLOUT, 0 };

		FAKE_REQUIRE(poll(&pfd, 1, -1) == 1);
		if (!rabbit_write(broker))
			return;
	}
}

static inline void
fake_bytes(struct rabbit *broker, const void *bytes, size_t len)
{
	FAKE_REQUIRE(buf_append(&broker->out, bytes, len) == 0);
	while (rabbit_unwritten(broker) > 0 && rabbit_write(broker))
		continue;
}

static inline void
fake_header(struct rabbit *broker)
{
	char header[8];

	FAKE_REQUIRE(recv(broker->net.fd, header, 8, MSG_WAITALL) == 8);
	FAKE_REQUIRE(memcmp(header, "AMQP\0\0\x09\x01", 8) == 0);
}

/* The next frame that is no heartbeat; false: the peer is gone. */
static inline bool
fake_frame(struct rabbit *broker, struct frame *frame)
{
	for (;;) {
		int n = rabbit_frame(broker, false, frame);

		FAKE_REQUIRE(n >= 0);
		if (n > 0 && frame->type != AMQP_FRAME_HEARTBEAT)
			return true;
		if (n == 0) {
			struct pollfd pfd = { broker->net.fd, POLLIN, 0 };

			FAKE_REQUIRE(poll(&pfd, 1, -1) == 1);
			if (rabbit_fill(broker) < 0)
				return false;
		}
	}
}

/* The next frame is that method; its arguments. */
static inline void *
fake_expect(struct rabbit *broker, amqp_method_number_t id)
{
	amqp_method_number_t is;
	struct frame frame;
	void *decoded;

	FAKE_REQUIRE(fake_frame(broker, &frame));
	FAKE_REQUIRE(frame.type == AMQP_FRAME_METHOD);
	decoded = rabbit_decode(broker, &frame, &is);
	if (is != id)
		fprintf(stderr, "expected %s, got %s\n", amqp_method_name(id),
		    amqp_method_name(is));
	FAKE_REQUIRE(decoded != NULL && is == id);
	return decoded;
}

static inline void
fake_say(struct rabbit *broker, unsigned channel, amqp_method_number_t id,
    void *method)
{
	FAKE_REQUIRE(rabbit_method(broker, channel, id, method) == 0);
	fake_flush(broker);
}

static inline void
fake_say_start(struct rabbit *broker, const char *mechanisms)
{
	amqp_table_entry_t entry[2] = {
		{ amqp_cstring_bytes("product"),
		    { AMQP_FIELD_KIND_UTF8,
			{ .bytes = amqp_cstring_bytes("Hare") } } },
		{ amqp_cstring_bytes("version"),
		    { AMQP_FIELD_KIND_UTF8,
			{ .bytes = amqp_cstring_bytes("1.2\n") } } },
	};
	amqp_connection_start_t start = {
		.version_minor = 9,
		.server_properties = { 2, entry },
		.mechanisms = amqp_cstring_bytes(mechanisms),
		.locales = amqp_cstring_bytes("en_US"),
	};

	fake_header(broker);
	fake_say(broker, 0, AMQP_CONNECTION_START_METHOD, &start);
}

static inline void
fake_close(struct rabbit *broker, unsigned channel, unsigned code,
    const char *text)
{
	amqp_connection_close_t close = { .reply_code = (uint16_t)code,
		.reply_text = amqp_cstring_bytes(text) };
	amqp_channel_close_t channel_close = { .reply_code = (uint16_t)code,
		.reply_text = amqp_cstring_bytes(text) };

	if (channel == 0)
		fake_say(broker, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
	else
		fake_say(broker, channel, AMQP_CHANNEL_CLOSE_METHOD,
		    &channel_close);
}

/* Until the channel is open. */
static inline void
fake_login(struct rabbit *broker, uint32_t frame_max)
{
	amqp_connection_tune_t tune = { .channel_max = 2047,
		.frame_max = frame_max,
		.heartbeat = 60 };
	amqp_connection_open_ok_t open_ok = { .known_hosts =
						  amqp_empty_bytes };
	amqp_channel_open_ok_t channel_ok = { .channel_id = amqp_empty_bytes };

	fake_say_start(broker, "AMQPLAIN PLAIN");
	fake_expect(broker, AMQP_CONNECTION_START_OK_METHOD);
	fake_say(broker, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
	fake_expect(broker, AMQP_CONNECTION_TUNE_OK_METHOD);
	fake_expect(broker, AMQP_CONNECTION_OPEN_METHOD);
	fake_say(broker, 0, AMQP_CONNECTION_OPEN_OK_METHOD, &open_ok);
	fake_expect(broker, AMQP_CHANNEL_OPEN_METHOD);
	fake_say(broker, 1, AMQP_CHANNEL_OPEN_OK_METHOD, &channel_ok);
}

/* Whatever comes, until the peer closes. */
static inline void
fake_swallow(struct rabbit *broker)
{
	char bytes[65536];

	while (recv(broker->net.fd, bytes, sizeof(bytes), 0) > 0)
		continue;
}

static inline void
fake_deliver(struct rabbit *broker, uint64_t tag)
{
	amqp_basic_deliver_t deliver = { .consumer_tag =
					     amqp_cstring_bytes("c"),
		.delivery_tag = tag,
		.exchange = amqp_cstring_bytes("e"),
		.routing_key = amqp_cstring_bytes("k") };

	FAKE_REQUIRE(rabbit_method(broker, 1, AMQP_BASIC_DELIVER_METHOD,
			 &deliver) == 0);
}

/* A frame as it stands. */
static inline void
fake_raw(struct rabbit *broker, int type, int channel, const void *payload,
    size_t len)
{
	unsigned char head[7] = { (unsigned char)type,
		(unsigned char)(channel >> 8), (unsigned char)channel,
		(unsigned char)(len >> 24), (unsigned char)(len >> 16),
		(unsigned char)(len >> 8), (unsigned char)len };

	FAKE_REQUIRE(buf_append(&broker->out, head, 7) == 0);
	FAKE_REQUIRE(buf_append(&broker->out, payload, len) == 0);
	FAKE_REQUIRE(buf_append(&broker->out, "\xce", 1) == 0);
}

static inline void
fake_head(struct rabbit *broker, uint64_t size)
{
	unsigned char head[14] = { 0, 60 };

	for (int i = 0; i < 8; i++)
		head[4 + i] = (unsigned char)(size >> (56 - 8 * i));
	fake_raw(broker, AMQP_FRAME_HEADER, 1, head, sizeof(head));
}

/* ---------------------------------------------------------- on our side */

static inline struct rabbit *
fake_open(void)
{
	struct rabbit *rabbit =
	    rabbit_open(conf, &url, "test", NULL, NULL, &why);

	ck_assert_msg(rabbit != NULL, "%s", why.text);
	return rabbit;
}

/* The next event, waited for. */
static inline enum rabbit_event_kind
fake_next(struct rabbit *rabbit, struct rabbit_event *event)
{
	while (rabbit_next(rabbit, event) == RABBIT_NONE) {
		struct pollfd pfd = { rabbit_fd(rabbit), POLLIN, 0 };

		rabbit_write(rabbit);
		if (rabbit_unwritten(rabbit) > 0)
			pfd.events |= POLLOUT;
		ck_assert_int_ge(poll(&pfd, 1, 1000), 0);
	}
	return event->kind;
}

#endif
