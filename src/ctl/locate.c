/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * locate - where the service is that a command is about.
 *
 * Called first by every command. The config names the control socket and the
 * pid file; a lock on the latter, not its content, says whether the service
 * runs, so a number that another process has by now misleads nobody. With -s
 * there is no config and no pid file, only the socket.
 *
 * A config that somebody has just broken must not cut the operator off from the
 * service that runs: what can be read of it is used, unless whoever answers
 * there says that another file is its config.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "core/conf.h"
#include "ctl/ctl.h"
#include "ctl/remote.h"

#define LADDER_STEPS 4 /* tell the call, TERM, ABRT, KILL */
#define MARGIN_NS (10 * NS_PER_S)
#define LOCATE_ADVICE "mend the config, or name the control socket with -s"

/* Several errors as one reason: a line each, as many as fit, and the advice. */
static void
locate_why(const struct conf_errors *errors, const char *advice,
    struct why *why)
{
	size_t room = sizeof(why->text) - strlen(advice) - 1, used = 0, len;

	for (size_t i = 0; i < errors->n; i++) {
		len = strlen(errors->v[i]);
		if (len + 1 > room - used)
			break;
		memcpy(why->text + used, errors->v[i], len);
		used += len;
		why->text[used++] = '\n';
	}
	mem_copy_string(why->text + used, sizeof(why->text) - used, advice);
}

/*
 * A command waits as long as its row says, and no less than what the config
 * allows the steps of the master to take.
 */
static int64_t
locate_timeout_ns(const struct ctl *ctl, const struct conf *conf)
{
	int64_t timeout_ns = ctl->cmd->timeout_s * NS_PER_S;
	int64_t least_ns = MARGIN_NS;

	if (ctl->timeout_ns > 0)
		return ctl->timeout_ns;
	switch (ctl->cmd - cmd_info) {
	case CMD_ID_start:
		least_ns += conf->service.start_timeout;
		break;
	case CMD_ID_stop:
	case CMD_ID_restart:
	case CMD_ID_reload:
	case CMD_ID_scale:
		least_ns += conf->service.start_timeout +
		    conf->service.stop_timeout +
		    LADDER_STEPS * conf->service.kill_grace;
		break;
	case CMD_ID_call:
		least_ns += conf->tasks.timeout;
		break;
	default:
		return timeout_ns;
	}
	return timeout_ns > least_ns ? timeout_ns : least_ns;
}

/* False when another service answers at the socket, or nobody can tell. */
static bool
locate_is_ours(const struct ctl *ctl, const char *file)
{
	struct stat ours, theirs;
	struct why ignored;
	enum client_end end;
	const char *config;
	json_t *answer;
	bool same;

	end = remote_ask(ctl, CMD_ID_status, NULL, 0,
	    clock_now_ns() + ctl_left_ns(ctl) / 2, &answer, &ignored);
	if (end == CLIENT_ABSENT)
		return true;
	config = json_string_value(
	    json_object_get(json_object_get(answer, "data"), "config"));
	same = config != NULL && stat(config, &theirs) == 0 &&
	    stat(file, &ours) == 0 && ours.st_dev == theirs.st_dev &&
	    ours.st_ino == theirs.st_ino;
	json_decref(answer);
	return same;
}

/* Whether a config with errors will do for the command, with the reason why it
 * will not. */
static bool
locate_makes_do(const struct ctl *ctl, const char *file,
    const struct conf_errors *errors, struct why *why)
{
	if (ctl->cmd == &cmd_info[CMD_ID_reload]) {
		locate_why(errors, "the service stays as it is", why);
		return false;
	}
	if (!locate_is_ours(ctl, file)) {
		locate_why(errors, LOCATE_ADVICE, why);
		return false;
	}
	/* what runs broodd gets to see them all the same */
	if (ctl->cmd->where != CMD_LOCAL)
		ctl_event(ctl, "the config has errors; broodd -t lists them");
	return true;
}

int
ctl_locate(struct ctl *ctl, struct why *why)
{
	struct conf_errors errors = { 0 };
	char path[CONF_PATH_SIZE];
	struct conf *conf;
	int result = 0;

	ctl->deadline_ns = clock_now_ns() +
	    (ctl->timeout_ns > 0 ? ctl->timeout_ns :
				   ctl->cmd->timeout_s * NS_PER_S);
	if (ctl->socket_option != NULL) {
		ctl->socket = mem_strdup(ctl->socket_option);
		return 0;
	}

	conf = conf_read(ctl->config, &errors);
	if (conf == NULL) {
		locate_why(&errors, LOCATE_ADVICE, why);
		conf_errors_release(&errors);
		return -1;
	}
	ctl->socket = mem_strdup(conf_control_socket(conf, path));
	ctl->pid_file = mem_strdup(conf_pid_file(conf, path));
	ctl->max_body = conf->hub.max_message;
	ctl->deadline_ns = clock_now_ns() + locate_timeout_ns(ctl, conf);
	if (errors.n > 0 && !locate_makes_do(ctl, conf->file, &errors, why)) {
		ctl_release(ctl);
		result = -1;
	}
	conf_errors_release(&errors);
	conf_free(conf);
	return result;
}

void
ctl_release(struct ctl *ctl)
{
	free(ctl->socket);
	free(ctl->pid_file);
	json_decref(ctl->members);
	ctl->socket = ctl->pid_file = NULL;
	ctl->members = NULL;
}

pid_t
ctl_owner(const struct ctl *ctl, bool *stale, struct why *why)
{
	bool left_over;
	pid_t owner;

	owner = fd_pidfile_owner(ctl->pid_file, &left_over);
	if (stale != NULL)
		*stale = left_over;
	if (owner == -1)
		why_set(why,
		    "cannot tell whether the service runs: pid file %s: %m",
		    ctl->pid_file);
	return owner;
}

int64_t
ctl_left_ns(const struct ctl *ctl)
{
	int64_t left_ns = ctl->deadline_ns - clock_now_ns();

	return left_ns > 0 ? left_ns : 0;
}
