/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctl_client - the client of the control socket against a socket whose
 * other end says, whole or in pieces, what a master might and what it never
 * would. Both ends are in one process; the sockets' buffers lie between.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "ctl/client.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char folder[32], path[64];
static int listener;
static struct client client;
static struct why why;

static void
setup(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	strcpy(folder, "/tmp/brood-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sun, sizeof(sun)),
	    0);
	ck_assert_int_eq(listen(listener, 0), 0);
	client = (struct client){ .fd = -1 };
	why.text[0] = '\0';
}

static void
teardown(void)
{
	client_close(&client);
	fd_close(&listener);
	unlink(path);
	rmdir(folder);
}

/* Connects; returns the master's end. */
static int
connected(void)
{
	int fd;

	ck_assert_int_eq(client_open(&client, path,
			     clock_now_ns() + 60 * NS_PER_S, &why),
	    CLIENT_FINE);
	fd = accept(listener, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void
say(int fd, const void *bytes, size_t len)
{
	ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

#define SAY(fd, text) say(fd, text, sizeof(text) - 1)

static void
hear(const char *key, const char *value)
{
	json_t *line;

	ck_assert_int_eq(client_receive(&client, &line, &why), CLIENT_FINE);
	ck_assert_str_eq(json_string_value(json_object_get(line, key)), value);
	json_decref(line);
}

static void
hear_end(enum client_end end)
{
	json_t *line;

	ck_assert_int_eq(client_receive(&client, &line, &why), end);
	ck_assert_ptr_null(line);
	ck_assert_str_ne(why.text, "");
}

START_TEST(asks_and_hears)
{
	json_t *request = json_pack("{s:s}", "cmd", "status");
	int fd = connected();
	char buf[64] = "";

	ck_assert_int_eq(client.peer, getpid());
	ck_assert_int_eq(client_send(&client, request, &why), CLIENT_FINE);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), 0), 17);
	ck_assert_str_eq(buf, "{\"cmd\":\"status\"}\n");
	ck_assert(!client_heard(&client, 0));
	SAY(fd, "{\"event\":\"1\"}\n{\"event\":\"2\"}\n{\"a\":");
	ck_assert(client_heard(&client, 0));
	hear("event", "1");
	ck_assert(client_heard(&client, 0));
	hear("event", "2");
	SAY(fd, "\"3\"}\n");
	hear("a", "3");
	close(fd);
	hear_end(CLIENT_GONE);
	json_decref(request);
}
END_TEST

START_TEST(hears_byte_by_byte)
{
	static const char text[] = "{\"text\":\"a\\u0000b\"}\n";
	int fd = connected();
	json_t *line;

	for (size_t i = 0; i < sizeof(text) - 2; i++) {
		say(fd, text + i, 1);
		/* a moment that has passed: look, but do not wait */
		client.deadline_ns = 0;
		hear_end(CLIENT_MUTE);
	}
	SAY(fd, "\n");
	ck_assert_int_eq(client_receive(&client, &line, &why), CLIENT_FINE);
	ck_assert_uint_eq(json_string_length(json_object_get(line, "text")), 3);
	json_decref(line);
	close(fd);
}
END_TEST

static const char *const garbage[] = {
	"\n",
	"null\n",
	"7\n",
	"\"x\"\n",
	"[]\n",
	"[{}]\n",
	"{\n",
	"{}{}\n",
	"{\"a\":1,}\n",
	"{\"a\":\"\xff\"}\n",
	"HTTP/1.1 400 Bad Request\r\n",
	"{\"ok\":tru\n",
};

START_TEST(garbage_ends_it)
{
	int fd = connected();

	say(fd, garbage[_i], strlen(garbage[_i]));
	hear_end(CLIENT_BROKEN);
	close(fd);
}
END_TEST

START_TEST(half_a_line_ends_it)
{
	int fd = connected();

	SAY(fd, "{\"ok\":true}");
	close(fd);
	hear_end(CLIENT_GONE);
}
END_TEST

START_TEST(a_nul_byte_ends_it)
{
	int fd = connected();

	SAY(fd, "{\"a\":1\0}\n");
	hear_end(CLIENT_BROKEN);
	close(fd);
}
END_TEST

START_TEST(an_endless_line_ends_it)
{
	int fd = connected();

	client.in.max = 1000;
	for (int i = 0; i < 11; i++)
		SAY(fd,
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	hear_end(CLIENT_BROKEN);
	close(fd);
}
END_TEST

/* It may have said why before it hung up on us. */
START_TEST(hears_what_was_said_before_the_end)
{
	json_t *request = json_pack("{s:s}", "cmd", "status");
	int fd = connected();

	SAY(fd, "{\"message\":\"too many\"}\n");
	close(fd);
	ck_assert_int_eq(client_send(&client, request, &why), CLIENT_FINE);
	hear("message", "too many");
	hear_end(CLIENT_GONE);
	json_decref(request);
}
END_TEST

START_TEST(sending_ends_with_the_deadline)
{
	char *text = malloc(1 << 22);
	json_t *request;
	int fd = connected();

	memset(text, 'x', 1 << 22);
	request = json_pack("{s:s#}", "cmd", text, (1 << 22) - 1);
	client.deadline_ns = 0;
	ck_assert_int_eq(client_send(&client, request, &why), CLIENT_MUTE);
	json_decref(request);
	free(text);
	close(fd);
}
END_TEST

START_TEST(nobody_there)
{
	char gone[80];

	snprintf(gone, sizeof(gone), "%s/none", folder);
	ck_assert_int_eq(client_open(&client, gone, INT64_MAX / 2, &why),
	    CLIENT_ABSENT);
	client_close(&client);

	/* a file, but no listener any more */
	fd_close(&listener);
	ck_assert_int_eq(client_open(&client, path, INT64_MAX / 2, &why),
	    CLIENT_ABSENT);
}
END_TEST

START_TEST(a_full_backlog_ends_with_the_deadline)
{
	struct client first, second;

	ck_assert_int_eq(client_open(&first, path, INT64_MAX / 2, &why),
	    CLIENT_FINE);
	ck_assert_int_eq(client_open(&second, path, 0, &why), CLIENT_MUTE);
	client_close(&first);
	client_close(&second);
}
END_TEST

START_TEST(a_path_that_is_too_long)
{
	char *text = malloc(5000);

	memset(text, 'x', 4999);
	text[4999] = '\0';
	ck_assert_int_eq(client_open(&client, text, INT64_MAX / 2, &why),
	    CLIENT_FAILED);
	client_close(&client);
	free(text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl_client");
	TCase *tcase = tcase_create("socket");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, asks_and_hears);
	tcase_add_test(tcase, hears_byte_by_byte);
	tcase_add_loop_test(tcase, garbage_ends_it, 0, COUNT(garbage));
	tcase_add_test(tcase, half_a_line_ends_it);
	tcase_add_test(tcase, a_nul_byte_ends_it);
	tcase_add_test(tcase, an_endless_line_ends_it);
	tcase_add_test(tcase, hears_what_was_said_before_the_end);
	tcase_add_test(tcase, sending_ends_with_the_deadline);
	tcase_add_test(tcase, nobody_there);
	tcase_add_test(tcase, a_full_backlog_ends_with_the_deadline);
	tcase_add_test(tcase, a_path_that_is_too_long);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
