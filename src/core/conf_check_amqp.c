/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_check_amqp - the part of conf_check about brokers.
 *
 * Where the hub routes messages itself, what only concerns a broker is looked
 * at as far as the config alone can be wrong: a config has to work with both,
 * and on a machine that has no password file it has to work without.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "core/conf_check.h"
#include "core/retry.h"
#include "core/url.h"

#define PASSWORD_FILE_MAX 4096
#define CREDENTIAL_MAX 255

/* ---------------------------------------------------------------- addresses */

/* An address may hold a password, so it is told by its number. */
static bool
broker_ok(const struct checking *c, size_t i, size_t n)
{
	const char *text = c->conf->amqp.broker.v[i];
	struct url url;
	struct why why;

	if (strcmp(text, "local") == 0) {
		if (n == 1)
			return true;
		checking_fail(c, &c->conf->amqp.broker,
		    "'amqp.broker' has \"local\" among %zu entries; it is "
		    "\"local\" alone, or the addresses of brokers",
		    n);
		return false;
	}
	if (url_parse(text, &url, &why) == 0)
		return true;
	if (strpbrk(text, "@:/") == NULL)
		checking_fail(c, &c->conf->amqp.broker,
		    "'amqp.broker' has \"%.60s\", but must be \"local\" or the "
		    "address of a broker, \"amqp://HOST/VHOST\" say",
		    text);
	else
		checking_fail(c, &c->conf->amqp.broker,
		    "'amqp.broker', address %zu: %s", i + 1, why.text);
	return false;
}

/* What is no address goes, so that whoever reads on meets none. */
static void
check_brokers(const struct checking *c)
{
	struct conf_strings *broker = &c->conf->amqp.broker;
	size_t kept = 0, n = broker->n;

	for (size_t i = 0; i < n; i++) {
		char *text = broker->v[i];

		if (broker_ok(c, i, n))
			broker->v[kept++] = text;
		else
			free(text);
	}
	if (kept == 0)
		broker->v[kept++] = mem_strdup("local");
	broker->n = kept;
}

/* -------------------------------------------------------------- credentials */

static char *
from_environment(const struct checking *c, const char *name)
{
	const char *text = getenv(name);

	if (text == NULL || *text == '\0')
		return NULL;
	if (strlen(text) <= CREDENTIAL_MAX)
		return mem_strdup(text);
	conf_errors_add(c->errors,
	    "%s: %s of the environment has more than %d characters",
	    c->conf->file, name, CREDENTIAL_MAX);
	return NULL;
}

static char *
first_line(const struct checking *c, char *const *path)
{
	struct stat st;
	size_t len, line;
	char *text;

	/* a FIFO would block the master */
	if (stat(*path, &st) == 0 && !S_ISREG(st.st_mode)) {
		checking_fail(c, path,
		    "'amqp.password_file': %s is no regular file", *path);
		return NULL;
	}
	text = fd_read_file(*path, PASSWORD_FILE_MAX, &len);
	if (text == NULL) {
		checking_fail(c, path,
		    "'amqp.password_file': cannot read %s: %s", *path,
		    errno == EFBIG ? "it is larger than 4 kB" :
				     strerror(errno));
		return NULL;
	}
	line = strcspn(text, "\r\n");
	if (line > 0 && line <= CREDENTIAL_MAX &&
	    (line == len || text[line] != '\0')) {
		explicit_bzero(text + line, len - line);
		return text;
	}
	checking_fail(c, path,
	    "'amqp.password_file': the first line of %s is %s", *path,
	    line == 0		      ? "empty" :
		line > CREDENTIAL_MAX ? "longer than 255 characters" :
					"no text");
	explicit_bzero(text, len);
	free(text);
	return NULL;
}

static void
check_credentials(const struct checking *c)
{
	struct conf *conf = c->conf;

	if (!conf_has_broker(conf))
		return;
	conf->amqp_user = conf->amqp.user[0] != '\0' ?
	    mem_strdup(conf->amqp.user) :
	    from_environment(c, "BROOD_AMQP_USER");
	conf->amqp_password = conf->amqp.password_file[0] != '\0' ?
	    first_line(c, &conf->amqp.password_file) :
	    from_environment(c, "BROOD_AMQP_PASSWORD");
	if (conf->amqp_user == NULL)
		conf->amqp_user = mem_strdup("guest");
	if (conf->amqp_password == NULL)
		conf->amqp_password = mem_strdup("guest");
}

