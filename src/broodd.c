/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broodd - options, the checks before a start, and the way into the background.
 *
 * Whatever can be found out before the service runs is found out here, where
 * somebody still looks at standard error: all of it at once, a line each, and
 * exit status 78. After that the process is the master's (master_run), or waits
 * until a master in the background serves (daemon_run).
 *
 * Exit status: 0; 64 wrong usage; 78 wrong config; 1 anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/title.h"
#include "base/why.h"
#include "core/check.h"
#include "core/conf.h"
#include "core/module.h"
#include "core/privilege.h"
#include "core/role.h"
#include "master/daemon.h"
#include "master/listen.h"
#include "master/master.h"

#ifndef BROOD_VERSION
#define BROOD_VERSION "0.1.0"
#endif
#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
#define DEFAULT_CONFIG SYSCONFDIR "/brood/brood.conf"
#define WORDS_MAX 4096 /* for --ready-fd */

static const char usage[] = "usage: broodd [-c FILE] [-d | -f] [--ready-fd N]\n"
			    "       broodd [-c FILE] -t [-v] | -T\n"
			    "       broodd -K | -V | -h\n";

static const char help[] =
    "  -c, --config FILE   the config; " DEFAULT_CONFIG " by default\n"
    "  -f, --foreground    stay in the foreground (the default)\n"
    "  -d, --daemon        go to the background, return once the service "
    "serves\n"
    "      --ready-fd N    write \"READY\\n\" or \"FAILED reason\\n\" to "
    "descriptor N\n"
    "  -t, --test          check all that a start would, and exit\n"
    "  -v, --verbose       with -t: list modules and what has a handler\n"
    "  -T, --print         print the config with every default filled in\n"
    "  -K, --keys          print every key that a config may have\n"
    "  -V, --version       print the version\n"
    "  -h, --help          print this\n";

#define ROLE(id, name, kind, needs, help) extern const struct role name##_role;
#include "core/role.def"
#undef ROLE

static const struct role *const roles[ROLE_COUNT] = {
#define ROLE(id, name, kind, needs, help) [ROLE_##id] = &name##_role,
#include "core/role.def"
#undef ROLE
};

/* as sysexits.h has them */
enum { EXIT_USAGE = 64, EXIT_CONFIG = 78 };

enum mode { MODE_RUN, MODE_TEST, MODE_PRINT };

struct options {
	const char *config;
	enum mode mode;
	bool daemon, verbose;
	int ready_fd;
};

static int fail(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says why and returns the status to exit with. */
static int
fail(int status, const char *format, ...)
{
	va_list ap;

	fputs("broodd: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	putc('\n', stderr);
	if (status == EXIT_USAGE)
		fputs(usage, stderr);
	return status;
}

static int
finish_output(void)
{
	if (fflush(stdout) != 0)
		return fail(EXIT_FAILURE, "cannot write: %s", strerror(errno));
	return EXIT_SUCCESS;
}

/* -------------------------------------------------------------- options */

static int
parse_fd(const char *text)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || fd < 0 ||
	    fd > 1 << 20 || fcntl((int)fd, F_GETFD) < 0)
		exit(fail(EXIT_USAGE, "--ready-fd: '%s' is no open descriptor",
		    text));
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	return (int)fd;
}

static _Noreturn void
print_and_exit(int option)
{
	if (option == 'K')
		conf_print_keys(stdout);
	else if (option == 'V')
		puts("broodd " BROOD_VERSION);
	else
		printf("%s\n%s", usage, help);
	exit(finish_output());
}

