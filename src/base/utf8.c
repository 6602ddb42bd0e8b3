/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * utf8 - one table of what may follow what, for everybody who takes a text from
 * outside or shows one.
 */
#include "base/utf8.h"

size_t
utf8_sequence(const char *p, size_t len)
{
	const unsigned char *s = (const unsigned char *)p;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	/* overlong forms, surrogates and what is beyond U+10FFFF are told by
	 * the second byte */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

bool
utf8_is_text(const char *p, size_t len)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = p[i] != '\0' ? utf8_sequence(p + i, len - i) : 0;
		if (n == 0)
			return false;
	}
	return true;
}
