/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command - what the commands of cmd.def do in the master.
 *
 * `cmd_scale` runs "scale". A command answers at once, or sets client->wait,
 * which is called whenever something changed until it has answered. None may
 * block; "call" is not served here but handed to a worker with its connection.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/why.h"
#include "core/chan.h"
#include "master/control.h"

typedef void command_fn(struct control_client *client, const char *const *arg);

static void
say_failed(struct control_client *client, const char *text)
{
	control_answer(client, CMD_FAILED, text, NULL);
}

static struct pool *
command_pool(struct control_client *client, const char *name)
{
	char text[160];
	size_t len;

	int role = role_parse(name);
	if (role >= 0 && role_info[role].kind == ROLE_POOL)
		return &client->master->pool[role];
	len = (size_t)snprintf(text, sizeof text,
	    "there is no pool '%.40s'; the pools are:", name);
	for (int i = 0; i < ROLE_COUNT; i++)
		if (role_info[i].kind == ROLE_POOL && len < sizeof text)
			len += (size_t)snprintf(text + len, sizeof text - len,
			    " %s", role_info[i].name);
	control_answer(client, CMD_USAGE, text, NULL);
	return NULL;
}

static void
cmd_status(struct control_client *client, const char *const *arg)
{
	(void)arg;
	control_answer(client, CMD_OK, "running",
	    status_report(client->master));
}

static void
cmd_explain(struct control_client *client, const char *const *arg)
{
	struct pool *pool = command_pool(client, arg[0]);

	if (pool)
		control_answer(client, CMD_OK, "", status_explain(pool));
}

static void
cmd_log(struct control_client *client, const char *const *arg)
{
	char text[128];

	int level = log_level_parse(arg[0]);
	if (level < 0) {
		size_t len = (size_t)snprintf(text, sizeof text,
		    "there is no level '%.20s'; the levels are:", arg[0]);
		for (int i = 0; i < LOG_LEVEL_COUNT; i++)
			len += (size_t)snprintf(text + len, sizeof text - len,
			    " %s", log_level_name((enum log_level)i));
		control_answer(client, CMD_USAGE, text, NULL);
		return;
	}
	client->master->board.header->log_level = level;
	snprintf(text, sizeof text, "the log level is %s until a reload",
	    log_level_name((enum log_level)level));
	log_notice("%s", text);
	control_answer(client, CMD_OK, text, NULL);
}

/* ------------------------------------------------------- waiting commands */

static void
wait_stopped(struct control_client *client)
{
	struct master *master = client->master;
	struct pool_count count;
	char text[64];
	int left = 0;

	for (int i = 0; i < ROLE_COUNT; i++) {
		pool_count(&master->pool[i], &count);
		left += count.starting + count.ready + count.draining +
		    count.stopping;
	}
	if (left == 0) {
		control_answer(client, CMD_OK, "stopped", NULL);
		return;
	}
	if (left != client->last) {
		client->last = left;
		snprintf(text, sizeof text, "%d left", left);
		control_event(client, text);
	}
}

static void
cmd_stop(struct control_client *client, const char *const *arg)
{
	(void)arg;
	client->wait = wait_stopped;
	master_stop(client->master, false, "broodctl stop");
}

static void
wait_reloaded(struct control_client *client)
{
	struct master *master = client->master;

	if (master->reload)
		return;
	bool ok = strncmp(master->reload_result, "failed: ", 8) != 0;
	control_answer(client, ok ? CMD_OK : CMD_FAILED,
	    master->reload_result + (ok ? 0 : 8), NULL);
}

static void
cmd_reload(struct control_client *client, const char *const *arg)
{
	struct why why = { .text = "" };

	(void)arg;
	if (client->master->reload) {
		say_failed(client,
		    "a reload is under way; try again when it"
		    " is done");
		return;
	}
	if (reload_begin(client->master, &why) < 0) {
		say_failed(client, why.text);
		return;
	}
	client->wait = wait_reloaded;
}

static void
wait_scaled(struct control_client *client)
{
	struct pool *pool = client->pool;
	struct pool_count count;
	char text[640];

	pool_count(pool, &count);
	int wanted = client->wanted >= 0 ? client->wanted : pool->policy.target;
	if (pool->scaled != client->wanted) {
		say_failed(client, "somebody else scaled it meanwhile");
		return;
	}
	if (client->master->phase == PHASE_STOPPING) {
		say_failed(client, "the service is stopping");
		return;
	}
	if (pool->held) {
		snprintf(text, sizeof text,
		    "%d of %d ready; the pool is held:"
		    " %s",
		    count.live_ready, wanted, pool->held_reason);
		say_failed(client, text);
		return;
	}
	int all = count.starting + count.ready + count.draining +
	    count.stopping;
	if (count.live_ready == wanted && all == wanted &&
	    !client->master->reload) {
		snprintf(text, sizeof text, "%s: %d ready%s",
		    role_info[pool->role_id].name, wanted,
		    client->wanted < 0 ? ", sized automatically" : "");
		control_answer(client, CMD_OK, text, NULL);
		return;
	}
	if (count.live_ready != client->last) {
		client->last = count.live_ready;
		snprintf(text, sizeof text, "%d of %d ready%s",
		    count.live_ready, wanted,
		    all > wanted ? ", some draining" : "");
		control_event(client, text);
	}
}

