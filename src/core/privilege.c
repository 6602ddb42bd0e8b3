/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege - looks up whom a child becomes, and becomes it.
 *
 * privilege_resolve() runs in the master before it has a loop, for name
 * services may block. privilege_drop() runs in a child right after the fork,
 * before any module is loaded; when it fails, the child must end, for a child
 * half way between two users is neither.
 */
#include "core/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/why.h"
#include "core/conf.h"

static void
resolve_groups(const char *user, struct privilege *privilege,
    struct conf_errors *errors)
{
	int n = PRIVILEGE_GROUPS;

	if (getgrouplist(user, privilege->gid, privilege->groups, &n) < 0)
		conf_errors_add(errors,
		    "user '%s' (service.user) is in %d groups; brood takes at "
		    "most %d",
		    user, n, PRIVILEGE_GROUPS);
	else
		privilege->n_groups = n;
}

static int
resolve_user(const char *user, struct privilege *privilege,
    struct conf_errors *errors)
{
	struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		/* the others only mean "not found", see getpwnam(3) */
		if (errno == EIO || errno == EMFILE || errno == ENFILE ||
		    errno == ENOMEM)
			conf_errors_add(errors,
			    "cannot look up user '%s' (service.user): %s", user,
			    strerror(errno));
		else
			conf_errors_add(errors,
			    "there is no user '%s' (service.user); create it, "
			    "with 'adduser --system --group %s' say",
			    user, user);
		return -1;
	}
	privilege->uid = pw->pw_uid;
	privilege->gid = pw->pw_gid;
	return 0;
}

static int
resolve_group(const char *group, struct privilege *privilege,
    struct conf_errors *errors)
{
	struct group *gr = getgrnam(group);

	if (gr == NULL) {
		conf_errors_add(errors,
		    "there is no group '%s' (service.group); create it, or "
		    "leave the key out to take the user's own",
		    group);
		return -1;
	}
	privilege->gid = gr->gr_gid;
	return 0;
}

int
privilege_resolve(const struct conf *conf, struct privilege *privilege,
    struct conf_errors *errors)
{
	const char *user = conf->service.user, *group = conf->service.group;
	bool root = geteuid() == 0;
	size_t before = errors->n;

	memset(privilege, 0, sizeof(*privilege));
	privilege->uid = geteuid();
	privilege->gid = getegid();
	if (user[0] == '\0' && root)
		conf_errors_add(errors,
		    "started as root without service.user; name the user that "
		    "the workers are to become");
	if (user[0] != '\0' && resolve_user(user, privilege, errors) == 0) {
		if (privilege->uid == 0)
			conf_errors_add(errors,
			    "service.user is '%s', which is root; name another "
			    "user, for handlers never run as root",
			    user);
		else if (!root && privilege->uid != geteuid())
			conf_errors_add(errors,
			    "service.user is '%s', but broodd runs as uid %ju "
			    "and only root can change that; start it as root "
			    "or as '%s'",
			    user, (uintmax_t)geteuid(), user);
	}
	if (!root)
		privilege->gid = getegid();
	if (group[0] != '\0' && resolve_group(group, privilege, errors) == 0 &&
	    !root && privilege->gid != getegid())
		conf_errors_add(errors,
		    "service.group is '%s', but broodd runs as gid %ju and "
		    "only root can change that",
		    group, (uintmax_t)getegid());
	if (errors->n != before)
		return -1;
	if (root)
		resolve_groups(user, privilege, errors);
	privilege->change = root;
	return errors->n == before ? 0 : -1;
}

static int
change_ids(const struct privilege *privilege, struct why *why)
{
	uid_t uid = privilege->uid, r_uid, e_uid, s_uid;
	gid_t gid = privilege->gid, r_gid, e_gid, s_gid;

	if (setgroups((size_t)privilege->n_groups, privilege->groups) < 0)
		return why_set(why, "cannot take %d supplementary groups: %m",
		    privilege->n_groups);
	if (setresgid(gid, gid, gid) < 0)
		return why_set(why, "cannot become gid %ju: %m",
		    (uintmax_t)gid);
	if (setresuid(uid, uid, uid) < 0)
		return why_set(why, "cannot become uid %ju: %m",
		    (uintmax_t)uid);
	if (getresuid(&r_uid, &e_uid, &s_uid) < 0 ||
	    getresgid(&r_gid, &e_gid, &s_gid) < 0 || r_uid != uid ||
	    e_uid != uid || s_uid != uid || r_gid != gid || e_gid != gid ||
	    s_gid != gid)
		return why_set(why,
		    "the kernel did not take uid %ju and gid %ju in full",
		    (uintmax_t)uid, (uintmax_t)gid);
	if (setuid(0) == 0)
		return why_set(why,
		    "could become root again after dropping to uid %ju",
		    (uintmax_t)uid);
	return 0;
}

int
privilege_drop(const struct privilege *privilege, struct why *why)
{
	if (privilege->change && change_ids(privilege, why) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return why_set(why, "cannot set no_new_privs: %m");
	return 0;
}
