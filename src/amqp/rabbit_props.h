/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_props - the properties of a message (AMQP 0-9-1, class basic) as
 * bytes, and what a struct msg_PUBLISH says of them; for rabbit*.c alone. Pure.
 *
 * The library's own decoder is not used: its tables nest without bound, and
 * what it does not know it refuses, while headers of others are to be sent on
 * as they came.
 */
#ifndef AMQP_RABBIT_PROPS_H
#define AMQP_RABBIT_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/msg.h"

struct why;

/* --- tables: rabbit_table.c */

#define TABLE_DEPTH 32

/* An entry of a table; `value` is as encoded, without its kind. */
struct table_field {
	struct msg_bytes name, value;
	char kind;
};

/* Walks over the entries: 1 with the next one, every length of it and in it
 * checked; 0 at the end; -1 for what is no table, or nests too deep. *at starts
 * at 0. */
int table_next(struct msg_bytes table, size_t *at, struct table_field *field);
/* As text: of a number, a bool or a text what one would write, else a form like
 * JSON's, always good UTF-8 without NUL. -1: beyond what `out` takes. */
int table_render(const struct table_field *field, struct buf *out);
/* A text that can be said as it is. */
bool table_is_text(const struct table_field *field);
/* -1: beyond what `out` takes. */
int table_put(struct buf *out, const struct table_field *field);
int table_put_text(struct buf *out, struct msg_bytes name,
    struct msg_bytes value);

/* --- properties: rabbit_props.c, rabbit_decode.c, rabbit_encode.c */

#define PROPS_HEADERS_MAX 1000	/* entries of a message's header table */
#define PROPS_HEADERS_MORE 50	/* of ours, in what is sent on */
#define PROPS_REQUEST_ID "x-request-id"
#define PROPS_TRACEPARENT "traceparent"
#define PROPS_RAW "properties"	/* name of the attr CALL_RAW */

/* What msg_PUBLISH has a member for, and what only is sent on. */
struct props {
	struct msg_bytes content_type, content_encoding, headers,
	    correlation_id, reply_to, expiration, message_id, timestamp, type,
	    user_id, app_id, cluster_id;
	uint8_t delivery_mode, priority;
};

/* Flags and values; pointers into `bytes`. -1: they make no sense. */
int props_split(struct msg_bytes bytes, struct props *props);
/* All are empty, or 0. */
bool props_are_none(const struct props *props);
/* Appends those that are not empty, or 0. -1: beyond what `out` takes. */
int props_put(const struct props *props, struct buf *out);
/* A header that is not sent on. */
bool props_is_spent(struct msg_bytes name);

/*
 * The members of `message` that come from properties, and its attrs (made in
 * `attrs`, cleared first). 0; -1 with the reason when they cannot be a
 * message's to us: then those that can be said are there nevertheless, and no
 * headers.
 */
int props_decode(struct msg_bytes bytes, size_t max_headers,
    struct msg_PUBLISH *message, struct buf *attrs, uint32_t *attempt,
    uint32_t *status, struct why *why);

/* Appends flags and values. -1 with the reason: something is too long. */
int props_encode(const struct msg_PUBLISH *message, bool transient,
    struct buf *out, struct why *why);

#endif
