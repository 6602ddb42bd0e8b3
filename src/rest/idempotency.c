/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * idempotency - the scope of a key and the fingerprint of a request.
 *
 * Called by jobs, for routes of mode job. The hub keeps both with the job and
 * decides: the same key and fingerprint are the same job, the same key with
 * another fingerprint is a mistake of the client.
 *
 * The fingerprint is SipHash-2-4 (Aumasson, Bernstein) with a constant key:
 * whoever finds a collision can only mislead himself. It is a hash of hashes,
 * so that no byte can move from one part of a request to the next unnoticed.
 */
#include "rest/idempotency.h"

#include <string.h>

#include "base/mem.h"

bool
idempotency_key_ok(const char *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (key[i] <= ' ' || key[i] > '~')
			return false;
	return len > 0 && len <= IDEMPOTENCY_KEY_MAX;
}

char *
idempotency_scope(const char *method, const char *pattern, const char *key,
    size_t len)
{
	return mem_printf("%s %s %.*s", method, pattern, (int)len, key);
}

static uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void
sip_rounds(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

/* Up to eight bytes, the first the least significant. */
static uint64_t
load(const unsigned char *bytes, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

uint64_t
idempotency_siphash(const uint64_t key[2], const void *bytes, size_t len)
{
	uint64_t v[4] = {
		key[0] ^ UINT64_C(0x736f6d6570736575),
		key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573),
	};
	const unsigned char *p = bytes;
	uint64_t word;
	size_t left;

	for (left = len; left >= 8; left -= 8, p += 8) {
		word = load(p, 8);
		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	word = (uint64_t)len << 56 | load(p, left);
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
idempotency_fingerprint(const struct idempotent *request)
{
	static const uint64_t key[2] = {
		UINT64_C(0x62726f6f642d6964),
		UINT64_C(0x656d706f74656e74),
	};
	const uint64_t part[] = {
		idempotency_siphash(key, request->method,
		    strlen(request->method)),
		idempotency_siphash(key, request->path, strlen(request->path)),
		idempotency_siphash(key, request->query, request->query_len),
		idempotency_siphash(key, request->body, request->body_len),
	};
	unsigned char bytes[sizeof(part)];

	/* the same on a machine of the other byte order */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(part[i / 8] >> (8 * (i % 8)));
	return idempotency_siphash(key, bytes, sizeof(bytes));
}
