/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_child - enough of a child to run calls in a test: a scoreboard of one
 * pool, a channel whose other end the test reads as the master would, and a log
 * in memory.
 *
 * Set up and taken down by checked fixtures, so each test has a fresh one.
 */
#ifndef TEST_UNIT_FAKE_CHILD_H
#define TEST_UNIT_FAKE_CHILD_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "core/call.h"
#include "core/chan.h"
#include "core/child.h"

#define FAKE_SLOT 3

static struct {
	struct child child;
	int master_fd;
	int log_fd;
} fake;

static inline void
fake_child_set_up(void)
{
	struct child *child = &fake.child;
	int pair[2];

	memset(&fake, 0, sizeof(fake));
	fake.log_fd = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_ge(fake.log_fd, 0);
	log_adopt_fd(dup(fake.log_fd));
	ck_assert_int_eq(board_create(&child->spec.board, 8), 0);
	child->board = &child->spec.board;
	child->board->pool[ROLE_REST].words = 1;
	child->spec.role_id = ROLE_REST;
	child->spec.slot = FAKE_SLOT;
	child->slot = &child->board->slot[FAKE_SLOT];
	slot_reset(child->slot, ROLE_REST, 1);
	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	child->spec.chan_fd = pair[0];
	fake.master_fd = pair[1];
	child->requests_left = UINT64_MAX;
	child_set_spare(child, true);
}

static inline void
fake_child_tear_down(void)
{
	close(fake.child.spec.chan_fd);
	close(fake.master_fd);
	board_release(&fake.child.spec.board);
	log_open("stderr", LOG_FORMAT_TEXT, "test", NULL);
	close(fake.log_fd);
}

/* The next message the master would get, CHAN_NONE for none. */
static inline enum chan_id
fake_child_said(void)
{
	enum chan_id id;
	int fd;

	if (chan_recv(fake.master_fd, CHAN_CHILD, &id, &fd) != 1)
		return CHAN_NONE;
	return id;
}

/* The log so far, which the caller frees. */
static inline char *
fake_child_log(void)
{
	enum { SIZE = 1 << 16 };
	char *text = malloc(SIZE);
	ssize_t len = pread(fake.log_fd, text, SIZE - 1, 0);

	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	return text;
}

static inline bool
fake_child_logged(const char *text)
{
	char *log = fake_child_log();
	bool found = strstr(log, text) != NULL;

	free(log);
	return found;
}

static inline size_t
fake_child_log_lines(void)
{
	char *p, *log = fake_child_log();
	size_t n = 0;

	for (p = log; *p != '\0'; p++)
		n += *p == '\n';
	free(log);
	return n;
}

#endif
