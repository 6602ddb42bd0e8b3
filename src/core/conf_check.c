/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_check - what has to hold between the keys of a config.
 *
 * Runs on values that are right by themselves (a key that was not has its
 * default here, or NULL where it must be given, and its error is out already),
 * and adds every error it finds. It looks at nothing outside of the config but
 * the TLS files: whether modules load and sockets can be bound is for a start
 * to find out, whether routes make sense together for the router.
 */
#include "core/conf_check.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "core/address.h"

#define TLS_FILE_MAX (1U << 20)

struct checking {
	struct conf *conf;
	const char *folder;
	const struct conf_places *places;
	struct conf_errors *errors;
	size_t errors_before;
};

static void fail(const struct checking *c, const void *member,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* At the line of the key that was given; of the file, if it is a default. */
static void
fail(const struct checking *c, const void *member, const char *format, ...)
{
	const struct conf_place *place = NULL;
	struct why why;
	va_list ap;

	for (size_t i = 0; i < c->places->n; i++)
		if (c->places->v[i].member == member)
			place = &c->places->v[i].place;
	va_start(ap, format);
	vsnprintf(why.text, sizeof(why.text), format, ap);
	va_end(ap);
	if (place != NULL)
		conf_errors_add(c->errors, "%s:%d: %s", place->file,
		    place->line, why.text);
	else
		conf_errors_add(c->errors, "%s: %s", c->conf->file, why.text);
}

/* The one of the two that somebody wrote is the one to complain at. */
static const void *
given(const struct checking *c, const void *a, const void *b)
{
	for (size_t i = 0; i < c->places->n; i++)
		if (c->places->v[i].member == a)
			return a;
	return b;
}

static void
check_at_most(const struct checking *c, const char *name, const int *member,
    const char *limit_name, const int *limit)
{
	if (*member > *limit)
		fail(c, given(c, member, limit),
		    "'rest.workers.%s' is %d, but must not be more than "
		    "'rest.workers.%s', which is %d",
		    name, *member, limit_name, *limit);
}

static void
check_pool(const struct checking *c)
{
	const struct conf_rest_workers *w = &c->conf->rest_workers;
	const int *slots = &c->conf->service.max_children;

	check_at_most(c, "start", &w->start, "max", &w->max);
	check_at_most(c, "min_spare", &w->min_spare, "max", &w->max);
	check_at_most(c, "min_spare", &w->min_spare, "max_spare",
	    &w->max_spare);
	if (*slots / 2 < w->max)
		fail(c, given(c, slots, &w->max),
		    "'service.max_children' is %d, but must be at least %d, "
		    "twice 'rest.workers.max': during a reload the old workers "
		    "and the new live side by side",
		    *slots, w->max * 2);
}

static void
check_times(const struct checking *c)
{
	const struct conf_service *s = &c->conf->service;

	if (s->heartbeat_timeout <= 2 * s->heartbeat_interval)
		fail(c, given(c, &s->heartbeat_timeout, &s->heartbeat_interval),
		    "'service.heartbeat_timeout' is %.9g, but must be more "
		    "than twice 'service.heartbeat_interval', which is %.9g, "
		    "or healthy children are killed",
		    clock_to_seconds(s->heartbeat_timeout),
		    clock_to_seconds(s->heartbeat_interval));
	if (s->respawn_min_delay > s->respawn_max_delay)
		fail(c, given(c, &s->respawn_min_delay, &s->respawn_max_delay),
		    "'service.respawn_min_delay' is %.9g, but must not be more "
		    "than 'service.respawn_max_delay', which is %.9g",
		    clock_to_seconds(s->respawn_min_delay),
		    clock_to_seconds(s->respawn_max_delay));
}

/* "stderr", "syslog" or a path, which becomes absolute like any other. */
static void
check_log_target(const struct checking *c)
{
	static const char *const word[] = { "stderr", "syslog" };
	char **target = &c->conf->log.target, *relative = *target;
	const char *near;

	if (strcmp(*target, "stderr") == 0 || strcmp(*target, "syslog") == 0 ||
	    **target == '/')
		return;
	if (strchr(*target, '/') != NULL) {
		*target = conf_absolute(c->folder, relative);
		free(relative);
		return;
	}
	near = conf_nearest(*target, word, 2);
	fail(c, target,
	    "'log.target' is \"%.60s\", but must be \"stderr\", \"syslog\" or "
	    "a path with a '/' in it%s%s%s",
	    *target, near != NULL ? "; did you mean \"" : "",
	    near != NULL ? near : "", near != NULL ? "\"?" : "");
}

static bool
same_address(const struct address *a, const struct address *b)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->ss;

	if (a->len != b->len || memcmp(&a->ss, &b->ss, a->len) != 0)
		return false;
	/* the kernel chooses another for each; sin6_port lies there too */
	return a->ss.ss_family == AF_UNIX || in->sin_port != 0;
}

