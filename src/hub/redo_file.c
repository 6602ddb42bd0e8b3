/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redo_file - the redo file as a file: made with all its blocks, and judged
 * before it is mapped. What is not good stays as it is, for a person to decide.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/why.h"
#include "hub/redo_impl.h"

#define REDO_MAGIC "brood redo\n"
#define REDO_FORMAT 1

/* The head's own key is in it. */
static uint64_t
redo_check_head(const struct redo_head *head)
{
	static const struct mix_key key = { { 1, 2 } };

	return mix_bytes(&key, head, offsetof(struct redo_head, check));
}

static int
redo_fill(int fd, size_t size)
{
	struct redo_head head = { .magic = REDO_MAGIC,
		.format = REDO_FORMAT,
		.size = size };

	errno = posix_fallocate(fd, 0, (off_t)(REDO_PAGE + size));
	if (errno != 0 ||
	    getrandom(&head.key, sizeof(head.key), 0) != sizeof(head.key))
		return -1;
	head.check = redo_check_head(&head);
	if (pwrite(fd, &head, sizeof(head), 0) != sizeof(head))
		return -1;
	return fsync(fd);
}

int
redo_create(const char *path, size_t size)
{
	char *temporary = mem_printf("%s.new", path);
	int fd, failed;

	fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd != -1 &&
	    (redo_fill(fd, size) == -1 || rename(temporary, path) == -1)) {
		failed = errno;
		unlink(temporary);
		fd_close(&fd);
		errno = failed;
	}
	free(temporary);
	return fd;
}

size_t
redo_judge(int fd, const char *path, struct why *why)
{
	struct redo_head head;
	struct stat st;

	if (fstat(fd, &st) == -1 ||
	    pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.magic, REDO_MAGIC, sizeof(head.magic)) != 0)
		why_set(why,
		    "%s is damaged, or no redo file at all. It has the last "
		    "changes of shared data: mend it, or move it away to go on "
		    "without them",
		    path);
	else if (head.format != REDO_FORMAT)
		why_set(why,
		    "%s has format %u, and this brood knows %d: start the one "
		    "that wrote it, or move it away to go on without the last "
		    "changes of shared data",
		    path, head.format, REDO_FORMAT);
	else if (head.check != redo_check_head(&head) || head.size % 8 != 0 ||
	    head.size < REDO_PAGE || head.size > INT64_MAX - REDO_PAGE ||
	    st.st_size != (off_t)(REDO_PAGE + head.size) ||
	    head.start % 8 != 0 || head.start >= head.size)
		why_set(why,
		    "%s is damaged. It has the last changes of shared data: "
		    "mend it, or move it away to go on without them",
		    path);
	else
		return head.size;
	return 0;
}

int
redo_check(const char *path, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = 0;

	if (fd == -1)
		/* a folder that is not the user's yet: see store_check() */
		return errno == ENOENT || errno == EACCES ?
		    0 :
		    why_set(why, "cannot open %s: %s", path, strerror(errno));
	if (redo_judge(fd, path, why) == 0)
		result = -1;
	fd_close(&fd);
	return result;
}
