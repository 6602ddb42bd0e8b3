/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_spread - connections that stay open are spread over the workers, so that
 * their requests do not wait for one another while workers are idle.
 */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/suite.h"

#define CONNECTIONS 64

START_TEST(connections_are_spread)
{
	static const char ask[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
	struct daemon d;
	struct reply reply;
	json_t *status, *child;
	int fd[CONNECTIONS], most = 0;
	size_t i;

	daemon_start(&d,
	    &(struct daemon_conf){
		.workers = "start = 4; min_spare = 0; max = 4;" });
	for (i = 0; i < CONNECTIONS; i++) {
		fd[i] = raw_connect(&d);
		ck_assert(raw_text(fd[i], ask));
	}
	for (i = 0; i < CONNECTIONS; i++) {
		ck_assert(raw_reply(fd[i], &reply, false));
		ck_assert_int_eq(reply.status, 200);
		reply_release(&reply);
	}
	status = ctl_status(&d);
	for (i = 0; (child = ctl_row(status, i)) != NULL; i++)
		if (ctl_int(child, "connections") > most)
			most = (int)ctl_int(child, "connections");
	/* how evenly is the scheduler's matter; that one has most is ours */
	ck_assert_int_le(most, CONNECTIONS / 2);
	json_decref(status);
	for (i = 0; i < CONNECTIONS; i++)
		close(fd[i]);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(connections_are_spread),
	};

	return SUITE_RUN("spread", cases);
}
