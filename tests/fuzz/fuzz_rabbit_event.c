/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_rabbit_event - any bytes as what a broker says after the login.
 *
 * The first byte chooses: the rest as it stands, or as payloads of good frames
 * (a byte for kind and channel, one for the length), which get further; with a
 * request in between, or not. Events are good ones, and it ends.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/rabbit_impl.h"
#include "base/utf8.h"
#include "core/conf.h"
#include "fuzz.h"

/* Each byte of a body may be read. */
static volatile unsigned sum;

#define MOST 60000 /* what a socket takes at once */

static size_t
frame_up(const uint8_t *data, size_t size, uint8_t *to)
{
	size_t n = 0;

	while (size >= 2 && n + 270 < MOST) {
		size_t len = data[1] < size - 2 ? data[1] : size - 2;
		uint8_t head[7] = { data[0] & 0x0f, 0, data[0] >> 7, 0, 0, 0,
			(uint8_t)len };

		memcpy(to + n, head, 7);
		memcpy(to + n + 7, data + 2, len);
		to[n + 7 + len] = RABBIT_FRAME_END;
		n += 8 + len;
		data += 2 + len;
		size -= 2 + len;
	}
	return n;
}

static void
require_event(const struct rabbit_event *event)
{
	const struct msg_PUBLISH *m = &event->message;

	FUZZ_REQUIRE(utf8_is_text(event->text, strlen(event->text)));
	if (event->kind != RABBIT_DELIVERY && event->kind != RABBIT_RETURN)
		return;
	FUZZ_REQUIRE(utf8_is_text(m->exchange.p, m->exchange.len));
	FUZZ_REQUIRE(utf8_is_text(m->key.p, m->key.len));
	FUZZ_REQUIRE(event->refused[0] != '\0' || m->body.len == event->size);
	for (size_t i = 0; i < m->body.len; i++)
		sum += (unsigned char)m->body.p[i];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[MOST];
	static struct conf *conf;
	struct rabbit_event event;
	struct rabbit *rabbit;
	struct why why;
	int pair[2], events = 0;
	size_t n;

	if (size < 1)
		return 0;
	if (conf == NULL)
		conf = conf_defaults();
	if ((data[0] & 1) != 0)
		n = frame_up(data + 1, size - 1, bytes);
	else {
		n = size - 1 < MOST ? size - 1 : MOST;
		memcpy(bytes, data + 1, n);
	}
	FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	FUZZ_REQUIRE(n == 0 || write(pair[1], bytes, n) == (ssize_t)n);
	shutdown(pair[1], SHUT_WR);
	rabbit = rabbit_new(conf);
	rabbit->net.fd = pair[0];
	if ((data[0] & 2) != 0)
		rabbit_purge(rabbit, "q", NULL, NULL, &why);
	while (rabbit_next(rabbit, &event) != RABBIT_GONE) {
		require_event(&event);
		FUZZ_REQUIRE(++events < 100000);
	}
	FUZZ_REQUIRE(event.text[0] != '\0');
	rabbit_close(rabbit);
	close(pair[1]);
	return 0;
}