static bool
any_tls(const struct conf *conf)
{
	struct url url;

	for (size_t i = 0; i < conf->amqp.broker.n; i++)
		if (url_parse(conf->amqp.broker.v[i], &url, NULL) == 0 &&
		    url.tls)
			return true;
	return false;
}

static void
check_tls(const struct checking *c)
{
	struct conf *conf = c->conf;
	struct conf_amqp_tls *tls = &conf->amqp_tls;
	char *const *given = tls->ca[0] != '\0' ? &tls->ca :
	    tls->certificate[0] != '\0'		? &tls->certificate :
						  NULL;
	bool pair = checking_pair(c, "amqp.tls", &tls->certificate, &tls->key);

	if (!conf_has_broker(conf))
		return;
	if (given != NULL && !any_tls(conf)) {
		checking_fail(c, given,
		    "'amqp.tls' has certificates, but no address of "
		    "'amqp.broker' begins with amqps://");
		return;
	}
	if (tls->ca[0] != '\0')
		conf->amqp_ca = checking_read_pem(c, &tls->ca, "amqp.tls.ca");
	if (pair) {
		conf->amqp_certificate = checking_read_pem(c, &tls->certificate,
		    "amqp.tls.certificate");
		conf->amqp_key = checking_read_pem(c, &tls->key,
		    "amqp.tls.key");
	}
}

/* ------------------------------------------------------------------ numbers */

static void
check_times(const struct checking *c)
{
	const struct conf_amqp *amqp = &c->conf->amqp;
	const int64_t *killed = &c->conf->service.heartbeat_timeout;

	if (amqp->reconnect_min > amqp->reconnect_max)
		checking_fail(c,
		    checking_given(c, &amqp->reconnect_min,
			&amqp->reconnect_max),
		    "'amqp.reconnect_min' is %.9g, but must not be more than "
		    "'amqp.reconnect_max', which is %.9g",
		    clock_to_seconds(amqp->reconnect_min),
		    clock_to_seconds(amqp->reconnect_max));
	if (conf_has_broker(c->conf) && amqp->timeout >= *killed)
		checking_fail(c, checking_given(c, &amqp->timeout, killed),
		    "'amqp.timeout' is %.9g, but must be less than "
		    "'service.heartbeat_timeout', which is %.9g, or a child "
		    "that waits for a broker is killed",
		    clock_to_seconds(amqp->timeout), clock_to_seconds(*killed));
}

/* What all children may hold unacknowledged waits in the hub. */
static void
check_prefetch(const struct checking *c)
{
	const struct conf *conf = c->conf;
	const int *max = &conf->tasks.max_waiting;
	int64_t held = conf_amqp_held(conf) * conf->amqp.children;

	if (conf_has_broker(conf) && held > *max)
		checking_fail(c, checking_given(c, max, &conf->amqp.prefetch),
		    "'tasks.max_waiting' is %d, but %d amqp children may "
		    "prefetch %lld messages of all queues together; raise it, "
		    "or lower 'prefetch' or 'amqp.children'",
		    *max, conf->amqp.children, (long long)held);
}

/* ------------------------------------------------------------------- queues */

static void __attribute__((format(printf, 5, 6)))
fail_at(const struct checking *c, const struct conf_place *at, const char *what,
    const char *name, const char *format, ...)
{
	struct why why;
	va_list ap;

	va_start(ap, format);
	vsnprintf(why.text, sizeof(why.text), format, ap);
	va_end(ap);
	conf_errors_add(c->errors, "%s:%d: the %s \"%s\" %s", at->file,
	    at->line, what, name != NULL ? name : "?", why.text);
}

/* What the broker is told because a key of ours says so. */
static const char *
key_of_argument(const char *argument)
{
	static const struct {
		const char *argument, *key;
	} said[] = {
		{ "x-max-priority", "max_priority" },
		{ "x-message-ttl", "ttl" },
		{ "x-max-length", "max_length" },
		{ "x-overflow", "overflow" },
		{ "x-queue-type", "type" },
		{ "x-dead-letter-exchange", "dead_letter_exchange" },
		{ "x-dead-letter-routing-key", "dead_letter_key" },
	};

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (strcmp(said[i].argument, argument) == 0)
			return said[i].key;
	return NULL;
}

