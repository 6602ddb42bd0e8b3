/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crunch - texts come in, lists of addresses go out.
 *
 * A document is published as it is, as text/plain; a list of what was found in
 * it as a JSON array. A long list leaves as several: a message should not grow
 * with whatever somebody uploads, and the collector changes a few keys for each
 * address in one step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "modules/cruncher/cruncher.h"
#include "modules/cruncher/find.h"

#define ADDRESSES_A_LIST 500
#define SLOW_STEPS 10

/* "application/json; charset=utf-8", "application/problem+json" … */
static bool
type_is_json(const char *type)
{
	size_t len;

	if (type == NULL)
		return false;
	len = strcspn(type, "; \t");
	if (len == strlen("application/json"))
		return strncasecmp(type, "application/json", len) == 0;
	return len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0;
}

/* The text of the call; NULL when it has none, with *outcome for the client. */
static const char *
text_of(struct brood_call *call, size_t *len, enum brood_outcome *outcome)
{
	const json_t *text;

	if (!type_is_json(brood_call_header(call, "Content-Type")))
		return brood_call_body(call, len);
	text = json_object_get(brood_call_json(call), "text");
	if (json_is_string(text)) {
		*len = json_string_length(text);
		return json_string_value(text);
	}
	*outcome = BROOD_REJECT;
	if (brood_call_json(call) != NULL)
		*outcome = brood_reject(call, 422,
		    "the member \"text\" is missing or no string");
	return NULL;
}

/* Its addresses, a new reference; NULL with *outcome. */
static json_t *
found_in_call(struct brood_call *call, enum brood_outcome *outcome)
{
	json_t *addresses;
	const char *text;
	size_t len;

	text = text_of(call, &len, outcome);
	if (text == NULL)
		return NULL;
	addresses = find_addresses(text, len);
	if (addresses == NULL)
		*outcome = brood_retry(call, 0, "the text cannot be searched");
	return addresses;
}

/* POST /addresses */
enum brood_outcome
cruncher_addresses(struct brood_call *call)
{
	enum brood_outcome outcome;
	json_t *found = found_in_call(call, &outcome);

	if (found == NULL)
		return outcome;
	return brood_reply(call, 200,
	    json_pack("{s:o, s:I}", "addresses", found, "count",
		(json_int_t)json_array_size(found)));
}

/* 0 to 255, 0 where none is wished for; -1: that is none. */
static int
priority_of_text(const char *text)
{
	char *end;
	long n;

	if (text == NULL)
		return 0;
	n = strtol(text, &end, 10);
	return end != text && *end == '\0' && n >= 0 && n <= 255 ? (int)n : -1;
}

int
cruncher_priority(struct brood_call *call)
{
	int n = priority_of_text(brood_call_property(call, "priority"));

	return n != -1 ? n : 0;
}

/* POST /upload?priority=N */
enum brood_outcome
cruncher_upload(struct brood_call *call)
{
	struct brood_message message = {
		.type = "text/plain",
		.mandatory = true,
		.priority = priority_of_text(
		    brood_call_query(call, "priority")),
	};
	struct brood_set with_success = { .on_success = true };
	enum brood_outcome outcome;
	const char *text;
	size_t len;

	text = text_of(call, &len, &outcome);
	if (text == NULL)
		return outcome;
	if (message.priority == -1)
		return brood_reject(call, 422, "a priority is 0 to 255");
	if (brood_publish_message(call, EXCHANGE_EMAILS, "", text, len,
		&message) == -1 ||
	    brood_incr(call, KEY_COUNT "documents", 1, &with_success, NULL) ==
		-1)
		return cruncher_failed(call);
	return brood_reply(call, 202,
	    json_pack("{s:I}", "bytes", (json_int_t)len));
}

