/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon - a real broodd in a folder of its own, on a free port.
 *
 * daemon_start() writes a config, starts the service in the foreground and
 * returns once it said READY; daemon_stop() asks it to stop and requires that
 * it does so cleanly: exit 0, no process left, no pid file or socket left, no
 * word of a sanitizer. A test that wants another order of things uses the
 * parts. The service dies with the test.
 *
 * In every text of a config these stand for what only a run knows:
 *   $DIR      the daemon's folder
 *   $PORT     its port, which stays reserved for it until daemon_release()
 *   $BROKER   the URL of the test's own vhost (broker.h), or daemon.broker
 *   $SO/x.so  a module of the build, copied into $DIR so that a child that
 *             is another user can read it
 */
#ifndef SYSTEM_DAEMON_H
#define SYSTEM_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon_route {
	const char *method, *path, *handler;
	const char *more;	/* keys */
};
#define ROUTE(method, path, handler) { method, path, handler, NULL }
/* With more keys: ROUTE_WITH("POST", "/x", "m.h", "mode = \"job\";") */
#define ROUTE_WITH(method, path, handler, more) { method, path, handler, more }

/* What goes into each group, in the config's own syntax; NULL: see daemon.c. */
struct daemon_conf {
	const char *user;	/* NULL: nobody, when started as root */
	const char *service;
	const char *log;
	const char *control;
	const char *listen;
	const char *rest;
	const char *workers;
	const char *hub;
	const char *tasks;		/* but for its workers */
	const char *task_workers;
	const char *amqp;
	/* modules of the build by their names, and more entries as they are */
	const char *module[12];
	const char *modules;
	/* the same for routes; neither: GET /hello */
	struct daemon_route route[32];
	const char *routes;
	/* replaces the whole file */
	const char *whole;
};

struct daemon {
	char dir[96];
	char conf[128];
	char socket[128];	/* control */
	char hub_socket[128];
	char pid_file[128];
	char errors[128];	/* what the master wrote to stderr */
	int port;
	int port_fd;		/* bound, never listening: reserves the port */
	pid_t pid;		/* the master's; 0: none */
	int pidfd;
	bool crashes;		/* handlers do: a checker may say so */
	const char *broker;	/* NULL: broker_url() */
	/* passed on at the start; 0: none */
	int listen_fd;		/* a listening socket, as systemd does */
	int stray_fd;		/* one it has not asked for, as number 60 */
};

/* Makes the folder and reserves the port. */
void daemon_init(struct daemon *daemon);
/* Removes the folder. */
void daemon_release(struct daemon *daemon);

void daemon_configure(struct daemon *daemon, const struct daemon_conf *conf);
/* The text with $DIR and the others replaced, to free. */
char *daemon_expand(const struct daemon *daemon, const char *text);

/* Starts broodd with this descriptor as its --ready-fd, and no more. */
void daemon_spawn(struct daemon *daemon, int ready_fd);

/* Starts broodd; returns NULL once it is ready, or why it failed (to free). In
 * the latter case `*status` is its exit status and it is gone. */
char *daemon_try(struct daemon *daemon, int *status);

/* All of it, and READY is required; the last step of it alone. */
void daemon_start(struct daemon *daemon, const struct daemon_conf *conf);
void daemon_start_again(struct daemon *daemon);

/* The start has to fail as one with a bad config does, with a reason that has
 * all of these parts (NULL ends them). */
void daemon_require_refused(struct daemon *daemon, const char *part, ...)
    __attribute__((sentinel));

/* The master that went to the background, by its pid file; the test is its
 * next subreaper. */
void daemon_adopt(struct daemon *daemon);

/* Waits for the end of the master and returns its exit status, or 128 + signal.
 * The process is then reaped. */
int daemon_wait(struct daemon *daemon);

/* Requires that nothing of the service is left but its folder. */
void daemon_require_clean(struct daemon *daemon);

/* The same after the master was killed: waits until its children are gone, and
 * does not mind what they left on disk. */
void daemon_require_no_child(struct daemon *daemon);

/* TERM, and all of the above. */
void daemon_stop(struct daemon *daemon);

/* All it wrote to stderr, to free. */
char *daemon_log(const struct daemon *daemon);

/* Waits until the log has a line that matches, from byte `*from` on, and moves
 * `*from` (NULL: 0) behind it; returns the line, to free, or NULL. */
char *daemon_await_line(const struct daemon *daemon, size_t *from,
    const char *pattern);

/* The end of the log now, for daemon_await_line(). */
size_t daemon_log_size(const struct daemon *daemon);

/* argv for run_program(): broodd with the wrapper before it. Ends with NULL;
 * `options` ends with NULL as well. */
#define DAEMON_ARGS 32
void daemon_args(const char *argv[DAEMON_ARGS], const char *const options[]);

/* A TCP port that nobody has now, with a socket that keeps it; *fd to close. */
int daemon_reserve_port(int *fd);

#endif
