/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_url - broker addresses: taken apart, refused in words that hold no
 * password, and shown.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/why.h"
#include "core/url.h"
#include "run_suite.h"

static const struct good {
	const char *text, *shown, *host, *vhost;
	int port;
	const char *user, *password; /* NULL: none */
} good[] = {
	{ "amqp://h", "amqp://h:5672/", "h", "/", 5672, NULL, NULL },
	{ "amqps://h", "amqps://h:5671/", "h", "/", 5671, NULL, NULL },
	{ "AMQP://H", "amqp://H:5672/", "H", "/", 5672, NULL, NULL },
	{ "amqp://h:1/", "amqp://h:1/", "h", "/", 1, NULL, NULL },
	{ "amqp://h/%2f", "amqp://h:5672/", "h", "/", 5672, NULL, NULL },
	{ "amqp://h/v", "amqp://h:5672/v", "h", "v", 5672, NULL, NULL },
	{ "amqp://h/%2Fa%25", "amqp://h:5672/%2Fa%25", "h", "/a%", 5672, NULL,
	    NULL },
	{ "amqp://u@h:65535", "amqp://h:65535/", "h", "/", 65535, "u", NULL },
	{ "amqp://u:@h", "amqp://h:5672/", "h", "/", 5672, "u", "" },
	{ "amqp://u%40x:p%3A%2f@h/v", "amqp://h:5672/v", "h", "v", 5672, "u@x",
	    "p:/" },
	{ "amqp://u:p@ss@h", "amqp://h:5672/", "h", "/", 5672, "u", "p@ss" },
	{ "amqp://u:a:b@h", "amqp://h:5672/", "h", "/", 5672, "u", "a:b" },
	{ "amqp://[::1]:9/v", "amqp://[::1]:9/v", "::1", "v", 9, NULL, NULL },
	{ "amqp://[::1]", "amqp://[::1]:5672/", "::1", "/", 5672, NULL, NULL },
	{ "amqp://h/ä", "amqp://h:5672/ä", "h", "ä", 5672, NULL, NULL },
};

START_TEST(good_ones)
{
	const struct good *g = &good[_i];
	char buf[URL_TEXT_SIZE];
	struct url url;
	struct why why;

	ck_assert_msg(url_parse(g->text, &url, &why) == 0, "%s: %s", g->text,
	    why.text);
	ck_assert_str_eq(url.host, g->host);
	ck_assert_str_eq(url.vhost, g->vhost);
	ck_assert_int_eq(url.port, g->port);
	ck_assert_int_eq(url.has_user, g->user != NULL);
	ck_assert_int_eq(url.has_password, g->password != NULL);
	if (g->user != NULL)
		ck_assert_str_eq(url.user, g->user);
	if (g->password != NULL)
		ck_assert_str_eq(url.password, g->password);
	ck_assert_str_eq(url_text(&url, buf), g->shown);
	ck_assert_int_eq(url.tls, strncmp(g->shown, "amqps", 5) == 0);
}
END_TEST

static const char *const bad[][2] = {
	{ "", "amqp:// or amqps://" },
	{ "http://h", "amqp:// or amqps://" },
	{ "amqp:/h", "amqp:// or amqps://" },
	{ "amqp://", "no host" },
	{ "amqp://:5", "no host" },
	{ "amqp:///v", "no host" },
	{ "amqp://u:secret@", "no host" },
	{ "amqp://@h", "no user" },
	{ "amqp://:secret@h", "no user" },
	{ "amqp://h:", "no port" },
	{ "amqp://h:0", "no port" },
	{ "amqp://h:65536", "no port" },
	{ "amqp://h:99999999999999999999", "no port" },
	{ "amqp://guest:secret", "no port" },
	{ "amqp://u:sec/ret@h", "%2F" },
	{ "amqp://u:sec?ret@h", "%2F" },
	{ "amqp://u:sec#ret@h", "%2F" },
	{ "amqp://u:%zzsecret@h", "the password has a '%'" },
	{ "amqp://u:secret%4@h", "the password has a '%'" },
	{ "amqp://u:secret%@h", "the password has a '%'" },
	{ "amqp://u:secret%00@h", "the password has a control character" },
	{ "amqp://u:secret%ff@h", "the password is no valid UTF-8" },
	{ "amqp://u%0a:secret@h", "the user has a control character" },
	{ "amqp://h/v/w", "%2F" },
	{ "amqp://h/%ff", "the vhost is no valid UTF-8" },
	{ "amqp://h?heartbeat=5", "there are keys" },
	{ "amqp://h/v#x", "there are keys" },
	{ "amqp://[::1", "without its ']'" },
	{ "amqp://[::1]x", "may follow the ']'" },
	{ "amqp://a b", "no name of a host" },
};

START_TEST(bad_ones)
{
	struct url url;
	struct why why;

	ck_assert_msg(url_parse(bad[_i][0], &url, &why) == -1, "%s",
	    bad[_i][0]);
	ck_assert_msg(strstr(why.text, bad[_i][1]) != NULL, "%s: %s",
	    bad[_i][0], why.text);
	ck_assert_ptr_null(strstr(why.text, "sec"));
	ck_assert_ptr_null(strstr(why.text, "ret@"));
	ck_assert_int_eq(url_parse(bad[_i][0], &url, NULL), -1);
}
END_TEST

START_TEST(long_ones)
{
	char text[2048], part[1024], buf[URL_TEXT_SIZE];
	struct url url;
	struct why why;

	for (int n = 250; n < 260; n++) {
		memset(part, 'x', sizeof(part));
		part[n] = '\0';
		snprintf(text, sizeof(text), "amqp://%s", part);
		ck_assert_int_eq(url_parse(text, &url, &why) == 0, n <= 255);
		snprintf(text, sizeof(text), "amqp://u:%s@h", part);
		ck_assert_int_eq(url_parse(text, &url, &why) == 0, n <= 255);
		snprintf(text, sizeof(text), "amqp://h/%s", part);
		ck_assert_int_eq(url_parse(text, &url, &why) == 0, n <= 255);
	}
	/* the longest text that can be shown fits */
	memset(url.host, 'h', 255);
	memset(url.vhost, '/', 255);
	url.host[255] = url.vhost[255] = '\0';
	url.tls = true;
	ck_assert_uint_lt(strlen(url_text(&url, buf)), URL_TEXT_SIZE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("url");
	TCase *tcase = tcase_create("url");

	tcase_add_loop_test(tcase, good_ones, 0,
	    (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(tcase, bad_ones, 0,
	    (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(tcase, long_ones);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
