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
#include <unistd.h>

#include "base/fd.h"
#include "base/why.h"
#include "master/family.h"

/* Every child at once, should the hub be away; the kernel caps it
 * (net.core.somaxconn), and who finds it full tries again. */
#define HUBSOCK_BACKLOG 4096

int
hubsock_open(struct master *master, struct why *why)
{
	const struct privilege *become = &master->become;
	const char *path = conf_hub_socket(master->current->conf,
	    master->hub_path);
	int fd = listen_private("hub.socket", path, HUBSOCK_BACKLOG, why);

	if (fd < 0)
		return -1;
	if (become->change && lchown(path, become->uid, become->gid) < 0) {
		why_set(why, "cannot give hub.socket %s to service.user: %s",
		    path, strerror(errno));
		close(fd);
		unlink(path);
		return -1;
	}
	master->hub_fd = fd;
	return 0;
}

void
hubsock_close(struct master *master)
{
	if (master->hub_fd < 0)
		return;
	fd_close(&master->hub_fd);
	unlink(master->hub_path);
}
