/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broodctl - steers a running service, starts and stops it.
 *
 * Parses the command line, finds the command in the table and runs it. The
 * usage text, the completion and the check of the man page are made from the
 * two tables: the commands of core/cmd.def and the options below.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/member.h"

#define DEFAULT_CONFIG SYSCONFDIR "/brood/brood.conf"
#define TIMEOUT_MAX_S 86400.0

enum option_id {
	OPTION_CONFIG = 'c',
	OPTION_SOCKET = 's',
	OPTION_QUIET = 'q',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
	OPTION_JSON = 256,
	OPTION_TIMEOUT,
	OPTION_COMMANDS,
	OPTION_OPTIONS,
	OPTION_MEMBER = 512, /* and those behind it: see member.h */
};

/* In `name`, the argument and the help; without help: for scripts. */
static const struct {
	enum option_id id;
	const char *name, *argument, *help;
} option_info[] = {
	{ OPTION_CONFIG, "config", "CONFIG",
	    "the config file of the service, " DEFAULT_CONFIG " by default" },
	{ OPTION_SOCKET, "socket", "SOCKET",
	    "its control socket, when the config cannot be read" },
	{ OPTION_JSON, "json", NULL, "print the answer as one line of JSON" },
	{ OPTION_TIMEOUT, "timeout", "SECONDS",
	    "wait this long in place of the time given below" },
	{ OPTION_QUIET, "quiet", NULL, "say nothing unless it fails" },
	{ OPTION_HELP, "help", NULL, "print this and exit" },
	{ OPTION_VERSION, "version", NULL, "print the version and exit" },
	{ OPTION_COMMANDS, "commands", NULL, NULL },
	{ OPTION_OPTIONS, "options", NULL, NULL },
};

#define OPTIONS (sizeof(option_info) / sizeof(option_info[0]))
#define OPTIONS_MAX 64 /* with those of single commands */

/* What runs a command; the rest is a question to the master or to the hub. */
static ctl_run_fn *const command_run[CMD_COUNT] = {
	[CMD_ID_start] = ctl_start,
	[CMD_ID_stop] = ctl_stop,
	[CMD_ID_restart] = ctl_restart,
	[CMD_ID_status] = ctl_status,
	[CMD_ID_explain] = ctl_explain,
};

static int usage_error(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "-c CONFIG", "--json": how an option is written. */
static void
option_print(size_t i, FILE *out)
{
	const char *argument = option_info[i].argument;

	if (option_info[i].id < 256)
		fprintf(out, "-%c, ", option_info[i].id);
	fprintf(out, "--%s%s%s", option_info[i].name,
	    argument != NULL ? " " : "", argument != NULL ? argument : "");
}

static void
usage_print(FILE *out)
{
	fprintf(out,
	    "usage: broodctl [-c CONFIG | -s SOCKET] [OPTION...] COMMAND "
	    "[ARGUMENT...]\n\noptions:\n");
	for (size_t i = 0; i < OPTIONS; i++) {
		if (option_info[i].help == NULL)
			continue;
		fprintf(out, "  ");
		option_print(i, out);
		fprintf(out, "\n        %s\n", option_info[i].help);
	}
	fprintf(out, "\noptions of single commands:\n");
	for (size_t i = 0; i < member_count; i++)
		fprintf(out, "  --%s%s%s\n        %s: %s\n",
		    member_info[i].name,
		    member_info[i].argument != NULL ? " " : "",
		    member_info[i].argument != NULL ? member_info[i].argument :
						      "",
		    member_info[i].commands, member_info[i].help);
	fprintf(out, "\ncommands:\n");
	for (int id = 0; id < CMD_COUNT; id++)
		fprintf(out, "  %s%s%s\n        %s (%d s)\n", cmd_info[id].name,
		    *cmd_info[id].arguments != '\0' ? " " : "",
		    cmd_info[id].arguments, cmd_info[id].help,
		    cmd_info[id].timeout_s);
}

/* The tables for scripts: a line a row, columns between tabs. */
static void
usage_print_commands(void)
{
	for (int id = 0; id < CMD_COUNT; id++)
		printf("%s\t%s\t%s\n", cmd_info[id].name,
		    cmd_info[id].arguments, cmd_info[id].help);
}

static void
usage_print_options(void)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		if (option_info[i].help == NULL)
			continue;
		if (option_info[i].id < 256)
			printf("-%c", option_info[i].id);
		printf("\t--%s\t%s\t%s\n", option_info[i].name,
		    option_info[i].argument != NULL ? option_info[i].argument :
						      "",
		    option_info[i].help);
	}
	for (size_t i = 0; i < member_count; i++)
		printf("\t--%s\t%s\t%s\t%s\n", member_info[i].name,
		    member_info[i].argument != NULL ? member_info[i].argument :
						      "",
		    member_info[i].help, member_info[i].commands);
}

