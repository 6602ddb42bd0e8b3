/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload_check - the check child of a reload: started, listened to, reaped.
 *
 * It loads the new modules and asks the roles what is wrong (core/check.h),
 * watched from the master's loop, which never waits for it. It may outlive its
 * reload: one that was given up kills it, and it is reaped when it ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "master/reload.h"

#define RELOAD_CHECK_MAX 65536

/* Outlives a reload that is given up, until its child has been reaped. */
struct reload_check {
	struct master *master;
	struct loop_child exit;
};

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
reload_check_done(struct reload *reload, int status)
{
	const struct buf *said = &reload->check_text;
	struct conf_errors errors = { 0 };
	char text[900] = "";

	reload->check.pid = 0;
	loop_timer_cancel(&reload->master->loop, &reload->check_deadline);
	check_collect(said->data ? said->data : "", said->len, status, &errors);
	for (size_t i = 0; i < errors.n; i++)
		log_error("reload: %s", errors.v[i]);
	reload_join(&errors, text, sizeof text);
	conf_errors_release(&errors);
	reload_on_checked(reload, text);
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
	reload_check_done(reload, status);
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

void
reload_check_drop(struct reload *reload)
{
	struct loop *loop = &reload->master->loop;

	if (reload->check.pid > 0)
		kill(reload->check.pid, SIGKILL);
	loop_timer_cancel(loop, &reload->check_deadline);
	loop_io_del(loop, &reload->check_io);
	fd_close(&reload->check.fd);
	buf_release(&reload->check_text);
}

int
reload_check_start(struct reload *reload, struct why *why)
{
	struct master *master = reload->master;

	reload->check.fd = -1;
	reload->check_io.fd = -1;
	buf_init(&reload->check_text, RELOAD_CHECK_MAX);
	loop_timer_init(&reload->check_deadline, reload_on_check_deadline,
	    reload);
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
	loop_timer_set(&master->loop, &reload->check_deadline,
	    clock_now_ns() + reload->next->conf->service.start_timeout);
	return 0;
}
