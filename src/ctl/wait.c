/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait - the one way in which broodctl waits: for a descriptor, until a moment.
 *
 * A socket, standard input, the pidfd of a process: each wait has its end, and
 * a signal that is handled makes it neither shorter nor longer.
 */
#include "ctl/wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "base/clock.h"

int
wait_fd(int fd, short events, int64_t until_ns)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	int64_t left_ms;
	int n;

	do {
		/* rounded up, or the last millisecond would be spun away */
		left_ms = (until_ns - clock_now_ns() + NS_PER_MS - 1) /
		    NS_PER_MS;
		if (left_ms < 0)
			left_ms = 0;
		if (left_ms > INT_MAX)
			left_ms = INT_MAX;
		n = poll(&pollfd, 1, (int)left_ms);
	} while (n == -1 && errno == EINTR);
	return n;
}
