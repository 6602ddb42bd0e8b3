/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_value - one value of the config, by the row that describes it.
 *
 * The only place that knows what a type of conf.def means: which JSON values
 * fit, what its bounds are bounds of, what else has to hold. (How a value lies
 * in memory is conf.c's, how it is written conf_print.c's.) The reasons given
 * follow the key's name: "'rest.backlog' " and "is 0, but must be …".
 */
#include "core/conf_table.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* What somebody wrote, in words and short. */
static const char *
describe(const json_t *value, char buf[96])
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "a group";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		snprintf(buf, 96, "the text \"%.60s\"%s",
		    json_string_value(value),
		    json_string_length(value) > 60 ? "…" : "");
		return buf;
	case JSON_INTEGER:
		snprintf(buf, 96, "the number %" JSON_INTEGER_FORMAT,
		    json_integer_value(value));
		return buf;
	case JSON_REAL:
		snprintf(buf, 96, "the number %.9g", json_real_value(value));
		return buf;
	default:
		return json_is_true(value) ? "true" : "false";
	}
}

static int
wrong_type(const json_t *value, const char *wanted, struct why *why)
{
	char buf[96];

	return why_set(why, "is %s, but must be %s", describe(value, buf),
	    wanted);
}

/* How a number of this row is written in a message. */
static const char *
format_number(const struct conf_row *row, double value, char buf[64])
{
	if (strcmp(row->unit, "mode") == 0)
		snprintf(buf, 64, "%#llo", (long long)value);
	else if (row->type == CONF_SECONDS)
		snprintf(buf, 64, "%.9g", value);
	else
		snprintf(buf, 64, "%.0f", value);
	return buf;
}

static bool
in_bounds(const struct conf_row *row, double value)
{
	return (row->min == 0 && row->max == 0) ||
	    (value >= row->min && value <= row->max);
}

static int
check_number(const struct conf_row *row, double value, struct why *why)
{
	char is[64], min[64], max[64];

	if (in_bounds(row, value))
		return 0;
	return why_set(why, "is %s, but must be from %s to %s%s%s",
	    format_number(row, value, is), format_number(row, row->min, min),
	    format_number(row, row->max, max), row->unit[0] != '\0' ? " " : "",
	    strcmp(row->unit, "mode") == 0 ? "(octal)" : row->unit);
}

static int
set_int(const struct conf_row *row, const json_t *value, int *member,
    struct why *why)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value))
		return wrong_type(value, "a whole number", why);
	if (check_number(row, (double)n, why) < 0)
		return -1;
	if (n < INT_MIN || n > INT_MAX)
		return why_set(why, "is beyond what a number here can hold");
	*member = (int)n;
	return 0;
}

/* "64k", "1M", "2G"; the letter's case does not matter. */
static int
parse_size(const char *text, json_int_t *size)
{
	static const char units[] = "kmg";
	const char *unit;
	char *end;
	long long n;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0)
		return -1;
	if (*end != '\0') {
		unit = strchr(units, tolower((unsigned char)*end));
		if (unit == NULL || end[1] != '\0')
			return -1;
		for (const char *u = units; u <= unit; u++)
			if (__builtin_mul_overflow(n, 1024, &n))
				return -1;
	}
	*size = n;
	return 0;
}

static int
set_size(const struct conf_row *row, const json_t *value, size_t *member,
    struct why *why)
{
	json_int_t n = json_integer_value(value);

	if (json_is_string(value) &&
	    parse_size(json_string_value(value), &n) < 0)
		return wrong_type(value,
		    "a number of bytes, or one in quotes with k, M or G, "
		    "\"64k\" say",
		    why);
	if (!json_is_integer(value) && !json_is_string(value))
		return wrong_type(value, "a whole number of bytes", why);
	if (check_number(row, (double)n, why) < 0)
		return -1;
	if (n < 0)
		return why_set(why, "is negative");
	*member = (size_t)n;
	return 0;
}

static int
set_seconds(const struct conf_row *row, const json_t *value, int64_t *member,
    struct why *why)
{
	if (!json_is_number(value))
		return wrong_type(value, "a number of seconds, 30.0 say", why);
	if (check_number(row, json_number_value(value), why) < 0)
		return -1;
	*member = clock_from_seconds(json_number_value(value));
	return 0;
}

/* The index of a word of "one|two|three", or -1. */
static int
find_choice(const char *words, const char *word)
{
	size_t len = strlen(word), n;

	for (int i = 0;; i++) {
		n = strcspn(words, "|");
		if (n == len && memcmp(words, word, n) == 0)
			return i;
		if (words[n] == '\0')
			return -1;
		words += n + 1;
	}
}

static int
set_choice(const struct conf_row *row, const json_t *value, int *member,
    struct why *why)
{
	char *words = mem_strdup(row->unit), *save, *word;
	const char *name[32], *near;
	size_t n = 0;
	int rc = 0;

