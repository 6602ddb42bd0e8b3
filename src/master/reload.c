/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload - a new generation beside the old one, or the old one untouched.
 *
 *   read and check the file ─► check child loads the modules ─► canary ready
 *     ─► as many as the old has, all ready ─► commit: the old drain
 *     ─► the old hub is gone ─► the new hub is ready
 *
 * Until the commit the old generation serves as if nothing happened, so giving
 * up is always the same: end the new ones, close what is new, say why. Any
 * error, any death of a new child and the start deadline lead there. After it a
 * hub that does not come up is tried again like any child that died, and the
 * reload is reported as failed in that. One reload at a time; a HUP meanwhile
 * makes one more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/chan.h"
#include "master/reload.h"

static void
reload_free(struct reload *reload)
{
	reload_check_drop(reload);
	reload->master->reload = NULL;
	free(reload);
}

/* What the operator reads: every error, each on a line of its own in the log,
 * and all of them in the answer. */
static void
reload_say(struct master *master, bool ok, const char *text)
{
	snprintf(master->reload_result, sizeof master->reload_result, "%s%s",
	    ok ? "" : "failed: ", text);
	master->reload_wall_ns = clock_wall_ns();
	if (ok)
		log_notice("reload: %s", text);
	else
		log_error("reload refused: %s; the old generation %u %s", text,
		    master->current->generation,
		    master->phase == PHASE_RUNNING ? "goes on" : "stops too");
	if (master->phase == PHASE_RUNNING)
		fd_sd_notify("READY=1");
}

void
reload_join(const struct conf_errors *errors, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < errors->n && len + 1 < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
		    i ? "; " : "", errors->v[i]);
}

void
reload_abort(struct master *master, const char *reason)
{
	struct reload *reload = master->reload;

	if (!reload)
		return;
	struct deployment *next = reload->next;
	reload_free(reload);
	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];
		if (member_alive(m) && m->generation == next->generation)
			member_event(m,
			    m->state == MEMBER_READY ? EVENT_ORDER_DRAIN :
						       EVENT_ORDER_STOP,
			    "its reload was given up");
	}
	deployment_free(next, &master->current->listen);
	reload_say(master, false, reason);
	for (size_t i = 0; i < master->pools; i++)
		pool_review(master->pool[i]);
	master_changed(master);
}

const struct deployment *
reload_deployment(const struct master *master)
{
	return master->reload ? master->reload->next : NULL;
}

static int
reload_count(const struct master *master, const struct pool *pool,
    unsigned generation, bool ready_only)
{
	int n = 0;

	for (unsigned i = 0; i < master->slots_used; i++) {
		const struct member *m = &master->member[i];
		n += m->pool == pool && m->generation == generation &&
		    (m->state == MEMBER_READY ||
			(!ready_only && m->state == MEMBER_STARTING));
	}
	return n;
}

static void
reload_apply_log(struct master *master, const struct conf *old,
    const struct conf *new)
{
	struct why why;

	master->board.header->log_level = new->log.level;
	if (strcmp(old->log.target, new->log.target) == 0 &&
	    old->log.format == new->log.format)
		return;
	if (log_open(new->log.target, (enum log_format) new->log.format,
		new->service.name, &why) < 0) {
		log_error("log.target: %s; staying with the old one", why.text);
		return;
	}
	for (unsigned i = 0; i < master->slots_used; i++)
		if (member_alive(&master->member[i]) && log_fd() >= 0)
			member_send(&master->member[i], CHAN_LOG, log_fd());
}

/* The old finish; how many there are of them. */
static int
reload_drain_old(struct master *master)
{
	int n = 0;

	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];
		if (m->generation == master->current->generation ||
		    (m->state != MEMBER_STARTING && m->state != MEMBER_READY))
			continue;
		n++;
		member_event(m, EVENT_ORDER_DRAIN, "an older generation");
	}
	return n;
}

/* Each pool is the new config's; how many of its members are ready. */
static int
reload_take_over(struct master *master)
{
	int ready = 0;

	for (size_t i = 0; i < master->pools; i++) {
		struct pool *pool = master->pool[i];
		pool_configure(pool, master->current->conf);
		pool_unhold(pool);
		ready += reload_count(master, pool, master->current->generation,
		    true);
		if (pool->next_ended)
			pool_on_return(pool, pool->next_status,
			    pool->next_reason);
	}
	return ready;
}

/*
 * The point of no return: the new serve, the old finish. Two hubs would write
 * to one store, so the old one goes before the new one is started, its clients
 * wait meanwhile, and what becomes of that is the end of the reload's story.
 */
static void
reload_commit(struct master *master)
{
	struct deployment *old = master->current;
	char text[160];

	master->current = master->reload->next;
	reload_free(master->reload);
	reload_apply_log(master, old->conf, master->current->conf);
	listen_apply(&master->current->listen, master->current->conf);
	watch_configure(master);
	int ready = reload_take_over(master);
	int draining = reload_drain_old(master);
	deployment_free(old, &master->current->listen);
	snprintf(text, sizeof text,
	    "generation %u: %d ready, %d of older generations draining",
	    master->current->generation, ready, draining);
	mem_copy_string(master->reload_result, sizeof master->reload_result,
	    text);
	master->settling = true;
	for (size_t i = 0; i < master->pools; i++) {
		pool_note(master->pool[i], LOG_LEVEL_INFO, "reload: %s", text);
		pool_review(master->pool[i]);
	}
	master_changed(master);
}

