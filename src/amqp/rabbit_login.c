/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_login - a connection from the first byte to the open channel, and its
 * end.
 *
 * The one who meets a wrong port, password or vhost is a person who sets a
 * service up: so each step knows what its failure means, and says it.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amqp/rabbit_impl.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/conf.h"

#define EARLY_MAX ((size_t)256 << 20)
#define OUT_MAX ((size_t)1 << 30)
#define CHANNELS 16

struct rabbit *
rabbit_new(const struct conf *conf)
{
	struct rabbit *rabbit = mem_alloc(sizeof(*rabbit));
	struct content *content = &rabbit->content;

	rabbit->net.fd = -1;
	rabbit->timeout_ns = conf->amqp.timeout;
	rabbit->max_message = conf->hub.max_message;
	rabbit->max_headers = conf->amqp.max_headers;
	rabbit->frame_max = RABBIT_FRAME_MAX;
	rabbit->in_size = 2 * (RABBIT_FRAME_MAX + RABBIT_FRAME_HEAD + 1);
	rabbit->in = mem_array(rabbit->in_size, 1);
	rabbit->heard_ns = rabbit->said_ns = clock_now_ns();
	init_amqp_pool(&rabbit->pool, 4096);
	buf_init(&rabbit->early, EARLY_MAX);
	buf_init(&rabbit->out, OUT_MAX);
	buf_init(&content->head, RABBIT_FRAME_MAX);
	buf_init(&content->attrs, 16 * rabbit->max_headers + (1u << 20));
	buf_init(&content->body, rabbit->max_message);
	return rabbit;
}

void
rabbit_free(struct rabbit *rabbit)
{
	if (rabbit == NULL)
		return;
	net_close(&rabbit->net);
	empty_amqp_pool(&rabbit->pool);
	buf_release(&rabbit->early);
	buf_release(&rabbit->out);
	buf_release(&rabbit->content.head);
	buf_release(&rabbit->content.attrs);
	buf_release(&rabbit->content.body);
	free(rabbit->in);
	free(rabbit);
}

int
rabbit_fd(const struct rabbit *rabbit)
{
	return rabbit->net.fd;
}

const char *
rabbit_server(const struct rabbit *rabbit)
{
	return rabbit->server;
}

/* ------------------------------------------------------------- first bytes */

/* It said something, but not what an AMQP server says first. */
static int
explain_greeting(const struct rabbit *rabbit, struct why *why)
{
	const char *p = rabbit->in + rabbit->in_start;
	size_t len = rabbit->in_end - rabbit->in_start;
	char shown[41];

	if (len >= 3 && p[0] == 0x15 && p[1] == 0x03)
		return why_set(why, "it wants TLS on that port (amqps://)");
	if (len >= 8 && memcmp(p, "AMQP", 4) == 0)
		return why_set(why,
		    "it speaks another version of AMQP (%d-%d-%d), not 0-9-1",
		    p[5], p[6], p[7]);
	len = len < sizeof(shown) - 1 ? len : sizeof(shown) - 1;
	for (size_t i = 0; i < len; i++)
		shown[i] = isprint((unsigned char)p[i]) ? p[i] : '.';
	shown[len] = '\0';
	return why_set(why, "it is no AMQP server: it began with \"%s\"",
	    shown);
}

/* The head of connection.start, and nothing else, is what we go on with. */
static int
greet(struct rabbit *rabbit, struct why *why)
{
	static const char header[] = { 'A', 'M', 'Q', 'P', 0, 0, 9, 1 };
	static const char start[] = { AMQP_FRAME_METHOD, 0, 0 };
	int64_t until = clock_now_ns() + rabbit->timeout_ns;
	size_t len;

	if (buf_append(&rabbit->out, header, sizeof(header)) < 0)
		return why_set(why, "out of memory");
	for (;;) {
		rabbit_write(rabbit);
		len = rabbit->in_end - rabbit->in_start;
		if (len >= 8)
			break;
		if (rabbit_fill(rabbit) > 0)
			continue;
		if (rabbit->gone || rabbit->out_dead) {
			if (len > 0)
				return explain_greeting(rabbit, why);
			return why_set(why,
			    "it closed the connection before it said "
			    "anything: it is no AMQP server, or wants TLS "
			    "(amqps://), or has no room for a connection");
		}
		if (!net_wait(rabbit->net.fd, rabbit_unwritten(rabbit) > 0,
			until))
			return why_set(why,
			    "timed out: something listens there, but has said "
			    "nothing within %.9g s; is it an AMQP server?",
			    clock_to_seconds(rabbit->timeout_ns));
	}
	if (memcmp(rabbit->in + rabbit->in_start, start, sizeof(start)) != 0)
		return explain_greeting(rabbit, why);
	return 0;
}

/* -------------------------------------------------------------------- login */

static int
find_text(const amqp_table_t *table, const char *name, char *to, size_t size)
{
	for (int i = 0; i < table->num_entries; i++) {
		const amqp_table_entry_t *entry = &table->entries[i];

		if (entry->value.kind != AMQP_FIELD_KIND_UTF8 ||
		    entry->key.len != strlen(name) ||
		    memcmp(entry->key.bytes, name, entry->key.len) != 0)
			continue;
		rabbit_clean(to, size, entry->value.value.bytes.bytes,
		    entry->value.value.bytes.len);
		return 0;
	}
	mem_copy_string(to, size, "");
	return -1;
}