static void
check_arguments(const struct checking *c, const struct conf_queue *q)
{
	const struct conf_place *at = (const void *)q;
	const char *name;
	json_t *value;

	json_object_foreach(q->arguments, name, value)
	{
		const char *key = key_of_argument(name);

		if (key != NULL)
			fail_at(c, at, "queue", q->name,
			    "has '%s' among its 'arguments', which its key "
			    "'%s' says",
			    name, key);
	}
	if (q->passive && json_object_size(q->arguments) > 0)
		fail_at(c, at, "queue", q->name,
		    "is 'passive', declared by somebody else, so that its "
		    "'arguments' say nothing");
}

/* Declared without arguments: what takes one cannot be had. */
static void
check_plain(const struct checking *c, const struct conf_queue *q)
{
	const char *what = q->passive	       ? "'passive'" :
	    json_object_size(q->arguments) > 0 ? "given 'arguments'" :
	    q->type == CONF_QUEUE_QUORUM       ? "of type \"quorum\"" :
						 NULL;

	if (q->plain && what != NULL)
		fail_at(c, (const void *)q, "queue", q->name,
		    "is 'plain', declared without any argument, and %s; it "
		    "can only be one of these",
		    what);
}

static void
check_reserved(const struct checking *c, const struct conf_place *at,
    const char *what, const char *name, bool passive)
{
	if (conf_has_broker(c->conf) && name != NULL && !passive &&
	    strncmp(name, "amq.", 4) == 0)
		fail_at(c, at, what, name,
		    "cannot be declared: brokers keep names that begin with "
		    "\"amq.\" for themselves; 'passive = true' uses it");
}

static void
check_name(const struct checking *c, const struct conf_queue *q)
{
	const struct conf_place *at = (const void *)q;
	const struct conf_queue *whose;
	enum retry_kind kind;
	int64_t step;

	if (q->name == NULL)
		return;
	check_reserved(c, at, "queue", q->name, q->passive);
	if (conf_has_broker(c->conf) &&
	    strlen(q->name) > 255 - RETRY_SUFFIX_MAX)
		fail_at(c, at, "queue", q->name,
		    "has more than %d characters in its name, which leaves no "
		    "room for those of its delay and dead-letter queues on a "
		    "broker",
		    255 - RETRY_SUFFIX_MAX);
	whose = retry_parse_suffixed(c->conf, msg_text(q->name), &kind, &step);
	if (whose != NULL)
		fail_at(c, at, "queue", q->name,
		    "is the name of a %s queue of \"%s\" on a broker",
		    kind == RETRY_DEAD ? "dead-letter" : "delay", whose->name);
}

static void
check_queues(const struct checking *c)
{
	for (size_t i = 0; i < c->conf->queue.n; i++) {
		const struct conf_queue *q = &c->conf->queue.v[i];

		check_name(c, q);
		check_arguments(c, q);
		check_plain(c, q);
		if (q->type == CONF_QUEUE_QUORUM && q->max_priority > 0)
			fail_at(c, (const void *)q, "queue", q->name,
			    "has a 'max_priority', which a queue of type "
			    "\"quorum\" cannot have");
	}
}

static void
check_exchanges(const struct checking *c)
{
	for (size_t i = 0; i < c->conf->exchange.n; i++) {
		const struct conf_exchange *e = &c->conf->exchange.v[i];

		check_reserved(c, (const void *)e, "exchange", e->name,
		    e->passive);
		if (e->passive && json_object_size(e->arguments) > 0)
			fail_at(c, (const void *)e, "exchange", e->name,
			    "is 'passive', declared by somebody else, so that "
			    "its 'arguments' say nothing");
	}
}

void
conf_check_amqp(const struct checking *c)
{
	check_brokers(c);
	check_credentials(c);
	check_tls(c);
	check_times(c);
	check_prefetch(c);
	check_exchanges(c);
	check_queues(c);
}
