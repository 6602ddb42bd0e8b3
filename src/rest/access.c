/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access - the access log.
 *
 * Written when an exchange is over, so that the line can say whether the client
 * was there to take the answer. Off with log.access, and then nothing here is
 * called for an answered request but one test. Queries stay out of the log:
 * they carry what nobody should read there.
 */
#include "rest/access.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/conf.h"
#include "rest/rest.h"

#define FIELDS_MAX 9

static void
access_write(const char *id, const struct log_field *field, size_t n)
{
	log_request(id);
	log_fields(LOG_LEVEL_INFO, "request", field, n);
	log_request(NULL);
}

void
access_log(const struct conn *conn, const char *outcome)
{
	const struct exchange *ex = &conn->ex;
	const struct route *route = ex->match.route;
	struct log_field field[FIELDS_MAX];
	size_t n = 0;

	if (!conn->rest->conf->log.access || !log_wanted(LOG_LEVEL_INFO))
		return;
	if (ex->method != NULL)
		field[n++] = (struct log_field){ "method", ex->method, 0 };
	if (ex->path != NULL)
		field[n++] = (struct log_field){ "path", ex->path, 0 };
	field[n++] = (struct log_field){ "status", NULL, ex->status };
	field[n++] = (struct log_field){ "bytes", NULL, (int64_t)ex->sent };
	field[n++] = (struct log_field){ "duration_us", NULL,
		(clock_now_ns() - ex->started_ns) / NS_PER_US };
	field[n++] = (struct log_field){ "peer", conn->peer, 0 };
	if (route != NULL && route->handler_name != NULL)
		field[n++] = (struct log_field){ "handler", route->handler_name,
			0 };
	if (ex->reply.detail != NULL)
		field[n++] = (struct log_field){ "reason", ex->reply.detail,
			0 };
	if (outcome != NULL)
		field[n++] = (struct log_field){ "outcome", outcome, 0 };
	access_write(ex->id, field, n);
}

void
access_log_refusal(const struct conn *conn, const char *id, int status,
    const char *reason)
{
	const struct log_field field[] = {
		{ "status", NULL, status },
		{ "peer", conn->peer, 0 },
		{ "reason", reason, 0 },
	};

	if (conn->rest->conf->log.access && log_wanted(LOG_LEVEL_INFO))
		access_write(id, field, sizeof(field) / sizeof(*field));
}
