/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_address - addresses as they stand in a config, good ones and garbage,
 * and peers as they stand in a log.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/why.h"
#include "core/address.h"
#include "run_suite.h"

static const struct {
	const char *text, *again; /* as address_format() writes it */
	int family;
	bool plain;
} good[] = {
	{ "127.0.0.1:8080", "127.0.0.1:8080", AF_INET, false },
	{ "http://127.0.0.1:8080", "127.0.0.1:8080", AF_INET, true },
	{ "localhost:80", "127.0.0.1:80", AF_INET, false },
	{ "*:1", "0.0.0.0:1", AF_INET, false },
	{ "0.0.0.0:65535", "0.0.0.0:65535", AF_INET, false },
	{ "1.2.3.4:0", "1.2.3.4:0", AF_INET, false },
	{ "1.2.3.4:00080", "1.2.3.4:80", AF_INET, false },
	{ "[::1]:8080", "[::1]:8080", AF_INET6, false },
	{ "http://[::]:80", "[::]:80", AF_INET6, true },
	{ "[fe80::1:2]:9", "[fe80::1:2]:9", AF_INET6, false },
	{ "[::ffff:1.2.3.4]:9", "1.2.3.4:9", AF_INET6, false },
	{ "unix:/run/x.sock", "unix", AF_UNIX, false },
	{ "http://unix:/x", "unix", AF_UNIX, true },
};

START_TEST(good_addresses)
{
	struct address address;
	struct why why = { "" };
	char buf[ADDRESS_TEXT_SIZE];

	ck_assert_msg(address_parse(good[_i].text, &address, &why) == 0,
	    "%s: %s", good[_i].text, why.text);
	ck_assert_int_eq(address.ss.ss_family, good[_i].family);
	ck_assert_int_eq(address.plain, good[_i].plain);
	ck_assert_str_eq(address.text,
	    good[_i].text + (good[_i].plain ? strlen("http://") : 0));
	ck_assert_str_eq(address_format((struct sockaddr *)&address.ss,
			     address.len, buf),
	    good[_i].again);
}
END_TEST

static const struct {
	const char *text, *why;
} bad[] = {
	{ "", "no port; write HOST:PORT, \"127.0.0.1:8080\" say" },
	{ "http://", "no port; write HOST:PORT, \"127.0.0.1:8080\" say" },
	{ "8080", "no port; write HOST:PORT, \"127.0.0.1:8080\" say" },
	{ ":8080",
	    "'' is no IPv4 address; names are not looked up, but 'localhost' "
	    "and '*' will do" },
	{ "example.com:80",
	    "'example.com' is no IPv4 address; names are not looked up, but "
	    "'localhost' and '*' will do" },
	{ "256.0.0.1:80",
	    "'256.0.0.1' is no IPv4 address; names are not looked up, but "
	    "'localhost' and '*' will do" },
	{ "127.1:80",
	    "'127.1' is no IPv4 address; names are not looked up, but "
	    "'localhost' and '*' will do" },
	{ " 127.0.0.1:80",
	    "' 127.0.0.1' is no IPv4 address; names are not looked up, but "
	    "'localhost' and '*' will do" },
	{ "127.0.0.1:",
	    "'' is no port; write a number from 1 to 65535, or 0 to let the "
	    "kernel choose" },
	{ "127.0.0.1:http",
	    "'http' is no port; write a number from 1 to 65535, or 0 to let "
	    "the kernel choose" },
	{ "127.0.0.1:80/",
	    "'80/' is no port; write a number from 1 to 65535, or 0 to let the "
	    "kernel choose" },
	{ "127.0.0.1:-1",
	    "'-1' is no port; write a number from 1 to 65535, or 0 to let the "
	    "kernel choose" },
	{ "127.0.0.1:65536", "port 65536 is beyond 65535" },
	{ "127.0.0.1:4294967376",
	    "'4294967376' is no port; write a number from 1 to 65535, or 0 to "
	    "let the kernel choose" },
	{ "::1:8080",
	    "too many colons; an IPv6 address is written [ADDRESS]:PORT" },
	{ "[::1]",
	    "an IPv6 address is written [ADDRESS]:PORT, \"[::1]:8080\" "
	    "say" },
	{ "[::1:80",
	    "an IPv6 address is written [ADDRESS]:PORT, "
	    "\"[::1]:8080\" say" },
	{ "[::1]80",
	    "an IPv6 address is written [ADDRESS]:PORT, "
	    "\"[::1]:8080\" say" },
	{ "[]:80", "'' is no IPv6 address" },
	{ "[1.2.3.4]:80", "'1.2.3.4' is no IPv6 address" },
	{ "[::1%lo]:80", "'::1%lo' is no IPv6 address" },
	{ "unix:",
	    "unix: wants an absolute path, \"unix:/run/brood/rest.sock\" "
	    "say" },
	{ "unix:x",
	    "unix: wants an absolute path, "
	    "\"unix:/run/brood/rest.sock\" say" },
	{ "unix:/0123456789012345678901234567890123456789012345678901234567890"
	  "1234567890123456789012345678901234567890123456",
	    "a Unix socket's path has at most 107 characters, this one has "
	    "108" },
	{ "https://127.0.0.1:80",
	    "leave 'https://' out; rest.tls turns TLS on" },
	{ "http://http://1.2.3.4:5",
	    "too many colons; an IPv6 address is written [ADDRESS]:PORT" },
};

