/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msg - the messages between the hub and its clients as structs and as bytes.
 *
 * A frame is a head (its length, kind and request id) and the fields of its row
 * in msg.def in their order; both ends are one program on one machine, so
 * numbers are in its own byte order. What comes is checked once, in
 * msg_decode(): known, in this direction, every length inside the frame, no
 * byte left over, no NUL in a TEXT. A peer whose bytes fail that is cut off.
 *
 * Pure: no descriptor is touched here; see wire.h for that.
 */
#ifndef CORE_MSG_H
#define CORE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct why;

enum msg_id {
	MSG_NONE,
#define MSG(id, name, from, kind) MSG_##id,
#define FIELD(type, name)
#define END
#include "core/msg.def"
	MSG_COUNT
};

enum msg_from { MSG_FROM_CLIENT = 1, MSG_FROM_HUB = 2, MSG_FROM_NONE = 4 };
enum msg_kind { MSG_KIND_REQUEST, MSG_KIND_REPLY, MSG_KIND_NOTE };

/* Borrowed bytes; of a decoded message: in the frame's memory, and `p` is never
 * NULL. Not terminated. */
struct msg_bytes {
	const char *p;
	size_t len;
};

#define MSG_C_U8 uint8_t
#define MSG_C_U32 uint32_t
#define MSG_C_U64 uint64_t
#define MSG_C_I64 int64_t
#define MSG_C_TEXT struct msg_bytes
#define MSG_C_BYTES struct msg_bytes

/* struct msg_HELLO { … }; and so on. `none` is there so that none is empty. */
#define MSG(id, name, from, kind) struct msg_##id { char none;
#define FIELD(type, name) MSG_C_##type name;
#define END };
#include "core/msg.def"

union msg {
#define MSG(id, name, from, kind) struct msg_##id id;
#define FIELD(type, name)
#define END
#include "core/msg.def"
};

/* What starts a frame. */
struct msg_head {
	uint32_t len;		/* of what follows the head */
	uint16_t id;		/* enum msg_id */
	uint16_t zero;
	uint32_t request;	/* 0 for a note and a part */
};
#define MSG_HEAD sizeof(struct msg_head)

/* Why the hub does not do what was asked. The row of a code says what a REST
 * client is told. HUB_CODE(ID, status) */
#define HUB_CODES                                                       \
	HUB_CODE(BAD, 400)	 /* the request makes no sense */       \
	HUB_CODE(TOO_LARGE, 413) /* a key, value, body or frame */      \
	HUB_CODE(NOT_FOUND, 404) /* no such job, queue, exchange */     \
	HUB_CODE(NOT_NUMBER, 422) /* incr on something else */          \
	HUB_CODE(CONFLICT, 409)	 /* what a call relied on has changed */ \
	HUB_CODE(MISMATCH, 422)	 /* idempotency key, another request */ \
	HUB_CODE(UNROUTABLE, 422) /* mandatory, and no queue takes it */ \
	HUB_CODE(FULL, 503)	 /* queue, memory: later perhaps */     \
	HUB_CODE(NO_SPACE, 507)	 /* the store's disk is full */         \
	HUB_CODE(CRASHED, 502)	 /* the handler took its process down */ \
	HUB_CODE(TIMEOUT, 504)	 /* not in time */                      \
	HUB_CODE(CANCELLED, 409) /* it was cancelled */                 \
	HUB_CODE(STALE, 409)	 /* not the attempt that counts */      \
	HUB_CODE(GONE, 503)	 /* no hub: stopping, or not answering */
enum hub_code {
	HUB_OK,
#define HUB_CODE(id, status) HUB_##id,
	HUB_CODES
#undef HUB_CODE
	HUB_CODE_COUNT
};
const char *hub_code_name(uint32_t code);	/* "FULL"; "?" */
int hub_code_status(uint32_t code);		/* HTTP's; 500 for unknown */

