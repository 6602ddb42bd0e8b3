/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_redo - any bytes as a redo file: behind a good head, so that the ring is
 * reached, and as the whole file.
 *
 * What is read is within the file, its numbers follow one another, and writing
 * goes on behind it: what is appended comes back after it was opened again.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/why.h"
#include "fuzz.h"
#include "hub/redo.h"

#define RING 8192

static char path[64];
static uint64_t last;

static void
remove_file(void)
{
	unlink(path);
}

static int
on_record(void *ctx, const struct redo_record *record)
{
	static char sink[RING];

	(void)ctx;
	FUZZ_REQUIRE(last == 0 || record->lsn == last + 1);
	last = record->lsn;
	/* it can be read */
	FUZZ_REQUIRE(record->value.key_len + record->value.len <= sizeof(sink));
	memcpy(sink, record->value.key, record->value.key_len);
	memcpy(sink + record->value.key_len, record->value.bytes,
	    record->value.len);
	return 0;
}

static void
put(size_t at, const uint8_t *data, size_t size)
{
	int fd = open(path, O_RDWR);

	FUZZ_REQUIRE(pwrite(fd, data, size, (off_t)at) == (ssize_t)size);
	close(fd);
}

static void
try(void)
{
	struct redo_record record = {
		.session = 1,
		.value = { .key = "key",
		    .key_len = 3,
		    .version = 1,
		    .bytes = "value",
		    .len = 5 },
	};
	struct why why = { .text = "" };
	struct redo *redo = redo_open(path, RING, &why);
	uint64_t lsn;

	if (redo == NULL) {
		FUZZ_REQUIRE(why.text[0] != '\0');
		return;
	}
	last = 0;
	redo_each(redo, 0, on_record, NULL);
	FUZZ_REQUIRE(last == redo_last(redo) || last == 0);
	redo_taken(redo, redo_last(redo));
	FUZZ_REQUIRE(redo_has_room(redo, &record));
	lsn = redo_append(redo, &record);
	redo_close(redo);
	redo = redo_open(path, RING, &why);
	FUZZ_REQUIRE(redo != NULL && redo_last(redo) == lsn);
	redo_close(redo);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct why why;
	struct redo *redo;

	if (path[0] == '\0') {
		snprintf(path, sizeof(path), "/tmp/fuzz_redo.%d",
		    (int)getpid());
		atexit(remove_file);
	}
	unlink(path);
	redo = redo_open(path, RING, &why);
	FUZZ_REQUIRE(redo != NULL);
	for (int i = 0; i < 40; i++) {
		struct redo_record record = { .session = (uint64_t)i,
			.value = { .key = "k",
			    .key_len = 1,
			    .version = 1,
			    .bytes = (const char *)data,
			    .len = size % 300 } };

		redo_taken(redo, redo_last(redo));
		record.value.len = record.value.len < size ? record.value.len :
							     size;
		redo_append(redo, &record);
	}
	redo_close(redo);
	if (size > 2) {
		/* in the ring, somewhere */
		size_t at = (size_t)(data[0] << 8 | data[1]) % RING;
		size_t n = size - 2 < RING - at ? size - 2 : RING - at;

		put(4096 + at, data + 2, n);
		try();
		/* in the head, or from its beginning */
		put(data[0] % 2 ? 0 : 48 + data[1] % 8, data + 2,
		    size - 2 < 4096 ? size - 2 : 4000);
		try();
	}
	return 0;
}