START_TEST(bad_addresses)
{
	struct address address;
	struct why why;

	ck_assert_int_eq(address_parse(bad[_i].text, &address, &why), -1);
	ck_assert_str_eq(why.text, bad[_i].why);
}
END_TEST

START_TEST(an_address_has_a_length)
{
	char text[4096];
	struct address address;
	struct why why;

	memset(text, '[', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(address_parse(text, &address, &why), -1);
	ck_assert_str_eq(why.text,
	    "an address has at most 159 characters, this one has 4095");
}
END_TEST

/* Whatever the bytes, an end and no crash. */
START_TEST(garbage_has_an_end)
{
	static const char alphabet[] = "[]:./*-0129afhtpunix@\xff\x01 ";
	char text[32];
	struct address address;
	struct why why;

	srand(_i);
	for (int round = 0; round < 2000; round++) {
		int len = rand() % 31;

		for (int i = 0; i < len; i++)
			text[i] = alphabet[rand() % (sizeof(alphabet) - 1)];
		text[len] = '\0';
		if (address_parse(text, &address, &why) == 0)
			ck_assert_uint_gt(address.len, 0);
	}
}
END_TEST

START_TEST(peers_that_have_no_address)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET };
	char buf[ADDRESS_TEXT_SIZE];

	ck_assert_str_eq(address_format((struct sockaddr *)&un,
			     sizeof(sa_family_t), buf),
	    "unix");
	ck_assert_str_eq(address_format((struct sockaddr *)&un, 0, buf), "?");
	ck_assert_str_eq(address_format((struct sockaddr *)&in, 3, buf), "?");
}
END_TEST

START_TEST(the_longest_peer_fits)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	char buf[ADDRESS_TEXT_SIZE];

	memset(&sin6.sin6_addr, 0xab, sizeof(sin6.sin6_addr));
	sin6.sin6_port = htons(65535);
	ck_assert_str_eq(address_format((struct sockaddr *)&sin6, sizeof(sin6),
			     buf),
	    "[abab:abab:abab:abab:abab:abab:abab:abab]:65535");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("address");
	TCase *tests = tcase_create("address");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, good_addresses, 0,
	    sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tests, bad_addresses, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tests, an_address_has_a_length);
	tcase_add_loop_test(tests, garbage_has_an_end, 0, 10);
	tcase_add_test(tests, peers_that_have_no_address);
	tcase_add_test(tests, the_longest_peer_fits);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
