/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * brood - the hub as it is, in a process that is set up by core/child as every
 * child of a service; only the master is missing, whose part is played here:
 * the scoreboard, the listening socket, the control channel.
 *
 * One at a time takes hub_ask(), many hub_send(): what everything else in brood
 * is made of. The target `handler` asks one at a time with brood_get(),
 * brood_set_bytes() and brood_incr() inside of a call.
 */
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "brood.h"
#include "core/call.h"
#include "core/chan.h"
#include "core/child.h"
#include "core/hub_client.h"
#include "core/uid.h"
#include "hub/hub.h"
#include "ipc.h"

#define HUB_SLOT 0
#define CALL_OPS 32 /* of one call: what it was given is kept until its end */

static struct conf *conf;
static struct board board;
static int listening, master_end, hub_end;

static void
brood_prepare(struct ipc_run *run)
{
	int pair[2];

	conf = conf_defaults();
	free(conf->hub.socket);
	free(conf->hub.store);
	conf->hub.socket = mem_strdup(run->path);
	conf->hub.store = mem_printf("%s/hub.db", run->folder);
	if (strcmp(run->durability, "full") == 0)
		conf->hub.durability = CONF_DURABLE_FULL;
	listening = ipc_listen(run->path);
	if (board_create(&board, 1 + IPC_MAX_CLIENTS) == -1 ||
	    fd_seqpacket_pair(pair) == -1)
		err(1, "cannot set up the hub");
	master_end = pair[0];
	hub_end = pair[1];
	slot_reset(&board.slot[HUB_SLOT], ROLE_HUB, 1);
	for (unsigned i = 0; i < run->clients; i++)
		slot_reset(&board.slot[1 + i], ROLE_TASK, 1);
}

/* The hub in a child of ours, so that we hear when it is ready. */
static void
brood_serve(const struct ipc_run *run, int ready_fd)
{
	struct child_spec spec = {
		.role_id = ROLE_HUB,
		.role = &hub_role,
		.conf = conf,
		.board = board,
		.slot = HUB_SLOT,
		.generation = 1,
		.chan_fd = hub_end,
		.master_pid = getpid(),
		.hub_fd = listening,
		.entry = -1,
	};
	struct pollfd fds = { .fd = master_end, .events = POLLIN };
	enum chan_id id;
	sigset_t watched;
	int pass;
	pid_t pid;

	(void)run;
	sigemptyset(&watched);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGCHLD);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	pid = fork();
	if (pid == 0)
		child_run(&spec);
	close(hub_end);
	ipc_server_is(pid);
	if (poll(&fds, 1, 20000) != 1 ||
	    chan_recv(master_end, CHAN_CHILD, &id, &pass) != 1 ||
	    id != CHAN_READY || write(ready_fd, "", 1) != 1)
		errx(1, "the hub does not start: %s",
		    board.slot[HUB_SLOT].last_error);
	if (sigwaitinfo(&watched, NULL) != SIGTERM)
		errx(1, "the hub has ended: %s",
		    board.slot[HUB_SLOT].last_error);
	chan_send(master_end, CHAN_DRAIN, -1);
	waitpid(pid, NULL, 0);
	_exit(0);
}

/* ------------------------------------------- one at a time, by a handler */

static const struct ipc_run *running;
static struct ipc_count *counting;
static char key[IPC_KEY_SIZE];
static int64_t end_ns;

static int
handler_asks_one(struct brood_call *call)
{
	struct brood_value value;
	int64_t sum;

	switch (running->op) {
	case IPC_GET:
		return brood_get(call, key, &value);
	case IPC_SET:
		return brood_set_bytes(call, key, ipc_value(), IPC_VALUE_BYTES,
		    NULL);
	default:
		return brood_incr(call, key, 1, NULL, &sum);
	}
}

static enum brood_outcome
handler_asks(struct brood_call *call)
{
	int64_t now = clock_now_ns(), before;

	for (int i = 0; i < CALL_OPS && now < end_ns; i++) {
		before = now;
		if (handler_asks_one(call) != 1)
			errx(1, "%s: %s", key, brood_why(call));
		now = clock_now_ns();
		ipc_note(counting, now - before);
	}
	return BROOD_DONE;
}

static enum brood_outcome
put_key(struct brood_call *call)
{
	if (brood_set_bytes(call, key, ipc_value(), IPC_VALUE_BYTES, NULL) != 1)
		errx(1, "%s: %s", key, brood_why(call));
	return BROOD_DONE;
}

