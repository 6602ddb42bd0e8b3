/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine - libmicrohttpd behind an interface of ours; the only file that
 * includes its header.
 *
 * An engine is one of its daemons, plain or TLS. It calls http_on_…() of http.h
 * with what happens.
 */
#ifndef REST_ENGINE_H
#define REST_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct conn;
struct head;
struct loop;
struct reply;
struct rest;
struct why;

struct engine;

/* NULL with the reason. `rest` may be NULL to see whether it would start. */
struct engine *engine_new(struct rest *rest, const struct conf *conf, bool tls,
    struct why *why);
/* Cuts off what is still open. NULL is fine. */
void engine_free(struct engine *engine);

/* Its epoll set joins our loop. -1 with errno. */
int engine_watch(struct engine *engine, struct loop *loop);

/*
 * Does what it has to do without its sockets' asking, and returns when it will
 * have to again (0: soon). For the loop's before_wait; NULL is fine.
 */
int64_t engine_due(struct engine *engine);

/* Hands a connection over: 0, or -1 with the descriptor closed. */
int engine_add(struct engine *engine, struct conn *conn);

/* Queues the reply, whose body it takes. -1: the connection is to be closed. */
int engine_queue(struct conn *conn, const struct reply *reply);

/*
 * From within http_on_request(): nothing more is read or said on the connection
 * until it is resumed. Then its reply goes out if one was queued, else
 * http_on_request() is called once more as it was. Neither reads from the
 * client first, who may have said all that he had to.
 */
void engine_suspend(struct conn *conn);
void engine_resume(struct conn *conn);

/* The first field of that name in the request, or NULL. */
const char *engine_field(struct conn *conn, const char *name);

/* Every field of the request, in its order. */
typedef void engine_field_fn(void *ctx, const char *name, size_t name_len,
    const char *value, size_t value_len);
void engine_each_field(struct conn *conn, engine_field_fn *fn, void *ctx);

/*
 * Shows every field of the request to head_field(), and reports to head_bad()
 * bytes that the library has swallowed. Returns what the fields took in bytes.
 * The three are as http_on_request() got them.
 */
size_t engine_fields(struct conn *conn, const char *method, const char *path,
    const char *version);

/* Cuts the connection off when nothing moves for so many seconds; 0 never. */
void engine_timeout(struct conn *conn, unsigned seconds);

#endif