static int
on_start(struct rabbit *rabbit, const amqp_connection_start_t *start,
    struct why *why)
{
	char product[64], version[40], mechanisms[128];
	const char *plain;

	find_text(&start->server_properties, "version", version,
	    sizeof(version));
	if (find_text(&start->server_properties, "product", product,
		sizeof(product)) < 0)
		mem_copy_string(product, sizeof(product), "a broker");
	snprintf(rabbit->server, sizeof(rabbit->server), "%s%s%s", product,
	    version[0] != '\0' ? " " : "", version);
	rabbit_clean(mechanisms, sizeof(mechanisms), start->mechanisms.bytes,
	    start->mechanisms.len);
	plain = strstr(mechanisms, "PLAIN");
	if (plain == NULL)
		return why_set(why,
		    "it takes no user and password (PLAIN), only: %s",
		    mechanisms);
	return 0;
}

static void
set_text(amqp_table_entry_t *entry, const char *name, const char *value)
{
	entry->key = amqp_cstring_bytes(name);
	entry->value.kind = AMQP_FIELD_KIND_UTF8;
	entry->value.value.bytes = amqp_cstring_bytes(value);
}

#define CAPABILITIES 5

static void
set_capabilities(amqp_table_entry_t entry[CAPABILITIES])
{
	static const char *const name[CAPABILITIES] = {
		"consumer_cancel_notify",
		"connection.blocked",
		"basic.nack",
		"publisher_confirms",
		"authentication_failure_close",
	};

	for (size_t i = 0; i < CAPABILITIES; i++) {
		entry[i].key = amqp_cstring_bytes(name[i]);
		entry[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
		entry[i].value.value.boolean = 1;
	}
}

static int
send_start_ok(struct rabbit *rabbit, const struct conf *conf,
    const struct url *url, const char *what)
{
	amqp_table_entry_t capability[CAPABILITIES], entry[5];
	const char *user = url->has_user ? url->user :
	    conf->amqp_user != NULL	 ? conf->amqp_user :
					   "guest";
	const char *password = url->has_password ? url->password :
	    conf->amqp_password != NULL		 ? conf->amqp_password :
						   "guest";
	char name[320], response[520];
	amqp_connection_start_ok_t ok = {
		.client_properties = { 5, entry },
		.mechanism = amqp_cstring_bytes("PLAIN"),
		.locale = amqp_cstring_bytes("en_US"),
	};
	int rc, n;

	snprintf(name, sizeof(name), "%s: %s, process %d",
	    conf->amqp.connection_name[0] != '\0' ? conf->amqp.connection_name :
						    conf->service.name,
	    what, (int)getpid());
	set_text(&entry[0], "product", "brood");
	set_text(&entry[1], "version", BROOD_VERSION);
	set_text(&entry[2], "platform", "C");
	set_text(&entry[3], "connection_name", name);
	entry[4].key = amqp_cstring_bytes("capabilities");
	entry[4].value.kind = AMQP_FIELD_KIND_TABLE;
	entry[4].value.value.table = (amqp_table_t){ CAPABILITIES, capability };
	set_capabilities(capability);
	n = snprintf(response, sizeof(response), "%c%s%c%s", 0, user, 0,
	    password);
	ok.response.bytes = response;
	ok.response.len = (size_t)n;
	rc = rabbit_method(rabbit, 0, AMQP_CONNECTION_START_OK_METHOD, &ok);
	explicit_bzero(response, sizeof(response));
	return rc;
}

static int
send_tune_ok(struct rabbit *rabbit, const struct conf *conf,
    const amqp_connection_tune_t *tune)
{
	int64_t seconds = (conf->amqp.heartbeat + NS_PER_S - 1) / NS_PER_S;
	amqp_connection_tune_ok_t ok = {
		.channel_max = CHANNELS,
		.frame_max = RABBIT_FRAME_MAX,
		.heartbeat = (uint16_t)seconds,
	};

	/* 0 is none */
	if (tune->channel_max > 0 && tune->channel_max < ok.channel_max)
		ok.channel_max = tune->channel_max;
	if (tune->frame_max > 0 && tune->frame_max < ok.frame_max)
		ok.frame_max = tune->frame_max;
	rabbit->frame_max = ok.frame_max < AMQP_FRAME_MIN_SIZE ?
	    AMQP_FRAME_MIN_SIZE :
	    ok.frame_max;
	rabbit->heartbeat_ns = seconds * NS_PER_S;
	return rabbit_method(rabbit, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok);
}

/* In other words than the broker's, where they say little. */
static int
explain_login(const struct rabbit *rabbit, unsigned code, struct why *why)
{
	const char *said = strchr(rabbit->why.text, ':');
	const char *text = code != 0 && said != NULL ? said + 2 :
						       rabbit->why.text;

	if (code == AMQP_ACCESS_REFUSED)
		return why_set(why, "wrong user or password (%s)", text);
	if (code == AMQP_NOT_ALLOWED && strstr(text, "not found") != NULL)
		return why_set(why, "there is no such vhost (%s)", text);
	if (code == AMQP_NOT_ALLOWED && strstr(text, "refused") != NULL)
		return why_set(why, "no access to that vhost (%s)", text);
	return why_set(why, "%s", text);
}

/* Waits for one method of the handshake. */
static void *
await(struct rabbit *rabbit, unsigned channel, amqp_method_number_t id,
    amqp_method_t *reply, struct why *why)
{
	const amqp_method_number_t replies[] = { id, 0 };
	unsigned code = 0;
	struct why plain;

	switch (rabbit_call(rabbit, channel, replies, reply, &code, &plain)) {
	case RABBIT_OK:
		return reply->decoded;
	case RABBIT_REFUSED:
		why_set(why, "%s", plain.text);
		return NULL;
	default:
		/* what RabbitMQ did before authentication_failure_close */
		if (code == 0 && id == AMQP_CONNECTION_TUNE_METHOD &&
		    strstr(plain.text, "closed the connection") != NULL)
			why_set(why,
			    "the broker closed the connection at the login: "
			    "wrong user or password?");
		else
			explain_login(rabbit, code, why);
		return NULL;
	}
}

static int
open_vhost(struct rabbit *rabbit, const struct url *url, struct why *why)
{
	amqp_connection_open_t open = {
		.virtual_host = amqp_cstring_bytes(url->vhost),
	};
	amqp_channel_open_t channel = { .out_of_band = amqp_empty_bytes };
	amqp_method_t reply;

	if (rabbit_method(rabbit, 0, AMQP_CONNECTION_OPEN_METHOD, &open) < 0)
		return why_set(why, "out of memory");
	if (await(rabbit, 0, AMQP_CONNECTION_OPEN_OK_METHOD, &reply, why) ==
	    NULL)
		return -1;
	if (rabbit_method(rabbit, RABBIT_CHANNEL, AMQP_CHANNEL_OPEN_METHOD,
		&channel) < 0)
		return why_set(why, "out of memory");
	if (await(rabbit, RABBIT_CHANNEL, AMQP_CHANNEL_OPEN_OK_METHOD, &reply,
		why) == NULL)
		return -1;
	return 0;
}

static int
login(struct rabbit *rabbit, const struct conf *conf, const struct url *url,
    const char *what, void (*alive)(void *ctx), void *ctx, struct why *why)
{
	amqp_method_t reply;
	void *decoded;

	if (greet(rabbit, why) < 0)
		return -1;
	decoded = await(rabbit, 0, AMQP_CONNECTION_START_METHOD, &reply, why);
	if (decoded == NULL || on_start(rabbit, decoded, why) < 0)
		return -1;
	if (alive != NULL)
		alive(ctx);
	if (send_start_ok(rabbit, conf, url, what) < 0)
		return why_set(why, "out of memory");
	decoded = await(rabbit, 0, AMQP_CONNECTION_TUNE_METHOD, &reply, why);
	/* the password was in there */
	if (rabbit->out.data != NULL && rabbit->out.len == 0)
		explicit_bzero(rabbit->out.data, rabbit->out.size);
	if (decoded == NULL)
		return -1;
	if (send_tune_ok(rabbit, conf, decoded) < 0)
		return why_set(why, "out of memory");
	if (alive != NULL)
		alive(ctx);
	return open_vhost(rabbit, url, why);
}

struct rabbit *
rabbit_open(const struct conf *conf, const struct url *url, const char *what,
    void (*alive)(void *ctx), void *ctx, struct why *why)
{
	struct rabbit *rabbit = rabbit_new(conf);
	struct why reason = { "" };

	url_text(url, rabbit->where);
	if (net_open(&rabbit->net, conf, url, alive, ctx, &reason) == 0) {
		rabbit->heard_ns = rabbit->said_ns = clock_now_ns();
		if (alive != NULL)
			alive(ctx);
		if (login(rabbit, conf, url, what, alive, ctx, &reason) == 0)
			return rabbit;
	}
	why_set(why, "%s: %s", rabbit->where, reason.text);
	rabbit_free(rabbit);
	return NULL;
}

void
rabbit_close(struct rabbit *rabbit)
{
	static const amqp_method_number_t replies[] = {
		AMQP_CONNECTION_CLOSE_OK_METHOD, 0
	};
	amqp_connection_close_t close = {
		.reply_code = AMQP_REPLY_SUCCESS,
		.reply_text = amqp_cstring_bytes("done"),
	};
	amqp_method_t reply;

	if (rabbit == NULL)
		return;
	rabbit->closing = true;
	/* who is blocked is not read from, so that no answer would come */
	if (!rabbit->gone && !rabbit->out_dead && !rabbit->blocked &&
	    rabbit->net.fd >= 0 &&
	    rabbit_method(rabbit, 0, AMQP_CONNECTION_CLOSE_METHOD, &close) == 0)
		rabbit_call(rabbit, 0, replies, &reply, NULL, NULL);
	rabbit_free(rabbit);
}
