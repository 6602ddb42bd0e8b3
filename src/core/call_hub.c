/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_hub - what the functions of brood.h that need the hub have in common:
 * asking it, the reasons when that fails, what leaves with the success of the
 * call, and the memory of what was handed to the handler.
 *
 * Called by core/call_*.c. A handler may be wrong in what it asks for; it is
 * told so with -1 and a sentence, and nothing is logged: most often the next
 * thing it does is to say it on.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/call_impl.h"
#include "core/child.h"
#include "core/hub_client.h"

/* A DONE or COMMIT is the effects and as much else, at most. */
#define EFFECTS_OTHER_BYTES 65536
/* An empty buffer larger than this is given back. */
#define DUMP_KEEP_BYTES 262144
/* A century is for ever, and can still be counted in nanoseconds. */
#define MOST_SECONDS 3155760000.0
/* Without a config, in a test: the defaults of conf.def. */
#define DEFAULT_EFFECTS 10000
#define DEFAULT_MESSAGE 16777216
#define DEFAULT_KEY 512

/* What belongs to the handler for a while. */
struct call_note {
	struct call_note *next;
	json_t *json;
	bool large; /* not of NOTE_BYTES */
	char bytes[];
};

/* Small ones are kept for the next call: most calls get by with a few. */
#define NOTE_BYTES 256
#define SPARE_NOTES 32
static struct call_note *spare_notes;
static unsigned spare_notes_n;

int
call_wrong(struct brood_call *call, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(call->why, sizeof(call->why), format, ap);
	va_end(ap);
	return -1;
}

const char *
brood_why(struct brood_call *call)
{
	return call->why;
}

/* Why there is no answer, or one that nobody wants. */
static int
call_not_answered(struct brood_call *call, enum msg_id id, enum msg_id got,
    const union msg *reply)
{
	if (got == MSG_FAIL && reply->FAIL.why.len > 0)
		return call_wrong(call, "%.*s", (int)reply->FAIL.why.len,
		    reply->FAIL.why.p);
	switch (call->code) {
	case HUB_OK:
		call->code = HUB_BAD;
		return call_wrong(call, "the hub answered %s with %s",
		    msg_name(id), msg_name(got));
	case HUB_TOO_LARGE:
		return call_wrong(call, "this is larger than hub.max_message");
	case HUB_GONE:
		return call_wrong(call, "the hub could not be reached in time");
	case HUB_TIMEOUT:
		return call_wrong(call, "the hub did not answer in time");
	default:
		return call_wrong(call, "the hub says %s",
		    hub_code_name(call->code));
	}
}

int
call_ask(struct brood_call *call, enum msg_id id, const void *msg,
    enum msg_id wanted, union msg *reply)
{
	struct hub_client *hub = call->child->hub;
	enum msg_id got;

	if (hub == NULL) {
		call->code = HUB_GONE;
		return call_wrong(call, "there is no hub in this process");
	}
	got = hub_ask(hub, id, msg, call->deadline_ns, reply, &call->code);
	if (got == wanted)
		return 0;
	return call_not_answered(call, id, got, reply);
}

int
call_effect(struct brood_call *call, enum msg_id id, const void *msg)
{
	const struct conf *conf = call->child->conf;
	size_t most = conf != NULL ? (size_t)conf->tasks.max_effects :
				     DEFAULT_EFFECTS;
	size_t bytes = conf != NULL ? conf->hub.max_message : DEFAULT_MESSAGE;
	struct call_result *result = call->result;

	if (call->child->hub == NULL)
		return call_wrong(call, "there is no hub in this process");
	if (result->effects_n >= most)
		return call_wrong(call,
		    "one call sends no more than %zu messages, jobs and "
		    "changes (tasks.max_effects)",
		    most);
	if (result->effects.max == 0)
		buf_init(&result->effects,
		    bytes > EFFECTS_OTHER_BYTES ? bytes - EFFECTS_OTHER_BYTES :
						  bytes);
	if (msg_encode(&result->effects, id, 0, msg) == -1)
		return call_wrong(call,
		    "what the call sends would be larger than %zu bytes "
		    "(hub.max_message)",
		    result->effects.max);
	result->effects_n++;
	return 0;
}