static bool
listen_ok(const struct checking *c, const char *text, struct address *seen,
    size_t n)
{
	struct address *address = &seen[n];
	struct why why;

	if (address_parse(text, address, &why) < 0) {
		fail(c, &c->conf->rest.listen,
		    "'rest.listen' has \"%.160s\": %s", text, why.text);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (same_address(&seen[i], address)) {
			fail(c, &c->conf->rest.listen,
			    "'rest.listen' has \"%s\" twice", address->text);
			return false;
		}
	return true;
}

static void
check_listen(const struct checking *c)
{
	struct conf_strings *listen = &c->conf->rest.listen;
	struct address *seen = mem_array(listen->n + 1, sizeof(*seen));
	size_t kept = 0;

	for (size_t i = 0; i < listen->n; i++) {
		char *text = listen->v[i];

		if (listen_ok(c, text, seen, kept))
			listen->v[kept++] = text;
		else
			free(text);
	}
	listen->n = kept;
	free(seen);
}

/* An item without what it must have is left out, see conf_prune(). */
static void
drop(char **must)
{
	free(*must);
	*must = NULL;
}

/* The earlier of two modules of one name stays. */
static void
check_modules(const struct checking *c)
{
	struct conf_module *m = c->conf->module.v;

	for (size_t i = 0; i < c->conf->module.n; i++)
		for (size_t j = 0; j < i && m[i].name != NULL; j++) {
			if (m[j].name == NULL ||
			    strcmp(m[i].name, m[j].name) != 0)
				continue;
			conf_errors_add(c->errors,
			    "%s:%d: a module named \"%s\" is there already, at "
			    "%s:%d",
			    m[i].file, m[i].line, m[i].name, m[j].file,
			    m[j].line);
			drop(&m[i].name);
		}
}

/* False when a module may lack its name by mistake: then a name that is not
 * found is no news. */
static bool
modules_known(const struct checking *c)
{
	for (size_t i = 0; i < c->conf->module.n; i++)
		if (c->conf->module.v[i].name == NULL)
			return false;
	return c->conf->module.n > 0 || c->errors->n == c->errors_before;
}

static void
check_route_module(const struct checking *c, struct conf_route *route,
    bool known)
{
	const struct conf_module *m = c->conf->module.v;
	const char **names = mem_array(c->conf->module.n + 1, sizeof(*names));
	char *module = mem_printf("%.*s", (int)strcspn(route->handler, "."),
	    route->handler);
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < c->conf->module.n; i++) {
		if (m[i].name == NULL)
			continue;
		names[n++] = m[i].name;
		if (strcmp(m[i].name, module) != 0)
			continue;
		if (m[i].path == NULL) /* which is an error already */
			drop(&route->handler);
		goto out;
	}
	near = conf_nearest(module, names, n);
	if (known && near != NULL)
		conf_errors_add(c->errors,
		    "%s:%d: the handler \"%s\" is in no module of this config; "
		    "did you mean \"%s%s\"?",
		    route->file, route->line, route->handler, near,
		    strchr(route->handler, '.'));
	else if (known)
		conf_errors_add(c->errors,
		    "%s:%d: the handler \"%s\" is in no module of this config: "
		    "no entry of 'modules' has the name \"%s\"",
		    route->file, route->line, route->handler, module);
	drop(&route->handler);
out:
	free(module);
	free(names);
}

static bool
same_route(const struct conf_route *a, const struct conf_route *b)
{
	return a->method != NULL && b->method != NULL && a->path != NULL &&
	    b->path != NULL && strcmp(a->method, b->method) == 0 &&
	    strcmp(a->path, b->path) == 0;
}

static void
check_routes(const struct checking *c, bool modules_are_known)
{
	struct conf_route *r = c->conf->route.v;

	for (size_t i = 0; i < c->conf->route.n; i++) {
		if (r[i].handler != NULL)
			check_route_module(c, &r[i], modules_are_known);
		for (size_t j = 0; j < i; j++) {
			if (!same_route(&r[i], &r[j]))
				continue;
			conf_errors_add(c->errors,
			    "%s:%d: %s %s is routed already, at %s:%d",
			    r[i].file, r[i].line, r[i].method, r[i].path,
			    r[j].file, r[j].line);
			drop(&r[i].path);
		}
	}
}

static char *
read_pem(const struct checking *c, char *const *path, const char *key)
{
	struct stat st;
	char *text;
	size_t len;

	/* a FIFO would block the master */
	if (stat(*path, &st) == 0 && !S_ISREG(st.st_mode)) {
		fail(c, path, "'rest.tls.%s': %s is no regular file", key,
		    *path);
		return NULL;
	}
	text = fd_read_file(*path, TLS_FILE_MAX, &len);
	if (text == NULL)
		fail(c, path, "'rest.tls.%s': cannot read %s: %s", key, *path,
		    errno == EFBIG ? "it is larger than 1 MB" :
				     strerror(errno));
	else if (strlen(text) != len || strstr(text, "-----BEGIN ") == NULL) {
		fail(c, path, "'rest.tls.%s': %s is not in PEM format", key,
		    *path);
		explicit_bzero(text, len);
		free(text);
		text = NULL;
	}
	return text;
}

static void
check_tls(const struct checking *c)
{
	struct conf_rest_tls *tls = &c->conf->rest_tls;
	bool certificate = tls->certificate[0] != '\0';
	bool key = tls->key[0] != '\0';

	if (certificate && !key)
		fail(c, &tls->certificate,
		    "'rest.tls.certificate' is given, but 'rest.tls.key' is "
		    "not; TLS takes both");
	if (key && !certificate)
		fail(c, &tls->key,
		    "'rest.tls.key' is given, but 'rest.tls.certificate' is "
		    "not; TLS takes both");
	if (certificate)
		c->conf->tls_certificate = read_pem(c, &tls->certificate,
		    "certificate");
	if (key)
		c->conf->tls_key = read_pem(c, &tls->key, "key");
}

void
conf_check(struct conf *conf, const char *folder,
    const struct conf_places *places, size_t errors_before,
    struct conf_errors *errors)
{
	const struct checking c = { conf, folder, places, errors,
		errors_before };
	bool known;

	check_log_target(&c);
	check_times(&c);
	check_pool(&c);
	check_listen(&c);
	check_tls(&c);
	known = modules_known(&c);
	check_modules(&c);
	check_routes(&c, known);
}