	if (!json_is_string(value)) {
		rc = wrong_type(value, "one of the texts", why);
		goto out;
	}
	*member = find_choice(row->unit, json_string_value(value));
	if (*member >= 0)
		goto out;
	for (word = strtok_r(words, "|", &save); word != NULL && n < 32;
	     word = strtok_r(NULL, "|", &save))
		name[n++] = word;
	near = conf_nearest(json_string_value(value), name, n);
	if (near != NULL)
		rc = why_set(why,
		    "is \"%.60s\", but must be one of %s; did you mean \"%s\"?",
		    json_string_value(value), row->unit, near);
	else
		rc = why_set(why, "is \"%.60s\", but must be one of %s",
		    json_string_value(value), row->unit);
out:
	free(words);
	return rc;
}

static int
check_length(const struct conf_row *row, size_t len, struct why *why)
{
	if (in_bounds(row, (double)len))
		return 0;
	if (len == 0)
		return why_set(why, "is empty; give it a value");
	return why_set(why, "has %zu characters, but must have from %s to %s",
	    len, row->min_text, row->max_text);
}

/* Checks what no text of the config may hold, a newline say. */
static int
check_plain(const char *text, struct why *why)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return why_set(why,
			    "has a control character in it (0x%02x)",
			    (unsigned char)*text);
	return 0;
}

static int
check_syntax(const struct conf_row *row, const char *text, struct why *why)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t module, handler;

	if (row->type == CONF_NAME && text[strspn(text, name)] != '\0')
		return why_set(why,
		    "is \"%.60s\", but may only have letters, digits, '_' and "
		    "'-'",
		    text);
	if (row->type == CONF_HANDLER && text[0] != '\0') {
		module = strspn(text, name);
		handler = text[module] == '.' ?
		    strspn(text + module + 1, name) :
		    0;
		if (module == 0 || handler == 0 ||
		    text[module + 1 + handler] != '\0')
			return why_set(why,
			    "is \"%.60s\", but must be MODULE.HANDLER, "
			    "\"hello.greet\" say",
			    text);
	}
	return 0;
}

char *
conf_absolute(const char *folder, const char *path)
{
	if (path[0] == '/')
		return mem_strdup(path);
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	return mem_printf("%s/%s", folder, path);
}

static int
set_text(const struct conf_row *row, const json_t *value, const char *folder,
    char **member, struct why *why)
{
	const char *text = json_string_value(value);
	bool relative;
	char *full;

	if (text == NULL)
		return wrong_type(value, "a text in quotes", why);
	relative = text[0] != '\0' &&
	    (row->type == CONF_PATH ||
		(row->type == CONF_MODULE && strchr(text, '/') != NULL));
	full = relative ? conf_absolute(folder, text) : mem_strdup(text);
	if (check_length(row, strlen(full), why) < 0 ||
	    check_plain(full, why) < 0 || check_syntax(row, full, why) < 0) {
		free(full);
		return -1;
	}
	*member = full;
	return 0;
}

/* A lone text is a list of one. */
static const char *
string_at(const json_t *value, size_t i)
{
	return json_string_value(
	    json_is_string(value) ? value : json_array_get(value, i));
}

static int
set_strings(const struct conf_row *row, const json_t *value,
    struct conf_strings *member, struct why *why)
{
	size_t n = json_is_string(value) ? 1 : json_array_size(value);
	const char *text;

	if (!json_is_array(value) && !json_is_string(value))
		return wrong_type(value, "a list of texts, [ \"…\", \"…\" ]",
		    why);
	if (!in_bounds(row, (double)n))
		return why_set(why, "has %zu %s, but must have from %s to %s",
		    n, row->unit, row->min_text, row->max_text);
	memset(member, 0, sizeof(*member));
	member->v = mem_array(n + 1, sizeof(char *));
	for (; member->n < n; member->n++) {
		text = string_at(value, member->n);
		if (text == NULL)
			wrong_type(json_array_get(value, member->n),
			    "a list of nothing but texts in quotes", why);
		if (text == NULL || check_plain(text, why) < 0) {
			conf_value_release(row, member);
			return -1;
		}
		member->v[member->n] = mem_strdup(text);
	}
	return 0;
}

int
conf_value_set(const struct conf_row *row, const json_t *value,
    const char *folder, void *member, struct why *why)
{
	switch (row->type) {
	case CONF_INT:
		return set_int(row, value, member, why);
	case CONF_SIZE:
		return set_size(row, value, member, why);
	case CONF_SECONDS:
		return set_seconds(row, value, member, why);
	case CONF_CHOICE:
		return set_choice(row, value, member, why);
	case CONF_STRINGS:
		return set_strings(row, value, member, why);
	case CONF_BOOL:
		if (!json_is_boolean(value))
			return wrong_type(value, "true or false", why);
		*(bool *)member = json_is_true(value);
		return 0;
	case CONF_SETTINGS:
		if (!json_is_object(value))
			return wrong_type(value, "a group, { … }", why);
		*(json_t **)member = json_incref((json_t *)(uintptr_t)value);
		return 0;
	case CONF_BINDS:
		/* item by item, by conf_load: the lines count there */
		return wrong_type(value, "a list of groups, ( { … }, { … } )",
		    why);
	default:
		return set_text(row, value, folder, member, why);
	}
}
