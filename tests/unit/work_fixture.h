/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_fixture - a hub without its sockets: the real store, data, jobs,
 * exchanges, work, dispatch and effects in a folder of the test's own, and
 * clients that are played by the test.
 *
 * turn() ends a turn as hub.c does: commit, then what was queued is delivered.
 * killed() is what kill -9 leaves: the files as they are at this moment, what
 * was not delivered never was; a new hub starts with a copy of them. Workers
 * are processes that do nothing: they have a pid, and die as the test says.
 */
#ifndef TEST_UNIT_WORK_FIXTURE_H
#define TEST_UNIT_WORK_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "brood.h"
#include "core/call.h"
#include "core/uid.h"
#include "hub/broker.h"
#include "hub/dispatch.h"
#include "hub/effects.h"
#include "hub/exchange.h"
#include "hub/keys.h"
#include "hub/outbox.h"
#include "hub/peer.h"
#include "hub/schedule.h"
#include "hub/seen.h"
#include "hub/watch.h"
#include "hub/work.h"
#include "run_suite.h"

#define GENERATION 1
#define MAX_PEERS 8

/* What a client has been sent. */
struct letter {
	enum msg_id id;
	uint32_t request;
	char *bytes;
	size_t len;
	union msg msg; /* of bytes */
};

struct client {
	struct peer peer;
	bool connected;
	struct letter out[256], in[256];
	size_t outs, ins, read;
};

static struct {
	struct child child;
	struct hub hub;
	struct conf *conf;
	char folder[64];
	int hubs;
	struct client client[MAX_PEERS];
	uint32_t request;
	/* the test's own clock, which stands still until later() */
	int64_t began_ns, began_ms, ahead_ms;
	char ended[64];
	int log_fd;
} fx;

/* --- what peer.c, hub.c and schedule.c would do */

void
hub_tick(struct hub *hub)
{
	hub->now_ns = fx.began_ns + fx.ahead_ms * NS_PER_MS;
	hub->wall_ms = fx.began_ms + fx.ahead_ms;
}

struct peer *
peers_find(struct hub *hub, uint64_t session)
{
	(void)hub;
	for (int i = 0; i < MAX_PEERS; i++)
		if (fx.client[i].connected &&
		    fx.client[i].peer.session == session)
			return &fx.client[i].peer;
	return NULL;
}

struct peer *
peers_first(struct hub *hub)
{
	(void)hub;
	return NULL;
}

size_t
peers_count(const struct hub *hub)
{
	(void)hub;
	return 0;
}

void
peer_send(struct peer *peer, enum msg_id id, uint32_t request, const void *msg)
{
	struct client *client = (struct client *)peer;
	struct letter *letter = &client->out[client->outs++];
	struct buf buf;

	ck_assert_uint_lt(client->outs, 256);
	buf_init(&buf, SIZE_MAX - 1);
	ck_assert_int_eq(msg_encode(&buf, id, request, msg), 0);
	letter->id = id;
	letter->request = request;
	letter->bytes = buf_detach(&buf, &letter->len);
}

