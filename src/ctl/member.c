/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * member - options that belong to single commands.
 *
 * Called by broodctl's parser. Here a value gets its type; whether it makes
 * sense is the hub's to say, which knows the limits.
 */
#include "ctl/member.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct member_info member_info[] = {
	{ "type", "TYPE", MEMBER_TEXT, "type", "call submit publish",
	    "the body's media type" },
	{ "delay", "SECONDS", MEMBER_SECONDS, "delay", "submit",
	    "begin this much later" },
	{ "priority", "N", MEMBER_INT, "priority", "submit publish",
	    "from 0 to 255, higher first" },
	{ "expires", "SECONDS", MEMBER_SECONDS, "expires", "submit",
	    "fail unless it has begun by then" },
	{ "unique", "KEY", MEMBER_TEXT, "unique", "submit",
	    "not while a job with this key waits or runs" },
	{ "max-attempts", "N", MEMBER_INT, "max_attempts", "submit",
	    "before it is dead" },
	{ "time-limit", "SECONDS", MEMBER_SECONDS, "time_limit", "submit",
	    "of one attempt" },
	{ "then", "HANDLER", MEMBER_TEXT, "then", "submit",
	    "submit its result to this handler" },
	{ "on-failure", "HANDLER", MEMBER_TEXT, "on_failure", "submit",
	    "submit the reason to this handler when it fails or is dead" },
	{ "ttl", "SECONDS", MEMBER_SECONDS, "ttl", "publish set",
	    "how long the message may wait, or the value lasts" },
	{ "mandatory", NULL, MEMBER_FLAG, "mandatory", "publish",
	    "fail when no queue takes it" },
	{ "reply-to", "QUEUE", MEMBER_TEXT, "reply_to", "publish",
	    "where the answer goes" },
	{ "correlation-id", "ID", MEMBER_TEXT, "correlation_id", "publish",
	    "what the answer is known by" },
	{ "headers", "JSON", MEMBER_JSON, "headers", "publish",
	    "headers of the message, an object of strings" },
	{ "if-absent", NULL, MEMBER_FLAG, "if_absent", "set",
	    "only where there is no value" },
	{ "if-version", "N", MEMBER_INT, "if_version", "set",
	    "only while the key has this version, 0 for none" },
	{ "yes", NULL, MEMBER_FLAG, "yes", "purge", "do not ask" },
	{ "limit", "N", MEMBER_INT, "limit", "jobs dead list",
	    "show at most so many" },
	{ "after", "KEY", MEMBER_TEXT, "after", "list",
	    "only keys behind this one" },
};
const size_t member_count = sizeof(member_info) / sizeof(member_info[0]);

static json_t *
member_value(const struct member_info *info, const char *text, struct why *why)
{
	json_error_t error;
	json_t *value = NULL;
	long long number;
	double seconds;
	char *end;

	errno = 0;
	switch (info->kind) {
	case MEMBER_FLAG:
		return json_true();
	case MEMBER_TEXT:
		value = json_string(text);
		if (value == NULL)
			why_set(why, "--%s: not UTF-8", info->name);
		return value;
	case MEMBER_INT:
		number = strtoll(text, &end, 10);
		if (errno == 0 && end != text && *end == '\0')
			return json_integer(number);
		why_set(why, "--%s %s: not a whole number", info->name, text);
		return NULL;
	case MEMBER_SECONDS:
		seconds = strtod(text, &end);
		if (errno == 0 && end != text && *end == '\0' &&
		    isfinite(seconds))
			return json_real(seconds);
		why_set(why, "--%s %s: not a number of seconds", info->name,
		    text);
		return NULL;
	case MEMBER_JSON:
		value = json_loads(text, JSON_DECODE_ANY, &error);
		if (value == NULL)
			why_set(why, "--%s: not JSON: %s, at character %d",
			    info->name, error.text, error.column);
		return value;
	}
	return NULL;
}

int
member_take(struct ctl *ctl, size_t i, const char *text, struct why *why)
{
	json_t *value = member_value(&member_info[i], text, why);

	if (value == NULL)
		return -1;
	if (ctl->members == NULL)
		ctl->members = json_object();
	json_object_set_new(ctl->members, member_info[i].member, value);
	return 0;
}

/* True when `name` is a word of `words`. */
static bool
member_has_word(const char *words, const char *name)
{
	size_t len = strlen(name), word;

	for (; *words != '\0'; words += word + (words[word] != '\0')) {
		word = strcspn(words, " ");
		if (word == len && strncmp(words, name, len) == 0)
			return true;
	}
	return false;
}

int
member_check(const struct ctl *ctl, struct why *why)
{
	for (size_t i = 0; i < member_count; i++)
		if (json_object_get(ctl->members, member_info[i].member) !=
			NULL &&
		    !member_has_word(member_info[i].commands, ctl->cmd->name))
			return why_set(why, "--%s is not for %s, but for: %s",
			    member_info[i].name, ctl->cmd->name,
			    member_info[i].commands);
	return 0;
}