static void
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "daemon", no_argument, NULL, 'd' },
		{ "ready-fd", required_argument, NULL, 'r' },
		{ "test", no_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "print", no_argument, NULL, 'T' },
		{ "keys", no_argument, NULL, 'K' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char letter[3];
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":c:fdtvTKVh", names, NULL)) !=
	    -1)
		switch (option) {
		case 'c':
			o->config = optarg;
			break;
		case 'f':
		case 'd':
			o->daemon = option == 'd';
			break;
		case 'r':
			o->ready_fd = parse_fd(optarg);
			break;
		case 't':
			o->mode = MODE_TEST;
			break;
		case 'T':
			o->mode = MODE_PRINT;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'K':
		case 'V':
		case 'h':
			print_and_exit(option);
		case ':':
			exit(fail(EXIT_USAGE, "%s needs an argument",
			    argv[optind - 1]));
		default:
			/* a letter may stand in the middle of others */
			snprintf(letter, sizeof(letter), "-%c", optopt);
			exit(fail(EXIT_USAGE, "unknown option '%s'",
			    strncmp(argv[optind - 1], "--", 2) == 0 ?
				argv[optind - 1] :
				letter));
		}
	if (optind < argc)
		exit(fail(EXIT_USAGE,
		    "what is '%s'? The config is named with -c", argv[optind]));
}

/* --------------------------------------------------------------- checks */

/* To whoever waits at --ready-fd, where the master does not do it itself. */
static void
tell(const struct options *o, const char *verdict, const char *const *reasons,
    size_t n)
{
	struct buf words;

	if (o->ready_fd < 0)
		return;
	buf_init(&words, WORDS_MAX);
	buf_printf(&words, "%s", verdict);
	/* what does not fit was said on standard error */
	for (size_t i = 0; i < n; i++)
		buf_printf(&words, "%s%s", i == 0 ? " " : "; ", reasons[i]);
	if (write(o->ready_fd, words.data, words.len) < 0 ||
	    write(o->ready_fd, "\n", 1) < 0)
		fail(EXIT_FAILURE, "--ready-fd: %s", strerror(errno));
	buf_release(&words);
}

/* Prints them all; the status to exit with, 0 if there are none. */
static int
print_errors(const struct options *o, struct conf_errors *errors)
{
	int status = errors->n > 0 ? EXIT_CONFIG : EXIT_SUCCESS;

	for (size_t i = 0; i < errors->n; i++)
		fail(status, "%s", errors->v[i]);
	if (errors->n > 0)
		tell(o, "FAILED", (const char *const *)errors->v, errors->n);
	conf_errors_release(errors);
	return status;
}

static void
check_modules(const struct conf *conf, const struct privilege *become,
    struct conf_errors *errors)
{
	struct check check;
	struct why why;

	if (check_start(&check, conf, roles, become, &why) < 0)
		conf_errors_add(errors, "cannot check the modules: %s",
		    why.text);
	else
		check_wait(&check, conf->service.start_timeout, errors);
}

static void
check_all(const struct conf *conf, const struct options *o,
    struct privilege *become, struct conf_errors *errors)
{
	if (o->daemon && strcmp(conf->log.target, "stderr") == 0)
		conf_errors_add(errors,
		    "%s: 'log.target' is \"stderr\", which a daemon (-d) does "
		    "not have; set it to \"syslog\" or to the path of a file",
		    conf->file);
	bool resolved = privilege_resolve(conf, become, errors) == 0;

	check_folders(conf, resolved ? become : NULL, errors);
	/* no module's code runs as somebody it must not run as */
	if (resolved)
		check_modules(conf, become, errors);
	if (o->mode == MODE_TEST)
		listen_check(conf, errors);
}

/* What it says it does, or "". */
static const char *
handler_help(const struct module_registry *modules, const char *name)
{
	const struct brood_handler *handler;
	struct why why;

	handler = module_find(modules, name, &why);
	return handler != NULL && handler->help != NULL ? handler->help : "";
}

/* `what` begins the line; an empty handler is none. */
static void
list_one(const struct module_registry *modules, const char *what,
    const char *name, const char *handler)
{
	const char *said = handler_help(modules, handler);

	printf("%s %s: %s%s%s\n", what, name,
	    handler[0] != '\0' ? handler : "no handler",
	    said[0] != '\0' ? ", " : "", said);
}

