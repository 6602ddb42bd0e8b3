/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master - start and signals of the family, and its files; see master.h and
 * family.h.
 *
 * Everything that can block (the config, the pid file, users) was done before
 * the loop starts. In the loop a failure is logged with its consequence and the
 * master goes on; it ends when it is told to, or when a start fails.
 */
#include "master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/title.h"
#include "base/why.h"
#include "core/chan.h"
#include "master/family.h"

struct deployment *
deployment_new(struct conf *conf, unsigned generation)
{
	struct deployment *deployment = mem_alloc(sizeof *deployment);

	deployment->conf = conf;
	deployment->generation = generation;
	return deployment;
}

void
deployment_free(struct deployment *deployment, const struct listen_set *keep)
{
	listen_close(&deployment->listen, keep);
	conf_free(deployment->conf);
	free(deployment);
}

/* To whoever started us, once. */
static void
master_say(struct master *master, const char *word, const char *text)
{
	char line[1200];

	if (master->ready_fd < 0)
		return;
	int n = snprintf(line, sizeof line, "%s%s%s\n", word,
	    text[0] ? " " : "", text);
	if (n >= (int)sizeof line)
		n = (int)sizeof line - 1;
	if (write(master->ready_fd, line, (size_t)n) < 0)
		log_warning("cannot tell the starter that we are %s: %s", word,
		    strerror(errno));
	fd_close(&master->ready_fd);
}

void
master_changed(struct master *master)
{
	if (!loop_timer_is_set(&master->changed))
		loop_timer_set(&master->loop, &master->changed,
		    loop_now(&master->loop));
}

static bool
master_all_ready(const struct master *master)
{
	struct pool_count count;

	for (size_t i = 0; i < master->pools; i++) {
		const struct pool *pool = master->pool[i];

		pool_count(pool, &count);
		/* a background handler that has returned was ready before */
		if (!pool->ended && count.live_ready < pool_wanted(pool))
			return false;
	}
	return true;
}

static void
master_started(struct master *master)
{
	master->phase = PHASE_RUNNING;
	master_say(master, "READY", "");
	fd_sd_notify("READY=1");
	log_notice("%s is ready after %.1f ms",
	    master->current->conf->service.name,
	    (double)(clock_now_ns() - master->started_ns) / (double)NS_PER_MS);
	for (size_t i = 0; i < master->pools; i++)
		pool_review(master->pool[i]);
}

static void
master_on_changed(void *ctx)
{
	struct master *master = ctx;
	struct why why;

	if (master->phase == PHASE_STARTING && master_all_ready(master))
		master_started(master);
	/* first, or whoever waited for a reload would wait for the next */
	control_poke(master);
	if (master->phase == PHASE_RUNNING && master->reload_again &&
	    !master->reload && !master->settling) {
		master->reload_again = false;
		reload_begin(master, &why); /* says itself why not */
	}
	if (master->phase == PHASE_STOPPING && stop_advance(master))
		loop_stop(&master->loop);
	pools_sweep(master);
}

void
master_start_failed(struct master *master, int exit_status, const char *reason)
{
	if (master->phase == PHASE_STOPPING)
		return;
	log_error("cannot start: %s", reason);
	master_say(master, "FAILED", reason);
	master->exit_status = exit_status;
	master_stop(master, true, "the start failed");
}

static void
master_on_stop_signal(void *ctx, const siginfo_t *info)
{
	struct master *master = ctx;
	char reason[64];
	int signo = (int)info->si_signo;

	snprintf(reason, sizeof reason, "SIG%s from process %d",
	    sigabbrev_np(signo), (int)info->si_pid);
	/* a second Ctrl-C means it */
	master_stop(master,
	    signo == SIGQUIT ||
		(signo == SIGINT && master->phase == PHASE_STOPPING),
	    reason);
}

static void
master_on_hup(void *ctx, const siginfo_t *info)
{
	struct master *master = ctx;
	struct why why;

	(void)info;
	/* the config may have changed since it was read: after the start */
	if (master->phase == PHASE_STARTING)
		master->reload_again = true;
	else if (reload_begin(master, &why) < 0)
		log_debug("reload: %s", why.text);
}

static void
master_on_usr1(void *ctx, const siginfo_t *info)
{
	struct master *master = ctx;
	struct why why;

	(void)info;
	if (log_reopen(&why) < 0) {
		log_error("cannot reopen the log: %s; going on with the old"
			  " one",
		    why.text);
		return;
	}
	for (unsigned i = 0; log_fd() >= 0 && i < master->slots_used; i++)
		if (member_alive(&master->member[i]))
			member_send(&master->member[i], CHAN_LOG, log_fd());
	log_notice("the log was reopened");
}

