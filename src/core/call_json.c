/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_json - a client's bytes as JSON (RFC 8259), or a sentence that tells the
 * client what is wrong with them and where.
 *
 * The depth is checked by a scan of the text before the parser, which recurses,
 * sees any of it. Of members with the same name the last one counts, as most
 * parsers have it (RFC 8259 leaves it open). The escape \u0000 is refused: it
 * would cut a text short in every C string it lands in. Numbers that do not fit
 * are refused rather than bent.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "core/call_impl.h"

/*
 * Where the text opens one level too many, or NULL. Of a text that is not JSON
 * it may say anything: the parser has the last word on that.
 */
static const char *
json_too_deep(const char *p, size_t len, int max_depth)
{
	const char *end = p + len;
	int depth = 0;

	for (; p < end; p++) {
		switch (*p) {
		case '[':
		case '{':
			if (++depth > max_depth)
				return p;
			break;
		case ']':
		case '}':
			depth--;
			break;
		case '"':
			for (p++; p < end && *p != '"'; p++)
				if (*p == '\\')
					p++;
			break;
		}
	}
	return NULL;
}

static char *
json_say_too_deep(const char *body, const char *where, int max_depth)
{
	const char *p, *start = body;
	int line = 1;

	for (p = body; p < where; p++)
		if (*p == '\n') {
			line++;
			start = p + 1;
		}
	return mem_printf("the JSON is nested deeper than %d levels, at line "
			  "%d, column %zu",
	    max_depth, line, (size_t)(where - start) + 1);
}

json_t *
call_parse_json(const char *body, size_t len, int max_depth, char **problem)
{
	const char *where, *what;
	json_error_t error;
	json_t *json;

	*problem = NULL;
	if (len == 0) {
		*problem = mem_strdup("the body is empty where JSON is "
				      "expected");
		return NULL;
	}
	where = json_too_deep(body, len, max_depth);
	if (where != NULL) {
		*problem = json_say_too_deep(body, where, max_depth);
		return NULL;
	}
	json = json_loadb(body, len, JSON_DECODE_ANY, &error);
	if (json != NULL)
		return json;
	what = error.text;
	if (json_error_code(&error) == json_error_null_character)
		what = "the escape \\u0000 is not accepted";
	*problem = call_clean_text(mem_printf("the body is not valid JSON: "
					      "line %d, column %d: %s",
	    error.line, error.column, what));
	return NULL;
}

char *
call_clean_text(char *text)
{
	size_t len;

	for (char *p = text; *p != '\0';) {
		len = utf8_sequence(p, SIZE_MAX);
		if (len == 0 || (unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
		p += len != 0 ? len : 1;
	}
	return text;
}
