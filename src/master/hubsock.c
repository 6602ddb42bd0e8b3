/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hubsock - the socket on which the hub serves the other children.
 *
 * The master opens it, for whoever connects while a hub is being replaced shall
 * wait in its backlog and find the next one. It is there from the start to the
 * end of the service, over every reload; each hub inherits it and accepts. Only
 * the user that children become can connect.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/why.h"
#include "master/family.h"

/* Every child at once, should the hub be away; the kernel caps it
 * (net.core.somaxconn), and who finds it full tries again. */
#define HUBSOCK_BACKLOG 4096

int
hubsock_open(struct master *master, struct why *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct privilege *become = &master->become;
	const char *path = conf_hub_socket(master->current->conf,
	    master->hub_path);

	if (strlen(path) >= sizeof un.sun_path)
		return why_set(why, "hub.socket %s is longer than %zu bytes",
		    path, sizeof un.sun_path - 1);
	mem_copy_string(un.sun_path, sizeof un.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return why_set(why, "cannot make the hub's socket: %s",
		    strerror(errno));
	/* the pid file is locked by us: whoever made this file is gone */
	unlink(path);
	mode_t old = umask(0177);
	int bound = bind(fd, (struct sockaddr *)&un, sizeof un);
	umask(old);
	if (bound < 0 || listen(fd, HUBSOCK_BACKLOG) < 0)
		why_set(why, "cannot listen on hub.socket %s: %s", path,
		    strerror(errno));
	else if (become->change && lchown(path, become->uid, become->gid) < 0)
		why_set(why, "cannot give hub.socket %s to service.user: %s",
		    path, strerror(errno));
	else {
		master->hub_fd = fd;
		return 0;
	}
	close(fd);
	if (bound == 0)
		unlink(path);
	return -1;
}

void
hubsock_close(struct master *master)
{
	if (master->hub_fd < 0)
		return;
	fd_close(&master->hub_fd);
	unlink(master->hub_path);
}
