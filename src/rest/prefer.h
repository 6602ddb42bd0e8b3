/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prefer - what a client would like (RFC 7240): not to wait, or for how long.
 * Pure.
 */
#ifndef REST_PREFER_H
#define REST_PREFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefer {
	bool respond_async;
	bool wait;
	uint32_t wait_s;	/* huge figures are cut to PREFER_WAIT_MAX */
	/* the parser's own: named before, and only the first counts */
	bool saw_respond_async, saw_wait;
};
#define PREFER_WAIT_MAX 1000000000u

/*
 * The value of one field. Several fields, or several preferences in one, are
 * one list, of which the first of a name counts. What is unknown or malformed
 * is no preference, and no error either.
 */
void prefer_parse(struct prefer *prefer, const char *value, size_t len);

/* "respond-async, wait=10", those that are set: Preference-Applied. Returns
 * buf, or NULL for none. */
#define PREFER_SIZE 40
const char *prefer_format(const struct prefer *prefer, char buf[PREFER_SIZE]);

#endif
