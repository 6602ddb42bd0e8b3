/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_folders - the folders that a service writes to; the other half of
 * check.h.
 *
 * Most belong to the master and are looked at as who it is, root or not; what
 * the hub writes to belongs to whom children become. One list of them serves
 * the check and the start that makes what is missing.
 */
#include "core/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

struct folder {
	const char *path, *key;
	mode_t mode;
	/* who writes to it; NULL: the master */
	const struct privilege *owner;
};

typedef void folder_fn(const struct folder *folder, struct conf_errors *errors);

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

static bool
in_groups(const struct privilege *who, gid_t gid)
{
	for (int i = 0; i < who->n_groups; i++)
		if (who->groups[i] == gid)
			return true;
	return who->gid == gid;
}

/* As the mode says; of lists of rights beyond it nothing is known. */
static bool
writable_by(const struct stat *st, const struct privilege *who)
{
	int shift = st->st_uid == who->uid ? 6 :
	    in_groups(who, st->st_gid)	   ? 3 :
					     0;

	return ((st->st_mode >> shift) & 3) == 3;
}

static bool
is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool empty = dir != NULL;

	while (empty && (entry = readdir(dir)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0;
	if (dir != NULL)
		closedir(dir);
	return empty;
}

/* One that a package or systemd has made for us. */
static bool
to_be_given(const struct folder *folder, const struct stat *st)
{
	return st->st_uid == geteuid() && !writable_by(st, folder->owner) &&
	    strcmp(folder->key, "service.state_dir") == 0 &&
	    is_empty(folder->path);
}

static void
check_owner(const struct folder *folder, const struct stat *st,
    struct conf_errors *errors)
{
	if (writable_by(st, folder->owner) || to_be_given(folder, st))
		return;
	conf_errors_add(errors,
	    "cannot use %s (%s): the hub writes to it as service.user, who "
	    "may not; 'chown -R %ju:%ju %s' would allow it",
	    folder->path, folder->key, (uintmax_t)folder->owner->uid,
	    (uintmax_t)folder->owner->gid, folder->path);
}

static void
check_folder(const struct folder *folder, struct conf_errors *errors)
{
	char *at = mem_strdup(folder->path), *up;
	struct stat st;

	/* the nearest that exists decides about those below it */
	while (stat(at, &st) < 0) {
		if (errno != ENOENT || strcmp(at, "/") == 0) {
			conf_errors_add(errors, "cannot use %s (%s): %s: %s",
			    folder->path, folder->key, at, strerror(errno));
			goto out;
		}
		up = folder_of(at);
		free(at);
		at = up;
	}
	if (!S_ISDIR(st.st_mode))
		conf_errors_add(errors, "cannot use %s (%s): %s is no folder",
		    folder->path, folder->key, at);
	else if (folder->owner != NULL && strcmp(at, folder->path) == 0)
		check_owner(folder, &st, errors);
	else if (!writable(at, W_OK | X_OK))
		conf_errors_add(errors, "cannot %s %s (%s): %s: %s",
		    strcmp(at, folder->path) == 0 ? "write to" : "make",
		    folder->path, folder->key, at, strerror(errno));
out:
	free(at);
}

static void
make_folder(const struct folder *folder, struct conf_errors *errors)
{
	struct stat st;
	bool made = stat(folder->path, &st) < 0;

	if (fd_mkdir_p(folder->path, folder->mode) < 0) {
		conf_errors_add(errors, "cannot make %s (%s): %s", folder->path,
		    folder->key, strerror(errno));
		return;
	}
	if (folder->owner == NULL || !(made || to_be_given(folder, &st)))
		return;
	if (chown(folder->path, folder->owner->uid, folder->owner->gid) < 0)
		conf_errors_add(errors,
		    "cannot give %s (%s) to service.user: %s", folder->path,
		    folder->key, strerror(errno));
}

/* That of a file which the config names. */
static void
with_folder_of(const char *file, const char *key, mode_t mode,
    const struct privilege *owner, folder_fn *fn, struct conf_errors *errors)
{
	char *path = folder_of(file);

	fn(&(struct folder){ path, key, mode, owner }, errors);
	free(path);
}

static void
each_folder(const struct conf *conf, const struct privilege *become,
    folder_fn *fn, struct conf_errors *errors)
{
	const struct conf_service *service = &conf->service;
	const struct privilege *hub = become != NULL && become->change ?
	    become :
	    NULL;

	fn(&(struct folder){ service->run_dir, "service.run_dir", 0755, NULL },
	    errors);
	fn(&(struct folder){ service->state_dir, "service.state_dir", 0750,
	       hub },
	    errors);
	if (service->pid_file[0] != '\0')
		with_folder_of(service->pid_file, "service.pid_file", 0755,
		    NULL, fn, errors);
	if (conf->control.socket[0] != '\0')
		with_folder_of(conf->control.socket, "control.socket", 0755,
		    NULL, fn, errors);
	if (conf->hub.socket[0] != '\0')
		with_folder_of(conf->hub.socket, "hub.socket", 0755, NULL, fn,
		    errors);
	if (conf->hub.store[0] != '\0')
		with_folder_of(conf->hub.store, "hub.store", 0750, hub, fn,
		    errors);
	/* a file that is there, or a device, needs nothing of its folder */
	if (conf->log.target[0] == '/' && !writable(conf->log.target, F_OK))
		with_folder_of(conf->log.target, "log.target", 0755, NULL, fn,
		    errors);
}

void
check_folders(const struct conf *conf, const struct privilege *become,
    struct conf_errors *errors)
{
	const char *log = conf->log.target;
	struct stat st;

	each_folder(conf, become, check_folder, errors);
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
check_make_folders(const struct conf *conf, const struct privilege *become,
    struct conf_errors *errors)
{
	each_folder(conf, become, make_folder, errors);
}