static int
usage_error(const struct ctl *ctl, const char *format, ...)
{
	struct why why;
	va_list ap;

	va_start(ap, format);
	vsnprintf(why.text, sizeof(why.text), format, ap);
	va_end(ap);
	return ctl_fail(ctl, CMD_USAGE, "%s; broodctl -h lists what there is",
	    why.text);
}

static int
parse_timeout(const char *text, int64_t *timeout_ns)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !isfinite(seconds) ||
	    seconds < 0.001 || seconds > TIMEOUT_MAX_S)
		return -1;
	*timeout_ns = clock_from_seconds(seconds);
	return 0;
}

/* Fills what getopt_long(3) takes. */
static void
option_tables(struct option longs[OPTIONS_MAX], char shorts[2 * OPTIONS + 2])
{
	size_t used = 0, n = OPTIONS;

	shorts[used++] = ':'; /* we complain ourselves */
	for (size_t i = 0; i < OPTIONS; i++) {
		longs[i] = (struct option){ .name = option_info[i].name,
			.has_arg = option_info[i].argument != NULL,
			.val = option_info[i].id };
		if (option_info[i].id >= 256)
			continue;
		shorts[used++] = (char)option_info[i].id;
		if (option_info[i].argument != NULL)
			shorts[used++] = ':';
	}
	shorts[used] = '\0';
	for (size_t i = 0; i < member_count && n < OPTIONS_MAX - 1; i++)
		longs[n++] = (struct option){ .name = member_info[i].name,
			.has_arg = member_info[i].argument != NULL,
			.val = OPTION_MEMBER + (int)i };
	longs[n] = (struct option){ 0 };
}

/* -1: go on; otherwise the exit status. */
static int
option_take(struct ctl *ctl, int id, const char *bad)
{
	struct why why;

	if (id >= OPTION_MEMBER)
		return member_take(ctl, (size_t)(id - OPTION_MEMBER), optarg,
			   &why) == 0 ?
		    -1 :
		    usage_error(ctl, "%s", why.text);
	switch (id) {
	case OPTION_CONFIG:
		ctl->config = optarg;
		return -1;
	case OPTION_SOCKET:
		ctl->socket_option = optarg;
		return -1;
	case OPTION_JSON:
		ctl->json = true;
		return -1;
	case OPTION_TIMEOUT:
		if (parse_timeout(optarg, &ctl->timeout_ns) == 0)
			return -1;
		return usage_error(ctl,
		    "--timeout %s: not a number of seconds from 0.001 to %.0f",
		    optarg, TIMEOUT_MAX_S);
	case OPTION_QUIET:
		ctl->quiet = true;
		return -1;
	case OPTION_HELP:
		usage_print(stdout);
		return CMD_OK;
	case OPTION_VERSION:
		printf("broodctl %s\n", BROOD_VERSION);
		return CMD_OK;
	case OPTION_COMMANDS:
		usage_print_commands();
		return CMD_OK;
	case OPTION_OPTIONS:
		usage_print_options();
		return CMD_OK;
	case ':':
		return usage_error(ctl, "option %s needs a value", bad);
	default:
		return usage_error(ctl, "there is no option %s", bad);
	}
}

