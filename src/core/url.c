/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * url - takes a broker's address apart.
 *
 * Whoever forgets to encode a password gets it cut in the wrong place: so what
 * might be a piece of one is never repeated in a message.
 */
#include "core/url.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "base/why.h"

#define PORT 5672
#define PORT_TLS 5671

/* Into `to`; what it is called is for the sentence. */
static int
decode(const char *from, size_t len, const char *what, char to[256],
    struct why *why)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = from[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_digit(from[i + 1]) : -1;
			int low = i + 2 < len ? hex_digit(from[i + 2]) : -1;

			if (high < 0 || low < 0)
				return why_set(why,
				    "the %s has a '%%' that is not followed by "
				    "two hexadecimal digits; '%%' itself is "
				    "%%25",
				    what);
			c = (char)(high << 4 | low);
			i += 2;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f)
			return why_set(why, "the %s has a control character",
			    what);
		if (n == 255)
			return why_set(why,
			    "the %s has more than 255 characters", what);
		to[n++] = c;
	}
	to[n] = '\0';
	if (!utf8_is_text(to, n))
		return why_set(why, "the %s is no valid UTF-8", what);
	return 0;
}

static int
parse_user(const char *text, size_t len, struct url *url, struct why *why)
{
	const char *colon = memchr(text, ':', len);
	size_t user = colon != NULL ? (size_t)(colon - text) : len;

	url->has_user = true;
	url->has_password = colon != NULL;
	if (decode(text, user, "user", url->user, why) < 0)
		return -1;
	if (user == 0)
		return why_set(why, "there is an '@', but no user before it");
	return colon == NULL ?
	    0 :
	    decode(colon + 1, len - user - 1, "password", url->password, why);
}

static int
parse_port(const char *text, size_t len, struct url *url, struct why *why)
{
	int port = 0;

	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]) || port > 65535)
			port = 65536;
		else
			port = port * 10 + (text[i] - '0');
	}
	if (port < 1 || port > 65535)
		return why_set(why,
		    "what follows the host's ':' is no port from 1 to 65535 "
		    "(a user and password are followed by '@' and the host)");
	url->port = port;
	return 0;
}

static int
parse_host(const char *text, size_t len, struct url *url, struct why *why)
{
	const char *end = text + len, *colon;

	if (len > 0 && *text == '[') {
		const char *bracket = memchr(text, ']', len);

		if (bracket == NULL)
			return why_set(why, "there is a '[' without its ']'");
		if (decode(text + 1, (size_t)(bracket - text) - 1, "host",
			url->host, why) < 0)
			return -1;
		colon = bracket + 1;
		if (colon < end && *colon != ':')
			return why_set(why,
			    "only a ':' and the port may follow the ']'");
	} else {
		colon = memchr(text, ':', len);
		if (colon == NULL)
			colon = end;
		if (decode(text, (size_t)(colon - text), "host", url->host,
			why) < 0)
			return -1;
	}
	if (url->host[0] == '\0')
		return why_set(why, "there is no host");
	if (strpbrk(url->host, " \"\\<>|") != NULL)
		return why_set(why,
		    "the host has a character that no name of "
		    "a host has");
	return colon == end ?
	    0 :
	    parse_port(colon + 1, (size_t)(end - colon) - 1, url, why);
}

static int
parse_vhost(const char *path, struct url *url, struct why *why)
{
	strcpy(url->vhost, "/");
	if (path[0] == '\0' || path[1] == '\0')
		return 0;
	if (strchr(path + 1, '/') != NULL)
		return why_set(why,
		    "the vhost has a '/'; as a part of its name write it as "
		    "%%2F");
	return decode(path + 1, strlen(path + 1), "vhost", url->vhost, why);
}

static int
parse_scheme(const char **text, struct url *url, struct why *why)
{
	static const char plain[] = "amqp://", tls[] = "amqps://";

	if (strncasecmp(*text, plain, sizeof(plain) - 1) == 0)
		*text += sizeof(plain) - 1;
	else if (strncasecmp(*text, tls, sizeof(tls) - 1) == 0) {
		*text += sizeof(tls) - 1;
		url->tls = true;
	} else
		return why_set(why,
		    "it does not begin with amqp:// or amqps://");
	url->port = url->tls ? PORT_TLS : PORT;
	return 0;
}

int
url_parse(const char *text, struct url *url, struct why *why)
{
	const char *path, *at, *last;

	memset(url, 0, sizeof(*url));
	if (parse_scheme(&text, url, why) < 0)
		return -1;
	path = text + strcspn(text, "/?#");
	at = memrchr(text, '@', (size_t)(path - text));
	last = strrchr(text, '@');
	if (last != NULL && last > path)
		return why_set(why,
		    "there is a '/', '?' or '#' before the '@'; in a user or "
		    "password write them as %%2F, %%3F and %%23, and '@' as "
		    "%%40");
	if (strpbrk(path, "?#") != NULL)
		return why_set(why,
		    "it has a '?' or '#', which say nothing here: there are "
		    "keys for such things");
	if (at != NULL && parse_user(text, (size_t)(at - text), url, why) < 0)
		return -1;
	if (at != NULL)
		text = at + 1;
	if (parse_host(text, (size_t)(path - text), url, why) < 0)
		return -1;
	return parse_vhost(path, url, why);
}

const char *
url_text(const struct url *url, char buf[URL_TEXT_SIZE])
{
	bool six = strchr(url->host, ':') != NULL;
	size_t n = (size_t)snprintf(buf, URL_TEXT_SIZE, "%s://%s%s%s:%d/",
	    url->tls ? "amqps" : "amqp", six ? "[" : "", url->host,
	    six ? "]" : "", url->port);

	if (strcmp(url->vhost, "/") == 0)
		return buf;
	for (const char *p = url->vhost; *p != '\0' && n + 4 < URL_TEXT_SIZE;
	     p++) {
		if (strchr("/%?#@ \"\\", *p) != NULL)
			n += (size_t)snprintf(buf + n, URL_TEXT_SIZE - n,
			    "%%%02X", (unsigned char)*p);
		else
			buf[n++] = *p;
	}
	buf[n] = '\0';
	return buf;
}