static int
master_setup_loop(struct master *master, struct why *why)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGQUIT };
	struct loop *loop = &master->loop;

	if (loop_init(loop) < 0)
		return why_set(why, "cannot make a loop: %s", strerror(errno));
	loop_timer_init(&master->changed, master_on_changed, master);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
		if (loop_signal_add(loop, stops[i], master_on_stop_signal,
			master) < 0)
			goto fail;
	if (loop_signal_add(loop, SIGHUP, master_on_hup, master) < 0 ||
	    loop_signal_add(loop, SIGUSR1, master_on_usr1, master) < 0)
		goto fail;
	return 0;
fail:
	return why_set(why, "cannot take signals: %s", strerror(errno));
}

static int
master_setup_files(struct master *master, struct why *why)
{
	const struct conf *conf = master->current->conf;
	struct conf_errors errors = { 0 };
	bool left_over;
	pid_t owner;

	if (fd_mkdir_p(conf->service.run_dir, 0755) < 0)
		return why_set(why, "cannot make service.run_dir %s: %s",
		    conf->service.run_dir, strerror(errno));
	conf_pid_file(conf, master->pid_path);
	conf_control_socket(conf, master->control_path);
	/* asked before the file is ours */
	fd_pidfile_owner(master->pid_path, &left_over);
	master->pid_fd = fd_pidfile(master->pid_path, &owner, why);
	if (master->pid_fd < 0)
		return -1;
	if (left_over)
		listen_outlive(conf);
	if (listen_open(&master->current->listen, conf, NULL, &errors) < 0) {
		for (size_t i = 0; i < errors.n; i++)
			log_error("%s", errors.v[i]);
		why_set(why, "%s", errors.v[0]);
		conf_errors_release(&errors);
		return -1;
	}
	conf_errors_release(&errors);
	if (hubsock_open(master, why) < 0)
		return -1;
	return control_open(master, why);
}

static int
master_setup(struct master *master, struct why *why)
{
	const struct conf *conf = master->current->conf;
	unsigned slots = (unsigned)conf->service.max_children;

	if (log_open(conf->log.target, (enum log_format)conf->log.format,
		conf->service.name, why) < 0)
		return -1;
	if (board_create(&master->board, slots) < 0)
		return why_set(why, "cannot make the scoreboard: %s",
		    strerror(errno));
	master->board.header->log_level = conf->log.level;
	log_level_source(&master->board.header->log_level);
	master->member = mem_array(slots, sizeof *master->member);
	for (unsigned i = 0; i < slots; i++)
		master->member[i].chan_fd = -1;
	if (master_setup_loop(master, why) < 0)
		return -1;
	return master_setup_files(master, why);
}

static void
master_release(struct master *master)
{
	control_close(master);
	hubsock_close(master);
	if (master->current)
		deployment_free(master->current, NULL);
	if (master->pid_fd >= 0)
		unlink(master->pid_path); /* while the lock is ours */
	fd_close(&master->pid_fd);
	loop_release(&master->loop);
	log_level_source(NULL);
	board_release(&master->board);
	pools_free(master);
	free(master->member);
	fd_close(&master->ready_fd);
}

int
master_run(struct conf *conf, const struct master_options *options)
{
	struct master *master = mem_alloc(sizeof *master);
	struct why why = { .text = "" };
	int status = EXIT_FAILURE;

	master->roles = options->roles;
	master->become = options->become;
	master->ready_fd = options->ready_fd;
	master->pid_fd = master->hub_fd = -1;
	master->loop.epoll_fd = master->loop.signal_fd = -1;
	master->pid = getpid();
	master->started_ns = clock_now_ns();
	master->generations = 1;
	master->current = deployment_new(conf, master->generations);
	srand48((long)(master->started_ns ^ master->pid));
	log_identity("master", -1, 0);

	if (master_setup(master, &why) < 0) {
		log_error("cannot start: %s", why.text);
		master_say(master, "FAILED", why.text);
		goto out;
	}
	title_set("%s: master", conf->service.name);
	log_notice("%s starts, pid %d, config %s", conf->service.name,
	    (int)master->pid, conf->file);
	pools_add(master, conf);
	watch_init(master);
	for (size_t i = 0; i < master->pools; i++)
		pool_review(master->pool[i]);
	master_changed(master);

	if (loop_run(&master->loop) < 0)
		log_error("cannot wait for events: %s", strerror(errno));
	else
		status = master->exit_status;
	log_notice("%s has stopped", master->current->conf->service.name);
out:
	master_release(master);
	free(master);
	return status;
}