/* -------------------------------------------------- what the handler has */

static struct call_note *
call_note_add(struct call_note **notes, struct msg_bytes bytes)
{
	size_t size = sizeof(struct call_note) + bytes.len + 1;
	struct call_note *note;

	if (size > NOTE_BYTES) {
		note = mem_alloc(size);
	} else if ((note = spare_notes) != NULL) {
		spare_notes = note->next;
		spare_notes_n--;
	} else {
		note = mem_alloc(NOTE_BYTES);
	}
	note->json = NULL;
	note->large = size > NOTE_BYTES;
	if (bytes.len > 0)
		memcpy(note->bytes, bytes.p, bytes.len);
	note->bytes[bytes.len] = '\0';
	note->next = *notes;
	*notes = note;
	return note;
}

char *
call_remember(struct call_note **notes, struct msg_bytes bytes)
{
	return call_note_add(notes, bytes)->bytes;
}

void
call_forget(struct call_note **notes)
{
	struct call_note *note;

	while ((note = *notes) != NULL) {
		*notes = note->next;
		json_decref(note->json);
		if (note->large || spare_notes_n == SPARE_NOTES) {
			free(note);
			continue;
		}
		note->next = spare_notes;
		spare_notes = note;
		spare_notes_n++;
	}
}

void
call_value(struct call_note **notes, struct brood_value *value, unsigned kind,
    struct msg_bytes bytes, uint64_t version, int64_t ttl_ms)
{
	struct call_note *note = call_note_add(notes, bytes);

	if (kind == DATA_NUMBER)
		note->json = json_integer(strtoll(note->bytes, NULL, 10));
	else if (kind == DATA_JSON)
		note->json = json_loadb(note->bytes, bytes.len, JSON_DECODE_ANY,
		    NULL);
	*value = (struct brood_value){
		.json = note->json,
		.bytes = note->bytes,
		.len = bytes.len,
		.version = version,
		.ttl = ttl_ms < 0 ? -1.0 : (double)ttl_ms / 1000,
	};
}

/* ----------------------------------------------------------- what it gives */

static int
call_dump_bytes(const char *bytes, size_t len, void *ctx)
{
	return buf_append(ctx, bytes, len);
}

int
call_dump(struct brood_call *call, const json_t *json, struct msg_bytes *text)
{
	/* one call at a time: what a JSON is written to is used again */
	static struct buf buf;
	const struct conf *conf = call->child->conf;

	if (json == NULL)
		return call_wrong(call, "there is no JSON value");
	if (buf.size > DUMP_KEEP_BYTES)
		buf_release(&buf);
	buf_clear(&buf);
	buf.max = conf != NULL ? conf->hub.max_message : DEFAULT_MESSAGE;
	if (json_dump_callback(json, call_dump_bytes, &buf,
		JSON_COMPACT | JSON_ENCODE_ANY) == -1)
		return call_wrong(call,
		    "the value cannot be written as JSON, or is larger than "
		    "%zu bytes (hub.max_message)",
		    buf.max);
	*text = (struct msg_bytes){ buf.data, buf.len };
	return 0;
}

int
call_check_key(struct brood_call *call, const char *what, const char *key)
{
	const struct conf *conf = call->child->conf;
	size_t max = conf != NULL ? conf->hub.max_key : DEFAULT_KEY;

	if (key == NULL || key[0] == '\0')
		return call_wrong(call, "a %s must not be empty", what);
	if (strnlen(key, max + 1) > max)
		return call_wrong(call,
		    "a %s may have %zu bytes (hub.max_key); this one begins "
		    "%.32s",
		    what, max, key);
	return 0;
}

int64_t
call_ms(double seconds)
{
	if (!(seconds >= 0))
		return -1;
	return seconds < MOST_SECONDS ? (int64_t)ceil(seconds * 1000) :
					(int64_t)MOST_SECONDS * 1000;
}
