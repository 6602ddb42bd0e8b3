/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine - libmicrohttpd, driven by our loop: no listener, no thread, its epoll
 * set inside ours.
 *
 * Used by http, and translates: nothing here decides what a request means.
 * What version 0.9.75 does, and we rely on or work around:
 *  - An answer given before the body is read ends the connection. So a request
 *    without a body is answered at its second callback, where it may live on.
 *  - In the middle of a body there is no way to answer: conn_say() writes to
 *    the socket past the library, which then closes.
 *  - Too many arguments in a query leave it spinning; it is shown none.
 *  - A chunk extension that fills its buffer makes it spin until the request
 *    times out; engine_due() holds it back.
 *  - To look at a resumed connection it asks for no round; engine_due() does.
 *  - What it cannot parse it answers with a page of its own, of which only its
 *    log tells, and not to whom: http_on_page() tries to be there first.
 */
#include "rest/engine.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/conf.h"
#include "rest/http.h"
#include "rest/rest.h"

/* Rounds before the loop looks at other descriptors. */
#define ENGINE_ROUNDS 4
/*
 * So many rounds in a row without a callback and it turns in circles: pause.
 * Unless answers are being sent; over TLS a long one takes a round a record.
 */
#define ENGINE_STUCK_ROUNDS 4u
#define ENGINE_SENDING_ROUNDS 256u
#define ENGINE_STUCK_NS (10 * NS_PER_MS)

struct engine {
	struct rest *rest;
	struct MHD_Daemon *mhd;
	struct loop *loop;
	struct loop_io io;
	struct conn *adding; /* being handed over */
	unsigned calls;	     /* callbacks so far */
	unsigned stuck;	     /* rounds in a row that came to nothing */
	bool resumed;	     /* a connection, since the last round */
	struct why *why;     /* where its log goes, while starting */
};

/* ---- requests */

static void *
on_target(void *ctx, const char *target, struct MHD_Connection *mhd)
{
	struct engine *engine = ctx;
	struct conn *conn = MHD_get_connection_info(mhd,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT)
				->socket_context;
	char *query;

	engine->calls++;
	http_on_target(conn, target);
	/* The library's own memory, which it is about to cut up itself. */
	query = strchr((char *)(uintptr_t)target, '?');
	if (query != NULL)
		query[1] = '\0';
	return conn;
}

/* Paths are for exchange to decode, not for the library. */
static size_t
on_unescape(void *ctx, struct MHD_Connection *mhd, char *text)
{
	(void)ctx;
	(void)mhd;
	return strlen(text);
}

static enum MHD_Result
on_request(void *ctx, struct MHD_Connection *mhd, const char *path,
    const char *method, const char *version, const char *part, size_t *len,
    void **request)
{
	struct engine *engine = ctx;
	size_t n = *len;

	(void)mhd;
	engine->calls++;
	*len = 0;
	return http_on_request(*request, method, path, version, part, n) == 0 ?
	    MHD_YES :
	    MHD_NO;
}

static void
on_completed(void *ctx, struct MHD_Connection *mhd, void **request,
    enum MHD_RequestTerminationCode code)
{
	struct engine *engine = ctx;
	enum http_end end = HTTP_END_BROKEN;

	(void)mhd;
	engine->calls++;
	if (*request == NULL)
		return;
	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		end = HTTP_END_WHOLE;
	else if (code == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN)
		end = HTTP_END_STOPPED;
	else if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		end = HTTP_END_SLOW;
	http_on_completed(*request, end);
}

static void
on_connection(void *ctx, struct MHD_Connection *mhd, void **context,
    enum MHD_ConnectionNotificationCode code)
{
	struct engine *engine = ctx;
	struct conn *conn = *context;

	engine->calls++;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = engine->adding;
		engine->adding->http = mhd;
		engine->adding->engine = engine;
	} else if (conn != engine->adding) {
		http_on_closed(conn);
	}
}

static void on_log(void *ctx, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
on_log(void *ctx, const char *format, va_list ap)
{
	static const char page[] = "Error processing request";
	/* said of each answer on a Unix socket */
	static const char option[] = "Setting %s option";
	static const char push[] = "Failed to push the data";
	struct engine *engine = ctx;
	char text[WHY_SIZE];
	va_list copy;

	va_copy(copy, ap);
	if (engine->rest != NULL &&
	    strncmp(format, page, sizeof(page) - 1) == 0)
		http_on_page(engine->rest, (int)va_arg(copy, unsigned));
	va_end(copy);
	if (engine->why == NULL &&
	    (!log_wanted(LOG_LEVEL_DEBUG) ||
		strncmp(format, option, sizeof(option) - 1) == 0 ||
		strncmp(format, push, sizeof(push) - 1) == 0))
		return;
	vsnprintf(text, sizeof(text), format, ap);
	text[strcspn(text, "\n")] = '\0';
	if (engine->why != NULL)
		why_set(engine->why, "%s", text);
	else
		log_debug("libmicrohttpd: %s", text);
}

/* ---- what is asked of it */

int
engine_add(struct engine *engine, struct conn *conn)
{
	/* only copied, as there is no limit per address */
	static const struct sockaddr nowhere;
	enum MHD_Result added;

	engine->adding = conn;
	added = MHD_add_connection(engine->mhd, conn->fd, &nowhere,
	    sizeof(nowhere));
	engine->adding = NULL;
	return added == MHD_YES ? 0 : -1;
}

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (value != NULL)
		MHD_add_response_header(response, name, value);
}

