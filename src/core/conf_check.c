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

void
checking_fail(const struct checking *c, const void *member, const char *format,
    ...)
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

const void *
checking_given(const struct checking *c, const void *a, const void *b)
{
	for (size_t i = 0; i < c->places->n; i++)
		if (c->places->v[i].member == a)
			return a;
	return b;
}

void
checking_drop(char **must)
{
	free(*must);
	*must = NULL;
}

/* What both pools have, under the name of its group. */
struct pool_keys {
	const char *group;
	const int *start, *min_spare, *max_spare, *max;
};

static void
check_at_most(const struct checking *c, const char *group, const char *name,
    const int *member, const char *limit_name, const int *limit)
{
	if (*member > *limit)
		checking_fail(c, checking_given(c, member, limit),
		    "'%s.%s' is %d, but must not be more than '%s.%s', which "
		    "is %d",
		    group, name, *member, group, limit_name, *limit);
}

static void
check_pool(const struct checking *c, const struct pool_keys *pool)
{
	check_at_most(c, pool->group, "start", pool->start, "max", pool->max);
	check_at_most(c, pool->group, "min_spare", pool->min_spare, "max",
	    pool->max);
	check_at_most(c, pool->group, "min_spare", pool->min_spare, "max_spare",
	    pool->max_spare);
}

static void
check_pools(const struct checking *c)
{
	struct conf *conf = c->conf;
	const struct conf_rest_workers *rest = &conf->rest_workers;
	const struct conf_task_workers *task = &conf->task_workers;
	const int *slots = &conf->service.max_children;
	const int *max = checking_given(c, &task->max, &rest->max);

	check_pool(c,
	    &(struct pool_keys){ "rest.workers", &rest->start, &rest->min_spare,
		&rest->max_spare, &rest->max });
	check_pool(c,
	    &(struct pool_keys){ "tasks.workers", &task->start,
		&task->min_spare, &task->max_spare, &task->max });
	if (*slots < conf_children_max(conf))
		checking_fail(c, checking_given(c, slots, max),
		    "'service.max_children' is %d, but must be at least %d: "
		    "twice 'rest.workers.max', 'tasks.workers.max'%s and those "
		    "of 'tasks.background', which live side by side with their "
		    "successors during a reload, and the hub",
		    *slots, conf_children_max(conf),
		    conf_has_broker(conf) ? ", 'amqp.children'" : "");
}

static void
check_times(const struct checking *c)
{
	const struct conf_service *s = &c->conf->service;

	if (s->heartbeat_timeout <= 2 * s->heartbeat_interval)
		checking_fail(c,
		    checking_given(c, &s->heartbeat_timeout,
			&s->heartbeat_interval),
		    "'service.heartbeat_timeout' is %.9g, but must be more "
		    "than twice 'service.heartbeat_interval', which is %.9g, "
		    "or healthy children are killed",
		    clock_to_seconds(s->heartbeat_timeout),
		    clock_to_seconds(s->heartbeat_interval));
	if (s->respawn_min_delay > s->respawn_max_delay)
		checking_fail(c,
		    checking_given(c, &s->respawn_min_delay,
			&s->respawn_max_delay),
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
	checking_fail(c, target,
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
		checking_fail(c, &c->conf->rest.listen,
		    "'rest.listen' has \"%.160s\": %s", text, why.text);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (same_address(&seen[i], address)) {
			checking_fail(c, &c->conf->rest.listen,
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
			checking_drop(&m[i].name);
		}
}

static bool
same_route(const struct conf_route *a, const struct conf_route *b)
{
	return a->method != NULL && b->method != NULL && a->path != NULL &&
	    b->path != NULL && strcmp(a->method, b->method) == 0 &&
	    strcmp(a->path, b->path) == 0;
}

static void
check_routes(const struct checking *c)
{
	struct conf_route *r = c->conf->route.v;

	for (size_t i = 0; i < c->conf->route.n; i++)
		for (size_t j = 0; j < i; j++) {
			if (!same_route(&r[i], &r[j]))
				continue;
			conf_errors_add(c->errors,
			    "%s:%d: %s %s is routed already, at %s:%d",
			    r[i].file, r[i].line, r[i].method, r[i].path,
			    r[j].file, r[j].line);
			checking_drop(&r[i].path);
		}
}

char *
checking_read_pem(const struct checking *c, char *const *path, const char *key)
{
	struct stat st;
	char *text;
	size_t len;

	/* a FIFO would block the master */
	if (stat(*path, &st) == 0 && !S_ISREG(st.st_mode)) {
		checking_fail(c, path, "'%s': %s is no regular file", key,
		    *path);
		return NULL;
	}
	text = fd_read_file(*path, TLS_FILE_MAX, &len);
	if (text == NULL)
		checking_fail(c, path, "'%s': cannot read %s: %s", key, *path,
		    errno == EFBIG ? "it is larger than 1 MB" :
				     strerror(errno));
	else if (strlen(text) != len || strstr(text, "-----BEGIN ") == NULL) {
		checking_fail(c, path, "'%s': %s is not in PEM format", key,
		    *path);
		explicit_bzero(text, len);
		free(text);
		text = NULL;
	}
	return text;
}

bool
checking_pair(const struct checking *c, const char *group,
    char *const *certificate, char *const *key)
{
	bool has_certificate = **certificate != '\0', has_key = **key != '\0';

	if (has_certificate == has_key)
		return has_key;
	checking_fail(c, has_certificate ? certificate : key,
	    "'%s.%s' is given, but '%s.%s' is not; TLS takes both", group,
	    has_certificate ? "certificate" : "key", group,
	    has_certificate ? "key" : "certificate");
	return false;
}

static void
check_tls(const struct checking *c)
{
	struct conf_rest_tls *tls = &c->conf->rest_tls;

	checking_pair(c, "rest.tls", &tls->certificate, &tls->key);
	if (tls->certificate[0] != '\0')
		c->conf->tls_certificate = checking_read_pem(c,
		    &tls->certificate, "rest.tls.certificate");
	if (tls->key[0] != '\0')
		c->conf->tls_key = checking_read_pem(c, &tls->key,
		    "rest.tls.key");
}

void
conf_check(struct conf *conf, const char *folder,
    const struct conf_places *places, size_t errors_before,
    struct conf_errors *errors)
{
	const struct checking c = { conf, folder, places, errors,
		errors_before };

	check_log_target(&c);
	check_times(&c);
	check_pools(&c);
	check_listen(&c);
	check_tls(&c);
	conf_check_handlers(&c);
	check_modules(&c);
	check_routes(&c);
	conf_check_work(&c);
	conf_check_amqp(&c);
}
