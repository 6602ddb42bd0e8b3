/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command - what the commands of cmd.def do in the master.
 *
 * `cmd_scale` runs "scale". A command answers at once, or sets client->wait,
 * which is called whenever something changed until it has answered. None may
 * block; those of CMD_HUB are not served here but handed to the hub with their
 * connection.
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

/* What can be said of a name that no pool has. */
static size_t
command_no_pool(const struct master *master, const char *name, char *text,
    size_t size)
{
	bool amqp = strcmp(name, role_info[ROLE_AMQP].name) == 0 &&
	    !conf_has_broker(master->current->conf);

	return (size_t)snprintf(text, size,
	    "there is no pool '%.40s'%s; the pools are:", name,
	    amqp ? ", for amqp.broker is \"local\"" : "");
}

/* NULL after an answer was given. `sized`: only those whose size can be set. */
static struct pool *
command_pool(struct control_client *client, const char *name, bool sized)
{
	const struct master *master = client->master;
	struct pool *pool = pools_find(master, name);
	char text[512];
	size_t len;

	/* what a reload has taken out of the config drains, and is no more */
	if (pool && sized && !pool_in(pool, master->current->conf))
		pool = NULL;
	if (pool && (!sized || pool_is_sized(pool)))
		return pool;
	if (pool)
		len = (size_t)snprintf(text, sizeof text,
		    "the size of pool '%s' is fixed: it has one process; those "
		    "that can be scaled are:",
		    pool->name);
	else
		len = command_no_pool(master, name, text, sizeof text);
	for (size_t i = 0; i < master->pools; i++)
		if ((!sized || pool_is_sized(master->pool[i])) &&
		    len < sizeof text)
			len += (size_t)snprintf(text + len, sizeof text - len,
			    " %s", master->pool[i]->name);
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
	struct pool *pool = command_pool(client, arg[0], false);

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
	char text[64];
	int left = 0;

	for (unsigned i = 0; i < master->slots_used; i++)
		left += member_alive(&master->member[i]);
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

	if (master->reload || master->settling)
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
	if (client->master->reload || client->master->settling) {
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

/* A reload may have taken the pool away meanwhile. */
static bool
scale_has_pool(const struct control_client *client)
{
	const struct master *master = client->master;

	for (size_t i = 0; i < master->pools; i++)
		if (master->pool[i] == client->pool)
			return pool_in(client->pool, master->current->conf);
	return false;
}

static void
wait_scaled(struct control_client *client)
{
	struct pool *pool = client->pool;
	struct pool_count count;
	char text[640];

	if (!scale_has_pool(client)) {
		say_failed(client, "a reload has taken the pool away");
		return;
	}
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
		snprintf(text, sizeof text, "%s: %d ready%s", pool->name,
		    wanted,
		    client->wanted >= 0		  ? "" :
			pool->policy.limits.fixed ? ", as its config says" :
						    ", sized automatically");
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
scale_beyond(struct control_client *client, const struct pool *pool, long n)
{
	const struct conf *conf = client->master->current->conf;
	int max = pool->policy.limits.max;
	int64_t held = conf_amqp_held(conf) * (max + 1);
	char text[240];

	if (!pool_is(pool, ROLE_AMQP))
		snprintf(text, sizeof text,
		    "%ld is more than %s.workers.max (%d); raise it and reload",
		    n, pool_is(pool, ROLE_TASK) ? "tasks" : pool->name, max);
	else if (held > conf->tasks.max_waiting)
		snprintf(text, sizeof text,
		    "%ld is more than %d: %d amqp children may prefetch %lld "
		    "messages of all queues together, and tasks.max_waiting is "
		    "%d; raise it, or lower 'prefetch', and reload",
		    n, max, max + 1, (long long)held, conf->tasks.max_waiting);
	else if (max == POOL_AMQP_MAX)
		snprintf(text, sizeof text,
		    "%ld is more than the %d amqp children that there may be",
		    n, max);
	else
		snprintf(text, sizeof text,
		    "%ld is more than the %d amqp children that find a place "
		    "in service.max_children",
		    n, max);
	say_failed(client, text);
}

static void
cmd_scale(struct control_client *client, const char *const *arg)
{
	struct pool *pool = command_pool(client, arg[0], true);
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
			scale_beyond(client, pool, n);
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

/* The hub, whichever generation it is of; NULL when none serves. */
static struct member *
command_hub(const struct master *master)
{
	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];

		if (m->state == MEMBER_READY && pool_is(m->pool, ROLE_HUB) &&
		    master->roles[ROLE_HUB]->control)
			return m;
	}
	return NULL;
}

/* Until a hub takes the connection; one that is held is not waited for. */
static void
wait_hub(struct control_client *client)
{
	struct master *master = client->master;
	const struct pool *pool = pools_find(master, role_info[ROLE_HUB].name);
	struct member *member = command_hub(master);
	char text[700];

	if (member && member_send(member, CHAN_CONTROL, client->fd) == 0)
		control_forget(client);
	else if (member && errno == EAGAIN)
		say_failed(client,
		    "the hub takes no more at the moment; try again");
	else if (pool->held) {
		snprintf(text, sizeof text, "the hub is not there: %s",
		    pool->held_reason);
		say_failed(client, text);
	} else if (!stop_keeps(master, ROLE_HUB))
		say_failed(client, "the service is stopping");
	else
		client->wait = wait_hub;
}

/* --------------------------------------------------------------- dispatch */

#define RUN_CMD_LOCAL(name) NULL
#define RUN_CMD_MASTER(name) cmd_##name
#define RUN_CMD_HUB(name) NULL
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
	if (info->where == CMD_HUB)
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
	if (cmd_info[id].where == CMD_HUB)
		wait_hub(client);
	else
		command_row[id](client, arg);
	if (client->wait)
		client->wait(client);
}
