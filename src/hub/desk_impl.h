/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_impl - what the files desk*.c share; nobody else includes it.
 *
 *   desk.c       connections, lines, the table of commands
 *   desk_ask.c   what was asked: arguments, options, a body
 *   desk_work.c  call submit job cancel
 *   desk_publish.c  publish
 *   desk_list.c  jobs, and what report.c shows
 *   desk_dead.c  dead retry purge
 *   desk_order.c orders to a broker for these
 *   desk_data.c  get set incr delete list
 */
#ifndef HUB_DESK_IMPL_H
#define HUB_DESK_IMPL_H

#include <jansson.h>

#include "base/buf.h"
#include "base/loop.h"
#include "core/cmd.h"
#include "core/msg.h"
#include "hub/desk.h"

struct why;

struct desk_conn;

/* What came of an order: `report` is its JSON (NULL: none), and `why` is not ""
 * when it was not done, or not wholly. `data` is the one that went with it, and
 * the function's to release. */
typedef void desk_report_fn(struct desk_conn *conn, json_t *data,
    const json_t *report, const char *why);

struct desk_conn {
	struct hub *hub;
	struct desk_conn *prev, *next;
	int fd;
	struct loop_io io;
	struct loop_timer timer;
	struct buf in, out;
	bool asked;			/* its one line has come */
	bool answered;			/* the end follows what is in `out` */
	bool broken;			/* to be closed when the turn ends */
	uint64_t call;			/* that it waits for; 0: none */
	/* desk_order.c: the order that it waits for; on_report NULL: none */
	uint64_t order;
	json_t *data;
	desk_report_fn *on_report;
	/* desk_publish.c: the message of the outbox whose end it waits for, and
	 * what to do when there was none in time */
	uint64_t watch;
	bool mandatory;			/* it fails when no queue takes it */
	void (*late)(struct desk_conn *conn);
};

/* The answer; `data` may be NULL, its reference is stolen. */
void desk_answer(struct desk_conn *conn, enum cmd_code code,
    const char *message, json_t *data);
void desk_done(struct desk_conn *conn, json_t *data, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void desk_fail(struct desk_conn *conn, enum cmd_code code, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* --- desk_ask.c */

#define DESK_ARGS 4

/* One request. `bad` once an answer has said what is wrong with it: the
 * functions below do nothing then. */
struct desk_ask {
	struct desk_conn *conn;
	const json_t *request;
	const struct cmd_info *cmd;
	const char *arg[DESK_ARGS];
	size_t n;
	bool bad;
};

/* Reads the command and its arguments; false when the answer is out. */
bool desk_ask_read(struct desk_ask *ask, struct desk_conn *conn,
    const json_t *request);
__attribute__((format(printf, 2, 3))) void desk_ask_fail(struct desk_ask *ask,
    const char *format, ...);

/* A member of the request; what `otherwise` is when it is absent. */
int64_t desk_ask_int(struct desk_ask *ask, const char *name, int64_t min,
    int64_t max, int64_t otherwise);
int64_t desk_ask_ms(struct desk_ask *ask, const char *name, int64_t otherwise);
bool desk_ask_flag(struct desk_ask *ask, const char *name);
const char *desk_ask_text(struct desk_ask *ask, const char *name);

/* "json" or "body" of the request: what the caller frees, and whether it is
 * JSON. NULL when `ask` is bad; "" when there is neither. */
char *desk_ask_body(struct desk_ask *ask, size_t *len, bool *is_json);

/* What the body is unless the operator says so. */
const char *desk_ask_type(struct desk_ask *ask, bool is_json, size_t len);

/* "id", which makes a request known when it comes again, or a new one. */
void desk_ask_id(struct desk_ask *ask, uint64_t *uid, uint64_t *token);

/* The id of a job; false when the answer is out. */
bool desk_ask_job(struct desk_ask *ask, uint64_t *uid);

/* --- desk_order.c */

/* Gives it to an amqp child; `fn` comes once, with `data` (stolen), perhaps
 * before this returns, and answers. */
void desk_order(struct desk_ask *ask, const struct msg_ORDER *order,
    json_t *data, desk_report_fn *fn);
/* The connection is closed: nobody waits. */
void desk_order_forget(struct desk_conn *conn);
/* Of a report, or of an answer's data: a number, 0 for anything else. */
json_int_t desk_report_int(const json_t *report, const char *name);

/* --- desk_work.c */

struct effects_result;
/* One part, as the effect of nobody's call; false when the answer is out. */
bool desk_apply(struct desk_ask *ask, enum msg_id id, const void *part,
    struct effects_result *result);

/* --- desk_publish.c */

void desk_publish_forget(struct desk_conn *conn);

/* --- desk_list.c */

/* {"jobs":[…],"more":BOOL} of the store's jobs in these states (1 << state) and
 * that lane (NULL: any); NULL when the answer is out. */
json_t *desk_list_jobs(struct desk_ask *ask, unsigned states,
    const char *lane);

/* --- the commands */

typedef void desk_fn(struct desk_ask *ask);
#define DESK_CMD_LOCAL(name)
#define DESK_CMD_MASTER(name)
#define DESK_CMD_HUB(name) desk_fn desk_##name;
#define CMD(name, arguments, min, max, where, timeout_s, help) \
	DESK_##where(name)
#include "core/cmd.def"
#undef CMD
#undef DESK_CMD_LOCAL
#undef DESK_CMD_MASTER
#undef DESK_CMD_HUB

#endif
