/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * siphash - as Aumasson and Bernstein describe it (two rounds for each word,
 * four at the end).
 */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static inline void
siphash_round(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void
siphash_word(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	siphash_round(s);
	siphash_round(s);
	s->v0 ^= word;
}

uint64_t
siphash(const struct siphash_key *key, const void *bytes, size_t len)
{
	struct state s = {
		key->k0 ^ UINT64_C(0x736f6d6570736575),
		key->k1 ^ UINT64_C(0x646f72616e646f6d),
		key->k0 ^ UINT64_C(0x6c7967656e657261),
		key->k1 ^ UINT64_C(0x7465646279746573),
	};
	const unsigned char *p = bytes;
	uint64_t last = (uint64_t)len << 56, word;

	for (size_t left = len; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, sizeof(word));
		siphash_word(&s, le64toh(word));
	}
	for (size_t i = 0; i < len % 8; i++)
		last |= (uint64_t)p[i] << 8 * i;
	siphash_word(&s, last);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		siphash_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
