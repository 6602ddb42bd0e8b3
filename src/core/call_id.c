/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_id - the names of a call: request ids and W3C trace contexts.
 *
 * An id of ours is 20 characters of base32 that sort by time:
 *
 *   0h8qvj3kd 03fz7 0k2m9x
 *   │         │     └ 30 bits: a counter that starts anywhere
 *   │         └ 25 bits: the process
 *   └ 45 bits: milliseconds since 1970
 *
 * so that no two processes of a machine ever make the same one, and those of
 * several machines hardly so. Ids that clients send come back to them in a
 * header and stand in every log line: only harmless characters pass.
 */
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/call.h"

#define TRACEPARENT_LEN (CALL_TRACEPARENT_SIZE - 1)

/* Without i, l, o and u, and in ASCII order (Crockford's). */
static const char base32[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Never fails: the clock has to do for a kernel without entropy yet. */
static void
id_random(void *bytes, size_t len)
{
	unsigned char *p = bytes;
	uint64_t seed;
	size_t i;

	if (getrandom(bytes, len, GRND_NONBLOCK) == (ssize_t)len)
		return;
	seed = (uint64_t)clock_wall_ns() ^ (uint64_t)getpid() << 40;
	for (i = 0; i < len; i++) {
		seed = seed * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
		p[i] = (unsigned char)(seed >> 56);
	}
}

static bool
id_ok(const char *id)
{
	size_t len;

	if (id[0] == '\0') /* most messages have none */
		return false;
	len = strspn(id,
	    "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~:+/=@-");
	return len > 0 && len < CALL_ID_SIZE && id[len] == '\0';
}

/* Writes the low 5 * digits bits, and returns the end. */
static char *
id_digits(char *p, uint64_t number, int digits)
{
	int i;

	for (i = digits - 1; i >= 0; i--) {
		p[i] = base32[number & 31];
		number >>= 5;
	}
	return p + digits;
}

/* The process these are for, or 0; a fork copies them. */
static pid_t id_pid;
static uint32_t id_counter;

static void
id_forget(void)
{
	id_pid = 0;
}

/* Asking for the pid is a system call, so it is asked for once. */
static void
id_begin(void)
{
	static bool registered;

	if (!registered)
		registered = pthread_atfork(NULL, NULL, id_forget) == 0;
	id_pid = getpid();
	id_random(&id_counter, sizeof(id_counter));
}

const char *
call_make_id(const char *wanted, char buf[CALL_ID_SIZE])
{
	char *p = buf;

	if (wanted != NULL && id_ok(wanted))
		return memcpy(buf, wanted, strlen(wanted) + 1);
	if (id_pid == 0)
		id_begin();
	p = id_digits(p, (uint64_t)(clock_wall_ns() / NS_PER_MS), 9);
	p = id_digits(p, (uint64_t)id_pid, 5);
	p = id_digits(p, id_counter++, 6);
	*p = '\0';
	return buf;
}

/* `len` lowercase hex digits, not all of them zero. */
static bool
id_hex(const char *p, size_t len)
{
	return strspn(p, "0123456789abcdef") >= len && strspn(p, "0") < len;
}

bool
call_traceparent_ok(const char *text)
{
	return strlen(text) == TRACEPARENT_LEN &&
	    strncmp(text, "00-", 3) == 0 && id_hex(text + 3, 32) &&
	    text[35] == '-' && id_hex(text + 36, 16) && text[52] == '-' &&
	    strspn(text + 53, "0123456789abcdef") == 2;
}

const char *
call_make_traceparent(char buf[CALL_TRACEPARENT_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char random[24]; /* 16 of the trace, 8 of the span */
	char *p = buf + 3;
	size_t i;

	id_random(random, sizeof(random));
	random[15] |= 1; /* all zero would be invalid */
	random[23] |= 1;
	memcpy(buf, "00-", 3);
	for (i = 0; i < sizeof(random); i++) {
		if (i == 16)
			*p++ = '-';
		*p++ = hex[random[i] >> 4];
		*p++ = hex[random[i] & 15];
	}
	memcpy(p, "-00", 4);
	return buf;
}
