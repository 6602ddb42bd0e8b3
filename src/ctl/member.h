/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * member - options that belong to single commands and travel to the hub as
 * members of the request.
 */
#ifndef CTL_MEMBER_H
#define CTL_MEMBER_H

#include <stddef.h>

#include "ctl/ctl.h"

struct member_info {
	const char *name;	/* of the option */
	const char *argument;	/* NULL: takes none */
	enum { MEMBER_FLAG, MEMBER_TEXT, MEMBER_INT, MEMBER_SECONDS,
		MEMBER_JSON } kind;
	const char *member;	/* of the request */
	const char *commands;	/* that take it, between blanks */
	const char *help;
};

extern const struct member_info member_info[];
extern const size_t member_count;

/* Adds it to ctl->members; -1 with what is wrong with the value. */
int member_take(struct ctl *ctl, size_t i, const char *value, struct why *why);

/* Each one that was given belongs to the command; -1 with the reason. */
int member_check(const struct ctl *ctl, struct why *why);

#endif