int
engine_queue(struct conn *conn, const struct reply *reply)
{
	static char nothing[] = "";
	struct MHD_Response *response;
	enum MHD_Result queued;

	response = MHD_create_response_from_buffer(reply->len,
	    reply->body != NULL ? reply->body : nothing,
	    reply->body != NULL ? MHD_RESPMEM_MUST_FREE :
				  MHD_RESPMEM_PERSISTENT);
	if (response == NULL) {
		free(reply->body);
		return -1;
	}
	if (conn->last)
		add_header(response, "Connection", "close");
	add_header(response, "Content-Type", reply->type);
	add_header(response, "X-Request-Id", conn->ex.id);
	add_header(response, "Allow", reply->allow);
	add_header(response, "Retry-After", reply->retry_after);
	add_header(response, "Location", reply->location);
	add_header(response, "Preference-Applied", reply->applied);
	if (reply->identity)
		add_header(response, "Accept-Encoding", "identity");
	if (reply->with != NULL)
		for (size_t i = 0; i < reply->with->headers; i++)
			add_header(response, reply->with->header[i].name,
			    reply->with->header[i].value);
	queued = MHD_queue_response(conn->http, (unsigned)reply->status,
	    response);
	MHD_destroy_response(response);
	return queued == MHD_YES ? 0 : -1;
}

void
engine_suspend(struct conn *conn)
{
	MHD_suspend_connection(conn->http);
}

/*
 * Who has a timeout of his own is looked at before his socket is read. Else the
 * library reads first, and drops the answer to a client that has closed its own
 * side only.
 */
void
engine_resume(struct conn *conn)
{
	conn->slow = true;
	engine_timeout(conn,
	    (unsigned)problem_seconds(conn->rest->conf->rest.send_timeout));
	MHD_resume_connection(conn->http);
	conn->engine->resumed = true;
}

const char *
engine_field(struct conn *conn, const char *name)
{
	return MHD_lookup_connection_value(conn->http, MHD_HEADER_KIND, name);
}

struct each_field {
	engine_field_fn *fn;
	void *ctx;
};

static enum MHD_Result
on_each_field(void *ctx, enum MHD_ValueKind kind, const char *name,
    size_t name_len, const char *value, size_t value_len)
{
	const struct each_field *each = ctx;

	(void)kind;
	each->fn(each->ctx, name, name_len, value, value_len);
	return MHD_YES;
}

void
engine_each_field(struct conn *conn, engine_field_fn *fn, void *ctx)
{
	struct each_field each = { fn, ctx };

	MHD_get_connection_values_n(conn->http, MHD_HEADER_KIND, on_each_field,
	    &each);
}

/*
 * The library keeps the head as it came and ends its parts with NULs. So
 * between two parts there are a blank or a line end, or a colon and blanks, and
 * nothing else; or it has swallowed something: what follows a NUL, or what a
 * folded line hides. Later versions refuse such heads themselves.
 */
#define ENGINE_SWALLOWS (MHD_VERSION < 0x00097600)

struct fields {
	struct head *head;
	const char *end; /* of the last part */
};

static void
part_follows(struct fields *fields, const char *part, size_t least, size_t most)
{
	size_t gap = (size_t)((uintptr_t)part - (uintptr_t)fields->end);

	if (ENGINE_SWALLOWS && (gap < least || gap > most))
		head_bad(fields->head, 400,
		    "the request has a NUL, a blank "
		    "too many or a folded line in its head");
}

static void
on_field(void *ctx, const char *name, size_t name_len, const char *value,
    size_t value_len)
{
	struct fields *fields = ctx;

	part_follows(fields, name, 1, 2);
	fields->end = name + name_len;
	part_follows(fields, value, 1, SIZE_MAX / 2);
	fields->end = value + value_len;
	head_field(fields->head, name, name_len, value, value_len);
}

