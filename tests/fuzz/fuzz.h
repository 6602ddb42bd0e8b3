/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz - what the fuzzers share: the entry point that libFuzzer calls, and the
 * input as a text.
 *
 * A fuzzer states what must hold for every input with FUZZ_REQUIRE, which stays
 * on in any build; memory errors are the sanitizers' to find.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_REQUIRE(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", \
			    __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* The bytes and a NUL in an allocation of just their size, to free. */
static inline char *
fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
