/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_room - what to do about a full disk before it is full. New work is
 * refused while less than hub.min_free is left, so that what was accepted can
 * be finished; and when even that gets short, the reserve, a file of
 * hub.reserve bytes beside the store, is given up for it. It is taken again,
 * and new work with it, when there is room for both.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/conf.h"
#include "hub/store_db.h"

/* Beyond what a transaction is known to write. */
#define ROOM_SPARE ((int64_t)2 << 20)
#define MIB (INT64_C(1) << 20)
/* With so much room nobody fills the disk before it is measured again. */
#define ROOM_AMPLE (1024 * MIB)
#define ROOM_AMPLE_NS (NS_PER_S / 10)

static void
reserve_path(const struct store *store, char path[CONF_PATH_SIZE])
{
	snprintf(path, CONF_PATH_SIZE, "%s-reserve", store->path);
}

static void
room_measure(struct store *store)
{
	struct statvfs vfs;

	/* one that cannot be asked is taken for roomy: writes will tell */
	if (statvfs(store->path, &vfs) < 0)
		store->free_bytes = INT64_MAX;
	else
		store->free_bytes = (int64_t)vfs.f_bavail *
		    (int64_t)vfs.f_frsize;
	store->measured_ns = clock_now_ns();
}

/* As of a moment ago, and so of now. */
static bool
room_is_ample(const struct store *store)
{
	return store->free_bytes >= ROOM_AMPLE &&
	    (size_t)store->free_bytes / 4 >= store->min_free + store->reserve &&
	    clock_now_ns() - store->measured_ns < ROOM_AMPLE_NS;
}

static void
reserve_give_up(struct store *store)
{
	char path[CONF_PATH_SIZE];

	reserve_path(store, path);
	if (unlink(path) < 0 && errno != ENOENT)
		log_warning("cannot give up the reserve %s: %s; the store may "
			    "run out of disk space",
		    path, strerror(errno));
	else
		log_warning("the disk of the store %s is full: the reserve of "
			    "%zu bytes is given up to finish what was accepted",
		    store->path, store->reserve);
	store->has_reserve = false;
}

/* Real blocks, not a hole. */
static bool
reserve_fill(const char *path, size_t size)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size > size &&
	    ftruncate(fd, (off_t)size) < 0)
		log_debug("cannot cut %s: %s", path, strerror(errno));
	error = posix_fallocate(fd, 0, (off_t)size);
	close(fd);
	if (error == 0)
		return true;
	unlink(path);
	errno = error;
	return false;
}

static void
reserve_take(struct store *store)
{
	char path[CONF_PATH_SIZE];
	struct stat st;

	reserve_path(store, path);
	if (store->reserve == 0) {
		unlink(path);
		store->has_reserve = true;
		return;
	}
	/* it is there from before: its blocks are not among the free ones */
	if (stat(path, &st) == 0 &&
	    (int64_t)st.st_blocks * 512 >= (int64_t)store->reserve) {
		store->has_reserve = reserve_fill(path, store->reserve);
		return;
	}
	if (store->free_bytes <
	    (int64_t)store->min_free + (int64_t)store->reserve)
		return;
	store->has_reserve = reserve_fill(path, store->reserve);
	if (!store->has_reserve)
		log_warning("cannot take the reserve %s of %zu bytes: %s; new "
			    "work is refused until it can",
		    path, store->reserve, strerror(errno));
	room_measure(store);
}

void
store_room_for(struct store *store, size_t bytes)
{
	if (!store->has_reserve || store->reserve == 0 ||
	    (room_is_ample(store) && (int64_t)bytes < ROOM_AMPLE / 2))
		return;
	room_measure(store);
	if (store->free_bytes < ROOM_SPARE + (int64_t)bytes)
		reserve_give_up(store);
}

static void
room_judge(struct store *store)
{
	bool had = store->has_room;

	store->looked = true;
	store->looked_ns = clock_now_ns();
	store->has_room = store->has_reserve &&
	    store->free_bytes >= (int64_t)store->min_free;
	if (store->has_room) {
		if (!had && store->why_not[0] != '\0')
			log_notice("the disk of the store %s has %" PRId64
				   " MiB free again; new work is accepted",
			    store->path, store->free_bytes / MIB);
		return;
	}
	snprintf(store->why_not, sizeof store->why_not,
	    "the store's disk is nearly full: %" PRId64
	    " MiB are free, and %zu MiB are kept to finish what was accepted",
	    store->free_bytes / MIB,
	    (store->min_free + (store->has_reserve ? 0 : store->reserve)) /
		(size_t)MIB);
	if (had)
		log_warning("the disk of the store %s is nearly full: %" PRId64
			    " MiB are free, hub.min_free is %zu MiB; new work "
			    "is refused until there is room",
		    store->path, store->free_bytes / MIB,
		    store->min_free / (size_t)MIB);
}

void
store_look(struct store *store)
{
	room_measure(store);
	if (!store->has_reserve)
		reserve_take(store);
	room_judge(store);
}

bool
store_has_room(struct store *store, const char **why_not)
{
	/* others use the disk as well */
	if (clock_now_ns() - store->looked_ns >= NS_PER_S) {
		store_look(store);
	} else if (store->has_room && !store->looked && !room_is_ample(store)) {
		room_measure(store);
		room_judge(store);
	}
	*why_not = store->has_room ? NULL : store->why_not;
	return store->has_room;
}

static int64_t
file_size(const char *path, const char *suffix)
{
	char name[CONF_PATH_SIZE];
	struct stat st;

	snprintf(name, sizeof name, "%s%s", path, suffix);
	return stat(name, &st) < 0 ? 0 : st.st_size;
}

void
store_count(struct store *store, int64_t *size, int64_t *free_bytes)
{
	room_measure(store);
	*size = file_size(store->path, "") + file_size(store->path, "-wal");
	*free_bytes = store->free_bytes;
}
