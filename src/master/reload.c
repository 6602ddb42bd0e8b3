/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload - a new generation beside the old one, or the old one untouched.
 *
 *   read and check the file ─► check child loads the modules ─► canary ready
 *     ─► as many as the old has, all ready ─► commit: the old drain
 *
 * Until the commit the old generation serves as if nothing happened, so giving
 * up is always the same: end the new ones, close what is new, say why. Any
 * error, any death of a new child and the start deadline lead there. One reload
 * at a time; a HUP meanwhile makes one more.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/chan.h"
#include "core/check.h"
#include "master/family.h"

#define RELOAD_CHECK_MAX 65536

/* Outlives a reload that is given up, until its child has been reaped. */
struct reload_check {
	struct master *master;
	struct loop_child exit;
};

struct reload {
	struct master *master;
	struct deployment *next;
	struct check check;
	struct loop_io check_io;
	struct loop_timer check_deadline;
	struct buf check_text;
	bool canary_ready;
	/* how many of the new generation each pool is to have */
	int wanted[ROLE_COUNT];
};

static void
reload_free(struct reload *reload)
{
	struct master *master = reload->master;

	loop_timer_cancel(&master->loop, &reload->check_deadline);
	loop_io_del(&master->loop, &reload->check_io);
	fd_close(&reload->check.fd);
	buf_release(&reload->check_text);
	free(reload);
	master->reload = NULL;
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

static void
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
	if (reload->check.pid > 0)
		kill(reload->check.pid, SIGKILL);
	reload_free(reload);
	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];
		if (m->state != MEMBER_GONE &&
		    m->generation == next->generation)
			member_event(m,
			    m->state == MEMBER_READY ? EVENT_ORDER_DRAIN :
						       EVENT_ORDER_STOP,
			    "its reload was given up");
	}
	deployment_free(next, &master->current->listen);
	reload_say(master, false, reason);
	for (int i = 0; i < ROLE_COUNT; i++)
		pool_review(&master->pool[i]);
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
		if (master->member[i].state != MEMBER_GONE && log_fd() >= 0)
			member_send(&master->member[i], MSG_LOG, log_fd());
}

