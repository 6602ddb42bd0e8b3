/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prefer - parses the Prefer header field.
 *
 *   Prefer = preference *( "," preference )
 *   preference = token [ "=" word ] *( ";" [ parameter ] )
 *
 * Called by head for each such field. Blanks may stand around "=", ";" and ",",
 * and a quoted word may have commas in it; so a list is walked once, byte by
 * byte. Parameters are skipped, as neither preference has any.
 */
#include "rest/prefer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct word {
	const char *at;
	size_t len;
	bool quoted, broken;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
skip_blanks(const char *at, const char *end)
{
	while (at < end && is_blank(*at))
		at++;
	return at;
}

/* Up to one of `stops`, quotes respected: where it ends, blanks trimmed. */
static const char *
take_word(const char *at, const char *end, const char *stops, struct word *word)
{
	at = skip_blanks(at, end);
	*word = (struct word){ .at = at };
	if (at < end && *at == '"') {
		word->quoted = true;
		for (word->at = ++at; at < end && *at != '"'; at++)
			if (*at == '\\' && at + 1 < end)
				at++;
		word->broken = at >= end;
		word->len = (size_t)(at - word->at);
		at = skip_blanks(at < end ? at + 1 : end, end);
	}
	while (at < end && strchr(stops, *at) == NULL) {
		word->broken |= word->quoted || *at == '"';
		at++;
	}
	if (!word->quoted) {
		word->len = (size_t)(at - word->at);
		while (word->len > 0 && is_blank(word->at[word->len - 1]))
			word->len--;
	}
	return at;
}

static bool
word_is(const struct word *word, const char *text)
{
	return !word->broken && !word->quoted && word->len == strlen(text) &&
	    strncasecmp(word->at, text, word->len) == 0;
}

/* delta-seconds: digits only. */
static bool
word_seconds(const struct word *word, uint32_t *seconds)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < word->len; i++) {
		if (word->at[i] < '0' || word->at[i] > '9')
			return false;
		sum = sum * 10 + (uint64_t)(word->at[i] - '0');
		if (sum > PREFER_WAIT_MAX)
			sum = PREFER_WAIT_MAX;
	}
	*seconds = (uint32_t)sum;
	return word->len > 0 && !word->broken;
}

static void
prefer_take(struct prefer *prefer, const struct word *name,
    const struct word *value)
{
	if (word_is(name, "respond-async") && !prefer->saw_respond_async) {
		prefer->saw_respond_async = true;
		/* an empty value is the same as none (RFC 7240, 2) */
		prefer->respond_async = value->len == 0 && !value->broken;
	} else if (word_is(name, "wait") && !prefer->saw_wait) {
		prefer->saw_wait = true;
		prefer->wait = word_seconds(value, &prefer->wait_s);
	}
}

void
prefer_parse(struct prefer *prefer, const char *value, size_t len)
{
	const char *at = value, *end = value + len;
	struct word name, word, parameter;

	while (at < end) {
		word = (struct word){ .at = end };
		at = take_word(at, end, "=;,", &name);
		if (at < end && *at == '=')
			at = take_word(at + 1, end, ";,", &word);
		while (at < end && *at == ';') {
			at = take_word(at + 1, end, "=;,", &parameter);
			if (at < end && *at == '=')
				at = take_word(at + 1, end, ";,", &parameter);
		}
		prefer_take(prefer, &name, &word);
		at++;
	}
}

const char *
prefer_format(const struct prefer *prefer, char buf[PREFER_SIZE])
{
	char wait[24] = "";

	if (!prefer->respond_async && !prefer->wait)
		return NULL;
	if (prefer->wait)
		snprintf(wait, sizeof(wait), "wait=%u",
		    (unsigned)prefer->wait_s);
	snprintf(buf, PREFER_SIZE, "%s%s%s",
	    prefer->respond_async ? "respond-async" : "",
	    prefer->respond_async && prefer->wait ? ", " : "", wait);
	return buf;
}
