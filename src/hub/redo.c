/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redo - a ring of records in a mapped file.
 *
 *   page 0: head, and where the oldest readable record starts
 *   ring:   records, multiples of 8 bytes, each whole: what does not fit
 *           before the end goes to the beginning (a record of length 0, or no
 *           room for a record's head, says "go on there")
 *
 * No end is stored. The records that are there are those whose numbers follow
 * one another from the oldest on and whose checksums fit; the first that does
 * not is where writing goes on. The checksum is keyed with a secret of the
 * file, so no value can be made to look like a record. Each record has the
 * checksum of the one before it: should a power cut lose a page in the middle,
 * what is behind it never follows on what is written there later.
 *
 * Positions count on and on; modulo the ring's size they are places in it.
 *
 * A process that is killed leaves its stores in the page cache in the order it
 * made them, so `start` is moved before the record that it points to is
 * overwritten.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/why.h"
#include "hub/redo_impl.h"

struct redo_frame {
	uint64_t check;	 /* of all behind it */
	uint64_t before; /* the check of the record before it */
	uint64_t lsn;
	uint64_t epoch; /* drawn by the process that wrote it */
	uint32_t len;	/* of all; 0: go on at the beginning of the ring */
	uint16_t id;
	uint8_t done;
	uint8_t kind;
	uint64_t session, seq;
	uint64_t version, value_version;
	int64_t expires_ms;
	int64_t number;
	uint32_t key_len, value_len;
};

struct redo {
	int fd;
	char *map;
	struct redo_head *head;
	char *ring;
	size_t size;
	uint64_t start;	 /* position of the oldest readable record */
	uint64_t keep;	 /* of the oldest that the store has not taken */
	uint64_t end;	 /* where the next one goes */
	uint64_t last;	 /* its lsn less 1 */
	uint64_t before; /* the check of the record before it */
	uint64_t epoch;
	uint64_t kept;	 /* lsn of the record at `keep` */
	uint64_t oldest; /* lsn of the record at `start` */
};

/* ---------------------------------------------------------------- records */

static struct redo_frame *
redo_at(const struct redo *redo, uint64_t pos)
{
	return (struct redo_frame *)(redo->ring + pos % redo->size);
}

static size_t
redo_ahead(const struct redo *redo, uint64_t pos)
{
	return redo->size - pos % redo->size;
}

/* Past the gap at the end of the ring, if that is what is here. */
static uint64_t
redo_skip_gap(const struct redo *redo, uint64_t pos)
{
	size_t ahead = redo_ahead(redo, pos);

	if (ahead < sizeof(struct redo_frame) || redo_at(redo, pos)->len == 0)
		return pos + ahead;
	return pos;
}

static size_t
redo_len(size_t key_len, size_t value_len)
{
	return (sizeof(struct redo_frame) + key_len + value_len + 7) / 8 * 8;
}

static uint64_t
redo_sum(const struct redo *redo, const struct redo_frame *frame)
{
	return mix_bytes(&redo->head->key, &frame->before,
	    frame->len - sizeof(frame->check));
}

/* The record at a position, when it is a whole one that follows `before` (NULL:
 * any). */
static const struct redo_frame *
redo_read(const struct redo *redo, uint64_t pos,
    const struct redo_frame *before)
{
	size_t ahead = redo_ahead(redo, pos);
	const struct redo_frame *frame;

	if (ahead < sizeof(*frame))
		return NULL;
	frame = redo_at(redo, pos);
	if (frame->len > ahead || frame->len < sizeof(*frame) ||
	    frame->key_len > frame->len || frame->value_len > frame->len ||
	    frame->len != redo_len(frame->key_len, frame->value_len) ||
	    (before != NULL &&
		(frame->lsn != before->lsn + 1 ||
		    frame->before != before->check)) ||
	    frame->lsn == 0 || frame->check != redo_sum(redo, frame))
		return NULL;
	return frame;
}

/* Finds the end of what is there. */
static void
redo_scan(struct redo *redo)
{
	const struct redo_frame *frame, *before = NULL;
	uint64_t pos = redo_skip_gap(redo, redo->start);

	redo->end = redo->start;
	redo->oldest = 1;
	while (pos - redo->start < redo->size &&
	    (frame = redo_read(redo, pos, before)) != NULL) {
		if (before == NULL) {
			redo->start = pos;
			redo->oldest = frame->lsn;
		}
		before = frame;
		redo->last = frame->lsn;
		redo->before = frame->check;
		redo->end = pos + frame->len;
		pos = redo_skip_gap(redo, redo->end);
	}
	/* past a gap: what makes it one may be overwritten */
	redo->head->start = redo->start % redo->size;
	redo->keep = redo->start;
	redo->kept = redo->oldest;
}

/* ------------------------------------------------------------------ files */

struct redo *
redo_open(const char *path, size_t size, struct why *why)
{
	struct redo *redo = mem_alloc(sizeof(*redo));

	redo->fd = open(path, O_RDWR | O_CLOEXEC);
	if (redo->fd == -1 && errno == ENOENT)
		redo->fd = redo_create(path, size / 8 * 8);
	if (redo->fd == -1) {
		why_set(why, "cannot open %s: %s", path, strerror(errno));
		goto fail;
	}
	if (flock(redo->fd, LOCK_EX | LOCK_NB) == -1) {
		why_set(why, "cannot lock %s: %s", path,
		    errno == EWOULDBLOCK ? "another process uses it" :
					   strerror(errno));
		goto fail;
	}
	redo->size = redo_judge(redo->fd, path, why);
	if (redo->size == 0)
		goto fail;
	redo->map = mmap(NULL, REDO_PAGE + redo->size, PROT_READ | PROT_WRITE,
	    MAP_SHARED, redo->fd, 0);
	if (redo->map == MAP_FAILED) {
		redo->map = NULL;
		why_set(why, "cannot map %s: %s", path, strerror(errno));
		goto fail;
	}
	redo->head = (struct redo_head *)redo->map;
	redo->ring = redo->map + REDO_PAGE;
	redo->start = redo->head->start;
	redo->epoch = (uint64_t)clock_wall_ns();
	redo_scan(redo);
	return redo;
fail:
	redo_close(redo);
	return NULL;
}

void
redo_close(struct redo *redo)
{
	if (redo == NULL)
		return;
	if (redo->map != NULL)
		munmap(redo->map, REDO_PAGE + redo->size);
	fd_close(&redo->fd);
	free(redo);
}

size_t
redo_size(const struct redo *redo)
{
	return redo->size;
}

/* ---------------------------------------------------------------- reading */

static void
redo_decode(const struct redo_frame *frame, struct redo_record *record)
{
	const char *key = (const char *)(frame + 1);

	*record = (struct redo_record){
		.lsn = frame->lsn,
		.session = frame->session,
		.seq = frame->seq,
		.id = frame->id,
		.done = frame->done,
		.version = frame->version,
		.value = {
			.key = key,
			.key_len = frame->key_len,
			.kind = (enum data_kind)frame->kind,
			.version = frame->value_version,
			.expires_ms = frame->expires_ms,
			.bytes = key + frame->key_len,
			.len = frame->value_len,
			.number = frame->number,
		},
	};
}

void
redo_each(const struct redo *redo, uint64_t after,
    int (*each)(void *ctx, const struct redo_record *record), void *ctx)
{
	bool kept = after + 1 >= redo->kept && redo->kept > 0;
	uint64_t pos = kept ? redo->keep : redo->start;
	const struct redo_frame *frame;
	struct redo_record record;

	while (pos < redo->end) {
		pos = redo_skip_gap(redo, pos);
		frame = redo_at(redo, pos);
		pos += frame->len;
		if (frame->lsn <= after)
			continue;
		redo_decode(frame, &record);
		if (each(ctx, &record) == -1)
			return;
	}
}

/* ---------------------------------------------------------------- writing */

void
redo_continue(struct redo *redo, uint64_t lsn)
{
	if (redo->last >= lsn)
		return;
	/* what follows does not follow on what is there */
	redo->head->start = 0;
	memset(redo->ring, 0, redo->size);
	redo->start = redo->keep = redo->end = 0;
	redo->last = lsn;
	redo->oldest = redo->kept = lsn + 1;
}

/* With the gap that it leaves at the end of the ring. */
static size_t
redo_need(const struct redo *redo, size_t len)
{
	size_t ahead = redo_ahead(redo, redo->end);

	return len <= ahead ? len : ahead + len;
}

static size_t
redo_record_len(const struct redo_record *record)
{
	const struct data_value *value = &record->value;

	return redo_len(value->key_len,
	    value->kind == DATA_NUMBER ? 0 : value->len);
}

bool
redo_has_room(const struct redo *redo, const struct redo_record *record)
{
	size_t need = redo_need(redo, redo_record_len(record));

	return redo->end + need - redo->keep <= redo->size;
}

/* The oldest records make room. */
static void
redo_forget(struct redo *redo, size_t need)
{
	uint64_t start = redo->start;

	while (start < redo->end && redo->end + need - start > redo->size) {
		start = redo_skip_gap(redo, start);
		start += redo_at(redo, start)->len;
		redo->oldest++;
	}
	if (start == redo->start)
		return;
	redo->start = start;
	redo->head->start = start % redo->size;
	atomic_signal_fence(memory_order_seq_cst);
}

uint64_t
redo_append(struct redo *redo, const struct redo_record *record)
{
	const struct data_value *value = &record->value;
	size_t len = redo_record_len(record);
	size_t value_len = value->kind == DATA_NUMBER ? 0 : value->len;
	size_t need = redo_need(redo, len);
	struct redo_frame *frame;
	char *at;

	assert(redo_has_room(redo, record));
	redo_forget(redo, need);
	if (need > len && need - len >= sizeof(*frame))
		redo_at(redo, redo->end)->len = 0;
	frame = redo_at(redo, redo->end + (need - len));
	*frame = (struct redo_frame){
		.before = redo->before,
		.lsn = redo->last + 1,
		.epoch = redo->epoch,
		.len = (uint32_t)len,
		.id = record->id,
		.done = record->done,
		.kind = (uint8_t)value->kind,
		.session = record->session,
		.seq = record->seq,
		.version = record->version,
		.value_version = value->version,
		.expires_ms = value->expires_ms,
		.number = value->number,
		.key_len = (uint32_t)value->key_len,
		.value_len = (uint32_t)value_len,
	};
	at = (char *)(frame + 1);
	if (len > sizeof(*frame)) /* what is left over of the last 8 */
		memset((char *)frame + len - 8, 0, 8);
	if (value->key_len > 0)
		memcpy(at, value->key, value->key_len);
	if (value_len > 0)
		memcpy(at + value->key_len, value->bytes, value_len);
	frame->check = redo->before = redo_sum(redo, frame);
	redo->end += need;
	return ++redo->last;
}

void
redo_taken(struct redo *redo, uint64_t lsn)
{
	while (redo->keep < redo->end && redo->kept <= lsn) {
		redo->keep = redo_skip_gap(redo, redo->keep);
		redo->keep += redo_at(redo, redo->keep)->len;
		redo->kept++;
	}
}

uint64_t
redo_last(const struct redo *redo)
{
	return redo->last;
}

size_t
redo_pending(const struct redo *redo)
{
	return (size_t)(redo->end - redo->keep);
}
