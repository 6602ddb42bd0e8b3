/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_demo_smtp - the demo's mailer and a mail server: what it is sent, and
 * that a warning which the server turned down once arrives later.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/daemon.h"
#include "lib/demo.h"
#include "lib/suite.h"
#include "lib/text.h"

/* One mail's worth of SMTP (RFC 5321); `refuse` at the recipient. */
static void
converse(FILE *peer, FILE *out, bool refuse)
{
	char line[1000];
	bool data = false;

	fputs("220 test\r\n", peer);
	while (fflush(peer) == 0 && fgets(line, sizeof(line), peer) != NULL) {
		fputs(line, out);
		if (data && strcmp(line, ".\r\n") != 0)
			continue;
		if (data) {
			data = false;
			fputs("250 taken\r\n", peer);
		} else if (strncmp(line, "DATA", 4) == 0) {
			data = true;
			fputs("354 go on\r\n", peer);
		} else if (strncmp(line, "RCPT", 4) == 0 && refuse) {
			fputs("451 not now\r\n", peer);
		} else if (strncmp(line, "QUIT", 4) == 0) {
			fputs("221 bye\r\n", peer);
		} else {
			fputs("250 ok\r\n", peer);
		}
	}
}

/* A process that refuses the first mail and takes the second. */
static pid_t
serve(int listener, const char *path)
{
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int turn = 0; turn < 2; turn++) {
		int fd = accept(listener, NULL, NULL);
		FILE *peer = fdopen(fd, "r+");
		FILE *out = fopen(path, "w");

		if (peer == NULL || out == NULL)
			_exit(1);
		setvbuf(peer, NULL, _IONBF, 0);
		converse(peer, out, turn == 0);
		fclose(peer);
		if (fclose(out) != 0)
			_exit(1);
	}
	_exit(0);
}

START_TEST(sends_by_smtp)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *setting, *path, *seen;
	struct daemon d;
	int status;
	pid_t pid;

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(listener, 5), 0);
	getsockname(listener, (struct sockaddr *)&address, &len);
	path = text_format("%s/smtp", suite_dir());
	pid = serve(listener, path);
	setting = text_format("smtp = \"smtp://127.0.0.1:%d\"",
	    ntohs(address.sin_port));
	demo_start(&d,
	    (const char *const[]){ "# smtp = \"smtp://localhost:25\"", setting,
		"slow_seconds = 5.0", "slow_seconds = 0.02",
		"handler = \"cruncher.mail\";",
		"handler = \"cruncher.mail\"; backoff_min = 0.05;", NULL });
	free(demo_send(&d, "POST", "/subscriptions/ann", "", 200));
	demo_upload(&d, "ann@apple.com");
	demo_await(&d, "mails", 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	seen = text_read(path, NULL);
	ck_assert_ptr_nonnull(seen);
	text_require("what the server saw", seen,
	    "MAIL FROM:<cruncher@localhost>");
	text_require("what the server saw", seen, "RCPT TO:<ann@apple.com>");
	text_require("what the server saw", seen, "To: <ann@apple.com>\r\n");
	text_require("what the server saw", seen, "\r\n\r\nspam me!\r\n.\r\n");
	/* the file was there before the first try */
	ck_assert_uint_eq(demo_mails(&d, NULL), 1);
	free(seen);
	free(path);
	free(setting);
	close(listener);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(sends_by_smtp),
	};

	return SUITE_RUN("demo_smtp", cases);
}