/* The point of no return: the new serve, the old finish. */
static void
reload_commit(struct master *master)
{
	struct reload *reload = master->reload;
	struct deployment *old = master->current;
	char text[160];
	int ready = 0, draining = 0;

	master->current = reload->next;
	reload_free(reload);
	reload_apply_log(master, old->conf, master->current->conf);
	listen_apply(&master->current->listen, master->current->conf);
	watch_configure(master);
	for (int i = 0; i < ROLE_COUNT; i++) {
		struct pool *pool = &master->pool[i];
		pool_configure(pool, master->current->conf);
		pool_unhold(pool);
		ready += reload_count(master, pool, master->current->generation,
		    true);
	}
	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];
		if (m->generation == master->current->generation ||
		    (m->state != MEMBER_STARTING && m->state != MEMBER_READY))
			continue;
		draining++;
		member_event(m, EVENT_ORDER_DRAIN, "an older generation");
	}
	deployment_free(old, &master->current->listen);
	snprintf(text, sizeof text,
	    "generation %u: %d ready, %d of older generations draining",
	    master->current->generation, ready, draining);
	reload_say(master, true, text);
	for (int i = 0; i < ROLE_COUNT; i++) {
		pool_note(&master->pool[i], LOG_LEVEL_INFO, "reload: %s", text);
		pool_review(&master->pool[i]);
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

	for (int i = 0; i < ROLE_COUNT; i++) {
		struct pool *pool = &master->pool[i];
		unsigned generation = reload->next->generation;
		int wanted = reload->canary_ready ? reload->wanted[i] : 1;
		int have = reload_count(master, pool, generation, false);
		/* a pool scaled to none has no canary either */
		if (reload->wanted[i] == 0)
			continue;
		for (; have < wanted; have++) {
			if (spawn_member(pool, reload->next, &why))
				continue;
			reload_abort(master, why.text);
			return;
		}
		if (reload_count(master, pool, generation, true) <
		    reload->wanted[i])
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
reload_on_death(struct master *master, const struct member *member,
    const char *what)
{
	struct reload *reload = master->reload;
	char reason[900];

	if (!reload || member->generation != reload->next->generation)
		return false;
	snprintf(reason, sizeof reason, "%s[%d] of the new generation %s",
	    role_info[member->pool->role_id].name, (int)member->pid, what);
	reload_abort(master, reason);
	return true;
}

static void
reload_on_checked(struct master *master, int status)
{
	struct reload *reload = master->reload;
	struct conf_errors errors = { 0 };
	char text[900];

	reload->check.pid = 0;
	check_collect(reload->check_text.data ? reload->check_text.data : "",
	    reload->check_text.len, status, &errors);
	if (errors.n > 0) {
		for (size_t i = 0; i < errors.n; i++)
			log_error("reload: %s", errors.v[i]);
		reload_join(&errors, text, sizeof text);
		conf_errors_release(&errors);
		reload_abort(master, text);
		return;
	}
	conf_errors_release(&errors);
	loop_timer_cancel(&master->loop, &reload->check_deadline);
	for (int i = 0; i < ROLE_COUNT; i++) {
		struct pool *pool = &master->pool[i];
		const struct conf *conf = reload->next->conf;
		/* as many as now, within the bounds of the new config */
		int wanted = pool->scaled >= 0 ? pool->scaled :
						 pool->policy.target;
		if (pool->scaled < 0 && wanted < conf->rest_workers.start)
			wanted = conf->rest_workers.start;
		if (wanted > conf->rest_workers.max)
			wanted = conf->rest_workers.max;
		reload->wanted[i] = wanted;
	}
	reload_advance(master);
}

static void
reload_on_pipe(void *ctx, unsigned events)
{
	struct reload *reload = ctx;
	ssize_t n;

	(void)events;
	while ((n = buf_read_fd(&reload->check_text, reload->check.fd)) > 0)
		;
	/* at its end, or full: the first errors are the ones that matter */
	if (n == 0 || errno != EAGAIN)
		loop_io_del(&reload->master->loop, &reload->check_io);
}

static void
reload_on_check_exit(void *ctx, pid_t pid, int status)
{
	struct reload_check *watch = ctx;
	struct master *master = watch->master;
	struct reload *reload = master->reload;

	free(watch);
	master->checks--;
	master_changed(master);
	/* that of a reload which was given up needs no more than reaping */
	if (!reload || reload->check.pid != pid)
		return;
	reload_on_pipe(reload, LOOP_READ);
	reload_on_checked(master, status);
}

static void
reload_on_check_deadline(void *ctx)
{
	struct reload *reload = ctx;

	/* its end is reported as that of any check that did not end well */
	log_error("reload: the check of modules takes longer than"
		  " start_timeout; killing it");
	kill(reload->check.pid, SIGKILL);
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

static int
reload_watch_check(struct reload *reload, struct why *why)
{
	struct master *master = reload->master;

	if (check_start(&reload->check, reload->next->conf, master->roles,
		&master->become, why) < 0)
		return -1;
	struct reload_check *watch = mem_alloc(sizeof *watch);
	watch->master = master;
	if (loop_child_add(&master->loop, &watch->exit, reload->check.pid,
		reload_on_check_exit, watch) < 0) {
		/* unwatched it could not be reaped later */
		why_set(why, "cannot watch the check: %s", strerror(errno));
		kill(reload->check.pid, SIGKILL);
		while (
		    waitpid(reload->check.pid, NULL, 0) < 0 && errno == EINTR)
			;
		reload->check.pid = 0;
		free(watch);
		return -1;
	}
	master->checks++;
	if (loop_io_add(&master->loop, &reload->check_io, reload->check.fd,
		LOOP_READ, reload_on_pipe, reload) < 0)
		return why_set(why, "cannot watch the check: %s",
		    strerror(errno));
	return 0;
}

int
reload_begin(struct master *master, struct why *why)
{
	struct conf_errors errors = { 0 };
	char text[900];

	if (master->phase != PHASE_RUNNING)
		return why_set(why, "the service is %s",
		    master->phase == PHASE_STARTING ? "starting" : "stopping");
	if (master->reload) {
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
	reload->check.fd = -1;
	reload->check_io.fd = -1;
	master->reload = reload;
	buf_init(&reload->check_text, RELOAD_CHECK_MAX);
	loop_timer_init(&reload->check_deadline, reload_on_check_deadline,
	    reload);
	if (reload_watch_check(reload, why) < 0) {
		reload_abort(master, why->text);
		return -1;
	}
	loop_timer_set(&master->loop, &reload->check_deadline,
	    clock_now_ns() + next->conf->service.start_timeout);
	return 0;
}
