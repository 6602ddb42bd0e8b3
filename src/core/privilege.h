/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege - whom a child becomes.
 *
 * Looked up once, in the master (getpwnam reads files and may ask a name
 * service, so never in its loop), used after each fork.
 */
#ifndef CORE_PRIVILEGE_H
#define CORE_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

struct conf;
struct conf_errors;
struct why;

#define PRIVILEGE_GROUPS 64

struct privilege {
	bool change;		/* false: not root, stay who we are */
	uid_t uid;
	gid_t gid;
	gid_t groups[PRIVILEGE_GROUPS];
	int n_groups;
};

/*
 * service.user and service.group. Errors: started as root without service.user,
 * the user is root itself, no such user or group; started as another user than
 * service.user without being root.
 */
int privilege_resolve(const struct conf *conf, struct privilege *privilege,
    struct conf_errors *errors);

/*
 * Groups, gid, uid, all three kinds of each, checked afterwards; then
 * PR_SET_NO_NEW_PRIVS. Irrevocable. -1 with the reason: the process must end.
 */
int privilege_drop(const struct privilege *privilege, struct why *why);

#endif
