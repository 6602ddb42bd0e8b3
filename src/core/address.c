/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * address - reads a listening address as it stands in the config, and writes a
 * peer's for the log.
 *
 *   [http://] HOST:PORT | [IPV6]:PORT | unix:/PATH
 *
 * HOST is a dotted quad, "localhost" (127.0.0.1) or "*" (every IPv4 address).
 * No name is ever looked up, so nothing here can block. Port 0 lets the kernel
 * choose. A Unix path is absolute, since the master leaves the folder that it
 * was started in.
 */
#include "core/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"
#include "base/why.h"

static int
parse_unix(const char *path, struct address *address, struct why *why)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&address->ss;
	size_t len = strlen(path);

	if (path[0] != '/')
		return why_set(why,
		    "unix: wants an absolute path, "
		    "\"unix:/run/brood/rest.sock\" say");
	if (len >= sizeof(sun->sun_path))
		return why_set(why,
		    "a Unix socket's path has at most %zu characters, this one "
		    "has %zu",
		    sizeof(sun->sun_path) - 1, len);
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path, len + 1);
	address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    len + 1);
	return 0;
}

static int
parse_port(const char *text, in_port_t *port, struct why *why)
{
	unsigned n = 0;
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 5 || text[len] != '\0')
		return why_set(why,
		    "'%.32s' is no port; write a number from 1 to 65535, or 0 "
		    "to let the kernel choose",
		    text);
	for (size_t i = 0; i < len; i++)
		n = n * 10 + (unsigned)(text[i] - '0');
	if (n > 65535)
		return why_set(why, "port %u is beyond 65535", n);
	*port = htons((uint16_t)n);
	return 0;
}

static int
parse_ipv6(const char *text, struct address *address, struct why *why)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&address->ss;
	const char *end = strchr(text, ']');
	char host[INET6_ADDRSTRLEN];
	size_t len;

	if (end == NULL || end[1] != ':')
		return why_set(why,
		    "an IPv6 address is written [ADDRESS]:PORT, \"[::1]:8080\" "
		    "say");
	len = (size_t)(end - text - 1);
	sin6->sin6_family = AF_INET6;
	address->len = sizeof(*sin6);
	if (len < sizeof(host)) {
		memcpy(host, text + 1, len);
		host[len] = '\0';
		if (inet_pton(AF_INET6, host, &sin6->sin6_addr) == 1)
			return parse_port(end + 2, &sin6->sin6_port, why);
	}
	return why_set(why, "'%.*s' is no IPv6 address", (int)len, text + 1);
}

static int
parse_ipv4(const char *text, struct address *address, struct why *why)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&address->ss;
	const char *colon = strchr(text, ':');
	char host[sizeof(address->text)];
	size_t len;

	if (colon == NULL)
		return why_set(why,
		    "no port; write HOST:PORT, \"127.0.0.1:8080\" say");
	if (strchr(colon + 1, ':') != NULL)
		return why_set(why,
		    "too many colons; an IPv6 address is written "
		    "[ADDRESS]:PORT");
	len = (size_t)(colon - text);
	memcpy(host, text, len);
	host[len] = '\0';
	sin->sin_family = AF_INET;
	address->len = sizeof(*sin);
	if (strcmp(host, "*") == 0)
		sin->sin_addr.s_addr = htonl(INADDR_ANY);
	else if (strcmp(host, "localhost") == 0)
		sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (inet_pton(AF_INET, host, &sin->sin_addr) != 1)
		return why_set(why,
		    "'%s' is no IPv4 address; names are not looked up, but "
		    "'localhost' and '*' will do",
		    host);
	return parse_port(colon + 1, &sin->sin_port, why);
}

int
address_parse(const char *text, struct address *address, struct why *why)
{
	static const char http[] = "http://", local[] = "unix:";

	memset(address, 0, sizeof(*address));
	if (strncmp(text, http, sizeof(http) - 1) == 0) {
		address->plain = true;
		text += sizeof(http) - 1;
	}
	if (strncmp(text, "https://", 8) == 0)
		return why_set(why,
		    "leave 'https://' out; rest.tls turns TLS on");
	if (strlen(text) >= sizeof(address->text))
		return why_set(why,
		    "an address has at most %zu characters, this one has %zu",
		    sizeof(address->text) - 1, strlen(text));
	mem_copy_string(address->text, sizeof(address->text), text);
	if (strncmp(text, local, sizeof(local) - 1) == 0)
		return parse_unix(text + sizeof(local) - 1, address, why);
	if (text[0] == '[')
		return parse_ipv6(text, address, why);
	return parse_ipv4(text, address, why);
}

static const char *
format_ipv4(const struct in_addr *host, in_port_t port,
    char buf[ADDRESS_TEXT_SIZE])
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, host, text, sizeof(text));
	snprintf(buf, ADDRESS_TEXT_SIZE, "%s:%u", text, ntohs(port));
	return buf;
}

const char *
address_format(const struct sockaddr *sa, socklen_t len,
    char buf[ADDRESS_TEXT_SIZE])
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;
	char text[INET6_ADDRSTRLEN];
	struct in_addr mapped;

	if (len >= sizeof(*sin) && sa->sa_family == AF_INET)
		return format_ipv4(&sin->sin_addr, sin->sin_port, buf);
	if (len >= sizeof(*sin6) && sa->sa_family == AF_INET6) {
		/* an IPv4 peer of a socket that takes both */
		if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
			memcpy(&mapped, &sin6->sin6_addr.s6_addr[12],
			    sizeof(mapped));
			return format_ipv4(&mapped, sin6->sin6_port, buf);
		}
		inet_ntop(AF_INET6, &sin6->sin6_addr, text, sizeof(text));
		snprintf(buf, ADDRESS_TEXT_SIZE, "[%s]:%u", text,
		    ntohs(sin6->sin6_port));
		return buf;
	}
	if (len >= sizeof(sa_family_t) && sa->sa_family == AF_UNIX)
		return strcpy(buf, "unix");
	return strcpy(buf, "?");
}
