/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_folders - the folders that a service writes to; the other half of
 * check.h.
 *
 * They belong to the master, so they are looked at as who it is, root or not.
 * One list of them serves the check and the start that makes what is missing.
 */
#include "core/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

typedef void folder_fn(const char *folder, const char *key, mode_t mode,
    struct conf_errors *errors);

/* The folder that holds a file, by its absolute path; the caller frees it. */
static char *
folder_of(const char *path)
{
	char *folder = mem_strdup(path), *slash = strrchr(folder, '/');

	if (slash == NULL || slash == folder)
		mem_copy_string(folder, strlen(folder) + 1, "/");
	else
		*slash = '\0';
	return folder;
}

static bool
writable(const char *path, int how)
{
	return faccessat(AT_FDCWD, path, how, AT_EACCESS) == 0;
}

static void
check_folder(const char *folder, const char *key, mode_t mode,
    struct conf_errors *errors)
{
	char *at = mem_strdup(folder), *up;
	struct stat st;

	(void)mode;
	/* the nearest that exists decides about those below it */
	while (stat(at, &st) < 0) {
		if (errno != ENOENT || strcmp(at, "/") == 0) {
			conf_errors_add(errors, "cannot use %s (%s): %s: %s",
			    folder, key, at, strerror(errno));
			goto out;
		}
		up = folder_of(at);
		free(at);
		at = up;
	}
	if (!S_ISDIR(st.st_mode))
		conf_errors_add(errors, "cannot use %s (%s): %s is no folder",
		    folder, key, at);
	else if (!writable(at, W_OK | X_OK))
		conf_errors_add(errors, "cannot %s %s (%s): %s: %s",
		    strcmp(at, folder) == 0 ? "write to" : "make", folder, key,
		    at, strerror(errno));
out:
	free(at);
}

static void
make_folder(const char *folder, const char *key, mode_t mode,
    struct conf_errors *errors)
{
	if (fd_mkdir_p(folder, mode) < 0)
		conf_errors_add(errors, "cannot make %s (%s): %s", folder, key,
		    strerror(errno));
}

static void
each_folder(const struct conf *conf, folder_fn *fn, struct conf_errors *errors)
{
	char path[CONF_PATH_SIZE], *folder;

	fn(conf->service.run_dir, "service.run_dir", 0755, errors);
	fn(conf->service.state_dir, "service.state_dir", 0750, errors);
	if (conf->service.pid_file[0] != '\0') {
		folder = folder_of(conf_pid_file(conf, path));
		fn(folder, "service.pid_file", 0755, errors);
		free(folder);
	}
	if (conf->control.socket[0] != '\0') {
		folder = folder_of(conf_control_socket(conf, path));
		fn(folder, "control.socket", 0755, errors);
		free(folder);
	}
	/* a file that is there, or a device, needs nothing of its folder */
	if (conf->log.target[0] == '/' && !writable(conf->log.target, F_OK)) {
		folder = folder_of(conf->log.target);
		fn(folder, "log.target", 0755, errors);
		free(folder);
	}
}

void
check_folders(const struct conf *conf, struct conf_errors *errors)
{
	const char *log = conf->log.target;
	struct stat st;

	each_folder(conf, check_folder, errors);
	if (log[0] != '/' || stat(log, &st) < 0)
		return;
	if (S_ISDIR(st.st_mode))
		conf_errors_add(errors,
		    "cannot write to %s (log.target): it is a folder", log);
	else if (!writable(log, W_OK))
		conf_errors_add(errors, "cannot write to %s (log.target): %s",
		    log, strerror(errno));
}

void
check_make_folders(const struct conf *conf, struct conf_errors *errors)
{
	each_folder(conf, make_folder, errors);
}
