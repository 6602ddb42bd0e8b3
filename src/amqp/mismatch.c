/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mismatch - what the broker says when it refuses a thing, in words that help.
 *
 * Called by topology.c. RabbitMQ's texts are not an interface, so what is not
 * understood is passed on as it stands: a sentence more, never one less.
 */
#include "amqp/mismatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/why.h"

#define VALUE_SIZE 256

/* The key of the config that an argument comes from, and how its value is
 * written there. */
enum mismatch_form { FORM_PLAIN, FORM_TEXT, FORM_SECONDS, FORM_OVERFLOW };
static const struct mismatch_key {
	enum mismatch_of of;
	const char *argument, *key;
	enum mismatch_form form;
} mismatch_keys[] = {
	{ MISMATCH_QUEUE, "x-max-priority", "max_priority", FORM_PLAIN },
	{ MISMATCH_QUEUE, "x-message-ttl", "ttl", FORM_SECONDS },
	{ MISMATCH_QUEUE, "x-max-length", "max_length", FORM_PLAIN },
	{ MISMATCH_QUEUE, "x-overflow", "overflow", FORM_OVERFLOW },
	{ MISMATCH_QUEUE, "x-dead-letter-exchange", "dead_letter_exchange",
	    FORM_TEXT },
	{ MISMATCH_QUEUE, "x-dead-letter-routing-key", "dead_letter_key",
	    FORM_TEXT },
	{ MISMATCH_QUEUE, "x-queue-type", "type", FORM_TEXT },
	{ MISMATCH_EXCHANGE, "type", "type", FORM_TEXT },
	{ MISMATCH_EXCHANGE, "durable", "durable", FORM_PLAIN },
	{ MISMATCH_EXCHANGE, "auto_delete", "auto_delete", FORM_PLAIN },
};

struct mismatch {
	char argument[VALUE_SIZE];
	char ours[VALUE_SIZE], theirs[VALUE_SIZE];
	bool we_have, they_have;
};

static const struct mismatch_key *
mismatch_key_find(enum mismatch_of of, const char *argument)
{
	for (size_t i = 0; i < sizeof(mismatch_keys) / sizeof(*mismatch_keys);
	     i++)
		if (mismatch_keys[i].of == of &&
		    strcmp(mismatch_keys[i].argument, argument) == 0)
			return &mismatch_keys[i];
	return NULL;
}

/* What is between the next two quotes that follow `before`; a name may have
 * quotes of its own, so the end is known by what follows. False: it is not
 * there. */
static bool
mismatch_cut(const char **at, const char *before, const char *behind,
    char value[VALUE_SIZE])
{
	const char *from = strstr(*at, before), *to;

	if (from == NULL)
		return false;
	from += strlen(before);
	to = strstr(from, behind);
	if (to == NULL || to - from >= VALUE_SIZE)
		return false;
	snprintf(value, VALUE_SIZE, "%.*s", (int)(to - from), from);
	*at = to + strlen(behind);
	return true;
}

/* "none", "the value 'V' of type 'T'", "'V'": at *at, and behind it. */
static bool
mismatch_value(const char **at, const char *behind, bool *has,
    char value[VALUE_SIZE])
{
	static const char *const typed = "the value '", *const bare = "'";
	char end[64];

	value[0] = '\0';
	*has = strncmp(*at, "none", 4) != 0;
	if (!*has) {
		*at += 4;
		return true;
	}
	if (strncmp(*at, typed, strlen(typed)) == 0)
		return mismatch_cut(at, typed, "' of type '", value);
	snprintf(end, sizeof(end), "'%s", behind);
	return strncmp(*at, bare, 1) == 0 &&
	    mismatch_cut(at, bare, behind[0] != '\0' ? end : "'", value);
}

static bool
mismatch_parse(const char *text, struct mismatch *mismatch)
{
	const char *at = text;

	if (!mismatch_cut(&at, "inequivalent arg '", "' for ",
		mismatch->argument))
		return false;
	at = strstr(at, ": received ");
	if (at == NULL)
		return false;
	at += strlen(": received ");
	if (!mismatch_value(&at, " but", &mismatch->we_have, mismatch->ours))
		return false;
	at = strstr(at, "current is ");
	if (at == NULL)
		return false;
	at += strlen("current is ");
	return mismatch_value(&at, "", &mismatch->they_have, mismatch->theirs);
}