void
reload_settle(struct master *master, const char *what)
{
	char text[sizeof master->reload_result];

	master->settling = false;
	mem_copy_string(text, sizeof text, master->reload_result);
	if (!what) {
		reload_say(master, true, text);
	} else {
		snprintf(master->reload_result, sizeof master->reload_result,
		    "failed: %.160s; but its hub %.700s", text, what);
		log_error("reload: %s",
		    master->reload_result + strlen("failed: "));
		if (master->phase == PHASE_RUNNING)
			fd_sd_notify("READY=1");
		master->reload_wall_ns = clock_wall_ns();
	}
	master_changed(master);
}

/* Starts what is missing of the new generation; commits when nothing is. */
static void
reload_advance(struct master *master)
{
	struct reload *reload = master->reload;
	bool complete = true;
	struct why why;

	for (size_t i = 0; i < master->pools; i++) {
		struct pool *pool = master->pool[i];
		unsigned generation = reload->next->generation;
		int wanted = reload->canary_ready ? pool->next_wanted : 1;
		int have = reload_count(master, pool, generation, false);
		/* a pool scaled to none has no canary either */
		if (pool->next_wanted == 0 || pool->next_ended)
			continue;
		for (; have < wanted; have++) {
			if (spawn_member(pool, reload->next, &why))
				continue;
			reload_abort(master, why.text);
			return;
		}
		if (reload_count(master, pool, generation, true) <
		    pool->next_wanted)
			complete = false;
	}
	if (complete)
		reload_commit(master);
}

void
reload_on_ready(struct master *master, struct member *member)
{
	struct reload *reload = master->reload;

	if (!reload || member->generation != reload->next->generation)
		return;
	reload->canary_ready = true;
	reload_advance(master);
}

bool
reload_on_death(struct master *master, const struct member *member, int status,
    const char *what, const char *left)
{
	struct reload *reload = master->reload;
	struct pool *pool = member->pool;
	char reason[900];

	if (!reload || member->generation != reload->next->generation)
		return false;
	/* a background handler may be quick */
	if (pool_has_returned(pool, member, status)) {
		pool->next_ended = true;
		pool->next_status = status;
		mem_copy_string(pool->next_reason, sizeof pool->next_reason,
		    left);
		reload_advance(master);
		return true;
	}
	snprintf(reason, sizeof reason, PRI_MEMBER " of the new generation %s",
	    ARG_MEMBER(member), what);
	reload_abort(master, reason);
	return true;
}

/* As many as now, within the bounds of the new config. */
static int
reload_wanted(const struct pool *pool, const struct conf *conf)
{
	struct policy_limits limits;
	int wanted = pool->scaled >= 0 ? pool->scaled : pool->policy.target;

	/* the hub has its turn after the commit */
	if (pool_is(pool, ROLE_HUB) || !pool_in(pool, conf))
		return 0;
	pool_read_limits(pool, conf, &limits);
	if (pool->scaled < 0 && (limits.fixed || wanted < limits.start))
		wanted = limits.start;
	return wanted > limits.max ? limits.max : wanted;
}

void
reload_on_checked(struct reload *reload, const char *text)
{
	struct master *master = reload->master;
	const struct conf *conf = reload->next->conf;

	if (text[0]) {
		reload_abort(master, text);
		return;
	}
	pools_add(master, conf);
	for (size_t i = 0; i < master->pools; i++) {
		struct pool *pool = master->pool[i];
		pool->next_wanted = reload_wanted(pool, conf);
		pool->next_ended = false;
	}
	reload_advance(master);
}

/* Reads the config and opens its sockets; all errors in `errors`. */
static struct deployment *
reload_prepare(struct master *master, struct conf_errors *errors)
{
	struct conf_errors ignored = { 0 };

	struct conf *conf = conf_load(master->current->conf->file, errors);
	if (!conf)
		return NULL;
	struct deployment *next = deployment_new(conf, 0);
	if (listen_open(&next->listen, conf, &master->current->listen, errors) <
	    0) {
		deployment_free(next, NULL);
		return NULL;
	}
	conf_compare(master->current->conf, conf, &ignored);
	for (size_t i = 0; i < ignored.n; i++)
		log_warning("reload: %s", ignored.v[i]);
	conf_errors_release(&ignored);
	return next;
}

int
reload_begin(struct master *master, struct why *why)
{
	struct conf_errors errors = { 0 };
	char text[900];

	if (master->phase != PHASE_RUNNING)
		return why_set(why, "the service is %s",
		    master->phase == PHASE_STARTING ? "starting" : "stopping");
	if (master->reload || master->settling) {
		master->reload_again = true;
		return why_set(why,
		    "a reload is under way; another follows it");
	}
	log_notice("reload: reading %s", master->current->conf->file);
	fd_sd_notify("RELOADING=1");
	struct deployment *next = reload_prepare(master, &errors);
	if (!next) {
		for (size_t i = 0; i < errors.n; i++)
			log_error("reload: %s", errors.v[i]);
		reload_join(&errors, text, sizeof text);
		conf_errors_release(&errors);
		reload_say(master, false, text);
		return why_set(why, "%s", text);
	}
	next->generation = ++master->generations;

	struct reload *reload = mem_alloc(sizeof *reload);
	reload->master = master;
	reload->next = next;
	master->reload = reload;
	if (reload_check_start(reload, why) < 0) {
		reload_abort(master, why->text);
		return -1;
	}
	return 0;
}
