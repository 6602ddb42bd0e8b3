/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * siphash - SipHash-2-4: 64 bits of bytes that strangers choose. Nobody who
 * does not know the key can make two that collide. The same on every machine.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

uint64_t siphash(const struct siphash_key *key, const void *bytes, size_t len);

#endif