static void
call(struct child *child, brood_handler_fn *fn)
{
	const struct brood_handler handler = { "ask", fn, "" };
	const struct call_request request = {
		.door = DOOR_JOB,
		.handler_name = "bench.ask",
		.handler = &handler,
		.method = "JOB",
		.path = "",
		.peer = "",
		.id = "bench",
		.body = "",
		.timeout_ns = 3600 * NS_PER_S,
		.guard_fd = -1,
	};
	struct call_result result;

	call_run(child, &request, &result);
	call_result_release(&result);
}

/* ------------------------------------------------------- by hub_client.h */

static struct child client;
static enum msg_id asked;
static union msg question;

/* What is asked each time; a change has a number of its own. */
static const union msg *
next_question(void)
{
	switch (running->op) {
	case IPC_GET:
		asked = MSG_GET;
		question.GET.key = msg_text(key);
		break;
	case IPC_SET:
		asked = MSG_SET;
		question.SET = (struct msg_SET){
			.seq = hub_next_seq(client.hub),
			.key = msg_text(key),
			.kind = DATA_BYTES,
			.ttl_ms = -1,
			.value = { ipc_value(), IPC_VALUE_BYTES },
		};
		break;
	case IPC_INCR:
		asked = MSG_INCR;
		question.INCR = (struct msg_INCR){
			.seq = hub_next_seq(client.hub),
			.key = msg_text(key),
			.by = 1,
			.ttl_ms = -1,
		};
		break;
	}
	return &question;
}

static void
ask_in_turn(void)
{
	int64_t now = clock_now_ns(), before;
	int64_t deadline_ns = now + 3600 * NS_PER_S;
	enum hub_code code;
	union msg reply;

	while (now < end_ns) {
		before = now;
		next_question();
		hub_ask(client.hub, asked, &question, deadline_ns, &reply,
		    &code);
		if (code != HUB_OK)
			errx(1, "%s: %s", key, hub_code_name(code));
		now = clock_now_ns();
		ipc_note(counting, now - before);
	}
}

static void on_answer(void *ctx, enum msg_id id, const union msg *msg,
    enum hub_code code);

static void
send_one(void)
{
	next_question();
	hub_send(client.hub, asked, &question, CLOCK_NEVER, on_answer, NULL);
}

static void
on_answer(void *ctx, enum msg_id id, const union msg *msg, enum hub_code code)
{
	(void)ctx, (void)id, (void)msg;
	if (code != HUB_OK)
		errx(1, "%s: %s", key, hub_code_name(code));
	counting->done++;
	if (clock_now_ns() < end_ns)
		send_one();
	else
		loop_stop(&client.loop);
}

/* ------------------------------------------------------------- a client */

static void
client_start(const struct ipc_run *run, unsigned n, struct ipc_count *count)
{
	running = run;
	counting = count;
	ipc_key(run, n, key);
	client.spec.board = board;
	client.spec.slot = 1 + n;
	client.spec.role_id = ROLE_TASK;
	client.spec.chan_fd = -1;
	client.conf = conf;
	client.board = &client.spec.board;
	client.slot = &board.slot[1 + n];
	client.slot->pid = getpid();
	client.requests_left = UINT64_MAX;
	uid_init(1 + n);
	if (loop_init(&client.loop) == -1)
		err(1, "epoll");
	client.hub = hub_client_new(&client.loop,
	    &(struct hub_client_options){
		.path = run->path,
		.slot = 1 + n,
		.generation = 1,
		.max_frame = conf->hub.max_message,
	    });
	if (run->op == IPC_GET)
		call(&client, put_key);
	end_ns = ipc_go();
}

static void
brood_ask(const struct ipc_run *run, unsigned n, struct ipc_count *count)
{
	client_start(run, n, count);
	if (run->depth == 1) {
		ask_in_turn();
		return;
	}
	for (unsigned i = 0; i < run->depth; i++)
		send_one();
	loop_run(&client.loop);
}

static void
handler_ask(const struct ipc_run *run, unsigned n, struct ipc_count *count)
{
	client_start(run, n, count);
	while (clock_now_ns() < end_ns)
		call(&client, handler_asks);
}

const struct ipc_target ipc_brood = {
	.name = "brood",
	.prepare = brood_prepare,
	.serve = brood_serve,
	.ask = brood_ask,
};

const struct ipc_target ipc_handler = {
	.name = "handler",
	.prepare = brood_prepare,
	.serve = brood_serve,
	.ask = handler_ask,
};
