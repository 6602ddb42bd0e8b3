/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_text - writes values in the syntax of the config file.
 *
 * For broodd -T, whose output has to load again and mean the same, and for
 * messages. Secrets are left out: a member of `settings` whose name says that
 * it is one, and the password in a URL. What is left in their place is a text,
 * so the file still loads.
 */
#include "core/conf_table.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define HIDDEN "***"

/* Octets above 0x7f are UTF-8, checked when they were read. */
static void
print_bytes(const char *text, size_t len, FILE *out)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		switch (c) {
		case '"':
		case '\\':
			fprintf(out, "\\%c", c);
			break;
		case '\n':
			fputs("\\n", out);
			break;
		case '\r':
			fputs("\\r", out);
			break;
		case '\t':
			fputs("\\t", out);
			break;
		default:
			if (c < 0x20 || c == 0x7f)
				fprintf(out, "\\x%02x", c);
			else
				putc(c, out);
		}
	}
}

/* The password in "scheme://user:password@host", or NULL. */
static const char *
url_password(const char *text, size_t *len)
{
	const char *authority = strstr(text, "://");
	const char *at, *colon;

	if (authority == NULL)
		return NULL;
	authority += 3;
	*len = strcspn(authority, "/?#");
	at = memrchr(authority, '@', *len);
	if (at == NULL)
		return NULL;
	colon = memchr(authority, ':', (size_t)(at - authority));
	if (colon == NULL)
		return NULL;
	*len = (size_t)(at - colon - 1);
	return colon + 1;
}

void
conf_text_print(const char *text, FILE *out)
{
	size_t len;
	const char *password = url_password(text, &len);

	putc('"', out);
	if (password != NULL) {
		print_bytes(text, (size_t)(password - text), out);
		fputs(HIDDEN, out);
		text = password + len;
	}
	print_bytes(text, strlen(text), out);
	putc('"', out);
}

void
conf_text_print_real(double value, FILE *out)
{
	char text[64];
	int precision;

	for (precision = 1; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*g", precision, value);
		if (strtod(text, NULL) == value)
			break;
	}
	/* plain notation where it is short: 3600.0 rather than 4e+03 */
	if (value == 0 || (fabs(value) < 1e15 && fabs(value) >= 1e-6)) {
		for (precision = 1; precision < 24; precision++) {
			snprintf(text, sizeof(text), "%.*f", precision, value);
			if (strtod(text, NULL) == value)
				break;
		}
		fputs(text, out);
		return;
	}
	snprintf(text, sizeof(text), "%.*g", precision, value);
	/* libconfig wants a point before an exponent */
	if (strchr(text, '.') == NULL) {
		size_t digits = strcspn(text, "e");

		fprintf(out, "%.*s.0%s", (int)digits, text, text + digits);
	} else
		fputs(text, out);
}

static bool
is_secret(const char *key)
{
	static const char *const word[] = {
		"password",
		"passwd",
		"passphrase",
		"secret",
		"token",
		"credential",
		"private_key",
		"api_key",
		"apikey",
	};

	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (strcasestr(key, word[i]) != NULL)
			return true;
	return false;
}

static void
print_object(const json_t *object, FILE *out)
{
	const char *key;
	json_t *value;

	fputs("{ ", out);
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		fprintf(out, "%s = ", key);
		if (is_secret(key))
			fputs("\"" HIDDEN "\"", out);
		else
			conf_text_print_json(value, out);
		fputs("; ", out);
	}
	putc('}', out);
}

void
conf_text_print_json(const json_t *value, FILE *out)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		print_object(value, out);
		break;
	case JSON_ARRAY:
		/* a libconfig array holds one type of scalars, a list any */
		fputs("( ", out);
		for (size_t i = 0; i < json_array_size(value); i++) {
			if (i > 0)
				fputs(", ", out);
			conf_text_print_json(json_array_get(value, i), out);
		}
		fputs(json_array_size(value) > 0 ? " )" : ")", out);
		break;
	case JSON_STRING:
		conf_text_print(json_string_value(value), out);
		break;
	case JSON_INTEGER:
		fprintf(out, "%" JSON_INTEGER_FORMAT,
		    json_integer_value(value));
		break;
	case JSON_REAL:
		conf_text_print_real(json_real_value(value), out);
		break;
	default:
		fputs(json_is_true(value) ? "true" : "false", out);
	}
}
