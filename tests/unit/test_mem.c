/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_mem - what is promised of memory, and in a child of its own what
 * happens when there is none. Nothing here runs out of memory for real.
 */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "run_suite.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

/* More than there is, in a way that the compiler does not see through. */
static volatile size_t huge = SIZE_MAX / 2;

START_TEST(memory_is_zeroed)
{
	static const char zeroes[5000];

	for (size_t size = 0; size < sizeof(zeroes); size += 7) {
		char *p = mem_alloc(size);

		ck_assert_ptr_nonnull(p);
		ck_assert_mem_eq(p, zeroes, size);
		memset(p, 0xff, size);
		free(p);
	}
}
END_TEST

START_TEST(an_array_of_nothing_is_something)
{
	void *p = mem_array(0, 100);
	void *q = mem_array(100, 0);

	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(q);
	ck_assert_ptr_ne(p, q);
	p = mem_grow(p, 0, 100);
	ck_assert_ptr_nonnull(p);
	free(p);
	free(q);
}
END_TEST

START_TEST(what_grows_keeps_its_content)
{
	int *p = NULL;

	for (int n = 1; n < 500; n++) {
		p = mem_grow(p, (size_t)n, sizeof(*p));
		p[n - 1] = n;
	}
	for (int n = 1; n < 500; n++)
		ck_assert_int_eq(p[n - 1], n);
	free(p);
}
END_TEST

static void
grow_too_far(void)
{
	free(mem_grow(NULL, huge, 4));
}

static void
alloc_too_much(void)
{
	free(mem_alloc(huge));
}

static void
array_too_long(void)
{
	/* 4 modulo 2^64 */
	free(mem_array(huge / 2 + 2, 4));
}

static void (*const exhausting[])(void) = {
	alloc_too_much,
	array_too_long,
	grow_too_far,
};

START_TEST(no_memory_aborts_with_a_line)
{
	const struct rlimit none = { 0, 0 };
	char text[200] = "";
	int out[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		dup2(out[1], STDERR_FILENO);
		exhausting[_i]();
		_exit(0);
	}
	close(out[1]);
	ck_assert_int_gt(read(out[0], text, sizeof(text) - 1), 0);
	close(out[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
#ifdef __SANITIZE_ADDRESS__
	/* It gives up first, and in its own words. */
	ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
#else
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, "out of memory"));
#endif
}
END_TEST

START_TEST(strings_are_copied)
{
	const char *text = "a string";
	char *copy = mem_strdup(text);

	ck_assert_ptr_ne(copy, text);
	ck_assert_str_eq(copy, text);
	free(copy);
	copy = mem_strdup("");
	ck_assert_str_eq(copy, "");
	free(copy);
}
END_TEST

START_TEST(text_is_printed)
{
	char *text = mem_printf("%s-%d-%05.1f", "x", 42, 1.25);

	ck_assert_str_eq(text, "x-42-001.2");
	free(text);
	text = mem_printf("%*s", 10000, "x");
	ck_assert_uint_eq(strlen(text), 10000);
	free(text);
}
END_TEST

START_TEST(an_allocation_may_be_tried)
{
	void *p = mem_try_alloc(100);

	ck_assert_ptr_nonnull(p);
	free(p);
	p = mem_try_alloc(0);
	ck_assert_ptr_nonnull(p);
	free(p);
#ifndef __SANITIZE_ADDRESS__
	errno = 0;
	ck_assert_ptr_null(mem_try_alloc(huge));
	ck_assert_int_eq(errno, ENOMEM);
#endif
}
END_TEST

START_TEST(a_string_is_cut_to_fit)
{
	char dst[8];

	ck_assert_ptr_eq(mem_copy_string(dst, sizeof(dst), "short"), dst);
	ck_assert_str_eq(dst, "short");
	mem_copy_string(dst, sizeof(dst), "exactly");
	ck_assert_str_eq(dst, "exactly");
	mem_copy_string(dst, sizeof(dst), "more than fits");
	ck_assert_str_eq(dst, "more th");
	mem_copy_string(dst, 1, "x");
	ck_assert_str_eq(dst, "");
	dst[0] = 'k';
	mem_copy_string(dst, 0, "x");
	ck_assert_int_eq(dst[0], 'k');
}
END_TEST

/* The source has no NUL, and the page after it cannot be read. */
START_TEST(a_copy_reads_no_further)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char dst[5];

	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
	memcpy(map + page - 4, "abcd", 4);
	mem_copy_string(dst, sizeof(dst), map + page - 4);
	ck_assert_str_eq(dst, "abcd");
	munmap(map, 2 * page);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mem");
	TCase *tests = tcase_create("mem");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, memory_is_zeroed);
	tcase_add_test(tests, an_array_of_nothing_is_something);
	tcase_add_test(tests, what_grows_keeps_its_content);
	tcase_add_loop_test(tests, no_memory_aborts_with_a_line, 0, 3);
	tcase_add_test(tests, strings_are_copied);
	tcase_add_test(tests, text_is_printed);
	tcase_add_test(tests, an_allocation_may_be_tried);
	tcase_add_test(tests, a_string_is_cut_to_fit);
	tcase_add_test(tests, a_copy_reads_no_further);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