size_t
engine_fields(struct conn *conn, const char *method, const char *path,
    const char *version)
{
	struct fields fields = { .head = &conn->ex.head,
		.end = method + strlen(method) };
	const union MHD_ConnectionInfo *info;
	size_t line;

	part_follows(&fields, path, 1, 1);
	fields.end = path + conn->ex.target_len;
	part_follows(&fields, version, 1, 1);
	fields.end = version + strlen(version);
	line = (size_t)((uintptr_t)fields.end - (uintptr_t)method) + 2;
	engine_each_field(conn, on_field, &fields);
	info = MHD_get_connection_info(conn->http,
	    MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	if (info == NULL)
		return 0;
	part_follows(&fields, method + info->header_size, 2, 4);
	return info->header_size > line ? info->header_size - line : 0;
}

void
engine_timeout(struct conn *conn, unsigned seconds)
{
	MHD_set_connection_option(conn->http, MHD_CONNECTION_OPTION_TIMEOUT,
	    seconds);
}

/* ---- rounds */

static void
engine_round(struct engine *engine)
{
	unsigned calls = engine->calls;

	engine->rest->now_ns = clock_now_ns();
	engine->resumed = false;
	MHD_run(engine->mhd);
	engine->stuck = engine->calls == calls ? engine->stuck + 1 : 0;
}

static void
engine_readable(void *ctx, unsigned events)
{
	struct engine *engine = ctx;

	(void)events;
	engine_round(engine);
	engine->stuck = 0;
}

static bool
engine_is_stuck(struct engine *engine)
{
	if (engine->stuck < (engine->rest->answering > 0 ?
				    ENGINE_SENDING_ROUNDS :
				    ENGINE_STUCK_ROUNDS))
		return false;
	engine->stuck = 0;
	return true;
}

int64_t
engine_due(struct engine *engine)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (engine == NULL)
		return CLOCK_NEVER;
	for (int i = 0; i < ENGINE_ROUNDS; i++) {
		ms = 0;
		if (!engine->resumed &&
		    MHD_get_timeout(engine->mhd, &ms) == MHD_NO)
			return CLOCK_NEVER;
		if (ms > 0)
			return clock_now_ns() + (int64_t)ms * NS_PER_MS;
		engine_round(engine);
		if (engine_is_stuck(engine))
			return clock_now_ns() + ENGINE_STUCK_NS;
	}
	return 0;
}

/* ---- start and stop */

/*
 * What the library may use for a request: its head, a record per field, the
 * fields of the answer. All of it is zeroed for each request, so more than is
 * needed costs time.
 */
static size_t
engine_pool(const struct conf *conf)
{
	size_t slack = conf->rest.max_header / 2;

	if (slack < 4096)
		slack = 4096;
	if (slack > 16384)
		slack = 16384;
	return conf->rest.max_uri + conf->rest.max_header + slack;
}

static struct MHD_Daemon *
engine_start(struct engine *engine, const struct conf *conf, bool tls)
{
	static char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
				   "+VERS-TLS1.2:%SERVER_PRECEDENCE";
	struct MHD_OptionItem secure[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, conf->tls_certificate },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, conf->tls_key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, priorities },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (!tls)
		secure[0].option = MHD_OPTION_END;
	/* Without turbo it shuts a socket down before closing it, which TLS
	 * needs for its own goodbye. */
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
		MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
		(tls ? MHD_USE_TLS : MHD_USE_TURBO),
	    0, NULL, NULL, on_request, engine, MHD_OPTION_EXTERNAL_LOGGER,
	    on_log, engine, MHD_OPTION_URI_LOG_CALLBACK, on_target, engine,
	    MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, engine,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, engine,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, engine,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)conf->rest.connections + 1,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, engine_pool(conf),
	    MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_ARRAY, secure,
	    MHD_OPTION_END);
}

struct engine *
engine_new(struct rest *rest, const struct conf *conf, bool tls,
    struct why *why)
{
	struct engine *engine = mem_alloc(sizeof(*engine));
	struct why says;

	why_set(&says, "it does not say why");
	engine->rest = rest;
	engine->io.fd = -1;
	engine->why = &says;
	engine->mhd = engine_start(engine, conf, tls);
	engine->why = NULL;
	if (engine->mhd != NULL)
		return engine;
	if (tls)
		why_set(why,
		    "rest.tls does not work: the certificate and the "
		    "key do not belong together, or one is damaged (%s)",
		    says.text);
	else
		why_set(why, "libmicrohttpd cannot start: %s", says.text);
	free(engine);
	return NULL;
}

int
engine_watch(struct engine *engine, struct loop *loop)
{
	int fd = MHD_get_daemon_info(engine->mhd, MHD_DAEMON_INFO_EPOLL_FD)
		     ->epoll_fd;

	engine->loop = loop;
	return loop_io_add(loop, &engine->io, fd, LOOP_READ, engine_readable,
	    engine);
}

void
engine_free(struct engine *engine)
{
	if (engine == NULL)
		return;
	if (engine->loop != NULL)
		loop_io_del(engine->loop, &engine->io);
	MHD_stop_daemon(engine->mhd);
	free(engine);
}