/* Publishes found[from] and what follows it, as one list. */
static int
publish_list(struct brood_call *call, const json_t *found, size_t from)
{
	struct brood_message message = {
		.type = "application/json",
		.mandatory = true,
		.priority = cruncher_priority(call),
	};
	json_t *list = json_array();
	size_t i, end = from + ADDRESSES_A_LIST;
	char *text;
	int rc = -1;

	if (end > json_array_size(found))
		end = json_array_size(found);
	for (i = from; i < end; i++)
		json_array_append(list, json_array_get(found, i));
	text = json_dumps(list, JSON_COMPACT);
	if (text != NULL)
		rc = brood_publish_message(call, "", QUEUE_STATUS, text,
		    strlen(text), &message);
	free(text);
	json_decref(list);
	return rc;
}

/* The reply is for whom has asked with a job; the crunchers' messages have
 * nobody to reply to. */
static enum brood_outcome
crunch(struct brood_call *call, const char *counter)
{
	struct brood_set with_success = { .on_success = true };
	enum brood_outcome outcome;
	json_t *found = found_in_call(call, &outcome);
	size_t i, n;
	int rc = 0;

	if (found == NULL)
		return outcome;
	n = json_array_size(found);
	for (i = 0; i < n && rc != -1; i += ADDRESSES_A_LIST)
		rc = publish_list(call, found, i);
	json_decref(found);
	if (rc == -1 || brood_incr(call, counter, 1, &with_success, NULL) == -1)
		return cruncher_failed(call);
	return brood_reply(call, 200,
	    json_pack("{s:I}", "found", (json_int_t)n));
}

/* A document of the queue regex-cruncher. */
enum brood_outcome
cruncher_regex(struct brood_call *call)
{
	return crunch(call, KEY_COUNT "regex");
}

/* The same of the queue slow-cruncher. */
enum brood_outcome
cruncher_slow(struct brood_call *call)
{
	int step;

	for (step = 0; step < SLOW_STEPS; step++) {
		brood_progress(call, (double)step / SLOW_STEPS,
		    "reading slowly");
		if (brood_wait(call,
			cruncher_settings.slow_seconds / SLOW_STEPS,
			NULL) == BROOD_WAKE_STOP)
			return BROOD_RETRY;
	}
	return crunch(call, KEY_COUNT "slow");
}

/*
 * The text as JSON wants it. What is not ASCII is in no address, so what stands
 * there instead makes no difference.
 */
static json_t *
json_of_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	json_t *value;
	size_t i;

	if (copy == NULL)
		return NULL;
	for (i = 0; i < len; i++)
		copy[i] = text[i] > 0 && text[i] < 0x7f ? text[i] : ' ';
	value = json_pack("{s:s%}", "text", copy, len);
	free(copy);
	return value;
}

/*
 * POST /count: asks whoever takes the queue `count`, and passes the answer on.
 * It waits in a task worker (mode "wait"), and so do not more of them at a time
 * than leave workers to answer (tasks.limits).
 */
enum brood_outcome
cruncher_count(struct brood_call *call)
{
	struct brood_answer answer;
	enum brood_outcome outcome;
	const char *text;
	json_t *question;
	size_t len;
	int rc;

	text = text_of(call, &len, &outcome);
	if (text == NULL)
		return outcome;
	question = json_of_text(text, len);
	rc = brood_request(call, "", QUEUE_COUNT, question,
	    brood_call_remaining(call), &answer);
	json_decref(question);
	if (rc == -1)
		return cruncher_failed(call);
	if (rc == 0)
		return brood_retry(call, 0, "nobody has counted in time");
	return brood_reply_bytes(call, answer.status, answer.type, answer.body,
	    answer.len);
}

/* A text of the queue `count`; the reply goes where reply_to says. */
enum brood_outcome
cruncher_counter(struct brood_call *call)
{
	enum brood_outcome outcome;
	json_t *found = found_in_call(call, &outcome);
	size_t n;

	if (found == NULL)
		return outcome;
	n = json_array_size(found);
	json_decref(found);
	return brood_reply(call, 200,
	    json_pack("{s:I}", "count", (json_int_t)n));
}