/* A delivery is over: its handler has succeeded; it comes again later; it is a
 * dead letter now; it was done before. To the broker they are all one: ack. */
enum settled_how { SETTLED_DONE, SETTLED_RETRY, SETTLED_DEAD, SETTLED_SEEN };
/* The broker has it (or the binding); it has it, and no queue took it; it is
 * not to be had now (`why`): stays in the outbox, to be tried again. */
enum sent_how { SENT_CONFIRMED, SENT_RETURNED, SENT_HELD };
enum amqp_order { ORDER_DEAD, ORDER_RETRY, ORDER_PURGE, ORDER_QUEUES };

enum data_kind { DATA_BYTES, DATA_JSON, DATA_NUMBER };
enum data_only { DATA_ANY, DATA_IF_ABSENT, DATA_IF_VERSION };
enum data_event { DATA_NOTIFIED, DATA_WAS_SET, DATA_WAS_DELETED,
	DATA_HAS_EXPIRED };

/* JOB_STATE(ID, name): the name is what people see. */
#define JOB_STATES                      \
	JOB_STATE(WAITING, "waiting")   \
	JOB_STATE(QUEUED, "queued")     \
	JOB_STATE(RUNNING, "running")   \
	JOB_STATE(SUCCEEDED, "succeeded") \
	JOB_STATE(FAILED, "failed")     \
	JOB_STATE(DEAD, "dead")         \
	JOB_STATE(CANCELLED, "cancelled")
enum job_state {
#define JOB_STATE(id, name) JOB_##id,
	JOB_STATES
#undef JOB_STATE
	JOB_STATE_COUNT
};
static inline bool
job_is_finished(enum job_state state)
{
	return state >= JOB_SUCCEEDED;
}

/* "job.get"; "?" beyond the table. */
const char *msg_name(unsigned id);
enum msg_kind msg_kind(enum msg_id id);

/* Of names, kinds, directions and fields: differs when any of them does. */
uint64_t msg_protocol(void);

/*
 * Appends a frame. `msg` is the struct of that id (struct msg_GET for MSG_GET);
 * a msg_bytes with a NULL p counts as empty. -1 with ENOBUFS when it does not
 * fit `out`, which is then as it was.
 */
int msg_encode(struct buf *out, enum msg_id id, uint32_t request,
    const void *msg);
/* How long that frame is, its head included. */
size_t msg_size(enum msg_id id, const void *msg);

/*
 * One frame at the start of `bytes`, sent by `from` (MSG_FROM_NONE: a part).
 * Returns its whole length with *head and *msg filled in; 0 when it is not all
 * there yet; -1 with a reason when it can never be a good one: then the rest is
 * garbage too. `max` bounds a frame's len.
 */
ptrdiff_t msg_decode(const char *bytes, size_t len, size_t max,
    enum msg_from from, struct msg_head *head, union msg *msg,
    struct why *why);

/*
 * Walks over parts: 1 with the next one, whose id is in `allowed` (a bit for
 * each MSG_ID_BIT), 0 at the end, -1 with a reason. *at starts at 0.
 */
#define MSG_ID_BIT(id) (UINT64_C(1) << MSG_##id)
int msg_part(struct msg_bytes parts, size_t *at, uint64_t allowed,
    enum msg_id *id, union msg *msg, struct why *why);
_Static_assert(MSG_COUNT <= 64, "msg_part's sets have a bit for each message");

/* A msg_bytes of a C string (NULL: empty), and the other way: a terminated
 * copy, which the caller frees. */
struct msg_bytes msg_text(const char *text);
char *msg_string(struct msg_bytes bytes);
bool msg_is(struct msg_bytes bytes, const char *text);
bool msg_begins(struct msg_bytes bytes, const char *prefix);

/* The first ATTR among parts that is `what` (enum call_lookup) and has that
 * name; false, and *value as it was, when there is none. */
bool msg_attr(struct msg_bytes parts, unsigned what, const char *name,
    struct msg_bytes *value);

#endif