static void
cmd_scale(struct control_client *client, const char *const *arg)
{
	struct pool *pool = command_pool(client, arg[0]);
	char text[160], *end;
	long n = -1;

	if (!pool)
		return;
	if (strcmp(arg[1], "auto") != 0) {
		errno = 0;
		n = strtol(arg[1], &end, 10);
		if (errno || end == arg[1] || *end || n < 0 || n > INT_MAX) {
			snprintf(text, sizeof text,
			    "'%.40s' is neither a"
			    " number of processes nor 'auto'",
			    arg[1]);
			control_answer(client, CMD_USAGE, text, NULL);
			return;
		}
		if (n > pool->policy.limits.max) {
			snprintf(text, sizeof text,
			    "%ld is more than"
			    " %s.workers.max (%d); raise it and reload",
			    n, role_info[pool->role_id].name,
			    pool->policy.limits.max);
			say_failed(client, text);
			return;
		}
	}
	client->pool = pool;
	client->wanted = (int)n;
	client->last = -1;
	client->wait = wait_scaled;
	pool_scale(pool, (int)n);
	master_changed(client->master);
}

/* ------------------------------------------------------- handed to others */

/* A ready worker, idle if there is one. */
static struct member *
command_worker(struct master *master)
{
	struct member *busy = NULL;

	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];
		if (m->state != MEMBER_READY ||
		    m->generation != master->current->generation ||
		    !master->roles[m->pool->role_id]->control)
			continue;
		if (master->board.slot[i].call.started_ns == 0)
			return m;
		busy = m;
	}
	return busy;
}

static void
command_hand_over(struct control_client *client)
{
	struct member *member = command_worker(client->master);

	if (!member)
		say_failed(client, "no worker is ready");
	else if (member_send(member, MSG_CONTROL, client->fd) < 0)
		say_failed(client, "the worker takes no more; try again");
	else
		control_forget(client);
}

/* --------------------------------------------------------------- dispatch */

#define RUN_CMD_LOCAL(name) NULL
#define RUN_CMD_MASTER(name) cmd_##name
#define RUN_CMD_WORKER(name) NULL
static command_fn *const command_row[CMD_COUNT] = {
#define CMD(name, arguments, min, max, where, timeout_s, help) \
	[CMD_ID_##name] = RUN_##where(name),
#include "core/cmd.def"
#undef CMD
};

#define COMMAND_ARGS 8

/* The arguments as strings; -1 after an answer was given. */
static int
command_args(struct control_client *client, const json_t *request,
    const struct cmd_info *info, const char **arg)
{
	const json_t *args = json_object_get(request, "args");
	char text[160];

	size_t n = json_array_size(args);
	bool ok = (!args || json_is_array(args)) && n >= (size_t)info->min &&
	    n <= (size_t)info->max && n < COMMAND_ARGS;
	/* a worker reads the arguments of its commands itself */
	if (info->where == CMD_WORKER)
		ok = true, n = 0;
	for (size_t i = 0; ok && i < n; i++) {
		arg[i] = json_string_value(json_array_get(args, i));
		ok = arg[i] != NULL;
	}
	if (ok)
		return 0;
	snprintf(text, sizeof text, "wrong arguments; usage: %s%s%s",
	    info->name, info->arguments[0] ? " " : "", info->arguments);
	control_answer(client, CMD_USAGE, text, NULL);
	return -1;
}

void
command_run(struct control_client *client, const json_t *request)
{
	const char *arg[COMMAND_ARGS] = { NULL };
	const char *near = NULL;
	char text[160];

	const char *name = json_string_value(json_object_get(request, "cmd"));
	int id = name ? cmd_parse(name, &near) : -1;
	if (id < 0 || cmd_info[id].where == CMD_LOCAL) {
		snprintf(text, sizeof text, "unknown command '%.40s'%s%s%s",
		    name ? name : "", near ? "; did you mean '" : "",
		    near ? near : "", near ? "'?" : "");
		control_answer(client, CMD_USAGE, text, NULL);
		return;
	}
	if (command_args(client, request, &cmd_info[id], arg) < 0)
		return;
	if (cmd_info[id].where == CMD_WORKER)
		command_hand_over(client);
	else
		command_row[id](client, arg);
	if (client->wait)
		client->wait(client);
}