void
peer_fail(struct peer *peer, uint32_t request, enum hub_code code,
    const char *format, ...)
{
	char text[WHY_SIZE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	peer_send(peer, MSG_FAIL, request,
	    &(struct msg_FAIL){ .code = code, .why = msg_text(text) });
}

void
peer_cut(struct peer *peer, const char *format, ...)
{
	(void)peer;
	ck_abort_msg("a client is cut off: %s", format);
}

void
schedules_on_end(struct hub *hub, const char *name, const char *outcome,
    const char *why)
{
	(void)hub;
	snprintf(fx.ended, sizeof(fx.ended), "%s %s %s", name, outcome, why);
}

/* --- the hub */

static inline void
forget_letters(struct letter *letters, size_t *n)
{
	while (*n > 0)
		free(letters[--*n].bytes);
}

static inline void
hub_begin(void)
{
	struct hub *hub = &fx.hub;
	struct why why = { "" };
	char path[CONF_PATH_SIZE];

	memset(hub, 0, sizeof(*hub));
	hub->child = &fx.child;
	hub->conf = fx.conf;
	hub->loop = &fx.child.loop;
	hub_tick(hub);
	hub->store = store_open(conf_hub_store(fx.conf, path), fx.conf, &why);
	ck_assert_msg(hub->store != NULL, "%s", why.text);
	ck_assert_msg(keys_start(hub, &why) == 0, "%s", why.text);
	hub->watches = watches_new();
	hub->exchanges = exchanges_new(fx.conf);
	if (conf_has_broker(fx.conf)) {
		ck_assert_int_eq(broker_start(hub, &why), 0);
		ck_assert_int_eq(outbox_start(hub, &why), 0);
		ck_assert_int_eq(seen_start(hub, &why), 0);
	}
	ck_assert_msg(work_start(hub, &why) == 0, "%s", why.text);
	ck_assert_int_eq(dispatch_start(hub, &why), 0);
}

static inline void
hub_end(void)
{
	struct hub *hub = &fx.hub;

	dispatch_stop(hub);
	work_stop(hub);
	outbox_stop(hub);
	broker_stop(hub);
	seen_stop(hub);
	for (int i = 0; i < MAX_PEERS; i++) {
		struct client *client = &fx.client[i];

		client->connected = false;
		client->peer.dispatch = NULL;
		forget_letters(client->out, &client->outs);
		forget_letters(client->in, &client->ins);
		client->read = 0;
	}
	exchanges_free(hub->exchanges);
	watches_free(hub->watches);
	keys_stop(hub);
	store_close(hub->store);
	hub->store = NULL;
}

/* Time goes by, for the hub. */
static inline void
later(int64_t ms)
{
	fx.ahead_ms += ms;
}

static inline void
turn(void)
{
	struct hub *hub = &fx.hub;

	hub_tick(hub);
	work_turn(hub);
	keys_turn(hub);
	store_commit(hub->store, hub->sync);
	hub->sync = hub->data_uncommitted = false;
	keys_committed(hub);
	outbox_turn(hub);
	for (int i = 0; i < MAX_PEERS; i++) {
		struct client *client = &fx.client[i];

		for (size_t n = 0; n < client->outs; n++) {
			ck_assert_uint_lt(client->ins, 256);
			client->in[client->ins++] = client->out[n];
		}
		client->outs = 0;
	}
}

static inline void
set_state_dir(void)
{
	free(fx.conf->service.state_dir);
	fx.conf->service.state_dir = mem_printf("%s/%d", fx.folder, fx.hubs);
	free(fx.conf->service.run_dir);
	fx.conf->service.run_dir = mem_printf("%s/%d", fx.folder, fx.hubs);
}

/* kill -9 at this moment, and the next hub. */
static inline void
killed(void)
{
	char *command = mem_printf("cp -r %s/%d %s/%d && rm -f %s/%d/*-shm",
	    fx.folder, fx.hubs, fx.folder, fx.hubs + 1, fx.folder,
	    fx.hubs + 1);

	ck_assert_int_eq(system(command), 0);
	free(command);
	hub_end();
	fx.hubs++;
	set_state_dir();
	hub_begin();
}

static inline void
fx_set_up(void)
{
	struct conf *conf;
	char *command;

	memset(&fx, 0, sizeof(fx));
	fx.began_ns = clock_now_ns();
	fx.began_ms = clock_wall_ns() / NS_PER_MS;
	fx.log_fd = memfd_create("log", MFD_CLOEXEC);
	log_adopt_fd(dup(fx.log_fd));
	strcpy(fx.folder, "/tmp/brood-work-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fx.folder));
	command = mem_printf("mkdir %s/0", fx.folder);
	ck_assert_int_eq(system(command), 0);
	free(command);
	conf = fx.conf = conf_defaults();
	set_state_dir();
	conf->tasks.backoff_min = NS_PER_S;
	conf->hub.redo_size = 1 << 20;
	conf->hub.reserve = 0;
	conf->hub.min_free = 0;
	ck_assert_int_eq(board_create(&fx.child.spec.board, 32), 0);
	fx.child.board = &fx.child.spec.board;
	fx.child.spec.generation = GENERATION;
	fx.child.conf = conf;
	ck_assert_int_eq(loop_init(&fx.child.loop), 0);
	uid_init(31);
	hub_begin();
}

/* The config changes: no hub looks at it meanwhile. */
static inline void
reconfigure(void)
{
	if (fx.hub.store != NULL)
		hub_end();
}

/* The next hub, with what the test has changed. */
static inline void
reconfigured(void)
{
	reconfigure();
	hub_begin();
}

static inline void
fx_tear_down(void)
{
	char *command = mem_printf("rm -rf %s", fx.folder);

	if (fx.hub.store != NULL)
		hub_end();
	for (unsigned i = 0; i < 32; i++) {
		int pid = fx.child.board->slot[i].pid;

		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
	loop_release(&fx.child.loop);
	board_release(&fx.child.spec.board);
	conf_free(fx.conf);
	ck_assert_int_eq(system(command), 0);
	free(command);
	close(fx.log_fd);
}

/* --- clients and workers */

/* A process in a slot of the scoreboard that does nothing: another program, or
 * it would have the hub's files, and with them its locks. */
static inline void
spawn(unsigned slot)
{
	struct slot *s = &fx.child.board->slot[slot];
	int began[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe2(began, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("sleep", "sleep", "infinity", (char *)NULL);
		_exit(127);
	}
	close(began[1]);
	ck_assert_int_eq(read(began[0], &byte, 1), 0);
	close(began[0]);
	slot_reset(s, ROLE_TASK, GENERATION);
	s->pid = pid;
}

/* It dies, and the master says of which signal: a checker would make a report
 * of some. */
static inline void
die(unsigned slot, int signo)
{
	struct slot *s = &fx.child.board->slot[slot];
	struct board_death death = { .pid = s->pid, .status = signo };

	kill(s->pid, SIGKILL);
	ck_assert_int_eq(waitpid(s->pid, NULL, 0), s->pid);
	board_death_add(fx.child.board, &death);
	s->pid = 0;
}

static inline void
leave(unsigned n)
{
	struct client *client = &fx.client[n];

	work_on_peer_gone(&fx.hub, &client->peer);
	dispatch_on_peer_gone(&fx.hub, &client->peer);
	client->connected = false;
	broker_on_peer_gone(&fx.hub, &client->peer);
}

/* Client n, which is in slot n, says hello. */
static inline struct peer *
connect_client(unsigned n, bool worker)
{
	struct client *client = &fx.client[n];

	client->peer = (struct peer){
		.hub = &fx.hub,
		.pid = worker ? fx.child.board->slot[n].pid : getpid(),
		.slot = n,
		.generation = GENERATION,
		.role = worker ? ROLE_TASK : ROLE_REST,
		.session = 1000 + n,
		.welcome = true,
		.worker = worker,
	};
	client->connected = true;
	hub_tick(&fx.hub);
	if (worker)
		dispatch_on_worker(&fx.hub, &client->peer);
	return &client->peer;
}

static inline struct peer *
connect_worker(unsigned n)
{
	if (fx.child.board->slot[n].pid == 0)
		spawn(n);
	return connect_client(n, true);
}

/* The call is seen in the worker's slot; uid 0: its end. */
static inline void
show_call(unsigned n, uint64_t uid, unsigned attempt)
{
	struct slot *slot = &fx.child.board->slot[n];

	if (uid == 0)
		slot_call_end(slot, false, 1);
	else
		slot_call_begin(fx.child.board, slot,
		    &(struct slot_call){
			.started_ns = 1,
			.uid = uid,
			.attempt = attempt,
		    });
}

/* The next thing that client n was sent; NULL: nothing. */
static inline struct letter *
received(unsigned n)
{
	struct client *client = &fx.client[n];
	struct letter *letter;
	struct msg_head head;
	struct why why;

	if (client->read == client->ins)
		return NULL;
	letter = &client->in[client->read++];
	ck_assert_int_gt(msg_decode(letter->bytes, letter->len, SIZE_MAX,
			     MSG_FROM_HUB, &head, &letter->msg, &why),
	    0);
	return letter;
}

static inline struct letter *
want(unsigned n, enum msg_id id)
{
	struct letter *letter = received(n);

	ck_assert_msg(letter != NULL, "%s was not sent", msg_name(id));
	ck_assert_msg(letter->id == id, "%s was sent in place of %s (%.*s)",
	    msg_name(letter->id), msg_name(id),
	    letter->id == MSG_FAIL ? (int)letter->msg.FAIL.why.len : 0,
	    letter->id == MSG_FAIL ? letter->msg.FAIL.why.p : "");
	return letter;
}

static inline void
want_fail(unsigned n, enum hub_code code)
{
	ck_assert_str_eq(hub_code_name(want(n, MSG_FAIL)->msg.FAIL.code),
	    hub_code_name(code));
}

static inline void
want_nothing(unsigned n)
{
	struct letter *letter = received(n);

	ck_assert_msg(letter == NULL, "%s was sent",
	    letter != NULL ? msg_name(letter->id) : "");
}

/* A RUN, whose uid is returned; the scoreboard shows the call. */
static inline uint64_t
want_run(unsigned n, unsigned attempt)
{
	struct letter *letter = want(n, MSG_RUN);

	ck_assert_uint_eq(letter->msg.RUN.attempt, attempt);
	show_call(n, letter->msg.RUN.uid, attempt);
	return letter->msg.RUN.uid;
}

/* --- parts of effects */

static inline void
add_part(struct buf *parts, enum msg_id id, const void *msg)
{
	ck_assert_int_eq(msg_encode(parts, id, 0, msg), 0);
}

static inline uint64_t
add_submit(struct buf *parts, const char *handler, const char *body)
{
	struct msg_SUBMIT submit = {
		.uid = uid_make(),
		.token = uid_token(),
		.handler = msg_text(handler),
		.type = msg_text("text/plain"),
		.body = msg_text(body),
		.expires_ms = -1,
	};

	add_part(parts, MSG_SUBMIT, &submit);
	return submit.uid;
}

static inline void
add_incr(struct buf *parts, const char *key, int64_t by)
{
	struct msg_INCR incr = { .key = msg_text(key), .by = by, .ttl_ms = -1 };

	add_part(parts, MSG_INCR, &incr);
}

static inline void
add_publish(struct buf *parts, const char *exchange, const char *key,
    const char *body)
{
	struct msg_PUBLISH publish = {
		.uid = uid_make(),
		.exchange = msg_text(exchange),
		.key = msg_text(key),
		.type = msg_text("text/plain"),
		.body = msg_text(body),
		.ttl_ms = -1,
	};

	add_part(parts, MSG_PUBLISH, &publish);
}

static inline struct msg_bytes
bytes_of(const struct buf *buf)
{
	return (struct msg_bytes){ buf->data, buf->len };
}

/* COMMIT by client n. */
static inline void
commit(unsigned n, uint64_t uid, const struct buf *parts)
{
	struct msg_COMMIT msg = { .uid = uid, .effects = bytes_of(parts) };

	hub_tick(&fx.hub);
	hub_on_COMMIT(&fx.hub, &fx.client[n].peer, ++fx.request, &msg);
}

/* A job by client n; its uid. */
static inline uint64_t
submit_with(unsigned n, struct msg_SUBMIT *submit)
{
	struct buf parts;

	if (submit->uid == 0)
		submit->uid = uid_make();
	if (submit->token == 0)
		submit->token = uid_token();
	if (submit->handler.len == 0)
		submit->handler = msg_text("m.h");
	if (submit->expires_ms == 0)
		submit->expires_ms = -1;
	buf_init(&parts, 1 << 20);
	add_part(&parts, MSG_SUBMIT, submit);
	commit(n, uid_make(), &parts);
	buf_release(&parts);
	return submit->uid;
}

static inline uint64_t
submit_job(unsigned n)
{
	struct msg_SUBMIT submit = { .body = msg_text("body") };
	uint64_t uid = submit_with(n, &submit);

	turn();
	ck_assert_uint_eq(want(n, MSG_DONE_OK)->msg.DONE_OK.uid, uid);
	return uid;
}

static inline void
publish_to(unsigned n, const char *exchange, const char *key, const char *body)
{
	struct buf parts;

	buf_init(&parts, 1 << 20);
	add_publish(&parts, exchange, key, body);
	commit(n, uid_make(), &parts);
	buf_release(&parts);
}

static inline void
send_done(unsigned n, const struct msg_DONE *done)
{
	show_call(n, 0, 0);
	hub_tick(&fx.hub);
	hub_on_DONE(&fx.hub, &fx.client[n].peer, ++fx.request, done);
}

/* DONE by worker n, with a status of 200. */
static inline void
done(unsigned n, uint64_t uid, unsigned attempt, const struct buf *effects)
{
	struct msg_DONE msg = {
		.uid = uid,
		.attempt = attempt,
		.outcome = BROOD_DONE,
		.status = 200,
		.type = msg_text("text/plain"),
		.body = msg_text("result"),
	};

	if (effects != NULL)
		msg.effects = bytes_of(effects);
	send_done(n, &msg);
}

static inline void
done_badly(unsigned n, uint64_t uid, unsigned attempt,
    enum brood_outcome outcome, unsigned status, const char *why)
{
	send_done(n,
	    &(struct msg_DONE){
		.uid = uid,
		.attempt = attempt,
		.outcome = (uint8_t)outcome,
		.status = status,
		.problem = msg_text(why),
	    });
}

/* --- what is true now */

static inline json_t *
report(uint64_t uid)
{
	json_t *json;

	hub_tick(&fx.hub);
	json = work_report(&fx.hub, uid, true);
	ck_assert_msg(json != NULL, "no such job");
	return json;
}

static inline void
want_state(uint64_t uid, const char *state, unsigned attempts)
{
	json_t *json = report(uid);
	char *text = json_dumps(json, 0);

	ck_assert_msg(strcmp(json_string_value(json_object_get(json, "state")),
			  state) == 0,
	    "not %s: %s", state, text);
	ck_assert_int_eq(
	    json_integer_value(json_object_get(json, "attempts")), attempts);
	free(text);
	json_decref(json);
}

/* The last of its errors has this in it. */
static inline void
want_error(uint64_t uid, size_t n, const char *part)
{
	json_t *json = report(uid);
	json_t *errors = json_object_get(json, "errors");
	json_t *last;

	ck_assert_uint_eq(json_array_size(errors), n);
	last = json_array_get(errors, n - 1);
	ck_assert_msg(
	    strstr(json_string_value(json_object_get(last, "reason")), part),
	    "%s",
	    json_string_value(json_object_get(last, "reason")));
	json_decref(json);
}

static inline void
want_number(const char *key, int64_t number)
{
	const struct data_value *value = data_find(fx.hub.data, msg_text(key),
	    fx.hub.wall_ms);

	ck_assert_int_eq(value != NULL ? value->number : 0, number);
}

static inline void
want_counts(size_t waiting, size_t queued, size_t running)
{
	size_t by_state[JOB_STATE_COUNT];

	jobs_count(work_jobs(&fx.hub), by_state);
	ck_assert_uint_eq(by_state[JOB_WAITING], waiting);
	ck_assert_uint_eq(by_state[JOB_QUEUED], queued);
	ck_assert_uint_eq(by_state[JOB_RUNNING], running);
}

static inline void
queue_conf(size_t i, const char *name, const char *handler)
{
	struct conf *conf = fx.conf;

	reconfigure();
	if (i >= conf->queue.n) {
		conf->queue.v = realloc(conf->queue.v,
		    (i + 1) * sizeof(*conf->queue.v));
		conf->queue.n = i + 1;
	}
	conf->queue.v[i] = (struct conf_queue){
		.name = mem_strdup(name),
		.handler = mem_strdup(handler),
		.dead_letter_exchange = mem_strdup(""),
		.dead_letter_key = mem_strdup(""),
	};
}

static inline int
run_work_suite(const char *name, void (*add)(TCase *tests))
{
	return run_tests(name, 120, fx_set_up, fx_tear_down, add);
}

#endif
