/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_msg - any bytes as frames between the hub and its clients.
 *
 * The first byte says who sends them. What is accepted lies inside of the input
 * and gives the very same bytes when it is encoded; what is refused has a
 * reason. A part is a frame of no side.
 */
#include "base/buf.h"
#include "base/why.h"
#include "core/msg.h"
#include "fuzz.h"

#define MAX_FRAME 4096

/* All parts of a field, whatever they are: none may leave it. */
static void
walk(struct msg_bytes parts)
{
	struct why why = { .text = "" };
	enum msg_id id = MSG_NONE;
	size_t at = 0, before;
	union msg msg;
	int n;

	do {
		before = at;
		n = msg_part(parts, &at, UINT64_MAX, &id, &msg, &why);
		if (n == 1) {
			FUZZ_REQUIRE(at > before && at <= parts.len);
			FUZZ_REQUIRE(id > MSG_NONE && id < MSG_COUNT);
		}
	} while (n == 1);
	FUZZ_REQUIRE(n == 0 || why.text[0] != '\0');
}

/* What comes out of a frame goes into the same frame. */
static void
check(const char *frame, size_t len, const struct msg_head *head,
    const union msg *msg)
{
	struct buf again;

	buf_init(&again, SIZE_MAX / 2);
	FUZZ_REQUIRE(msg_encode(&again, head->id, head->request, msg) == 0);
	FUZZ_REQUIRE(again.len == len);
	FUZZ_REQUIRE(memcmp(again.data, frame, len) == 0);
	buf_release(&again);
	if (head->id == MSG_COMMIT)
		walk(msg->COMMIT.effects);
	else if (head->id == MSG_DONE)
		walk(msg->DONE.effects);
	else if (head->id == MSG_ITEMS)
		walk(msg->ITEMS.items);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum msg_from sides[] = { MSG_FROM_CLIENT, MSG_FROM_HUB,
		MSG_FROM_NONE };
	enum msg_from from;
	struct msg_head head;
	struct why why = { .text = "" };
	union msg msg;
	ptrdiff_t n;
	char *bytes;

	if (size == 0)
		return 0;
	from = sides[data[0] % 3];
	bytes = fuzz_text(data + 1, size - 1);
	for (size_t at = 0; at < size - 1; at += (size_t)n) {
		n = msg_decode(bytes + at, size - 1 - at, MAX_FRAME, from,
		    &head, &msg, &why);
		if (n <= 0) {
			FUZZ_REQUIRE(n == 0 || why.text[0] != '\0');
			break;
		}
		FUZZ_REQUIRE((size_t)n <= size - 1 - at);
		FUZZ_REQUIRE(head.len <= MAX_FRAME);
		check(bytes + at, (size_t)n, &head, &msg);
	}
	free(bytes);
	return 0;
}