/* As one writes it in the config. */
static void
mismatch_written(enum mismatch_form form, const char *value, char *out,
    size_t size)
{
	switch (form) {
	case FORM_TEXT:
		snprintf(out, size, "\"%s\"", value);
		break;
	case FORM_SECONDS:
		snprintf(out, size, "%.9g", strtod(value, NULL) / 1000);
		break;
	case FORM_OVERFLOW:
		snprintf(out, size, "\"%s\"",
		    strcmp(value, "drop-head") == 0 ? value : "reject");
		break;
	default:
		mem_copy_string(out, size, value);
	}
}

static const char *
mismatch_noun(const struct mismatch_thing *thing)
{
	return thing->of == MISMATCH_EXCHANGE ? "exchange" : "queue";
}

/* "with x-max-priority 10" */
static void
mismatch_has(const struct mismatch *mismatch, char *out, size_t size)
{
	if (mismatch->they_have)
		snprintf(out, size, "with %s %s", mismatch->argument,
		    mismatch->theirs);
	else
		snprintf(out, size, "without %s", mismatch->argument);
}

static void
mismatch_wants(const struct mismatch *mismatch, char *out, size_t size)
{
	if (!mismatch->we_have)
		mem_copy_string(out, size, "none");
	else if (mismatch->ours[0] == '\0')
		mem_copy_string(out, size, "\"\"");
	else
		mem_copy_string(out, size, mismatch->ours);
}

/* How the config would have to be to fit, ", or " behind it; "" when it
 * cannot. */
static void
mismatch_set(const struct mismatch_thing *thing,
    const struct mismatch *mismatch, const struct mismatch_key *key, char *out,
    size_t size)
{
	char value[VALUE_SIZE + 2];

	out[0] = '\0';
	if (key != NULL && mismatch->they_have) {
		mismatch_written(key->form, mismatch->theirs, value,
		    sizeof(value));
		snprintf(out, size, "set %s = %s, or ", key->key, value);
	} else if (key == NULL && mismatch->they_have) {
		snprintf(out, size, "set it in arguments, or ");
	} else if (thing->of == MISMATCH_QUEUE) {
		snprintf(out, size, "set plain = true, or ");
	}
}

static void
mismatch_advise(const struct mismatch_thing *thing,
    const struct mismatch *mismatch, struct why *why)
{
	const struct mismatch_key *key = mismatch_key_find(thing->of,
	    mismatch->argument);
	const char *noun = mismatch_noun(thing);
	const char *once = thing->of == MISMATCH_QUEUE ? " once it is empty" :
							 "";
	bool ours = key == NULL && strncmp(mismatch->argument, "x-", 2) != 0;
	char has[2 * VALUE_SIZE + 16], wants[VALUE_SIZE];
	char set[VALUE_SIZE + 64];

	mismatch_has(mismatch, has, sizeof(has));
	mismatch_wants(mismatch, wants, sizeof(wants));
	mismatch_set(thing, mismatch, key, set, sizeof(set));
	if (thing->of == MISMATCH_BESIDE)
		why_set(why,
		    "queue \"%s\": the broker has it %s, and we need %s; "
		    "delete the queue on the broker, it is made anew",
		    thing->name, has, wants);
	else if (ours)
		why_set(why,
		    "%s \"%s\": the broker has it %s, and we need %s; delete "
		    "the %s on the broker%s, or set passive = true",
		    noun, thing->name, has, wants, noun, once);
	else
		why_set(why,
		    "%s \"%s\": the broker has it %s, and the config wants %s "
		    "(%s); %sdelete the %s on the broker%s, or set passive = "
		    "true",
		    noun, thing->name, has, wants,
		    key != NULL ? key->key : "arguments", set, noun, once);
}

void
mismatch_explain(const struct mismatch_thing *thing, unsigned code,
    const char *text, struct why *why)
{
	struct mismatch mismatch;
	const char *noun = mismatch_noun(thing);

	if (code == 406 && mismatch_parse(text, &mismatch)) {
		mismatch_advise(thing, &mismatch, why);
	} else if (code == 404 && thing->passive) {
		why_set(why,
		    "%s \"%s\" is not on the broker, and passive = true leaves "
		    "it to somebody else to declare it",
		    noun, thing->name);
	} else if (code == 404) {
		why_set(why, "%s \"%s\": not found on the broker (%s)", noun,
		    thing->name, text);
	} else if (code == 403) {
		why_set(why,
		    "%s \"%s\": the broker's permissions forbid it to our user "
		    "(%s)",
		    noun, thing->name, text);
	} else if (code == 405) {
		why_set(why,
		    "%s \"%s\": another connection has it for itself "
		    "(exclusive)",
		    noun, thing->name);
	} else {
		why_set(why, "%s \"%s\": %s", noun, thing->name, text);
	}
}