/* "-5" is a number, or JSON, and no option: getopt_long(3) is shown it with a
 * byte in front, which is taken away again. */
#define NUMBER_MARK '\001'
#define NUMBERS_MAX 8

static void
numbers_hide(int argc, char **argv)
{
	static char *hidden[NUMBERS_MAX];
	size_t n = 0;

	for (int i = 1; i < argc && n < NUMBERS_MAX; i++) {
		if (strcmp(argv[i], "--") == 0)
			return;
		if (argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9')
			argv[i] = hidden[n++] = mem_printf("%c%s", NUMBER_MARK,
			    argv[i]);
	}
}

static char *
number_shown(char *arg)
{
	return arg != NULL && *arg == NUMBER_MARK ? arg + 1 : arg;
}

static int
options_parse(struct ctl *ctl, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX];
	char shorts[2 * OPTIONS + 2], letter[3] = "-";
	int id, code;

	option_tables(longs, shorts);
	numbers_hide(argc, argv);
	opterr = 0;
	for (;;) {
		optopt = 0;
		id = getopt_long(argc, argv, shorts, longs, NULL);
		if (id == -1)
			break;
		optarg = number_shown(optarg);
		/* A letter is known by itself, a word by where it stood. */
		letter[1] = (char)optopt;
		code = option_take(ctl, id,
		    optopt > 0 && optopt < 256 ? letter : argv[optind - 1]);
		if (code != -1)
			return code;
	}
	for (int i = optind; i < argc; i++)
		argv[i] = number_shown(argv[i]);
	if (ctl->config != NULL && ctl->socket_option != NULL)
		return usage_error(ctl, "-c and -s exclude each other");
	if (ctl->config == NULL)
		ctl->config = DEFAULT_CONFIG;
	return -1;
}

static int
command_run_line(struct ctl *ctl, char **args, int n)
{
	const struct cmd_info *cmd;
	const char *near;
	struct why why;
	int id;

	if (n == 0) {
		if (!ctl->json)
			usage_print(stderr);
		else
			usage_error(ctl, "no command given");
		return CMD_USAGE;
	}
	id = cmd_parse(args[0], &near);
	if (id == -1 && near != NULL)
		return usage_error(ctl,
		    "there is no command %s; did you mean %s?", args[0], near);
	if (id == -1)
		return usage_error(ctl, "there is no command %s", args[0]);
	cmd = ctl->cmd = &cmd_info[id];
	if (n - 1 < cmd->min || n - 1 > cmd->max)
		return usage_error(ctl,
		    "%s: wrong number of arguments, it is %s%s%s", cmd->name,
		    cmd->name, *cmd->arguments != '\0' ? " " : "",
		    cmd->arguments);
	if (member_check(ctl, &why) == -1)
		return usage_error(ctl, "%s", why.text);
	if (command_run[id] != NULL)
		return command_run[id](ctl, args + 1, n - 1);
	return (
	    cmd->where == CMD_HUB ? ctl_hub : ctl_ask)(ctl, args + 1, n - 1);
}

int
main(int argc, char **argv)
{
	struct ctl ctl = { 0 };
	int code;

	/* A reader of ours that goes away is an error like another. */
	signal(SIGPIPE, SIG_IGN);
	code = options_parse(&ctl, argc, argv);
	if (code == -1)
		code = command_run_line(&ctl, argv + optind, argc - optind);
	ctl_release(&ctl);
	if ((fflush(stdout) == EOF || ferror(stdout)) && code == CMD_OK) {
		fprintf(stderr,
		    "broodctl: cannot write to standard output: %s\n",
		    strerror(errno));
		code = CMD_FAILED;
	}
	return code;
}