static void
list_all(const struct conf *conf, const struct module_registry *modules)
{
	for (size_t i = 0; i < conf->module.n; i++)
		printf("module %s: %s\n", conf->module.v[i].name,
		    conf->module.v[i].path);
	for (size_t i = 0; i < conf->route.n; i++) {
		const struct conf_route *route = &conf->route.v[i];
		char *name = mem_printf("%s %s", route->method, route->path);

		list_one(modules, "route", name, route->handler);
		free(name);
	}
	for (size_t i = 0; i < conf->queue.n; i++)
		list_one(modules, "queue", conf->queue.v[i].name,
		    conf->queue.v[i].handler);
	for (size_t i = 0; i < conf->schedule.n; i++)
		list_one(modules, "schedule", conf->schedule.v[i].name,
		    conf->schedule.v[i].handler);
	for (size_t i = 0; i < conf->background.n; i++)
		list_one(modules, "background", conf->background.v[i].name,
		    conf->background.v[i].handler);
}

/* In a process of its own again, for the modules are loaded. */
static _Noreturn void
list_handlers(const struct conf *conf, const struct privilege *become)
{
	struct module_registry *modules;
	struct why why;

	if (privilege_drop(become, &why) < 0 ||
	    (modules = module_load_all(conf, NULL, &why)) == NULL)
		_exit(fail(EXIT_CONFIG, "%s", why.text));
	list_all(conf, modules);
	finish_output();
	module_stop_all(modules);
	_exit(EXIT_SUCCESS);
}

static int
print_test(const struct conf *conf, const struct options *o,
    const struct privilege *become)
{
	int status = 0;
	pid_t pid;

	if (o->verbose) {
		pid = fork();
		if (pid == 0)
			list_handlers(conf, become);
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
			return fail(EXIT_FAILURE, "cannot list the handlers");
	}
	printf("%s: ok\n", conf->file);
	return finish_output();
}

/* -------------------------------------------------------------- process */

/* Or the first sockets and files that are opened would be taken for them. */
static void
open_missing_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	fd_close(&fd);
}

static void
setup_process(void)
{
	struct rlimit files;

	umask(022);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* every path in the config is absolute by now */
	if (chdir("/") < 0)
		exit(fail(EXIT_FAILURE, "cannot go to /: %s", strerror(errno)));
}

static int
make_folders(const struct conf *conf, const struct options *o,
    const struct privilege *become)
{
	struct conf_errors errors = { 0 };

	check_make_folders(conf, become, &errors);
	return print_errors(o, &errors);
}

/* Takes over `conf`. */
static int
run_foreground(struct conf *conf, const struct master_options *options)
{
	char *log = mem_strdup(conf->log.target);
	int status = master_run(conf, options);

	if (status != 0 && strcmp(log, "stderr") != 0)
		fail(status, "ended with status %d; the log (%s) says why",
		    status, log);
	free(log);
	return status;
}

/* Takes over `conf`. */
static int
run_daemon(struct conf *conf, const struct master_options *options,
    const struct options *o)
{
	char *reason;
	int status = daemon_run(conf, options, &reason);

	if (status == 0)
		tell(o, "READY", NULL, 0);
	else {
		fail(status, "%s", reason);
		tell(o, "FAILED", (const char *const *)&reason, 1);
	}
	free(reason);
	return status;
}

int
main(int argc, char **argv)
{
	struct options o = { .config = DEFAULT_CONFIG, .ready_fd = -1 };
	struct conf_errors errors = { 0 };
	struct master_options options = { .roles = roles };
	struct conf *conf;
	int status;

	open_missing_stdio();
	title_init(argc, argv);
	parse_options(argc, argv, &o);
	conf = conf_read(o.config, &errors);
	setup_process();
	/* what could be read is looked at even if there are errors: whoever
	 * mends the config wants to see them all at once */
	if (conf != NULL && o.mode != MODE_PRINT)
		check_all(conf, &o, &options.become, &errors);
	status = print_errors(&o, &errors);
	if (status == 0 && o.mode == MODE_PRINT) {
		conf_print(conf, stdout);
		status = finish_output();
	} else if (status == 0 && o.mode == MODE_TEST)
		status = print_test(conf, &o, &options.become);
	else if (status == 0)
		status = make_folders(conf, &o, &options.become);
	options.daemon = o.daemon;
	options.ready_fd = o.ready_fd;
	if (status == 0 && o.mode == MODE_RUN)
		return o.daemon ? run_daemon(conf, &options, &o) :
				  run_foreground(conf, &options);
	conf_free(conf);
	return status;
}
