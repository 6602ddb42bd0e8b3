/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_check - is the store's file one that may be opened? Looks at its head
 * alone, so that a running service is not disturbed by broodd -t, and a file of
 * somebody else's is never touched.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/why.h"
#include "hub/store_db.h"

/* sqlite.org/fileformat2.html */
#define HEAD_SIZE 100
#define HEAD_MAGIC "SQLite format 3"
#define HEAD_SCHEMA 60
#define HEAD_APPLICATION 68

int
store_is_newer(const char *path, int schema, struct why *why)
{
	return why_set(why,
	    "the store %s has schema %d, and this version knows "
	    "%d: a newer one has written it. It was not touched: start that "
	    "version again, or name another file in hub.store to begin with an "
	    "empty one",
	    path, schema, STORE_SCHEMA);
}

int
store_is_damaged(const char *path, const char *reason, struct why *why)
{
	return why_set(why,
	    "the store %s is damaged (%.160s). It was not "
	    "touched: keep a copy, then put a backup in its place, or move it "
	    "away with its -wal file to begin with an empty one",
	    path, reason);
}

static int
store_read_head(const char *path, int fd, int64_t size, int *schema,
    struct why *why)
{
	char head[HEAD_SIZE];
	uint32_t number;

	if (pread(fd, head, sizeof head, 0) < (ssize_t)sizeof head ||
	    memcmp(head, HEAD_MAGIC, sizeof HEAD_MAGIC) != 0)
		return why_set(why,
		    "%s is no store: it is not a database. It "
		    "was not touched: name another file in hub.store, or move "
		    "this one away",
		    path);
	memcpy(&number, head + HEAD_APPLICATION, sizeof number);
	if (be32toh(number) != STORE_APPLICATION)
		return why_set(why,
		    "%s is the database of another program. It "
		    "was not touched: name another file in hub.store",
		    path);
	memcpy(&number, head + HEAD_SCHEMA, sizeof number);
	*schema = (int)be32toh(number);
	if (*schema > STORE_SCHEMA)
		return store_is_newer(path, *schema, why);
	(void)size;
	return 0;
}

int
store_look_at(const char *path, int *schema, int64_t *size, struct why *why)
{
	struct stat st;
	int fd, got;

	*schema = 0;
	*size = 0;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return why_set(why, "cannot look at the store %s: %s", path,
		    strerror(errno));
	}
	if (!S_ISREG(st.st_mode))
		return why_set(why, "the store %s is %s, and not a file", path,
		    S_ISDIR(st.st_mode) ? "a folder" : "something special");
	*size = st.st_size;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return why_set(why, "cannot open the store %s: %s", path,
		    strerror(errno));
	/* made a moment before the power went: nothing was in it */
	got = st.st_size == 0 ?
	    0 :
	    store_read_head(path, fd, st.st_size, schema, why);
	close(fd);
	return got;
}

int
store_make_file(const char *path, struct why *why)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return why_set(why, "cannot create the store %s: %s", path,
		    strerror(errno));
	/* the -wal file gets the same mode */
	if (fstat(fd, &st) == 0 && (st.st_mode & 077) != 0 &&
	    fchmod(fd, 0600) < 0 && geteuid() == st.st_uid) {
		why_set(why, "cannot make the store %s private: %s", path,
		    strerror(errno));
		close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

int
store_check(const char *path, struct why *why)
{
	int schema;
	int64_t size;

	/* In a folder that is not ours: a start gives it to us, or the check of
	 * folders, which root can do, says what is wrong with it. */
	if (access(path, F_OK) < 0 && errno == EACCES)
		return 0;
	return store_look_at(path, &schema, &size, why);
}
