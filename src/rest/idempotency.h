/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * idempotency - keys with which a client says "this is the request that I have
 * sent before". Pure.
 */
#ifndef REST_IDEMPOTENCY_H
#define REST_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 1 to 255 visible characters of ASCII. */
#define IDEMPOTENCY_KEY_MAX 255
bool idempotency_key_ok(const char *key, size_t len);

/* The key with the route that it is good for in front; to free. */
char *idempotency_scope(const char *method, const char *pattern,
    const char *key, size_t len);

/*
 * Differs, but for a chance of one in 2^64, when any part of the request does.
 * It is kept with the job, so it must not change from one version to the next.
 */
struct idempotent {
	const char *method, *path;
	const char *query;		/* decoded, see uri.h */
	size_t query_len;
	const char *body;
	size_t body_len;
};
uint64_t idempotency_fingerprint(const struct idempotent *request);

/* SipHash-2-4 of some bytes, for whoever tests it. */
uint64_t idempotency_siphash(const uint64_t key[2], const void *bytes,
    size_t len);

#endif
