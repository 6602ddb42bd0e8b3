/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf - the config file as a typed struct.
 *
 * conf_load() reads, checks every value and reports all errors, not just the
 * first; what it returns needs no further check but for the things only a
 * start can know (do modules load, can sockets be bound). A struct conf is
 * immutable after that and lives until conf_free(); a reload loads another.
 *
 * The members are those of conf.def: conf->rest.request_timeout (ns),
 * conf->rest_workers.start, conf->route.v[i].path, conf->route.n.
 */
#ifndef CORE_CONF_H
#define CORE_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct msg_bytes;

struct conf_strings {
	char **v;
	size_t n;
};

/* What binds a queue. */
struct conf_binds {
	struct conf_bind { char *exchange, *key; } *v;
	size_t n;
};

enum conf_type {
	CONF_STRING, CONF_PATH, CONF_STRINGS, CONF_INT, CONF_SIZE, CONF_SECONDS,
	CONF_BOOL, CONF_CHOICE, CONF_NAME, CONF_HANDLER, CONF_MODULE,
	CONF_SETTINGS, CONF_BINDS,
};

#define CONF_C_STRING char *
#define CONF_C_PATH char *
#define CONF_C_STRINGS struct conf_strings
#define CONF_C_INT int
#define CONF_C_SIZE size_t
#define CONF_C_SECONDS int64_t
#define CONF_C_BOOL bool
#define CONF_C_CHOICE int
#define CONF_C_NAME char *
#define CONF_C_HANDLER char *
#define CONF_C_MODULE char *
#define CONF_C_SETTINGS json_t *
#define CONF_C_BINDS struct conf_binds

/* struct conf_service { char *name; … }; and so on. An item of a list says
 * where it stands: `file` is the config file or one that it includes. */
#define SECTION(name, path) struct conf_##name {
#define LIST(name, path) \
	struct conf_##name { const char *file; int line;
#define KEY(type, name, def, min, max, unit, apply, help) CONF_C_##type name;
#define END };
#include "core/conf.def"

struct conf {
#define SECTION(name, path) struct conf_##name name;
#define LIST(name, path) struct { struct conf_##name *v; size_t n; } name;
#define KEY(type, name, def, min, max, unit, apply, help)
#define END
#include "core/conf.def"
	char *file;	/* absolute */
	struct conf_strings files;	/* it, and those it includes */
	/* contents of rest.tls.*, NULL without TLS; never logged */
	char *tls_certificate, *tls_key;
	/* contents of amqp.tls.*, NULL where there is none */
	char *amqp_ca, *amqp_certificate, *amqp_key;
	/* for broker URLs that name none: of the config, its password_file or
	 * the environment; NULL without a broker */
	char *amqp_user, *amqp_password;
};

enum { CONF_MODE_INLINE, CONF_MODE_WAIT, CONF_MODE_JOB };
enum { CONF_DURABLE_PROCESS, CONF_DURABLE_FULL, CONF_DURABLE_NONE };
enum { CONF_CATCH_UP_NONE, CONF_CATCH_UP_ONE, CONF_CATCH_UP_ALL };
enum { CONF_AGAIN_ALWAYS, CONF_AGAIN_ON_FAILURE, CONF_AGAIN_NEVER };
enum { CONF_EXCHANGE_DIRECT, CONF_EXCHANGE_FANOUT, CONF_EXCHANGE_TOPIC };
enum { CONF_OVERFLOW_REJECT, CONF_OVERFLOW_DROP_HEAD };
enum { CONF_QUEUE_CLASSIC, CONF_QUEUE_QUORUM };
enum { CONF_INPUT_ANY, CONF_INPUT_JSON };

/* Where errors go, each a line "FILE:LINE: what, and what to do". */
struct conf_errors {
	char **v;
	size_t n;
};
void conf_errors_add(struct conf_errors *errors, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void conf_errors_release(struct conf_errors *errors);

/* NULL when anything at all is wrong, all of it in `errors`. Blocks as files
 * do; runs no module code. */
struct conf *conf_load(const char *file, struct conf_errors *errors);
/*
 * The same, but returns what could be read even with errors: keys that are
 * wrong have their defaults, items of a list that lack a key they must have are
 * left out. NULL only when there is nothing to walk (no file, no syntax). For
 * broodd -t, which goes on to look for more, and for broodctl, which must be
 * able to steer a service whose config somebody has just broken.
 */
struct conf *conf_read(const char *file, struct conf_errors *errors);
void conf_free(struct conf *conf);

/* A config with every default and no modules or routes, for tests. */
struct conf *conf_defaults(void);

/* broodd -T: the effective config, in the config's own syntax; secrets (URLs'
 * passwords, keys) are left out. broodd -K: a line a key, tab-separated: path,
 * type, default, min, max, unit, apply, help. */
void conf_print(const struct conf *conf, FILE *out);
void conf_print_keys(FILE *out);

/*
 * What a reload has to leave out: adds a line for each key of kind RESTART that
 * differs, and gives `new` the value of `old`, which stays in force.
 */
void conf_compare(const struct conf *old, struct conf *new,
    struct conf_errors *ignored);

/* Paths that follow from others; written into buf, which is returned. */
#define CONF_PATH_SIZE 4200
const char *conf_pid_file(const struct conf *conf, char buf[CONF_PATH_SIZE]);
const char *conf_control_socket(const struct conf *conf,
    char buf[CONF_PATH_SIZE]);
const char *conf_hub_socket(const struct conf *conf, char buf[CONF_PATH_SIZE]);
const char *conf_hub_store(const struct conf *conf, char buf[CONF_PATH_SIZE]);

/* The index in conf->exchange, conf->queue; their n: there is none. */
size_t conf_find_exchange(const struct conf *conf, struct msg_bytes name);
size_t conf_find_queue(const struct conf *conf, struct msg_bytes name);

/* Messages of a broker that a task worker may have at a time, while they are
 * quick. */
#define CONF_WORKER_MESSAGES 16

/* So many messages of that queue can be begun at once. */
int conf_capacity(const struct conf *conf, const struct conf_queue *queue);
/* So many messages of that queue an amqp child holds unacknowledged: to begin
 * with, and at most, when it finds that they are quick. */
int conf_prefetch(const struct conf *conf, const struct conf_queue *queue);
int conf_prefetch_most(const struct conf *conf,
    const struct conf_queue *queue);
/* What a child holds of all queues together to begin with; what all children
 * hold must not exceed tasks.max_waiting. */
int64_t conf_amqp_held(const struct conf *conf);

/* Are messages the hub's own business, or a broker's? */
bool conf_has_broker(const struct conf *conf);

/* The most children that may live at a time: two generations and the hub. */
int conf_children_max(const struct conf *conf);

/* The nearest of n names to `word` by edit distance, NULL when none is near. */
const char *conf_nearest(const char *word, const char *const *names, size_t n);

#endif
