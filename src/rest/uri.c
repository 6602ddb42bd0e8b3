/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uri - takes request targets, queries and cookies apart.
 *
 * Called once per request by exchange and route, before anything else sees the
 * text; after that a decoded name or value is known to be UTF-8 without control
 * bytes. RFC 3986 (targets), the URL standard's form encoding (queries), RFC
 * 6265 (cookies). Allocates nothing.
 */
#include "rest/uri.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/utf8.h"

static bool
is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* UTF-8 without control bytes. */
static bool
is_text(const char *text, size_t len)
{
	size_t i, n;

	for (i = 0; i < len; i += n) {
		if (is_control((unsigned char)text[i]))
			return false;
		n = utf8_sequence(text + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

ssize_t
uri_decode(char *dst, const char *src, size_t len, bool plus)
{
	char *out = dst;
	size_t i;
	int high, low;

	for (i = 0; i < len; i++) {
		if (src[i] == '%') {
			if (len - i < 3)
				return -1;
			high = hex_digit(src[i + 1]);
			low = hex_digit(src[i + 2]);
			if (high < 0 || low < 0)
				return -1;
			*out++ = (char)(high << 4 | low);
			i += 2;
		} else {
			*out++ = src[i] == '+' && plus ? ' ' : src[i];
		}
	}
	*out = '\0';
	return is_text(dst, (size_t)(out - dst)) ? out - dst : -1;
}

bool
uri_path_ok(const char *path, bool *encoded)
{
	const unsigned char *p = (const unsigned char *)path;
	bool foreign = false;

	*encoded = false;
	for (; *p != '\0'; p++) {
		if (*p <= ' ' || *p == 0x7f)
			return false;
		if (*p == '%')
			*encoded = true;
		else if (*p >= 0x80)
			foreign = true;
	}
	return !foreign || is_text(path, strlen(path));
}

const char *
uri_target_path(const char *target)
{
	const char *path;

	if (target[0] == '/' || strcmp(target, "*") == 0)
		return target;
	if (strncasecmp(target, "http://", 7) == 0)
		target += 7;
	else if (strncasecmp(target, "https://", 8) == 0)
		target += 8;
	else
		return NULL;
	if (*target == '\0' || *target == '/')
		return NULL;
	path = strchr(target, '/');
	return path != NULL ? path : "/";
}

ssize_t
query_decode(char *dst, const char *src, size_t len)
{
	const char *end = src + len, *stop, *equals;
	char *out = dst;
	ssize_t n;

	for (; src < end; src = stop + 1) {
		stop = memchr(src, '&', (size_t)(end - src));
		if (stop == NULL)
			stop = end;
		if (stop == src)
			continue;
		equals = memchr(src, '=', (size_t)(stop - src));
		if (equals == NULL)
			equals = stop;
		n = uri_decode(out, src, (size_t)(equals - src), true);
		if (n == -1)
			return -1;
		out += n + 1;
		if (equals < stop)
			equals++;
		n = uri_decode(out, equals, (size_t)(stop - equals), true);
		if (n == -1)
			return -1;
		out += n + 1;
	}
	return out - dst;
}

const char *
query_find(const char *query, size_t len, const char *name)
{
	const char *end = query + len, *value;

	while (query < end) {
		value = query + strlen(query) + 1;
		if (strcmp(query, name) == 0)
			return value;
		query = value + strlen(value) + 1;
	}
	return NULL;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool
cookie_next(const char **header, struct cookie *cookie)
{
	const char *at = *header, *equals;
	size_t n;

	for (;; at += n) {
		at += strspn(at, " \t;");
		if (*at == '\0')
			return false;
		n = strcspn(at, ";");
		equals = memchr(at, '=', n);
		if (equals != NULL && equals > at)
			break;
	}
	*header = at + n;
	cookie->name = at;
	cookie->name_len = (size_t)(equals - at);
	cookie->value = equals + 1;
	cookie->value_len = n - cookie->name_len - 1;
	while (cookie->value_len > 0 &&
	    is_blank(cookie->value[cookie->value_len - 1]))
		cookie->value_len--;
	return true;
}

const char *
cookie_find(const char *header, const char *name, size_t *len)
{
	size_t name_len = strlen(name);
	struct cookie cookie;

	while (cookie_next(&header, &cookie)) {
		if (cookie.name_len == name_len &&
		    memcmp(cookie.name, name, name_len) == 0) {
			*len = cookie.value_len;
			return cookie.value;
		}
	}
	return NULL;
}
