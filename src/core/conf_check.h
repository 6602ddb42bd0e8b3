/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_check - what has to hold between the keys of a config, each of which is
 * right by itself; for conf_load.c alone.
 */
#ifndef CORE_CONF_CHECK_H
#define CORE_CONF_CHECK_H

#include "core/conf_table.h"

/* Where the keys that were given stand, by the address of their member. */
struct conf_places {
	struct conf_placed {
		const void *member;
		struct conf_place place;
	} *v;
	size_t n;
};

/*
 * Checks, adds every error, and reads TLS files and passwords into `conf`. What
 * is at fault in a list goes from it, or lacks what it must have, for
 * conf_prune().
 * `errors_before` is how many errors there were before this config was read.
 */
void conf_check(struct conf *conf, const char *folder,
    const struct conf_places *places, size_t errors_before,
    struct conf_errors *errors);

/* --- shared by conf_check*.c */

struct checking {
	struct conf *conf;
	const char *folder;
	const struct conf_places *places;
	struct conf_errors *errors;
	size_t errors_before;
};

/* At the line of the key that was given; of the file, if it is a default. */
void checking_fail(const struct checking *c, const void *member,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The one of the two that somebody wrote is the one to complain at. */
const void *checking_given(const struct checking *c, const void *a,
    const void *b);

/* An item without what it must have is left out, see conf_prune(). */
void checking_drop(char **must);

/* The file of that key, checked to look like PEM; NULL when the error is out.
 * The caller keeps it. */
char *checking_read_pem(const struct checking *c, char *const *path,
    const char *key);
/* True when both are given; one without the other is an error. */
bool checking_pair(const struct checking *c, const char *group,
    char *const *certificate, char *const *key);

/* Hub, tasks, messages. */
void conf_check_work(const struct checking *c);
/* Brokers: addresses, credentials, TLS; what a broker cannot do. */
void conf_check_amqp(const struct checking *c);
/* That each handler is in a module of this config. */
void conf_check_handlers(const struct checking *c);

#endif
