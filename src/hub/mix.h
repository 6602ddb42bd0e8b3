/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mix - a fast keyed 64-bit hash of bytes: nobody who does not know the key can
 * make values that collide or that look like a good record. For memory and for
 * files that never leave the machine (its own byte order).
 */
#ifndef HUB_MIX_H
#define HUB_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mix_key {
	uint64_t v[2];
};

static inline uint64_t
mix_fold(uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 m = a;

	m *= b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t
mix_bytes(const struct mix_key *key, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t h = key->v[0] ^ len * UINT64_C(0x9e3779b97f4a7c15), a, b;

	for (; len > 16; len -= 16, p += 16) {
		memcpy(&a, p, 8);
		memcpy(&b, p + 8, 8);
		h = mix_fold(a ^ key->v[1], b ^ h);
	}
	a = b = 0;
	memcpy(&a, p, len < 8 ? len : 8);
	if (len > 8)
		memcpy(&b, p + 8, len - 8);
	h = mix_fold(a ^ key->v[1], b ^ h);
	return mix_fold(h ^ key->v[0], UINT64_C(0x9e3779b97f4a7c15));
}

#endif
